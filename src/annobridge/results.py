"""What people look at: plans, reports, and the results object of a run."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from . import _html
from . import load as loading
from . import plan as planning
from .backend.base import GONE, AnnotationBackend, Receipt, Status
from .backend.guarded import Guarded
from .core import changed, findings
from .core.text import near
from .core.unsent import sentences
from .exceptions import Gone, InvalidOption, StalePlan
from .outcome import Options, Outcome
from .spool import Spool
from .store.run import NOT_SENT, NOTES, Run
from .store.stores import Stores

_ACTIONS = ("add", "edit", "delete")
_SHOWN = 20  # pairs of classes, in a notebook
_SIGNS = {"add": "+", "edit": "~", "delete": "-"}


class _Summary:
    """Counts and tables of a plan or a report."""

    title = ""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self._outcome.run.anno_key

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Field → {"add", "edit", "delete"} → labels."""
        fields = sorted({f for f, _ in self._outcome.counts})
        return {f: {a: self._outcome.counts[f, a] for a in _ACTIONS} for f in fields}

    @property
    def added(self) -> int:
        """Labels added."""
        return self._outcome.total("add")

    @property
    def edited(self) -> int:
        """Labels edited."""
        return self._outcome.total("edit")

    @property
    def deleted(self) -> int:
        """Labels deleted."""
        return self._outcome.total("delete")

    @property
    def changes(self) -> int:
        """Labels added, edited and deleted."""
        return self.added + self.edited + self.deleted

    @property
    def refused(self) -> pa.Table:
        """Changes that the restrictions refuse, and values that cannot be read, each with its reason."""
        return self._outcome.spool.table("refused")

    @property
    def conflicts(self) -> pa.Table:
        """Changes made on both sides, with the values of both, and which side is kept."""
        return self._outcome.spool.table("conflicts")

    @property
    def unexpected(self) -> pa.Table:
        """Labels outside the schema, as the tool returned them: which ``component`` of them, what the tool has there
        (``theirs``), and the ``reason``.
        """
        return self._outcome.spool.table("unexpected")

    @property
    def unexpected_reasons(self) -> str:
        """How often there is which reason among the unexpected, with some of the values, in one line."""
        return findings.summary(self._outcome.spool.batches("unexpected"))

    @property
    def dropped(self) -> pa.Table:
        """What is unexpected, component by component, and labels of samples that are not here."""
        return self._outcome.spool.table("dropped")

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know."""
        return tuple(self._outcome.notes)

    @property
    def not_sent(self) -> tuple[str, ...]:
        """What of the labels here was not sent, a sentence for each field and reason."""
        return tuple(sentences(self._outcome.run.options.get(NOT_SENT, ())))

    def writes(self) -> pa.Table:
        """The labels to be put: ``LABELS`` and the columns ``action`` and ``components``."""
        return self._outcome.spool.table("writes")

    def to_arrow(self) -> pa.Table:
        """One row per changed label: label_id, sample_id, field, action, label."""
        return _changed(self._outcome.spool)

    def changed(self) -> pa.Table:
        """One row per changed label, deletions first: label_id, sample_id, field, action, and its class ``before`` and
        ``after``.
        """
        spool = self._outcome.spool
        return changed.changed(spool.table("before"), spool.table("writes"))

    def class_pairs(self) -> pa.Table:
        """How many ``labels`` of a ``field`` have the class ``before``, and ``after``: null where there is no label."""
        return changed.class_pairs(self.changed())

    def by_sample(self) -> pa.Table:
        """How many labels of each sample are deleted, edited and added; those with the most changes first."""
        return changed.by_sample(self.changed())

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """So that pandas, polars and duckdb take it as it is."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes, for machines."""
        rows = self._outcome.spool.rows
        return {
            "anno_key": self.anno_key,
            "fields": self.counts,
            **{name: getattr(self, name) for name in ("added", "edited", "deleted")},
            **{name: rows[name] for name in ("refused", "conflicts", "unexpected", "dropped")},
            "notes": list(self.notes),
            "not_sent": list(self.not_sent),
        }

    def close(self) -> None:
        """Remove its rows from the disk; they go by themselves when nothing uses them any more."""
        self._outcome.spool.close()

    def __repr__(self) -> str:
        rows = self._outcome.spool.rows
        extras = [f"{rows[n]} {n}" for n in ("refused", "conflicts", "unexpected") if rows[n]]
        head = f"{self.title} {self.anno_key!r}: +{self.added} ~{self.edited} -{self.deleted}"
        lines = [head + (f" ({', '.join(extras)})" if extras else "")]
        for field, n in self.counts.items():
            lines.append(f"  {field}: " + " ".join(f"{_SIGNS[a]}{n[a]}" for a in _ACTIONS))
        return "\n".join([*lines, *(f"  note: {note}" for note in (*self.not_sent, *self.notes))])

    def _repr_html_(self) -> str:
        cells = [[field, *(n[a] for a in _ACTIONS)] for field, n in self.counts.items()]
        rest = ", ".join(f"{self._outcome.spool.rows[n]} {n}" for n in ("refused", "conflicts", "unexpected"))
        parts = [_html.table(["field", "added", "edited", "deleted"], cells), _html.line(rest)]
        pairs = [pair for pair in self.class_pairs().slice(0, _SHOWN).to_pylist() if pair["before"] != pair["after"]]
        if pairs:
            names = ["field", "before", "after", "labels"]
            parts.append(
                _html.table(["field", "class before", "after", "labels"], [[p[n] for n in names] for p in pairs])
            )
        return _html.titled(f"{self.title} {self.anno_key}", *parts, *(_html.line(f"Note: {n}") for n in self.notes))


