"""The ledger of annotation runs: what was sent where, what came back, and what each load did.

A load is written ahead: its row says ``applying`` with a token before anything else is written; the commit of the labels
bears the token. Whoever finds ``applying`` left by a dead process looks for the token in the log of ``labels``: there, the
load is finished; not there, it never happened.

A process of another machine cannot be known to be dead. One that is silent for long is disowned in the ledger, and then
a fence in ``labels`` stops the commit that it may be about to make: what the log does not have by then never comes.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.schema import LabelSchema
from ..core.text import near
from ..exceptions import RunBusy, RunExists, RunNotFound, StalePlan
from .labels import Labels
from .tables import RECEIPTS, RUNS, TASKS, Database, quote

_RUNNING: set[str] = set()  # tokens of the loads under way in this very process
_LEASE = timedelta(minutes=10)  # after which a load of another machine that never ended is disowned
_ATTEMPTS = 10
UNDER_WAY = ("applying", "undoing")


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
    destinations: Mapping[str, str] = field(default_factory=dict)  # fields whose outcome went into another field
    undone: int | None = None  # the version that its undoing made, or was planned on

    @property
    def under_way(self) -> bool:
        """Whether it was announced and has not ended."""
        return self.state in UNDER_WAY


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
    def fields(self) -> set[str]:
        """The label fields that it sent, or brought labels to as a destination."""
        return set(self.schema.fields).union(*(load.destinations.values() for load in self.loads))

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

    def every(self) -> list[Run]:
        """All runs as they are written, oldest first."""
        return [Run.of_row(row) for row in self.db.read("annotation_runs").sort_by("created").to_pylist()]

    def look(self, anno_key: str) -> Run:
        """A run, as it is after whatever crash: a load that a dead process left half-way is settled first."""
        rows = self.db.read("annotation_runs", where=f"anno_key = {quote(anno_key)}").to_pylist()
        if not rows:
            raise RunNotFound(f"There is no annotation run {anno_key!r}; {near(anno_key, self.keys())}")
        run = Run.of_row(rows[0])
        for load in run.loads:
            if load.under_way:
                run = self._settled(run, load)
        return run

    def get(self, anno_key: str) -> Run:
        """A run to work on. Raises ``RunBusy`` while somebody loads it."""
        run = self.look(anno_key)
        for load in run.loads:
            if load.under_way:
                raise RunBusy(
                    f"The run {anno_key!r} is being loaded by {load.owner} since {load.time}; wait for it, and try again."
                )
        return run

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

    def drop_task(self, run: Run, task: str) -> None:
        """Forget a task that was never sent."""
        self.db.delete("annotation_tasks", f"run_id = {quote(run.run_id)} AND task = {quote(task)}")

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

    def begin(
        self, run: Run, since: int, undo: Load | None = None, destinations: Mapping[str, str] | None = None
    ) -> tuple[Run, Load]:
        """Announce a load (or the undoing of one): after this, it is this process's alone."""
        mark: dict[str, Any] = {"token": uuid.uuid4().hex, "owner": owner(), "time": datetime.now(UTC).isoformat()}
        if undo is not None:
            load = replace(undo, state="undoing", undone=since, **mark)
            loads = tuple(load if one.number == load.number else one for one in run.loads)
        else:
            number = max([0, *(one.number for one in run.loads)]) + 1
            load = Load(number, "applying", since=since, destinations=dict(destinations or {}), **mark)
            loads = (*run.loads, load)
        announced = self.update(run, loads=loads)
        _RUNNING.add(load.token)
        return announced, load

    def alone(self, run: Run, load: Load) -> bool:
        """Whether no load of another run is under way, as far as the ledger knows; what this one has read of the labels
        by now, whoever announces later will come after. Raises ``StalePlan`` when this announcement stands no more.
        """
        every = self.every()
        mine = [one for other in every if other.run_id == run.run_id for one in other.loads]
        if load not in mine:
            raise StalePlan(
                f"The load of the run {run.anno_key!r} took so long that another process took it for dead, or forgot the "
                "run; plan again."
            )
        others = [one for other in every if other.run_id != run.run_id for one in other.loads]
        return all(_dead(one) for one in others if one.under_way)

    def end(self, run: Run, load: Load, version: int | None = None, counts: Mapping[str, int] | None = None) -> Run:
        """Write down that a load, or an undoing, was done; ``version`` is what it made of the labels, if anything."""
        self.release(load)
        if load.state == "undoing":
            return self._write(run, load, state="undone", undone=version or load.undone)
        return self._write(run, load, state="applied", version=version, counts=dict(counts or load.counts))

    def give_up(self, run: Run, load: Load) -> None:
        """After an error between announcement and commit: the load did not happen, unless the commit did.

        That error is what the caller has to hear of; should this fail too, the next look at the run settles it.
        """
        self.release(load)
        with suppress(Exception):
            self.look(run.anno_key)

    @staticmethod
    def release(load: Load) -> None:
        """Say that a load is over in this process, however it ended."""
        _RUNNING.discard(load.token)

    def _settled(self, run: Run, load: Load) -> Run:
        """The run after a load under way was looked into: done, aborted, or still under way."""
        version = self._commit_of(load)
        if version is None and _elsewhere(load):
            if not _silent(load):
                return run
            run = self._write(run, load, owner="")
            self.labels.fence()
            version = self._commit_of(load)
        elif version is None and not _dead(load):
            return run
        if version is not None:
            return self.end(run, load, version)
        return self._write(run, load, state="aborted" if load.state == "applying" else "applied", undone=None)

    def _commit_of(self, load: Load) -> int | None:
        return self.labels.find_commit(load.token, load.since if load.undone is None else load.undone)

    def _write(self, run: Run, load: Load, **changes: Any) -> Run:
        """Write changes of a load, by its token, whatever else of the run was changed meanwhile."""
        for _ in range(_ATTEMPTS):
            rows = self.db.read("annotation_runs", where=f"run_id = {quote(run.run_id)}").to_pylist()
            if not rows:
                return run  # forgotten by somebody
            run = Run.of_row(rows[0])
            loads = tuple(replace(one, **changes) if one.token == load.token else one for one in run.loads)
            try:
                return self.update(run, loads=loads)
            except RunBusy:
                continue
        raise RunBusy(f"The run {run.anno_key!r} is changed by others all the time; try again when it is quieter.")


def owner() -> str:
    """Who is running, so that others can tell whether it lives: host, process number, and the time it was started."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _elsewhere(load: Load) -> bool:
    """Whether a load runs on another machine, or did until it was disowned."""
    return load.owner.rsplit(":", 2)[0] != socket.gethostname()


def _silent(load: Load) -> bool:
    """Whether a load of another machine was disowned, or is to be."""
    return not load.owner or datetime.now(UTC) - datetime.fromisoformat(load.time) >= _LEASE


def _dead(load: Load) -> bool:
    """Whether the process of a load is known to have ended."""
    if _elsewhere(load):
        return False
    _, pid, started = load.owner.rsplit(":", 2)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    if int(pid) == os.getpid():
        return load.token not in _RUNNING
    return _started(int(pid)) != started
