"""The base class of the laws: the settings of a backend's tests, and the steps and assertions that the laws share."""

from __future__ import annotations

import atexit
import json
import shutil
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pytest

from ...backend.base import AnnotationBackend
from ...backend.values import Download, Receipt
from ...bridge.reports import LoadReport
from ...bridge.results import AnnotationResults
from ...core.compare import equal_rows
from ...core.labels import LABEL_TYPES
from ...dataset import Dataset, View, create_dataset, load_dataset
from ...exceptions import EditorWarning, Gone, InvalidLabels, Unsupported
from ...spill import temporary
from .. import examples

Row = dict[str, Any]
MOVED = [0.25, 0.5, 0.125, 0.25]
_DRAWN = {"detections": {"bounding_box": MOVED}, "classifications": {}}  # what a new label has besides its class


class Tool(Protocol):
    """Edits labels in the tool, as an annotator would. You write it for the tests of your backend.

    A row is a dictionary with the columns of ``annobridge.core.labels.REMOTE``, as ``download`` returned it.
    """

    def edit(self, row: Row, **columns: Any) -> None:
        """Change a label.

        Args:
            row: the label, known by its ``sample_id`` and ``remote_id``.
            columns: new values of ``label``, ``bounding_box`` (relative x, y, width, height), ``value`` (JSON text), or
                ``attributes`` (a dictionary of name to value, of those that change).
        """

    def delete(self, row: Row) -> None:
        """Delete a label."""

    def add(self, sample_id: str, **columns: Any) -> None:
        """Add a label of a type in ``draws``.

        Args:
            sample_id: the image.
            columns: ``label``, its class; and for a box ``bounding_box`` (relative x, y, width, height).
        """


@dataclass(frozen=True, slots=True)
class Work:
    """How many labels were added, edited and deleted in the tool."""

    added: int
    edited: int
    deleted: int


