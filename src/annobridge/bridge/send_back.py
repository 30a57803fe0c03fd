"""Send back: what a reviewer refused goes to the annotators, into the tool where it has a place for it, else into CSV files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Receipt
from ..core import refusal
from ..core.arrays import as_array
from ..core.labels import REFUSALS
from ..core.review.decisions import DECIDED, REFUSE
from ..display.progress import Progress
from ..exceptions import BackendError, Gone, InvalidOption
from ..store.run import Run
from ..store.stores import Stores
from . import refusal_files
from .download import Answers, baseline_of
from .merge_plan import MergePlan

AT_ONCE = 100  # refusals of a task in one call of the backend; between two calls, the progress moves on
COLUMNS = ("change_id", "task", "sample_id", "field", "label_id", "component", "kind")  # what a refused change needs
Row = Mapping[str, Any]


@dataclass
class SentBackReport:
    """What became of the refused changes of a run.

    Attributes:
        anno_key: the run's key.
        placed: how many the tool has now, and had not before.
        existing: how many it had already, from an earlier call.
        written: how many are in ``files``, as the tool has no place for them.
        files: the CSV files, one for each annotator.
        notes: sentences about what else was done.
    """

    anno_key: str
    placed: int = 0
    existing: int = 0
    written: int = 0
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many refusals the annotators can see now."""
        return self.placed + self.existing + self.written

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        counts = {name: getattr(self, name) for name in ("placed", "existing", "written")}
        return {"anno_key": self.anno_key, **counts, "files": [str(f) for f in self.files], "notes": self.notes}

    def sentences(self) -> Iterator[str]:
        """The report as sentences, the notes among them."""
        if self.placed or self.existing or not self.written:
            existing = f"; {self.existing} were there already" if self.existing else ""
            yield f"{self.placed} refused changes of {self.anno_key!r} were sent back into the tool{existing}."
        if self.written:
            yield f"{self.written} refused changes of {self.anno_key!r} were written to {', '.join(map(str, self.files))}."
        yield from self.notes

    def __repr__(self) -> str:
        return "\n".join(self.sentences())


def send_back(
    stores: Stores,
    run: Run,
    backend: CheckedBackend,
    refused: Any,
    *,
    note: str = "",
    folder: str | Path = ".",
    progress: Any = None,
) -> SentBackReport:
    """Send refused changes of a run back to the annotators.

    Those of a plan are its changes with the verdict "refuse", also those that were refused in an earlier load.

    Args:
        stores: the dataset. Nothing is written to it.
        run: as the ledger has it now.
        backend: of the run.
        refused: the refused changes: a plan, or rows of ``plan.changes``, which may have the columns ``note`` and ``by`` besides.
        note: for those that have none of their own.
        folder: for the CSV files, where the tool has no place for refused changes.
        progress: as in ``annotate``.

    Raises:
        InvalidOption: nothing is refused, the table is not one of changes, they are of another run, or the folder cannot be used.
        BackendError: the tool refused, or cannot be reached; the message says how many were sent before.
    """
    rows = _rows(run, refused)
    receipts = {task: Receipt(task, state) for task, state in stores.runs.receipts(run).items()}
    _require_of_run(run, rows, receipts)
    by_task: dict[str, list[Row]] = {task: [] for task in receipts}
    for row in rows:
        by_task[row["task"]].append(row)
    report, left = SentBackReport(run.anno_key), list[Row]()
    with Progress(progress, len(rows), f"sending back to {backend.name}", noun="changes") as bar:
        for task, of_task in by_task.items():
            if not backend.capabilities.send_back:
                left += of_task
                bar.advance(len(of_task))
                continue
            base = baseline_of(stores, run, task) if of_task else None
            for start in range(0, len(of_task), AT_ONCE):
                part = of_task[start : start + AT_ONCE]
                left += _send(backend, Receipt(task, receipts[task].state, base), part, note, report, len(rows))
                bar.advance(len(part))
    if left:
        rows_of_files = _Files(stores, run, backend, receipts).rows(left, note)
        try:
            report.files = refusal_files.write(Path(folder).expanduser(), run.anno_key, rows_of_files)
        except InvalidOption as e:
            raise InvalidOption(f"{e} {_sent_before(report, len(rows))}") from e
        report.written = len(left)
    return report


def sender(
    stores: Stores, run: Run, answers: Answers, folder: str | Path = "."
) -> Callable[[pa.Table, str], tuple[int, str]] | None:
    """What sends changes back, given rows of them and a note for all, and returns how many, and a text about it.

    ``None`` if the work comes from a file, and not from the tool of the run.
    """
    if not isinstance(answers, CheckedBackend):
        return None

    def send(refused: pa.Table, note: str) -> tuple[int, str]:
        report = send_back(stores, run, answers, refused, note=note, folder=folder, progress=False)
        return report.sent, repr(report)

    return send


def refused_of(plan: MergePlan) -> pa.Table:
    """The refused changes of a plan: ``CHANGES``, with the ``note`` and ``by`` of the decision."""
    states, changes = plan.states(), plan.changes
    for name in ("note", "by"):
        changes = changes.append_column(name, states[name])
    refused = pc.and_(pc.equal(states["state"], DECIDED), pc.equal(states["verdict"], REFUSE))
    return changes.filter(pc.fill_null(refused, False))


