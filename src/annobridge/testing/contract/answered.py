"""Laws about the answers of several people to the same samples."""

from __future__ import annotations

import pytest

from ...core.agreement.consensus import Consensus
from .base import Laws


class AnsweredLaws(Laws):
    """The answers of several people are kept apart, and what was sent keeps its ids in each."""

    def test_each_person_has_an_answer_of_their_own(self) -> None:
        """``answers`` returns what each person has, for the samples that they answered, with the ids of the baseline."""
        self._require_answers()
        dataset = self.dataset(self.main_type(), 1)
        results = self.send(dataset, self.main_type())
        ids = sorted(dataset.sample_ids())
        first, second = self.answer(results, [ids, ids[:1]])
        (receipt,) = results.receipts()
        sent = results.with_baseline(receipt).baseline.select(["sample_id", "remote_id"]).to_pylist()
        given = {answer.annotator: answer for answer in results.answers_of(receipt)}
        for name, samples in ((first, ids), (second, ids[:1])):
            assert name in given, self.expected(f"return the answer of {name}", f"it has those of {sorted(given)}")
            answered = sorted(given[name].samples.to_pylist())
            assert answered == samples, self.expected(f"answer {samples} for {name}", f"it answers {answered}")
            own = {(row["sample_id"], row["remote_id"]) for row in given[name].labels.to_pylist()}
            expected = {(row["sample_id"], row["remote_id"]) for row in sent if row["sample_id"] in samples}
            assert own == expected, self.expected("keep the ids of labels that were sent", f"it returns {sorted(own)}")

    def test_a_consensus_of_untouched_answers_changes_nothing(self) -> None:
        """Whoever answered, what nobody changed is loaded as it was sent."""
        self._require_answers()
        dataset = self.dataset(self.main_type(), 0)
        results = self.send(dataset, self.main_type())
        before = dataset.labels().to_arrow()
        ids = sorted(dataset.sample_ids())
        self.answer(results, [ids, ids])
        self.require_load(self.load(dataset, consensus=Consensus()), "two people answered, and changed nothing")
        self.require_equal(dataset.labels().to_arrow(), before, "two people answered, and changed nothing")

    def _require_answers(self) -> None:
        if not self.backend.capabilities.answers:
            pytest.skip(f"{self.backend.name} has one answer for each sample")
        self.require_method("answer", "what several people answer")
