"""Merges the answers of several annotators, which are in the dataset, into one field."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ..backend.checked import CheckedBackend
from ..exceptions import InvalidOption
from ..settings import config
from ..store.remote import absolute
from ..store.stores import Stores
from ..store.views import Stage
from . import annotate, field_answers
from .execution import Execution
from .fields_backend import FieldsBackend
from .results import AnnotationResults


def results(
    stores: Stores,
    stages: Sequence[Stage],
    names: Sequence[str],
    into: str,
    anno_key: str | None,
    label_field: str | None,
) -> AnnotationResults:
    """The run that merges answers into a field: that of ``anno_key`` if there is one, which has to be of the same answers.

    Raises:
        InvalidOption: there are fewer than two answers, no such answer, or the key is that of another run.
        InvalidSchema: the answers have labels of several types.
    """
    found = field_answers.find(stores, names, label_field)
    if len(found) < 2:
        raise InvalidOption(f"answers={list(names)!r} is the answer of one annotator only; give two at least.")
    if into in {answer.field for answer in found if answer.run is None}:
        raise InvalidOption(f"into={into!r} is one of the answers, which stay as they are; give another field.")
    options: dict[str, Any] = {
        "dataset": absolute(stores.database.uri), "answers": list(names), "label_field": label_field,
        "storage_options": stores.database.storage_options,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    tool = FieldsBackend(config.resolve(FieldsBackend.name, given).config)
    key = anno_key or f"{into}_{uuid.uuid4().hex[:8]}"
    if key in set(stores.runs.keys()):
        run = stores.runs.get_settled(key)
        same = (
            run.backend == tool.name and run.options.get("answers") == list(names) and [into] == list(run.schema.fields)
        )
        if not same:
            raise InvalidOption(
                f"The run {key!r} is another one than of these answers into {into!r}; give another anno_key=."
            )
        return AnnotationResults(stores, run, tool)
    schema = field_answers.schema(stores, [*found, field_answers.FieldAnswer(into, into, None, None)], into)
    arguments: Mapping[str, Any] = {"label_schema": schema.to_dict()}
    run = annotate.send(stores, stages, key, arguments, CheckedBackend(tool), "filepath", False, False, Execution())
    return AnnotationResults(stores, run, tool)