class LoadReport(_Summary):
    """What a load did."""

    title = "Loaded"

    def __init__(self, outcome: Outcome, version: int | None) -> None:
        super().__init__(outcome)
        self.version = version  # of the labels table, made by this load; None when nothing was written

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes, for machines."""
        return {**super().to_dict(), "version": self.version}


class MergePlan(_Summary):
    """What a load would do. Nothing is written before ``apply()``."""

    title = "Plan"

    def __init__(self, stores: Stores, backend: Guarded, outcome: Outcome) -> None:
        super().__init__(outcome)
        self._stores, self._backend = stores, backend

    def apply(self, force: bool = False) -> LoadReport:
        """Make exactly this change, in one commit.

        Raises ``StalePlan`` when base, ours or theirs moved since; ``force`` lifts the guard against many deletions.
        """
        if planning.digests(self._stores, self._outcome.run, self._backend) != self._outcome.digests:
            raise StalePlan(f"The work in the tool went on since the plan of {self.anno_key!r} was made; plan again.")
        return self._apply(force)

    def _apply(self, force: bool) -> LoadReport:
        if force:
            self._outcome.options = replace(self._outcome.options, force=True)
        return LoadReport(self._outcome, loading.apply(self._stores, self._outcome))


class Undone:
    """What an undo did: labels taken back by action, those kept because they were edited since, and the new version."""

    def __init__(self, anno_key: str, load: int, counts: dict[str, int], spool: Spool, version: int | None) -> None:
        self.anno_key, self.load, self.counts, self.version = anno_key, load, counts, version
        self._spool = spool

    @property
    def kept(self) -> pa.Table:
        """What was not taken back, each with its reason: labels that were edited or replaced since, or have no sample."""
        return self._spool.table("kept")

    def to_arrow(self) -> pa.Table:
        """One row per changed label: label_id, sample_id, field, action (what the undo did), label."""
        return _changed(self._spool)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """So that pandas, polars and duckdb take it as it is."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "anno_key": self.anno_key,
            "load": self.load,
            "taken_back": self.counts,
            "kept": self.kept.to_pylist(),
            "version": self.version,
        }

    def __repr__(self) -> str:
        back = " ".join(f"{_SIGNS[a]}{self.counts[a]}" for a in _ACTIONS)
        kept = f"; {self._spool.rows['kept']} kept as they are" if self._spool.rows["kept"] else ""
        return f"Undone load {self.load} of {self.anno_key!r}: {back} taken back{kept}"

    def _repr_html_(self) -> str:
        head = [f"{what} taken back" for what in ("added", "edited", "deleted")]
        counts = _html.table(head, [[self.counts[a] for a in _ACTIONS]])
        return _html.titled(
            f"Undone load {self.load} of {self.anno_key}", counts, _html.line(f"{self._spool.rows['kept']} kept")
        )


def _changed(spool: Spool) -> pa.Table:
    """What was, or would be, put and deleted: one row per label."""
    columns = ["label_id", "sample_id", "field", "action", "label"]
    before = spool.table("before")
    gone = before.filter(pc.equal(before["action"], "delete"))
    return pa.concat_tables([spool.table("writes").select(columns), gone.select(columns)], promote_options="permissive")


