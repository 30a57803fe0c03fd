"""Laws about pushes: what changed in the dataset is in the tool afterwards, once, and the work of people stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ...backend.base import AnnotationBackend
from ...backend.values import Edits, Pushed, Receipt
from ...bridge.push_plan import PushReport
from ...bridge.results import AnnotationResults
from ...dataset import Dataset
from ...exceptions import BackendError, Gone
from .. import examples
from .base import Laws, beside

_EDITED = "labels were changed, deleted and added in the dataset"


class _Lost(BackendError):
    """The tool has changed the labels, but its answer did not arrive."""


class PushedLaws(Laws):
    """A push changes in the tool what changed here, and nothing else."""

    def test_without_changes_here_nothing_is_pushed(self) -> None:
        """After a run is sent, and after a load, there is nothing to push."""
        dataset, results, label_type = self._sent()
        self._require_push(self._push(dataset), "nothing changed here")
        self.work(results, label_type)
        self.load(dataset)
        self._require_push(self._push(dataset), "nothing changed here but by a load")

    def test_what_changed_here_is_in_the_tool(self) -> None:
        """Edits, additions and deletions arrive; then nothing is left to push or to load, and labels keep their ids there."""
        dataset, results, label_type = self._sent()
        ids = {row["remote_id"] for row in self.rows(results)}
        self._edit_here(dataset, label_type)
        self._require_push(self._push(dataset), _EDITED, added=1, edited=1, deleted=1)
        here = dataset.labels("field").to_pylist()
        self.require_same(here, self.rows(results), "have the labels of the dataset after a push, and no others")
        kept = ids & {row["remote_id"] for row in self.rows(results)}
        assert len(kept) == len(ids) - 1, self.expected(
            f"keep the ids of {len(ids) - 1} labels that a push did not delete", f"it keeps those of {len(kept)}"
        )
        labels = dataset.labels().to_arrow()
        self._require_push(self._push(dataset), "it follows another push at once")
        self.require_load(self.load(dataset), "a push was done, and nobody did anything")
        self.require_equal(dataset.labels().to_arrow(), labels, "a load follows a push")

    def test_the_work_of_people_stays(self) -> None:
        """What a person changed is neither overwritten by a push, nor lost for the next load."""
        dataset, results, label_type = self._sent()
        first, second = self._two(results, dataset, label_type)
        self.tool(results).edit(first, **examples.change(label_type, 0))
        dataset.set_labels([{"label_id": second["label_id"], **examples.change(label_type, 1)}])
        self._require_push(self._push(dataset), "another label was changed in the tool", edited=1)
        self.require_load(self.load(dataset), "a person changed a label, and another one was pushed", edited=1)
        self.require_same(
            dataset.labels("field").to_pylist(),
            self.rows(results),
            "have the labels of both sides after a push and a load",
        )

    def test_what_a_person_changes_meanwhile_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A box is moved in the tool after the push was planned, while its class is pushed: both changes hold."""
        dataset, results, label_type = self._sent()
        if label_type != "detections":
            pytest.skip("the law is about boxes")
        first = self.labels_in_tool(results, label_type)[0]
        mine = examples.nearest(first, dataset.labels("field").to_pylist()) or {}
        dataset.set_labels([{"label_id": mine["label_id"], **examples.change(label_type, 1)}])
        push, tool, moved = self.backend.push, self.tool(results), self.moved_box or beside(first["bounding_box"])

        def late(backend: AnnotationBackend, receipt: Receipt, edits: Edits) -> Pushed:
            tool.edit(first, bounding_box=moved)
            return push(backend, receipt, edits)

        with monkeypatch.context() as patch:
            patch.setattr(self.backend, "push", late)
            self._push(dataset)
        self.require_load(self.load(dataset), "a person moved a box while its class was pushed", edited=1)
        (row,) = dataset.labels("field", f"label_id = '{mine['label_id']}'").to_pylist()
        off = max(abs(a - b) for a, b in zip(row["bounding_box"], moved, strict=True))
        assert off <= self.precision, self.expected("keep what a person changed during a push", "the box is back")
        assert row["label"] == examples.change(label_type, 1)["label"]

    def test_a_conflict_is_decided_by_the_policy(self) -> None:
        """Of a label that was changed on both sides, the tool keeps its value, unless ``conflicts="ours"`` is given."""
        dataset, results, label_type = self._sent()
        there, here = self._two(results, dataset, label_type)
        here = examples.nearest(there, dataset.labels("field").to_pylist()) or here
        self.tool(results).edit(there, **examples.change(label_type, 0))
        dataset.set_labels([{"label_id": here["label_id"], **examples.change(label_type, 1)}])
        report = self._push(dataset)
        self._require_push(report, "one label was changed on both sides", in_conflict=1)
        report = self._push(dataset, conflicts="ours")
        self._require_push(report, "ours is to win a conflict", edited=1, in_conflict=1)
        self.require_load(self.load(dataset), "the label of the dataset was pushed over that of the tool")

    def test_a_push_that_lost_its_answer_is_found_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tool has changed the labels, and its answer is lost: after another push, each label is there once."""
        dataset, results, label_type = self._sent()
        self._edit_here(dataset, label_type)
        push = self.backend.push

        def lose(backend: AnnotationBackend, receipt: Receipt, edits: Edits) -> Pushed:
            push(backend, receipt, edits)
            raise _Lost("the answer was lost")

        self._fail(dataset, monkeypatch, lose)
        report = self._push(dataset)
        assert (report.added, report.deleted) == (0, 0), self.expected(
            "know what arrived of a push whose answer was lost", f"{report.added} labels were added again", "The bridge"
        )
        self.require_same(
            dataset.labels("field").to_pylist(), self.rows(results), "have each label once after an answer was lost"
        )
        self.require_load(self.load(dataset), "a push was found out, and nobody did anything")

    def test_a_push_that_did_not_arrive_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tool cannot be reached: nothing is taken for pushed, and the next push does it."""
        dataset, results, label_type = self._sent()
        self._edit_here(dataset, label_type)

        def fail(*_: Any) -> Pushed:
            raise _Lost("the tool cannot be reached")

        self._fail(dataset, monkeypatch, fail)
        self.require_load(self.load(dataset), "a push did not arrive, and nobody did anything")
        self._require_push(self._push(dataset), "the push before did not arrive", added=1, edited=1, deleted=1)
        self.require_same(dataset.labels("field").to_pylist(), self.rows(results), "have the labels of the dataset")

    def test_nothing_is_pushed_to_a_task_that_is_gone(self) -> None:
        """A push to a run whose tasks were deleted raises ``Gone``."""
        dataset, results, label_type = self._sent()
        self._edit_here(dataset, label_type)
        results.cleanup()
        with pytest.raises(Gone):
            self._push(dataset)

    def _sent(self) -> tuple[Dataset, AnnotationResults, str]:
        if not self.backend.capabilities.push:
            pytest.skip(f"{self.backend.name} cannot be pushed to")
        label_type = self.main_type()
        dataset = self.dataset(label_type)
        return dataset, self.send(dataset, label_type), label_type

    def _push(self, dataset: Dataset, **arguments: Any) -> PushReport:
        return dataset.push_annotations("run", progress=False, **arguments, **self.options())

    def _fail(self, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, push: Callable[..., Pushed]) -> None:
        """Push with another method of the backend, which raises ``_Lost``."""
        with monkeypatch.context() as patch:
            patch.setattr(self.backend, "push", push)
            with pytest.raises(_Lost):
                self._push(dataset)

    def _edit_here(self, dataset: Dataset, label_type: str) -> None:
        """Change the first label, delete the last, and add one like it of another class."""
        rows = dataset.labels("field").to_pylist()
        dataset.set_labels([{"label_id": rows[0]["label_id"], **examples.change(label_type, 0)}])
        dataset.delete_labels([rows[-1]["label_id"]])
        new = {
            name: value for name, value in rows[-1].items() if name not in ("label_id", "rev", "run", "tool", "time")
        }
        dataset.add_labels("field", [new | examples.change(label_type, 1)], label_type=label_type)

    def _two(
        self, results: AnnotationResults, dataset: Dataset, label_type: str
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A label of the tool, and another one of the dataset."""
        first = self.labels_in_tool(results, label_type)[0]
        rows = dataset.labels("field").to_pylist()
        mine = examples.nearest(first, rows)
        other = next(row for row in rows if mine is None or row["label_id"] != mine["label_id"])
        return first, other

    def _require_push(self, report: PushReport, when: str, **counts: int) -> None:
        found = {
            "added": report.added, "edited": report.edited, "deleted": report.deleted, "refused": len(report.refused),
            "in conflict": len(report.conflicts), "left out": report.left_out,
        }  # fmt: skip
        wanted = dict.fromkeys(found, 0) | {name.replace("_", " "): n for name, n in counts.items()}
        push = f"The push to the backend {self.backend.name!r}"
        assert found == wanted, self.expected(f"do {wanted} when {when}", f"it did {found}; {report.notes}", push)
