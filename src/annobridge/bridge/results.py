"""The results object of a run: its tasks, its progress, its plan and its load."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..backend.base import GONE, AnnotationBackend, Receipt, Status
from ..backend.guarded import Guarded
from ..core.did_you_mean import did_you_mean
from ..display import html
from ..exceptions import Gone, InvalidOption, StalePlan
from ..store.run import NOT_SENT, NOTES, Run
from ..store.stores import Stores
from . import apply as loading
from . import plan as planning
from .outcome import Options
from .reports import LoadReport, MergePlan


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
                raise InvalidOption(f"{name!r} is not an option of a load; {did_you_mean(name, Options.__slots__)}")
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
        taken = ("replaced", "refused", "conflicts", "dropped")
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
        return html.line(repr(self))


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