class AnnotationResults:
    """A run, and the work on it in the tool."""

    def __init__(self, stores: Stores, run: Run, backend: AnnotationBackend) -> None:
        self._stores, self.run, self.backend = stores, run, backend
        self._guarded = Guarded(backend)

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self.run.anno_key

    def receipts(self) -> list[Receipt]:
        """What the backend remembers of each task that was sent."""
        return [Receipt(task, state) for task, state in self._stores.runs.receipts(self.run).items()]

    def with_baseline(self, receipt: Receipt) -> Receipt:
        """A receipt with the baseline as it stands now, as ``download`` wants it."""
        return replace(receipt, baseline=planning.baseline_of(self._stores, self.run, receipt.task))

    def status(self) -> dict[str, Any]:
        """The run's state, and each task's, with counts of samples by the tool's own states; ``"gone"`` if it is not there."""
        tasks = {receipt.task: self._of_task(receipt) for receipt in self.receipts()}
        return {"anno_key": self.anno_key, "backend": self.run.backend, "state": self.run.state, "tasks": tasks}

    def _of_task(self, receipt: Receipt) -> dict[str, Any]:
        try:
            found = self._guarded.status(receipt)
            url = None if found.state == GONE else self._guarded.editor_url(receipt)
        except Gone:
            found, url = Status(GONE), None
        jobs = [dict(job) for job in found.jobs]
        return {"state": found.state, "samples": dict(found.samples), "jobs": jobs, "url": url}

    def print_status(self) -> None:
        """The status as a table, and where to work on it."""
        from rich.console import Console
        from rich.table import Table

        status = self.status()
        table = Table(
            "task", "state", "samples, or who has it", title=f"{self.anno_key} ({status['backend']}, {status['state']})"
        )
        for name, task in status["tasks"].items():
            samples = ", ".join(f"{n} {state}" for state, n in task["samples"].items())
            table.add_row(name, task["state"], samples)
            for job in task["jobs"] if len(task["jobs"]) > 1 else ():
                table.add_row(f"  {job['name']}", job["state"], job["assignee"] or "")
        Console().print(table)
        for url in filter(None, (task["url"] for task in status["tasks"].values())):
            Console().print(f"Work on it at {url}", soft_wrap=True, markup=False, highlight=False)

    def launch_editor(self) -> str | None:
        """Open the tool at the first task that is there, and return the address; ``None`` where the tool has no page.

        Raises ``Gone`` when nothing of the run is on the server any more.
        """
        states = []
        for receipt in self.receipts():
            task = self._of_task(receipt)
            if task["url"]:
                webbrowser.open(task["url"])
                return str(task["url"])
            states.append(task["state"])
        if states and set(states) == {GONE}:
            raise Gone(
                f"Nothing of the run {self.anno_key!r} is on the server any more, so there is no page to open. What was loaded "
                "is in the dataset; annotate under another key to go on."
            )
        return None

    def plan(self, **options: Any) -> MergePlan:
        """What a load would do now. Options are those of ``Dataset.plan_annotations``."""
        progress = options.pop("progress", None)
        for name in options:
            if name not in Options.__slots__:
                raise InvalidOption(f"{name!r} is not an option of a load; {near(name, Options.__slots__)}")
        self.run = self._stores.runs.get(self.anno_key)
        outcome = planning.make(self._stores, self.run, self._guarded, Options(**options), progress)
        return MergePlan(self._stores, self._guarded, outcome)

    def load(self, cleanup: bool = False, ask: Callable[[MergePlan], str] | None = None, **options: Any) -> LoadReport:
        """Plan and apply. ``ask`` is who answers for unexpected labels (a person on a terminal)."""
        for attempt in range(1, loading.REPLANS + 1):
            plan = self.plan(**options)
            if options.get("unexpected", "prompt") == "prompt" and plan._outcome.spool.rows["unexpected"] and ask:
                options["unexpected"] = ask(plan)
                plan = self.plan(**options)
            try:
                report = plan._apply(bool(options.get("force", False)))
                break
            except StalePlan:
                if attempt == loading.REPLANS:
                    raise
        self.run = self._stores.runs.get(self.anno_key)
        if cleanup:
            self._cleanup_after(report)
        return report

    def _cleanup_after(self, report: LoadReport) -> None:
        """Remove the tasks, provided that the tool has nothing that is not here: a plan made now says so."""
        rest = planning.make(self._stores, self.run, self._guarded, report._outcome.options)
        taken = ("before", "refused", "conflicts", "dropped")
        pending = sum(rest.spool.rows[name] for name in taken) + rest.unanswered
        rest.spool.close()
        if pending:
            report._outcome.notes.append(
                f"The tasks were left on the server: {pending} changes or samples were not taken in full and exist only there. "
                "Remove them with results.cleanup() when they are not needed."
            )
        else:
            self.cleanup()

    def cleanup(self) -> None:
        """Remove the run's tasks from the server. The run, and what it brought, stay here."""
        with self._stores.runs.hold(self.run, "is being cleaned up"):
            for receipt in self.receipts():
                self._guarded.delete(receipt)

    def to_dict(self) -> dict[str, Any]:
        """The run as data."""
        return describe(self.run)

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name} ({f.type})" for f in self.run.schema.fields.values())
        return f"AnnotationResults({self.anno_key!r}, backend={self.run.backend!r}, state={self.run.state!r}, fields: {fields})"

    def _repr_html_(self) -> str:
        return _html.line(repr(self))


def describe(run: Run) -> dict[str, Any]:
    """A run as data: what was asked, when, and what each load did."""
    loads = [
        {"number": one.number, "state": one.state, "version": one.version, "time": one.time, **one.counts}
        for one in run.loads
    ]
    return {
        "anno_key": run.anno_key,
        "backend": run.backend,
        "state": run.state,
        "label_schema": run.schema.to_dict(),
        "options": {name: value for name, value in run.options.items() if name not in (NOT_SENT, NOTES)},
        "not_sent": list(run.options.get(NOT_SENT, ())),
        "notes": list(run.options.get(NOTES, ())),
        "created": run.created.isoformat(),
        "updated": run.updated.isoformat(),
        "loads": loads,
    }