class Laws:
    """The settings of a backend's tests, and what the laws share. Override ``options`` and ``tool``, and what else differs."""

    backend: ClassVar[type[AnnotationBackend]]
    precision: ClassVar[float] = 2e-3  # of the image: how far the tool may move what it stores
    many: ClassVar[int] = 120  # labels in one task: more than a page of the tool's answers
    draws: ClassVar[frozenset[str]] = frozenset({"detections"})  # what ``add`` can make; "classifications" is the other
    moved_box: ClassVar[list[float] | None] = MOVED  # where a box is moved; None: a fifth of its width to the right
    any_class: ClassVar[bool] = False  # whether ``edit`` can give a label a class that the schema does not have

    def options(self) -> Mapping[str, Any]:
        """Backend options for every call, as ``{"url": …}``; by default none."""
        return {}

    def tool(self, results: AnnotationResults) -> Tool:
        """An object that edits the labels of a run in the tool."""
        raise NotImplementedError

    def image(self, results: AnnotationResults, sample_id: str) -> bytes:
        """The bytes of the image that the tool shows for a sample. Without this method, the law about images is skipped."""
        raise NotImplementedError

    def shown_read_only(self, results: AnnotationResults) -> set[str]:
        """The names of the attributes that the tool shows as read-only. Without this method, the law about them is skipped."""
        raise NotImplementedError

    def answer(self, results: AnnotationResults, samples: Sequence[Sequence[str]]) -> Sequence[str]:
        """Let different people answer some samples each, with the labels as they were sent; returns their names. Without this
        method, the laws about several answers are skipped.
        """
        raise NotImplementedError

    # Conditions: a law is skipped where they do not hold

    @pytest.fixture(autouse=True)
    def _make_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def require(self, label_type: str) -> None:
        """Skip a law about a label type that the backend does not declare."""
        if label_type not in self.backend.capabilities.label_types:
            pytest.skip(f"{self.backend.name} does not label {label_type}")

    def require_new(self, label_type: str) -> None:
        """Skip a law that adds labels of a type which ``Tool.add`` cannot make (``draws``)."""
        if label_type not in self.draws & set(_DRAWN):
            pytest.skip(f"the person at the tool of {self.backend.name} makes no new {label_type}: see `draws`")

    def require_method(self, name: str, what: str) -> None:
        """Skip a law that needs a method which the subclass does not override; ``what`` it shows is in the message."""
        if getattr(type(self), name) is getattr(Laws, name):
            pytest.skip(f"the test cannot look at {what}: it has no method `{name}`")

    def main_type(self, among: frozenset[str] = frozenset(examples.BY_PREFERENCE)) -> str:
        """The label type for laws about no type in particular: the first of ``BY_PREFERENCE`` that the backend declares."""
        declared = self.backend.capabilities.label_types & among
        if not declared:
            pytest.skip(f"{self.backend.name} labels none of {', '.join(sorted(among))}")
        return next(name for name in examples.BY_PREFERENCE if name in declared)

    def attribute_types(self, label_type: str) -> frozenset[str]:
        """The attribute types that labels of a type may have."""
        can = self.backend.capabilities
        allowed = can.attributed_types is None or label_type in can.attributed_types
        return can.attribute_types if allowed and label_type != "messages" else frozenset()

    def attribute_type(self, label_type: str) -> str:
        """An attribute type for laws that are about no type in particular; skips where there is none."""
        found = self.attribute_types(label_type)
        if not found:
            pytest.skip(f"{self.backend.name} has no attributes of {label_type}")
        return next(name for name in examples.ATTRIBUTE_VALUES if name in found)

    # The steps

    def dataset(self, label_type: str, which: int = 0, name: str = "dataset") -> Dataset:
        """A new dataset of the six example images with labels of a type.

        ``which`` (0 or 1) chooses the values of their attributes, one of every type that the backend declares for these labels.
        """
        template = _template(label_type, self.attribute_types(label_type), which)
        return load_dataset(shutil.copytree(template, self.folder / name))

    def send(self, dataset: View, label_type: str, **arguments: Any) -> AnnotationResults:
        """Annotate a dataset, or a view, as the run ``"run"``, by default with the schema of the examples; skips if the backend
        refuses it.
        """
        arguments.setdefault("label_schema", examples.schema(label_type, self.attribute_types(label_type)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EditorWarning)  # a tool may say what its page lacks
            try:
                return dataset.annotate("run", backend=self.backend.name, progress=False, **arguments, **self.options())
            except (InvalidLabels, Unsupported) as e:
                pytest.skip(f"{self.backend.name} refuses these {label_type} before it sends: {e.problems[0]}")

    def load(self, dataset: Dataset, **arguments: Any) -> LoadReport:
        """Load the run ``"run"``."""
        return dataset.load_annotations("run", progress=False, **arguments, **self.options())

    def rows(self, results: AnnotationResults) -> list[Row]:
        """All labels that the tool has now, sorted by sample, box, class and value."""
        parts = [self.download(results, receipt).labels for receipt in results.receipts()]
        found: list[Row] = pa.concat_tables(parts).to_pylist()
        return sorted(
            found, key=lambda r: (r["sample_id"], r["bounding_box"] or [], r["label"] or "", r["value"] or "")
        )

    @staticmethod
    def download(results: AnnotationResults, receipt: Receipt) -> Download:
        """What ``download`` returns for a task, called with its baseline as a load does."""
        return results.backend.download(results.with_baseline(receipt))

    def labels_in_tool(self, results: AnnotationResults, label_type: str, least: int = 1) -> list[Row]:
        """The labels of a type that the tool has now; asserts that there are ``least`` of them."""
        found = [row for row in self.rows(results) if row["kind"] == LABEL_TYPES[label_type]]
        assert len(found) >= least, self.expected(
            f"return the {label_type} that were sent, {least} or more", f"`download` returns {len(found)}"
        )
        return found

    def work(self, results: AnnotationResults, label_type: str) -> Work:
        """Change a class, move a box, delete a label and add one, as far as the label type allows."""
        tool, rows = self.tool(results), self.labels_in_tool(results, label_type, 3)
        tool.edit(rows[0], **examples.change(label_type, 0))
        if moves := label_type == "detections":
            tool.edit(rows[1], bounding_box=self.moved_box or beside(rows[1]["bounding_box"]))
        tool.delete(rows[2])
        if adds := label_type in self.draws & set(_DRAWN):
            self.draw(tool, "s0", label_type, "car")
        return Work(int(adds), 1 + moves, 1)

    @staticmethod
    def draw(tool: Tool, sample_id: str, label_type: str, label: str) -> None:
        """Make a new label."""
        tool.add(sample_id, label=label, **_DRAWN[label_type])

    # Assertions

    def expected(self, what: str, instead: str, whom: str = "") -> str:
        """The message of a failed assertion: what was expected of ``whom`` (by default the backend), and what happened instead."""
        return f"{whom or f'The backend {self.backend.name!r}'} is expected to {what}; instead, {instead}."

    def require_equal(self, now: pa.Table, before: pa.Table, when: str) -> None:
        """Assert that two tables of labels are equal, order included; NaN equals NaN."""
        wanted, whom = f"leave the dataset as it is when {when}", f"The bridge with the backend {self.backend.name!r}"
        assert len(now) == len(before), self.expected(
            wanted, f"there are {len(now)} labels, and were {len(before)}", whom
        )
        differ = [name for name in before.column_names if not equal_rows(now[name], before[name]).all()]
        assert not differ, self.expected(wanted, f"these columns changed: {', '.join(differ)}", whom)

    def require_load(self, report: LoadReport, when: str, **counts: int) -> None:
        """Assert the counts of a load, as ``added=1`` or ``in_conflict=2``; those that are not given are 0."""
        found = {
            "added": report.added, "edited": report.edited, "deleted": report.deleted, "refused": len(report.refused),
            "in conflict": len(report.conflicts), "unexpected": len(report.unexpected),
        }  # fmt: skip
        wanted = dict.fromkeys(found, 0) | {name.replace("_", " "): n for name, n in counts.items()}
        load = f"The load from the backend {self.backend.name!r}"
        assert found == wanted, self.expected(
            f"find {_counted(wanted)} when {when}", f"it found {_counted(found)}{_first(report)}", load
        )
        assert (report.version is None) == (report.total == 0), self.expected(
            "write a version exactly when it changes something",
            f"it changed {report.total} labels and wrote the version {report.version}",
            load,
        )

    def require_same(self, some: list[Row], others: list[Row], what: str) -> None:
        """Assert that both hold the same labels: sample, class, value and, within ``precision``, boxes and points."""
        rest = list(others)
        for row in some:
            found = examples.nearest(row, rest)
            close = found is not None and examples.distance(row, found) <= self.precision
            assert close, self.expected(what, f"nothing is within {self.precision} of {_shown(row)}")
            rest.remove(found or {})
        assert not rest, self.expected(what, f"there is {_shown(rest[0])} besides")

    def require_distinct(self, rows: list[Row]) -> None:
        """Assert that no two labels of a sample have the same remote id."""
        counts = Counter((row["sample_id"], row["remote_id"]) for row in rows)
        repeated = [key for key, n in counts.items() if n > 1]
        assert not repeated, self.expected(
            "give each label of a sample a remote_id of its own",
            f"several labels of the sample {repeated[0][0] if repeated else ''!r} have {repeated[0][1] if repeated else ''!r}",
        )

    def require_gone(self, results: AnnotationResults, receipt: Receipt, when: str) -> None:
        """Assert that a task is not on the server any more: ``download`` raises ``Gone``."""
        try:
            results.backend.download(receipt)
            found = f"it still returns {receipt.task!r}"
        except Gone:
            return
        except Exception as error:
            found = f"`download` raises {type(error).__name__}: {error}"
        raise AssertionError(self.expected(f"have no task on the server {when}, and raise `Gone`", found))


@cache
def _template(label_type: str, attribute_types: frozenset[str], which: int) -> Path:
    """The dataset of the examples, made once for each process; a copy of the folder takes a fifth of the time."""
    folder = temporary.make()
    atexit.register(temporary.remove, folder)
    made = create_dataset(folder / "dataset")
    made.add_samples(examples.samples(folder / "images", label_type, examples.attributes(attribute_types, which)))
    return folder / "dataset"


def beside(box: list[float]) -> list[float]:
    """A box a fifth of its width to the right."""
    return [box[0] + box[2] / 5, *box[1:]]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing"


def _first(report: LoadReport) -> str:
    """The first label that a load wrote, in a few words."""
    return next((f" (first: {row['action']} {_shown(row)})" for row in report.writes().slice(0, 1).to_pylist()), "")


def _shown(row: Row) -> str:
    """A label, in a few words."""
    names = ("sample_id", "kind", "label", "value", "bounding_box", "points")
    return json.dumps({name: row[name] for name in names if row[name] is not None}, ensure_ascii=False)[:200]
