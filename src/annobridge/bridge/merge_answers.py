"""Merges the answers of several annotators, which are in the dataset, into one field."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..core.agreement.consensus import Consensus
from ..core.arrays import count_in
from ..core.merge import destination
from ..exceptions import InvalidOption
from ..jobs.execution import Execution
from ..store import views
from ..store.run import ANSWER_FIELDS_OPTION, CONSENSUS_OPTION, Run
from ..store.stores import Stores
from ..store.views import Stage
from . import annotate, field_answers
from .field_answers import FieldAnswer
from .fields_backend import FieldsBackend
from .loads import check_options
from .results import AnnotationResults


class Merge(NamedTuple):
    """A run that merges answers, and the options of the load or plan that follows."""

    results: AnnotationResults
    options: dict[str, Any]


def prepare(
    stores: Stores, stages: Sequence[Stage], names: Sequence[str], into: str, anno_key: str | None, label_field: str | None,
    options: Mapping[str, Any],
) -> Merge:  # fmt: skip
    """The run that merges answers into a field: that of ``anno_key`` if there is one, which has to be of the same answers.

    The run gets the classes and attributes that the answers have now. ``options`` are those of the load or plan that follows; no
    run is made unless they can be used.

    Raises:
        InvalidOption: there are fewer than two answers, no such answer, two of one person, the key is that of another run, its run
            lacks samples, or an option cannot be used.
    """
    found = field_answers.find(stores, names, label_field)
    if len(found) < 2:
        raise InvalidOption(f"There is one answer only, {', '.join(names) or 'or none'}; give two at least to merge.")
    if into in {answer.field for answer in found if answer.run is None}:
        raise InvalidOption(f"into={into!r} is one of the answers, which stay as they are; give another field.")
    _require_of_different_people(found)
    check_options(options)
    schema = field_answers.schema(stores, [*found, FieldAnswer(into, into, None, None)], into)
    tool = FieldsBackend.of(stores, {"answers": list(names), "label_field": label_field})
    key = anno_key or f"{into}_{uuid.uuid4().hex[:8]}"
    if key not in set(stores.runs.keys()):
        if options.get("decisions") is not None:
            raise InvalidOption(
                "decisions= are about the changes of a run, and there is none yet; make it first, and give its key with the "
                "decisions."
            )
        consensus = options.get("consensus") or Consensus()
        fields = [answer.name for answer in found if answer.run is None and answer.name == answer.field]
        own = {CONSENSUS_OPTION: asdict(consensus), ANSWER_FIELDS_OPTION: fields}
        run = annotate.send(
            stores, stages, key, schema, CheckedBackend(tool), "filepath", False, False, Execution(), own
        )
        return Merge(AnnotationResults(stores, run, tool), _load_options(options, run))
    run = stores.runs.get_idle(key)
    _require_same(run, tool, names, into, label_field)
    where = _samples(stores, stages, run, options.get("where"))
    if schema.to_dict() != run.schema.to_dict():
        run = stores.runs.update(run, schema=schema)
    return Merge(AnnotationResults(stores, run, tool), _load_options(options, run) | {"where": where})


def _load_options(given: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The options of the load: with the consensus of the run if none is given; and whatever the answers have is expected, as it is
    in the dataset already.
    """
    options = {"unexpected": "keep", **given}
    if options.get("consensus") is None and options.get("annotator") is None:
        last = run.consensus(destination.resolve(options.get("dest_field"), run.schema))
        options["consensus"] = Consensus(**(last or run.options[CONSENSUS_OPTION]))
    return options


def _require_of_different_people(answers: Sequence[FieldAnswer]) -> None:
    """Raise ``InvalidOption`` if one of the fields has the answer of one of the runs, as this would count twice."""
    fields = {answer.field for answer in answers if answer.run is None}
    for answer in answers:
        loads = answer.run.loads if answer.run is not None else ()
        places = {load.destinations.get(answer.field, answer.field) for load in loads if load.state == "applied"}
        if both := sorted(fields & places):
            raise InvalidOption(
                f"The run {answer.name!r} was loaded into the field {both[0]!r}, so that its work would count twice; leave one of "
                "the two out."
            )


def _require_same(run: Run, tool: FieldsBackend, names: Sequence[str], into: str, label_field: str | None) -> None:
    """Raise ``InvalidOption`` if a run is not of these answers."""
    of_run = run.options.get("answers", ())
    if run.backend != tool.name or sorted(of_run) != sorted(names) or [into] != list(run.schema.fields):
        raise InvalidOption(
            f"The run {run.anno_key!r} is another one than of these answers into {into!r}; give another anno_key=."
        )
    known = run.options.get("label_field")
    if known != label_field:
        cure = "leave label_field= out" if known is None else f"give label_field={known!r}"
        raise InvalidOption(
            f"The run {run.anno_key!r} did not merge the field {label_field!r} of its answers; {cure}, or give another anno_key=."
        )


def _samples(stores: Stores, stages: Sequence[Stage], run: Run, where: pa.Array | None) -> pa.Array | None:
    """Which samples of a run are merged again: those of a view that are in ``where``, too; ``None`` for all.

    Raises ``InvalidOption`` if the run lacks some samples of the view, or there are none.
    """
    samples = views.resolve(stores, stages).sample_ids
    if not len(samples):
        raise InvalidOption("The view is empty, so there is nothing to merge; widen its conditions.")
    of_run = stores.runs.sample_ids(run.run_id)
    if missing := len(samples) - count_in(samples, of_run):
        raise InvalidOption(
            f"The run {run.anno_key!r} lacks {missing:,} of the {len(samples):,} samples; add them with "
            f"extend_annotation({run.anno_key!r}, …), or give another anno_key=."
        )
    present = stores.samples.existing_ids(of_run)
    if count_in(present, samples) == len(present):
        return where
    return samples if where is None else samples.filter(pc.is_in(samples, value_set=where))