def _rows(run: Run, refused: Any) -> list[Row]:
    """The refused changes as dictionaries. Raises ``InvalidOption`` for anything else, and for none."""
    table = refused
    if isinstance(refused, MergePlan):
        if refused.run.run_id != run.run_id:
            raise InvalidOption(
                f"The plan is one of the run {refused.anno_key!r}, and not of {run.anno_key!r}; nothing was sent back. Give a plan "
                "of this run."
            )
        table = refused_of(refused)
    if not isinstance(table, pa.Table):
        try:
            table = pa.table(refused)
        except (TypeError, ValueError, pa.ArrowException):
            raise InvalidOption(
                f"refused= is an object of type {type(refused).__name__}; give a plan, or rows of its changes, a pyarrow.Table."
            ) from None
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise InvalidOption(
            f"refused= has no column {', '.join(map(repr, missing))}; give rows of plan.changes with all their columns."
        )
    if not table.num_rows:
        raise InvalidOption(
            "There is nothing to send back, as no change is refused; refuse some, as with plan.decide(where=…, verdict='refuse')."
        )
    found: list[Row] = table.to_pylist()
    if len({row["change_id"] for row in found}) < len(found):
        raise InvalidOption("refused= has a change more than once; give each row of plan.changes once.")
    return found


def _require_of_run(run: Run, rows: Sequence[Row], receipts: Mapping[str, Receipt]) -> None:
    strange = [row for row in rows if row["task"] not in receipts]
    if strange:
        raise InvalidOption(
            f"{len(strange)} of the {len(rows)} refused changes are not of the run {run.anno_key!r} (the first is of the task "
            f"{strange[0]['task']!r}); nothing was sent back. Give changes of a plan of this run."
        )


def _send(
    backend: CheckedBackend, receipt: Receipt, rows: Sequence[Row], note: str, report: SentBackReport, total: int
) -> list[Row]:
    """Send refusals of a task, add them to the report, and return those that the tool has no place for."""
    try:
        done = backend.send_back(receipt, _refusals(receipt.baseline, rows, note))
    except Gone as e:
        gone = f"The task {receipt.task} is not on the server any more, so nothing can be sent back into it: {e}"
        report.notes += [gone] if gone not in report.notes else []
        return list(rows)
    except BackendError as e:
        raise type(e)(f"{e} {_sent_before(report, total)}", e.status, e.detail, e.samples) from e
    report.placed += done.placed
    report.existing += done.existing
    report.notes += [text for text in done.notes if text not in report.notes]
    left_out = set(done.left_out.to_pylist())
    return [row for row in rows if row["change_id"] in left_out]


def _sent_before(report: SentBackReport, total: int) -> str:
    """What was done before an error, and how to go on."""
    before = report.placed + report.existing
    sent = (
        f"{before} of the {total} refused changes were sent back before" if before else "Nothing was sent back before"
    )
    return f"{sent}; send back again to go on: what is there is not placed twice."


def _refusals(baseline: pa.Table, rows: Sequence[Row], note: str) -> pa.Table:
    """``REFUSALS`` of changes. The id of the tool is that of the baseline, and so is a place that the changes do not have."""
    ids = pa.array([row["label_id"] for row in rows], pa.string())
    known = baseline.filter(pc.is_in(as_array(baseline["label_id"]), value_set=ids))
    sent = {row["label_id"]: row for row in known.select(["label_id", "remote_id", "bounding_box"]).to_pylist()}
    nothing = {"remote_id": None, "bounding_box": None}
    found = []
    for row in rows:
        base = sent.get(row["label_id"], nothing)
        place = row.get("theirs_box") or row.get("base_box") or base["bounding_box"]
        found.append({
            **{name: row.get(name) for name in ("change_id", "sample_id", "frame_number")},
            "remote_id": base["remote_id"], "box": place, "annotator": row.get("their_by"),
            "message": refusal.message(row, row.get("note") or note, row.get("by")),
        })  # fmt: skip
    return pa.Table.from_pylist(found, REFUSALS)


class _Files:
    """The rows of the CSV files."""

    def __init__(self, stores: Stores, run: Run, backend: CheckedBackend, receipts: Mapping[str, Receipt]) -> None:
        self._stores, self._run, self._backend, self._receipts = stores, run, backend, receipts

    def rows(self, changes: Sequence[Row], note: str) -> Iterator[tuple[str | None, Mapping[str, str]]]:
        """The annotator and the cells of each change."""
        ids = pc.unique(pa.array([row["sample_id"] for row in changes], pa.string()))
        samples = self._stores.samples.rows(ids, ["sample_id", "filepath"]).to_pylist()
        files = {row["sample_id"]: row["filepath"] for row in samples}
        urls = {task: self._url(task) for task in {row["task"] for row in changes}}
        for row in changes:
            frame = row.get("frame_number")
            cells = {
                "file": files.get(row["sample_id"]) or row["sample_id"], "frame": "" if frame is None else str(frame),
                "field": row["field"], "class": row.get("label"), "refused": refusal.what_was_refused(row),
                "note": row.get("note") or note, "by": row.get("by"), "label_id": row["label_id"], "url": urls[row["task"]],
            }  # fmt: skip
            yield row.get("their_by"), cells

    def _url(self, task: str) -> str | None:
        """The page of the editor; ``None`` where the tool does not say it: the files are useful without."""
        with suppress(BackendError):
            return self._backend.editor_url(self._receipts[task])
        return None
