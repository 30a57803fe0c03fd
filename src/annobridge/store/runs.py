"""The ledger of annotation runs: what was sent where, what came back, and what each load did.

A load is written ahead: its row says ``applying`` with a token before anything else is written; the commit of the labels
bears the token. Whoever finds ``applying`` left by a dead process looks for the token in the log of ``labels``: there, the
load is finished; not there, it never happened.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.schema import LabelSchema
from ..core.text import near
from ..exceptions import RunBusy, RunExists, RunNotFound
from .labels import Labels
from .tables import RECEIPTS, RUNS, TASKS, Database, quote

_RUNNING: set[str] = set()  # tokens of the loads under way in this very process
_LEASE = timedelta(minutes=10)  # after which a load of another machine that never ended is taken for dead


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a run. ``state``: applying, applied, undoing, undone or aborted."""

    number: int
    state: str
    token: str
    since: int  # the version of ``labels`` that it was planned on
    version: int | None = None  # the version that it made; None when it wrote no label
    owner: str = ""
    time: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the ledger."""

    anno_key: str
    run_id: str
    state: str
    backend: str
    schema: LabelSchema
    options: Mapping[str, Any]
    view: Sequence[Mapping[str, Any]]
    labels_version: int
    created: datetime
    updated: datetime
    loads: tuple[Load, ...] = ()
    rev: int = 1

    def row(self) -> dict[str, Any]:
        """The columns of ``RUNS``."""
        values = {
            "label_schema": json.dumps(self.schema.to_dict()),
            "options": json.dumps(dict(self.options)),
            "view": json.dumps(list(self.view)),
            "loads": json.dumps([{k: getattr(load, k) for k in Load.__dataclass_fields__} for load in self.loads]),
        }
        return {n: values.get(n, getattr(self, n, None)) for n in RUNS.names}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Run:
        """A run from its columns."""
        return cls(
            row["anno_key"], row["run_id"], row["state"], row["backend"],
            LabelSchema.from_dict(json.loads(row["label_schema"])), json.loads(row["options"]), json.loads(row["view"]),
            row["labels_version"], row["created"], row["updated"],
            tuple(Load(**load) for load in json.loads(row["loads"])), row["rev"],
        )  # fmt: skip

    @property
    def versions(self) -> dict[int, int]:
        """For each load whose part of the baseline counts, the version of ``labels`` that it stands for."""
        made = {load.number: load.version or load.since for load in self.loads}
        return {number: made.get(number, self.labels_version) for number in self.generations}

    @property
    def generations(self) -> list[int]:
        """The loads whose part of the baseline counts; 0 is what was sent."""
        return [0, *(load.number for load in self.loads if load.state in ("applied", "undoing"))]


class Runs:
    """Reading and writing the ledger. Every change of a run is a compare-and-set on its revision."""

    def __init__(self, db: Database, labels: Labels) -> None:
        self.db, self.labels = db, labels

    def keys(self) -> list[str]:
        """The keys of all runs, oldest first."""
        rows = self.db.read("annotation_runs", ["anno_key", "created"]).sort_by("created")
        return list(rows["anno_key"].to_pylist())

    def get(self, anno_key: str) -> Run:
        """A run, as it is after whatever crash: a load that a dead process left half-way is settled first."""
        rows = self.db.read("annotation_runs", where=f"anno_key = {quote(anno_key)}").to_pylist()
        if not rows:
            raise RunNotFound(f"There is no annotation run {anno_key!r}; {near(anno_key, self.keys())}")
        return self._settled(Run.of_row(rows[0]))

    def require_free(self, anno_key: str) -> None:
        """Raise ``RunExists`` when a run has this key."""
        if anno_key in self.keys():
            raise RunExists(
                f"The anno_key {anno_key!r} is in use; choose another, resume_annotation({anno_key!r}) if sending "
                f"stopped half-way, or delete_annotation_run({anno_key!r}) first."
            )

    def reserve(self, run: Run) -> None:
        """Take a key. Raises ``RunExists`` when somebody has it."""
        rows = pa.Table.from_pylist([run.row()], RUNS)
        merge = self.db.table("annotation_runs").merge_insert("anno_key").when_not_matched_insert_all()
        if not merge.execute(rows)["num_inserted_rows"]:
            self.require_free(run.anno_key)

    def update(self, run: Run, **changes: Any) -> Run:
        """Write changes of a run. Raises ``RunBusy`` when somebody changed it since it was read."""
        new = replace(run, **changes, rev=run.rev + 1, updated=datetime.now(UTC))
        rows = pa.Table.from_pylist([new.row()], RUNS)
        merge = (
            self.db.table("annotation_runs")
            .merge_insert("run_id")
            .when_matched_update_all("target.rev = source.rev - 1")
        )
        if not merge.execute(rows)["num_updated_rows"]:
            raise RunBusy(f"The run {run.anno_key!r} was changed by another process just now; try again.")
        return new

    def delete(self, run: Run) -> None:
        """Forget a run, its tasks, baseline and history; not the labels it brought."""
        names = (
            "annotation_runs",
            "annotation_tasks",
            "annotation_receipts",
            "annotation_baseline",
            "annotation_changes",
        )
        for name in names:
            self.db.delete(name, f"run_id = {quote(run.run_id)}")

    def add_tasks(self, run: Run, tasks: Sequence[tuple[str, pa.Array]]) -> None:
        """Write down all that is going to be sent, before the first piece is."""
        ids = pa.ListArray.from_arrays(
            pa.array([0, *pa.compute.cumulative_sum(pa.array([len(s) for _, s in tasks])).to_pylist()], pa.int32()),
            pa.concat_arrays([s for _, s in tasks]),
        )
        names = pa.array([name for name, _ in tasks], pa.string())
        rows = pa.Table.from_arrays([pa.repeat(run.run_id, len(tasks)), names, ids], schema=TASKS)
        self.db.append("annotation_tasks", rows)

    def tasks(self, run: Run) -> pa.Table:
        """``TASKS`` of a run, in order."""
        return self.db.read("annotation_tasks", where=f"run_id = {quote(run.run_id)}").sort_by("task")

    def add_receipt(self, run: Run, task: str, state: Mapping[str, Any]) -> None:
        """Write down that a task was sent."""
        row = {"run_id": run.run_id, "task": task, "state": json.dumps(dict(state))}
        self.db.append("annotation_receipts", pa.Table.from_pylist([row], RECEIPTS))

    def receipts(self, run: Run) -> dict[str, dict[str, Any]]:
        """The state of each task that was sent."""
        rows = self.db.read("annotation_receipts", where=f"run_id = {quote(run.run_id)}").to_pylist()
        return {row["task"]: json.loads(row["state"]) for row in rows}

    def begin(self, run: Run, since: int, undo: Load | None = None) -> tuple[Run, Load]:
        """Announce a load (or the undoing of one): after this, it is this process's alone."""
        mark: dict[str, Any] = {
            "token": uuid.uuid4().hex,
            "owner": owner(),
            "time": datetime.now(UTC).isoformat(),
            "since": since,
        }
        if undo is not None:
            load = replace(undo, state="undoing", **mark)
            loads = tuple(load if one.number == load.number else one for one in run.loads)
        else:
            load = Load(max([0, *(one.number for one in run.loads)]) + 1, "applying", **mark)
            loads = (*run.loads, load)
        announced = self.update(run, loads=loads)
        _RUNNING.add(load.token)
        return announced, load

    def end(
        self, run: Run, load: Load, state: str, version: int | None = None, counts: Mapping[str, int] | None = None
    ) -> Run:
        """Write down how a load ended."""
        self.release(load)
        done = replace(load, state=state, version=version or load.version, counts=counts or load.counts)
        return self.update(run, loads=tuple(done if one.number == load.number else one for one in run.loads))

    @staticmethod
    def release(load: Load) -> None:
        """Say that a load is over in this process, however it ended."""
        _RUNNING.discard(load.token)

    def _settled(self, run: Run) -> Run:
        for load in run.loads:
            if load.state not in ("applying", "undoing"):
                continue
            version = self.labels.find_commit(load.token, load.since)
            if version is not None:
                return self.end(run, load, "applied" if load.state == "applying" else "undone", version)
            if _alive(load):
                raise RunBusy(
                    f"The run {run.anno_key!r} is being loaded by {load.owner} since {load.time}; wait for it, and try again."
                )
            return self.end(run, load, "aborted" if load.state == "applying" else "applied")
        return run


def owner() -> str:
    """Who is running, so that others can tell whether it lives: host, process number, and the time it was started."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(load: Load) -> bool:
    host, pid, started = load.owner.rsplit(":", 2)
    if host != socket.gethostname():
        return datetime.now(UTC) - datetime.fromisoformat(load.time) < _LEASE
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if int(pid) == os.getpid():
        return load.token in _RUNNING
    return _started(int(pid)) == started
