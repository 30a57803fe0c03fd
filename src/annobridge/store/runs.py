"""The ledger of annotation runs: what was sent, the receipts of the tool, and what each load did.

A process that changes a run (sends, resumes, aborts, loads, undoes, renames or deletes it) holds its lease; see ``lease``.

A load is written ahead. Its steps, and why a process may end after any of them:

1. ``begin_load`` writes the load into the ledger as ``applying``, with a token. If the process ends now, no label changed.
2. The load's part of the baseline and the rows before the change are added. They count only for a load that is ``applied``.
3. The commit of the labels carries the token. From here on the load has happened, whatever the ledger says.
4. ``end_load`` writes ``applied``.

When the lease of the process is gone and the ledger still says ``applying``, the next process settles the load: it looks for the
token among the commits of the labels. If it is there, step 4 is done for it. If not, and the process may be alive after all, the
load is disowned and a fence stops its commit, before the token is looked for once more (``_settle``). Undoing works alike: by way
of ``undoing`` to ``undone``, or back to ``applied`` if its commit did not come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import lance
import pyarrow as pa

from ..core.did_you_mean import did_you_mean
from ..exceptions import RunBusy, RunError, RunExists, RunNotFound, StalePlan, StoreError
from ..processes import has_ended
from .commits import MAX_ATTEMPTS, Commits, Fragments, change_of_rows
from .labels import Labels
from .lease import Hold, Leases
from .row_set import RowSet
from .run import NOT_SENT_OPTION, Load, Run
from .run_tasks import RunTasks
from .schemas import RUNS
from .tables import Database, in_list, quote

_TABLES_OF_A_RUN = (
    "annotation_runs",
    "annotation_tasks",
    "annotation_receipts",
    "annotation_baseline",
    "annotation_changes",
    "annotation_decisions",
    "annotation_sample_states",
    "annotation_marks",
    "annotation_answered",
    "annotation_pushes",
)


class Runs(RunTasks):
    """Reads and writes the ledger. Each change of a run is a compare-and-set on its revision ``rev``."""

    def __init__(self, database: Database, labels: Labels) -> None:
        super().__init__(database)
        self.labels = labels
        self._commits = Commits(database, "annotation_runs")
        self._leases = Leases(database)

    def keys(self) -> list[str]:
        """The keys of all runs, oldest first."""
        rows = self._database.read("annotation_runs", ["anno_key", "created"]).sort_by("created")
        return list(rows["anno_key"].to_pylist())

    def all_readable(self) -> list[Run]:
        """All runs that can be read, oldest first, with interrupted loads not settled."""
        return [run for run in self._all() if run is not None]

    def _all(self) -> list[Run | None]:
        runs: list[Run | None] = []
        for row in self._database.read("annotation_runs").sort_by("created").to_pylist():
            try:
                runs.append(Run.from_row(row))
            except RunError:
                runs.append(None)
        return runs

    def get_settled(self, anno_key: str) -> Run:
        """A run, to read it. A load that was interrupted is settled first.

        In a dataset that cannot be written, it is settled in the returned value only.
        """
        run = self._read(anno_key)
        for load in run.loads:
            if load.is_unsettled and self._leases.find(run.run_id) is None:
                try:
                    run = self._settle(run, load)
                except StoreError:  # the dataset is read-only
                    run = _with(run, load, _outcome(load, self._commit_of(load)))
        return run

    def get_idle(self, anno_key: str) -> Run:
        """A run, to change it: settled, too. Raises ``RunBusy`` while a process holds its lease."""
        run = self.get_settled(anno_key)
        if (lease := self._leases.find(run.run_id)) is not None:
            raise RunBusy(f"The run {anno_key!r} {lease}; wait until that has ended, and try again.")
        return run

    @contextmanager
    def hold(self, run: Run, purpose: str) -> Iterator[tuple[Run, Hold]]:
        """Hold the lease of a run for the block; yields the run as it is then. Raises ``RunBusy`` while another process does."""
        with self._leases.hold(run.run_id, purpose, f"The run {run.anno_key!r}") as hold:
            yield self.refresh(run), hold

    def refresh(self, run: Run) -> Run:
        """The run as it is now, whatever its key is now, and settled. Raises ``RunNotFound`` if it was deleted."""
        rows = self._database.read("annotation_runs", where=f"run_id = {quote(run.run_id)}").to_pylist()
        if not rows:
            raise RunNotFound(f"The run {run.anno_key!r} was forgotten by another process just now.")
        now = Run.from_row(rows[0])
        for load in now.loads:
            if load.is_unsettled:
                now = self._settle(now, load)
        return now

    def ids_of_field(self, field: str) -> list[str]:
        """The ids of the runs that have, or loaded into, a label field."""
        return [run.run_id for run in self.all_readable() if field in run.fields]

    def exists(self, run: Run) -> bool:
        """Whether the run was not deleted."""
        return bool(self._database.count("annotation_runs", f"run_id = {quote(run.run_id)}"))

    def _read(self, anno_key: str) -> Run:
        rows = self._database.read("annotation_runs", where=f"anno_key = {quote(anno_key)}").to_pylist()
        if not rows:
            raise RunNotFound(f"There is no annotation run {anno_key!r}; {did_you_mean(anno_key, self.keys())}")
        return Run.from_row(rows[0])

    def require_free(self, anno_key: str, table: lance.LanceDataset | None = None) -> None:
        """Raise ``RunExists`` when a run has this key, in the given version of the ledger or in the newest."""
        with self._commits.reading():
            table = table or self._commits.latest()
            rows = table.to_table(columns=["anno_key"], filter=f"anno_key = {quote(anno_key)}")
        if rows.num_rows:
            raise RunExists(
                f"The anno_key {anno_key!r} is in use; choose another, resume_annotation({anno_key!r}) if sending "
                f"stopped half-way, or delete_annotation_run({anno_key!r}) first."
            )

    @contextmanager
    def reserve(self, run: Run) -> Iterator[Hold]:
        """Add a new run, and hold its lease for the block. Raises ``RunExists`` when a run has its key."""
        with self._leases.hold(run.run_id, "is being sent", f"The run {run.anno_key!r}") as hold:

            def prepare_append(table: lance.LanceDataset) -> lance.LanceOperation.BaseOperation:
                self.require_free(run.anno_key, table)
                return lance.LanceOperation.Append(self._fragments(run, table))

            self._commits.commit_fenced(prepare_append)
            yield hold

    def rename(self, run: Run, anno_key: str) -> Run:
        """Give a run another key. Raises ``RunExists``, also when another process takes the key at the same time."""
        self.require_free(anno_key)
        new = _changed(run, anno_key=anno_key)

        def prepare_update(table: lance.LanceDataset) -> lance.LanceOperation.BaseOperation:
            self.require_free(anno_key, table)
            return self._replacement(run, new, table)

        self._commits.commit_fenced(prepare_update)
        return new

    def _replacement(self, run: Run, new: Run, table: lance.LanceDataset) -> lance.LanceOperation.BaseOperation:
        """The change that puts ``new`` in place of ``run``. Raises ``RunBusy`` if it was changed since it was read."""
        where = f"run_id = {quote(run.run_id)} AND rev = {run.rev}"
        own = [field for field in table.schema if field.name not in RUNS.names]  # columns that users added
        with self._commits.reading():
            columns = ["rev", *(field.name for field in own)]
            rows = table.scanner(columns=columns, filter=where, with_row_address=True).to_table()
        if not rows.num_rows:
            raise _changed_meanwhile(run)
        new_row = self._fragments(new, table, {field: rows[field.name] for field in own})
        return change_of_rows(table, RowSet(rows["_rowaddr"].to_numpy()), new_row)

    def _fragments(
        self, run: Run, table: lance.LanceDataset, own: Mapping[pa.Field, pa.ChunkedArray] | None = None
    ) -> Fragments:
        """The row of a run in a new file; ``own`` has its values in columns that users added."""
        rows = pa.Table.from_pylist([run.to_row()], RUNS)
        for field, value in (own or {}).items():
            rows = rows.append_column(field, value)
        return self._commits.write_fragments(iter(rows.to_batches()), table, rows.schema)

    def update(self, run: Run, **changes: Any) -> Run:
        """Change columns of a run; returns the changed run.

        Raises:
            RunBusy: it was changed since it was read, or others change the ledger all the time.
        """
        self._database.require_writable()
        new = _changed(run, **changes)
        try:
            self._commits.commit_newest(lambda table: self._replacement(run, new, table))
        except StalePlan as e:  # of a plan, which the caller would make again, though its labels may be committed
            raise RunBusy(str(e)) from e
        return new

    def delete(self, run: Run) -> None:
        """Delete a run with its tasks, baseline and history. The labels that it added stay."""
        self._delete(run.run_id)

    def delete_by_key(self, anno_key: str) -> None:
        """Delete a run by its key, even if its entry cannot be read. Raises ``RunBusy`` while a process holds its lease."""
        rows = self._database.read("annotation_runs", ["anno_key", "run_id"], f"anno_key = {quote(anno_key)}")
        if not rows.num_rows:
            raise RunNotFound(f"There is no annotation run {anno_key!r}; {did_you_mean(anno_key, self.keys())}")
        for run_id in rows["run_id"].to_pylist():
            with self._leases.hold(run_id, "is being forgotten", f"The run {anno_key!r}"):
                self._delete(run_id)

    def _delete(self, run_id: str) -> None:
        present = self._database.table_names()
        for name in (name for name in _TABLES_OF_A_RUN if name in present):
            self._database.delete(name, f"run_id = {quote(run_id)}")

    def begin_extension(self, run: Run, since: int, first_task: int, counts: Mapping[str, int], **changes: Any) -> Run:
        """Announce that further tasks will be sent. The lease of the run is held.

        Args:
            run: the run, which is sent.
            since: the version of the labels that are sent.
            first_task: the number of the first new task.
            counts: how many tasks, samples, and entries of the labels that are not sent.
            changes: other columns of the run that change.
        """
        now = datetime.now(UTC).isoformat()
        event = Load(
            run.next_load_number, "extending", token="", since=since, time=now, counts=counts, first_task=first_task
        )
        return self.update(run, state="sending", loads=(*run.loads, event), **changes)

    def end_sending(self, run: Run, options: Mapping[str, Any] | None = None) -> Run:
        """Record that all tasks of a run, or of its extension, are sent."""
        loads = run.loads
        if extension := run.extension:
            sent = self.tasks_since(run, extension.first_task)
            samples = sum(len(ids) for ids in self._sample_ids_of(sent, run))
            counts = {**extension.counts, "tasks": len(sent), "samples": samples}  # the tool may have refused some
            loads = run.with_state(extension, "extended" if sent else "aborted", counts=counts)
        return self.update(run, state="sent", options=run.options if options is None else options, loads=loads)

    def abandon_extension(self, run: Run) -> Run:
        """Take an extension back, with its tasks and their baseline. They are in no load yet, as a run that is sending has none."""
        extension = run.extension
        assert extension is not None  # noqa: S101
        for name in ("annotation_baseline", "annotation_receipts", "annotation_tasks"):
            if tasks := self.tasks_since(run, extension.first_task):
                where = f"run_id = {quote(run.run_id)} AND {in_list('task', tasks)}"
                self._database.delete(name, where)
        not_sent = list(run.options.get(NOT_SENT_OPTION, ()))
        kept = not_sent[: len(not_sent) - extension.counts.get("not_sent", 0)]
        options = {**run.options, NOT_SENT_OPTION: kept}
        return self.update(run, state="sent", options=options, loads=run.with_state(extension, "aborted"))

    def begin_push(self, run: Run, hold: Hold, since: int) -> tuple[Run, Load]:
        """Announce a push, which was planned on the version ``since`` of the labels."""
        lease = hold.lease
        push = Load(run.next_load_number, "pushing", lease.token, since, owner=lease.owner, time=lease.since)
        return self.update(run, loads=(*run.loads, push)), push

    def end_push(self, run: Run, push: Load, counts: Mapping[str, int]) -> Run:
        """Record that a push is complete: its rows of the baseline count from now on."""
        return self.update(run, loads=run.with_state(push, "pushed", counts=dict(counts)))

    def begin_load(
        self, run: Run, hold: Hold, since: int, undo: Load | None = None, destinations: Mapping[str, str] | None = None,
        reading: Mapping[str, Any] | None = None,
    ) -> tuple[Run, Load]:  # fmt: skip
        """Announce a load, or the undoing of one, in the ledger.

        Args:
            run: the run.
            hold: the lease of the run, which this process holds.
            since: the version of ``labels`` that the load was planned on.
            undo: the load to undo.
            destinations: field of the run → field that its labels go to instead.
            reading: whose answers it takes.
        """
        lease = hold.lease
        mark: dict[str, Any] = {"token": lease.token, "owner": lease.owner, "time": lease.since}
        if undo is not None:
            load = replace(undo, state="undoing", undone=since, **mark)
            loads = tuple(load if known.number == load.number else known for known in run.loads)
        else:
            load = Load(
                run.next_load_number, "applying", since=since, destinations=dict(destinations or {}),
                reading=dict(reading or {}), **mark,
            )  # fmt: skip
            loads = (*run.loads, load)
        return self.update(run, loads=loads), load

    def is_only_load(self, run: Run, load: Load) -> bool:
        """Whether the ledger has no unsettled load of another run; see ``Labels.commit`` for why this is safe to ask.

        Raises ``StalePlan`` when another process took this load for dead, or deleted its run.
        """
        every, leases = self._all(), self._leases.all()
        mine = [known for other in every if other is not None and other.run_id == run.run_id for known in other.loads]
        if load not in mine:
            raise StalePlan(
                f"The load of the run {run.anno_key!r} took so long that another process took it for dead, or forgot the "
                "run; plan again."
            )
        for other in every:
            if other is None:  # an entry that cannot be read: it may have an unsettled load
                return False
            lease = leases.get(other.run_id)
            busy = lease is not None and lease.valid and any(known.is_unsettled for known in other.loads)
            if busy and other.run_id != run.run_id:
                return False
        return True

    def end_load(
        self, run: Run, load: Load, version: int | None = None, counts: Mapping[str, int] | None = None
    ) -> Run:
        """Record that a load, or an undoing, is complete; ``version`` is the one that it made, if any."""
        if load.state == "undoing":
            return self._write(run, load, {"state": "undone", "undone": version or load.undone})
        return self._write(run, load, {"state": "applied", "version": version, "counts": dict(counts or load.counts)})

    def abandon_load(self, run: Run, load: Load) -> None:
        """Settle a load after an error between ``begin_load`` and ``end_load``: it did not happen, unless its commit did.

        Never raises, as the caller raises the error that led here. If it fails, the next process settles the load.
        """
        with suppress(Exception):
            self._write(run, load, _outcome(load, self._commit_of(load)))

    def _settle(self, run: Run, load: Load) -> Run:
        """Record the outcome of a load that was interrupted, by whether its commit is there; returns the changed run."""
        version = self._commit_of(load)
        if version is None and self._may_commit(run, load):
            # The process may only be suspended, and commit at any moment. The load is disowned first: if the process asks
            # ``is_only_load`` after that, it stops. If it has asked already, its commit either comes before the fence, and
            # is found now, or conflicts with the fence, and the process asks again. A process that ends between these
            # steps leaves the load unsettled, and the next one repeats them.
            run = self._write(run, load, {"owner": ""})
            self.labels.fence()
            version = self._commit_of(load)
        return self._write(run, load, _outcome(load, version))

    def _may_commit(self, run: Run, load: Load) -> bool:
        """Whether the process of a load may still be running."""
        lease = self._leases.all().get(run.run_id)
        return lease is None or lease.token != load.token or not has_ended(lease.owner)

    def _commit_of(self, load: Load) -> int | None:
        return self.labels.find_commit(load.token, load.since if load.undone is None else load.undone)

    def _write(self, run: Run, load: Load, changes: Mapping[str, Any]) -> Run:
        """Change a load in the ledger if it is still unsettled, whatever else of the run others change at the same time."""
        for _ in range(MAX_ATTEMPTS):
            rows = self._database.read("annotation_runs", where=f"run_id = {quote(run.run_id)}").to_pylist()
            if not rows:
                return run  # it was deleted
            run = Run.from_row(rows[0])
            if not any(known.token == load.token and known.is_unsettled for known in run.loads):
                return run  # another process settled it
            try:
                return self.update(run, loads=_with(run, load, changes).loads)
            except RunBusy:
                continue
        raise RunBusy(f"The run {run.anno_key!r} is changed by others all the time; try again when it is quieter.")


def _outcome(load: Load, version: int | None) -> dict[str, Any]:
    """The final state of an interrupted load, by the version that its commit made, if it did."""
    if version is None:
        return {"state": "aborted" if load.state == "applying" else "applied", "undone": None}
    return (
        {"state": "undone", "undone": version} if load.state == "undoing" else {"state": "applied", "version": version}
    )


def _with(run: Run, load: Load, changes: Mapping[str, Any]) -> Run:
    loads = (replace(known, **changes) if known.token == load.token else known for known in run.loads)
    return replace(run, loads=tuple(loads))


def _changed(run: Run, **changes: Any) -> Run:
    return replace(run, **changes, rev=run.rev + 1, updated=datetime.now(UTC))


def _changed_meanwhile(run: Run) -> RunBusy:
    return RunBusy(f"The run {run.anno_key!r} was changed by another process just now; try again.")
