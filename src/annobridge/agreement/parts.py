"""The answers of several annotators, some samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Answer
from ..bridge import field_answers
from ..bridge.field_answers import FieldAnswer
from ..bridge.results import AnnotationResults
from ..core.agreement.given import Given
from ..core.labels import SINGLE
from ..core.merge.fields import with_fields
from ..store.by_task import ByTask
from ..store.stores import Stores

PART = 2_000  # samples
FIELD = "labels"  # the name of the common field


class Part(NamedTuple):
    """The answers for some samples, and the name of the one that is the truth, if there is one."""

    given: list[Given]
    truth: str | None


class Answers(Protocol):
    """The answers of several annotators.

    Attributes:
        single: the fields that hold one label per sample.
        count: how many samples there are.
    """

    single: list[str]
    count: int

    def parts(self) -> Iterator[Part]:
        """Some samples after the other."""
        ...


class OfFields:
    """Answers that are in the dataset: label fields, and what runs have brought.

    Args:
        stores: the dataset.
        sample_ids: the samples.
        names: of the fields and runs.
        truth: that of them that is the truth.
        label_field: the field of runs that have several.

    Raises:
        InvalidOption: there is no such answer.
    """

    def __init__(
        self,
        stores: Stores,
        sample_ids: pa.Array,
        names: Sequence[str],
        truth: str | None = None,
        label_field: str | None = None,
    ) -> None:
        self._stores, self._ids, self._truth = stores, sample_ids, truth
        self._answers = field_answers.find(stores, names, label_field)
        spec = field_answers.schema(stores, self._answers, FIELD).fields[FIELD]
        self.single = [FIELD] if spec.type in SINGLE else []
        self.count = len(sample_ids)

    def parts(self) -> Iterator[Part]:
        """Some samples after the other, whose labels are regrouped on disk."""
        parts = ByTask([self._ids.slice(at, PART) for at in range(0, len(self._ids), PART)])
        with ExitStack() as files:
            grouped = []
            for answer in self._answers:
                groups = parts.by_sample(answer.schema, answer.scan(self._stores))
                files.callback(groups.close)
                grouped.append(groups)
            for number, ids in enumerate(parts.sample_ids):
                given = [_given(a, groups.get(number), ids) for a, groups in zip(self._answers, grouped, strict=True)]
                yield Part([one for one in given if len(one.samples)], self._truth)


def _given(answer: FieldAnswer, rows: pa.Table, sample_ids: pa.Array) -> Given:
    labels = answer.labels(rows.combine_chunks(), FIELD)
    return Given(answer.name, labels, answer.answered(sample_ids, labels))


class OfRun:
    """The answers of several annotators to one run, which the tool has.

    Args:
        stores: the dataset.
        results: the run.
        sample_ids: the samples.
        truth: a label field with the truth; by default, the answer that the tool takes for it.
        label_field: the field of a run that has several.

    Raises:
        InvalidOption: the run has several fields, or no such field.
    """

    def __init__(
        self,
        stores: Stores,
        results: AnnotationResults,
        sample_ids: pa.Array,
        truth: str | None,
        label_field: str | None,
    ) -> None:
        self._stores, self._results = stores, results
        self._truth = field_answers.find(stores, [truth]) if truth is not None else []
        self._field = field_answers.field_of(results.run, label_field)
        self.single = [self._field] if results.run.schema.fields[self._field].type in SINGLE else []
        of_run = stores.runs.sample_ids(results.run.run_id)
        self._ids = of_run.filter(pc.is_in(of_run, value_set=sample_ids))
        self.count = len(self._ids)

    def parts(self) -> Iterator[Part]:
        """One task after the other."""
        for receipt in self._results.receipts():
            answers = self._results.answers_of(receipt)
            given = [self._narrowed(one) for one in answers]
            truths = [a.annotator for a in answers if a.is_truth]
            samples = pc.unique(pa.chunked_array([one.samples for one in given], pa.string()))
            for truth in self._truth:
                rows = pa.Table.from_batches(truth.scan(self._stores, samples), truth.schema).combine_chunks()
                name = f"the field {truth.name}"  # an annotator may have the same name
                labels = truth.labels(rows, self._field)
                given.append(Given(name, labels, truth.answered(samples, labels)))
                truths = [name]
            yield Part(given, truths[0] if truths else None)

    def _narrowed(self, answer: Answer) -> Given:
        """The labels of the field, on the samples."""
        labels = with_fields(answer.labels, self._results.run.schema)
        chosen = pc.and_(pc.equal(labels["field"], self._field), pc.is_in(labels["sample_id"], value_set=self._ids))
        return Given(
            answer.annotator,
            labels.filter(chosen),
            answer.samples.filter(pc.is_in(answer.samples, value_set=self._ids)),
        )
