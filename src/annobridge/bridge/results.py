"""The results object of a run: status, editor, plan, load and clean-up."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..backend.base import AnnotationBackend
from ..backend.checked import CheckedBackend
from ..backend.values import GONE, Answer, Receipt, Status
from ..display import html
from ..exceptions import Gone, InvalidOption
from ..store.run import NOT_SENT_OPTION, NOTES_OPTION, Load, Run
from ..store.stores import Stores
from . import plan as planning
from .connect import reconnect
from .download import baseline_of
from .file_answer import reads_file
from .loads import FileLoads, Loads
from .merge_plan import MergePlan
from .plan_file import FROM_TOOL, Source
from .reports import LoadReport
from .run_states import is_adopted
from .send_back import SentBackReport, send_back

V_co = TypeVar("V_co", covariant=True)


class _View(Protocol[V_co]):
    def exclude_run(self, anno_key: str) -> V_co: ...


class AnnotationResults(Loads):
    """A run, and the work on it in the tool: status, editor, plan, load and clean-up."""

    def __init__(self, stores: Stores, run: Run, backend: AnnotationBackend, source: Source = FROM_TOOL) -> None:
        self._checked = CheckedBackend(backend)
        super().__init__(stores, run, self._checked, source)
        self.backend = backend

    def receipts(self) -> list[Receipt]:
        """The receipt of each task that was sent, without its baseline."""
        return [Receipt(task, state) for task, state in self._stores.runs.receipts(self.run).items()]

    def with_baseline(self, receipt: Receipt) -> Receipt:
        """A receipt with the current baseline, as ``AnnotationBackend.download`` takes it."""
        return replace(receipt, baseline=baseline_of(self._stores, self.run, receipt.task))

    def answers_of(self, receipt: Receipt) -> list[Answer]:
        """What each person has made of a task. Raises ``InvalidOption`` if the tool has one answer for each sample."""
        if not self.backend.capabilities.answers:
            raise InvalidOption(
                f"{self.backend.name} has one answer for each sample, so there is nothing to compare in the run {self.anno_key!r}; "
                "give several runs, or label fields."
            )
        return self._checked.answers(self.with_baseline(receipt))

    def annotators(self) -> list[str]:
        """Who has answered the run, where several people answer the same samples."""
        return sorted({answer.annotator for receipt in self.receipts() for answer in self.answers_of(receipt)})

    def status(self) -> dict[str, Any]:
        """The state of the run and of each task, with counts of samples by the states of the tool, and of those that people have
        reviewed, where it says so. ``mark`` is another text whenever something in the task may have changed. The state of a task
        that does not exist any more is ``"gone"``.
        """
        tasks = {receipt.task: self._of_task(receipt) for receipt in self.receipts()}
        return {"anno_key": self.anno_key, "backend": self.run.backend, "state": self.run.state, "tasks": tasks}

    def _of_task(self, receipt: Receipt) -> dict[str, Any]:
        try:
            found = self._checked.status(receipt)
            url = None if found.state == GONE else self._checked.editor_url(receipt)
        except Gone:
            found, url = Status(GONE), None
        jobs = [dict(job) for job in found.jobs]
        return {
            "state": found.state, "samples": dict(found.samples), "reviewed": found.reviewed, "mark": found.mark,
            "jobs": jobs, "url": url,
        }  # fmt: skip

    def missing(self, view: _View[V_co]) -> V_co:
        """The samples of a view that the run does not have, as a view; ``extend_annotation`` sends them."""
        return view.exclude_run(self.anno_key)

    def print_status(self) -> None:
        """Print the status as a table, and the addresses of the editor."""
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
        """Open the editor of the first task that exists, and return its address; ``None`` if the tool has no page.

        Raises ``Gone`` if no task of the run exists on the server any more.
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

    def load(self, cleanup: bool = False, ask: Callable[[MergePlan], str] | None = None, **options: Any) -> LoadReport:
        """Plan and apply. Options are those of ``Dataset.load_annotations``; ``ask`` decides on unexpected labels."""
        if cleanup:
            self._own_receipts()
        report = self._load(ask, options)
        if cleanup:
            self._cleanup_after(report)
        return report

    def _cleanup_after(self, report: LoadReport) -> None:
        """Remove the tasks, unless a new plan finds work in the tool that is not in the dataset."""
        everything = replace(report.outcome.options, where=None, reviewed_only=False, since=None)
        where = report.outcome.execution
        new_plan = planning.make(self._stores, self.run, self._checked, everything, execution=where)
        not_taken = sum(new_plan.streams.rows[name] for name in ("refused", "conflicts", "dropped"))
        pending = sum(new_plan.counts.values()) + not_taken + new_plan.unanswered + new_plan.left
        new_plan.streams.close()
        if pending:
            report.outcome.notes.append(
                f"The tasks were left on the server: {pending} changes or samples were not taken in full and exist only there. "
                "Remove them with results.cleanup() when they are not needed."
            )
        else:
            self.cleanup()

    def cleanup(self) -> None:
        """Remove the tasks of the run from the server, except those that were adopted. The run and its labels in the dataset are
        kept. Raises ``InvalidOption`` if all tasks were adopted.
        """
        own = self._own_receipts()
        with self._stores.runs.hold(self.run, "is being cleaned up"):
            for receipt in own:
                self._checked.delete(receipt)

    def _own_receipts(self) -> list[Receipt]:
        """The receipts of the tasks that annobridge made."""
        receipts = self.receipts()
        own = [receipt for receipt in receipts if not is_adopted(self.run, receipt.task)]
        if receipts and not own:
            raise InvalidOption(
                f"The tasks of the run {self.anno_key!r} were adopted, and not made by annobridge, so they are not removed; remove "
                "them in the tool if nobody needs them."
            )
        return own

    def send_back(self, refused: Any, note: str = "", folder: str | Path = ".", progress: Any = None) -> SentBackReport:
        """Send refused changes back to the annotators: into the tool, at the place of each, where it has one; else into a CSV file
        for each annotator. What went back before is recognized, and not sent twice.

        Args:
            refused: a plan, of which all refused changes are sent; or rows of ``plan.changes``, which may have the columns
                ``note`` and ``by`` besides.
            note: for those that have none of their own.
            folder: for the CSV files, ``<anno_key>-<annotator>.csv``.
            progress: as in ``annotate``.

        Raises:
            InvalidOption: nothing is refused, the changes are of another run, or the folder cannot be used.
            BackendError: the tool refused, or cannot be reached; the message says how many were sent before.
        """
        return send_back(self._stores, self.run, self._checked, refused, note=note, folder=folder, progress=progress)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain data."""
        return describe(self.run)

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name} ({f.type})" for f in self.run.schema.fields.values())
        return f"AnnotationResults({self.anno_key!r}, backend={self.run.backend!r}, state={self.run.state!r}, fields: {fields})"

    def _repr_html_(self) -> str:
        return html.line(repr(self))


def loads_of(
    stores: Stores, anno_key: str, path: str | Path | None, format_name: str | None, options: Mapping[str, Any]
) -> AnnotationResults | FileLoads:
    """What loads a run: from its tool, or from a file in a format.

    Args:
        stores: the dataset.
        anno_key: the run.
        path: the file; some backends read it themselves.
        format_name: its format; ``None`` to find it by looking.
        options: those of the backend, or of the format.
    """
    stores.database.require_writable()
    run = stores.runs.get_settled(anno_key)
    if path is None and format_name is not None:
        raise InvalidOption(f"format={format_name!r} is the format of a file; give its path=, too.")
    if path is None:
        return AnnotationResults(stores, run, reconnect(stores, run, options))
    if reads_file(run, Path(path).expanduser(), format_name):
        return FileLoads(stores, run, path, format_name, options)
    given = {"path": str(path)} | ({"format": format_name} if format_name is not None else {})
    return AnnotationResults(stores, run, reconnect(stores, run, {**options, **given}), Source(str(path), format_name))


_EXTENSIONS, _PUSHES = ("extending", "extended"), ("pushing", "pushed")


def describe(run: Run) -> dict[str, Any]:
    """A run as plain data: its schema and options, what was not sent, and what each load, extension and push did."""
    extensions = [load for load in run.loads if load.state in _EXTENSIONS]
    pushes = [load for load in run.loads if load.state in _PUSHES]
    loads = [load for load in run.loads if load not in extensions and load not in pushes and not load.first_task]
    return {
        "anno_key": run.anno_key,
        "backend": run.backend,
        "state": run.state,
        "label_schema": run.schema.to_dict(),
        "options": {name: value for name, value in run.options.items() if name not in (NOT_SENT_OPTION, NOTES_OPTION)},
        "not_sent": list(run.options.get(NOT_SENT_OPTION, ())),
        "notes": list(run.options.get(NOTES_OPTION, ())),
        "created": run.created.isoformat(),
        "updated": run.updated.isoformat(),
        "loads": [_event(load) for load in loads],
        "extensions": [_event(load) for load in extensions],
        "pushes": [_event(load) for load in pushes],
    }


def _event(load: Load) -> dict[str, Any]:
    counts = {name: n for name, n in load.counts.items() if name != "not_sent"}
    return {"number": load.number, "state": load.state, "version": load.version, "time": load.time, **counts}
