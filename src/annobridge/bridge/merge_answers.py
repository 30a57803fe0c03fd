"""Merges the answers of several annotators, which are in the dataset, into one field."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..backend.checked import CheckedBackend
from ..core.agreement.consensus import Consensus
from ..core.arrays import count_in
from ..exceptions import InvalidOption
from ..jobs.execution import Execution
from ..store import views
from ..store.run import ANSWER_FIELDS_OPTION, CONSENSUS_OPTION, Run
from ..store.stores import Stores
from ..store.views import Stage
from . import annotate, field_answers
from .fields_backend import FieldsBackend
from .results import AnnotationResults


def results(
    stores: Stores, stages: Sequence[Stage], names: Sequence[str], into: str, consensus: Consensus, anno_key: str | None,
    label_field: str | None,
) -> AnnotationResults:  # fmt: skip
    """The run that merges answers into a field: that of ``anno_key`` if there is one, which has to be of the same answers.

    Raises:
        InvalidOption: there are fewer than two answers, no such answer, the key is that of another run, or its run lacks samples.
    """
    found = field_answers.find(stores, names, label_field)
    if len(found) < 2:
        raise InvalidOption(f"There is one answer only, {', '.join(names) or 'or none'}; give two at least to merge.")
    if into in {answer.field for answer in found if answer.run is None}:
        raise InvalidOption(f"into={into!r} is one of the answers, which stay as they are; give another field.")
    options: dict[str, Any] = {"answers": list(names), "label_field": label_field}
    tool = FieldsBackend.of(stores, options)
    key = anno_key or f"{into}_{uuid.uuid4().hex[:8]}"
    if key in set(stores.runs.keys()):
        run = stores.runs.get_settled(key)
        _require_same(stores, stages, run, tool, names, into)
        return AnnotationResults(stores, run, tool)
    schema = field_answers.schema(stores, [*found, field_answers.FieldAnswer(into, into, None, None)], into)
    arguments: Mapping[str, Any] = {"label_schema": schema.to_dict()}
    fields = [answer.name for answer in found if answer.run is None and answer.name == answer.field]
    own = {CONSENSUS_OPTION: asdict(consensus), ANSWER_FIELDS_OPTION: fields}
    run = annotate.send(
        stores, stages, key, arguments, CheckedBackend(tool), "filepath", False, False, Execution(), own
    )
    return AnnotationResults(stores, run, tool)


def _require_same(
    stores: Stores, stages: Sequence[Stage], run: Run, tool: FieldsBackend, names: Sequence[str], into: str
) -> None:
    """Raise ``InvalidOption`` if a run is not of these answers, or lacks some of the samples."""
    if run.backend != tool.name or run.options.get("answers") != list(names) or [into] != list(run.schema.fields):
        raise InvalidOption(
            f"The run {run.anno_key!r} is another one than of these answers into {into!r}; give another anno_key=."
        )
    samples = views.resolve(stores, stages).sample_ids
    missing = len(samples) - count_in(samples, stores.runs.sample_ids(run.run_id))
    if missing:
        raise InvalidOption(
            f"The run {run.anno_key!r} lacks {missing:,} of the {len(samples):,} samples; add them with "
            f"extend_annotation({run.anno_key!r}, …), or give another anno_key=."
        )
