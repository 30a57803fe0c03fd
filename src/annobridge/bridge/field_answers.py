"""Answers that are in the dataset: a label field, or what a run has brought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, set_columns
from ..core.did_you_mean import did_you_mean
from ..core.labels import BASELINE, LABELS, REMOTE, conform
from ..core.merge.destination import split_baseline
from ..core.schema import Attribute, LabelSchema, infer
from ..exceptions import InvalidOption
from ..store import baseline
from ..store.labels import field_condition
from ..store.run import ANSWER_FIELDS_OPTION, Run
from ..store.stores import Stores


@dataclass(frozen=True)
class FieldAnswer:
    """The answer of one annotator, in the dataset.

    Attributes:
        name: the field, or the key of the run: who it is.
        field: the label field that it is in; or the field of the run that people worked on.
        run: the run, if what it brought last is not in a field of its own. Then the answer is what the tool had at its last load.
        sample_ids: the samples that were answered; ``None`` for all.
    """

    name: str
    field: str
    run: Run | None
    sample_ids: pa.Array | None

    def scan(self, stores: Stores, sample_ids: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
        """The labels, of some samples or of all: ``LABELS``, or ``BASELINE``, of which ``labels`` makes the answer."""
        if self.run is not None:
            yield from stores.baseline.scan(self.run, sample_ids=sample_ids)
            return
        condition = field_condition([self.field])
        if sample_ids is None:
            yield from stores.labels.scan(condition)
        else:
            yield from stores.labels.of_samples(sample_ids, condition).to_batches()

    @property
    def schema(self) -> pa.Schema:
        """That of ``scan``."""
        return LABELS if self.run is None else BASELINE

    def labels(self, rows: pa.Table, field: str) -> pa.Table:
        """The answer (``REMOTE``), as labels of ``field``, from rows of ``scan`` that have all labels of their samples."""
        if self.run is not None:
            rows = split_baseline(baseline.newest_rows(rows))[0]
            rows = rows.filter(pc.equal(rows["field"], self.field))
        given = rows.select([name for name in LABELS.names if name != "field"])
        return set_columns(conform(given, REMOTE, remote_id="", field=field), remote_id=rows["label_id"])

    def answered(self, sample_ids: pa.Array, labels: pa.Table) -> pa.Array:
        """Which of some samples were answered; those of its labels were, whoever added them."""
        if self.sample_ids is None:
            return sample_ids
        known = pa.chunked_array([self.sample_ids, *labels["sample_id"].chunks], pa.string())
        return sample_ids.filter(pc.is_in(sample_ids, value_set=as_array(known)))


def names_of(answers: object) -> list[str]:
    """The names of several answers. Raises ``InvalidOption`` if they are no list of different names."""
    given = [None] if isinstance(answers, str) or not isinstance(answers, Iterable) else list(answers)
    names = [name for name in given if isinstance(name, str)]
    if len(set(names)) < len(given):
        raise InvalidOption(
            f"The answers {answers!r} are no list of different label fields, or keys of runs; give such a list."
        )
    return names


def find(stores: Stores, names: Sequence[str], label_field: str | None = None) -> list[FieldAnswer]:
    """The answers of these names: label fields, or keys of runs.

    A field into which loads have put the answer of an annotator, or the work on a run, was answered on the samples of that; any
    other one on all samples. Such a field, and one that was merged before, is an answer although it has no label now.
    ``label_field`` is the field of runs that have several.

    Raises:
        InvalidOption: there is nothing of a name, two are of one field, or a run has several fields, or was not loaded.
    """
    names = names_of(names)
    runs = {run.anno_key: run for run in stores.runs.all_readable()}
    merged = (field for run in runs.values() for field in run.options.get(ANSWER_FIELDS_OPTION, ()))
    fields = {*stores.labels.fields(), *merged}
    found = [_find(stores, name, runs, fields, label_field) for name in names]
    of_fields: dict[str, str] = {}
    for answer in found:
        if answer.run is None and (first := of_fields.setdefault(answer.field, answer.name)) != answer.name:
            raise InvalidOption(
                f"The answers {first!r} and {answer.name!r} are one and the same, which is in the field {answer.field!r}; leave "
                "one of them out."
            )
    return found


def _find(stores: Stores, name: str, runs: Mapping[str, Run], fields: Set[str], label_field: str | None) -> FieldAnswer:
    answered = _answered(stores, name, runs)
    if name in fields or answered is not None:
        return FieldAnswer(name, name, None, answered)
    if name not in runs:
        raise InvalidOption(
            f"The dataset has no label field and no run {name!r}; {did_you_mean(name, [*fields, *runs])}"
        )
    run = runs[name]
    field = field_of(run, label_field)
    loads = [load for load in run.loads if load.state == "applied"]
    if not loads:
        raise InvalidOption(f"The run {name!r} was not loaded yet; load it with load_annotations({name!r}) first.")
    if field in loads[-1].destinations:
        place = loads[-1].destinations[field]
        return FieldAnswer(name, place, None, _answered(stores, place, runs))
    return FieldAnswer(name, field, run, stores.runs.sample_ids(run.run_id))


def _answered(stores: Stores, field: str, runs: Mapping[str, Run]) -> pa.Array | None:
    """The samples of which a field has an answer: as loads of one annotator's answer say, or those of the runs that went there;
    ``None`` for all.
    """
    known = stores.answered.sample_ids(field)
    if known is not None:
        return known
    came_by = [run for run in runs.values() if field in run.destinations]
    samples = [stores.runs.sample_ids(run.run_id) for run in came_by]
    return pc.unique(pa.concat_arrays(samples)) if samples else None


def field_of(run: Run, label_field: str | None) -> str:
    """The field of a run, or that of several which is named. Raises ``InvalidOption`` if it is not clear, or not there."""
    fields = list(run.schema.fields)
    if label_field is None and len(fields) > 1:
        raise InvalidOption(f"The run {run.anno_key!r} has the fields {', '.join(fields)}; name one with label_field=.")
    if label_field is not None and label_field not in fields:
        raise InvalidOption(f"The run {run.anno_key!r} has no field {label_field!r}; it has {', '.join(fields)}.")
    return label_field or fields[0]


def schema(stores: Stores, answers: Sequence[FieldAnswer], field: str) -> LabelSchema:
    """The schema of a field with the classes and attributes of several answers, which accepts all of their values.

    Raises:
        InvalidOption: they have labels of several types, or no labels.
    """
    names = ", ".join(answer.name for answer in answers)
    stats = infer.describe(batch for answer in answers for batch in _labels(stores, answer, field))
    types = sorted(stats[field].types()) if field in stats else []
    if len(types) != 1:
        what = f"labels of several types: {', '.join(types)}" if types else "no labels"
        raise InvalidOption(f"The answers {names} have {what}; give answers with labels of one type.")
    spec = LabelSchema.parse([field], {}, stats).fields[field]
    attributes = tuple(_accepting(a, stats[field].attributes[a.name]) for a in spec.attributes)
    return LabelSchema({field: replace(spec, attributes=attributes)})


def _accepting(attribute: Attribute, types: set[str]) -> Attribute:
    """An attribute that accepts all values of some types, as labels have them. No type of attributes is that of any JSON value or
    of several types; a select without choices accepts everything.
    """
    one_type = types <= {"int", "float"} or (len(types) == 1 and "json" not in types)
    return attribute if one_type else replace(attribute, type="select")


def _labels(stores: Stores, answer: FieldAnswer, field: str) -> Iterator[pa.RecordBatch]:
    for batch in answer.scan(stores):
        yield from answer.labels(pa.Table.from_batches([batch]), field).to_batches()
