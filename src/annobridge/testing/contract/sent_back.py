"""Laws about sending back: what a reviewer refused is placed once, at its label, and changes no label."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ...backend.checked import CheckedBackend
from ...backend.values import Receipt, SentBack
from ...bridge.results import AnnotationResults
from ...core.labels import REFUSALS
from .base import Laws

MESSAGE = "Refused: class car → bus. “Look at the plate” (alice)"


class SentBackLaws(Laws):
    """What is refused goes back to the annotators, at its place."""

    def test_what_is_refused_goes_back_once(self) -> None:
        """``send_back`` counts each refusal; a second call places none of them again; labels stay as they are."""
        results, receipt, refusals = self._refusals()
        before = results.backend.download(receipt).labels
        first = self._send_back(results, receipt, refusals)
        second = self._send_back(results, receipt, refusals)
        assert second.placed == 0, self.expected(
            "place no refusal twice, when the same ones are sent back again", f"the second call placed {second.placed}"
        )
        assert second.existing == first.placed + first.existing, self.expected(
            f"count the {first.placed + first.existing} refusals that it has from the first call as existing",
            f"the second call counts {second.existing}",
        )
        answer = results.backend.download(receipt)  # a tool may answer for finished samples only
        before = before.filter(pc.is_in(before["sample_id"], value_set=answer.samples))
        after = answer.labels
        assert len(after) == len(before), self.expected(
            f"leave the {len(before)} labels as they are when work is sent back", f"`download` returns {len(after)}"
        )

    def test_more_refusals_are_added_to_those_before(self) -> None:
        """Those of an earlier call are recognized among new ones."""
        results, receipt, refusals = self._refusals()
        first = self._send_back(results, receipt, refusals.slice(0, 1))
        both = self._send_back(results, receipt, refusals)
        had = first.placed + first.existing
        assert both.existing == had, self.expected(
            f"count {had} of the refusals as existing, which the call before has placed", f"it counts {both.existing}"
        )

    def test_what_went_back_is_read_as_comments(self) -> None:
        """A refusal is an open comment at the place of its label, with the message."""
        if not self.backend.capabilities.comments:
            pytest.skip(f"{self.backend.name} returns no comments")
        results, receipt, refusals = self._refusals()
        placed = self._send_back(results, receipt, refusals).placed
        comments = results.backend.download(receipt).comments.to_pylist()
        assert len(comments) == placed, self.expected(
            f"return a comment for each of the {placed} refusals", f"`download` returns {len(comments)}"
        )
        for refusal in refusals.to_pylist():
            found = [c for c in comments if refusal["message"] in c["text"]]
            assert found, self.expected(
                f"return the comment {refusal['message']!r}", f"it returns {[c['text'] for c in comments]}"
            )
            comment = found[0]
            assert comment["state"] == "open", self.expected(
                "return what was sent back as open", f"it returns it as {comment['state']}"
            )
            assert comment["sample_id"] == refusal["sample_id"], self.expected(
                f"return the comment on {refusal['sample_id']!r}", f"it returns it on {comment['sample_id']!r}"
            )
            self._require_at(refusal["box"], comment["box"])

    def _require_at(self, wanted: list[float] | None, found: list[float] | None) -> None:
        whole = [0.0, 0.0, 1.0, 1.0]  # a tool may have no other place for what is about the whole image
        off = max(abs(a - b) for a, b in zip(wanted or whole, found or whole, strict=True))
        assert off <= self.precision, self.expected(
            f"return the comment at {wanted or 'the whole image'}", f"it returns it at {found or 'the whole image'}"
        )

    def _refusals(self) -> tuple[AnnotationResults, Receipt, pa.Table]:
        """A run, and refusals of two labels of its first task, and of a whole image there."""
        if not self.backend.capabilities.send_back:
            pytest.skip(f"{self.backend.name} sends nothing back")
        label_type = self.main_type()
        results = self.send(self.dataset(label_type), label_type)
        receipt = results.with_baseline(results.receipts()[0])
        labels = receipt.baseline.slice(0, 2).to_pylist()
        rows: list[dict[str, Any]] = [
            {
                "change_id": f"change-{n}", "sample_id": label["sample_id"], "frame_number": label["frame_number"],
                "remote_id": label["remote_id"], "box": label["bounding_box"], "message": f"{n}. {MESSAGE}",
            }
            for n, label in enumerate(labels)
        ]  # fmt: skip
        rows.append({"change_id": "whole", "sample_id": labels[0]["sample_id"], "message": f"w. {MESSAGE}"})
        return results, receipt, pa.Table.from_pylist(rows, REFUSALS)

    def _send_back(self, results: AnnotationResults, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """The answer, checked for its form as the bridge does."""
        return CheckedBackend(results.backend).send_back(receipt, refusals)
