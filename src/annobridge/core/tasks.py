"""Tasks: the parts in which a run is sent, of a limited number of samples. One of them is in memory at a time."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .arrays import as_array, equal, take_rows
from .labels import ATTRIBUTE, NOT_MERGED
from .schema import FieldSchema, LabelSchema

DEFAULT_SIZE = 2_000  # samples; with ten labels each, a request has about 20 MB


def size(asked: int | None, largest: int | None) -> int:
    """The number of samples per task: ``asked``, or a default; ``largest``, the limit of the backend, if that is less."""
    return min(asked or DEFAULT_SIZE, largest or asked or DEFAULT_SIZE)


def split(sample_ids: pa.Array, per_task: int) -> list[pa.Array]:
    """The ids of the samples of each task, in order."""
    return [sample_ids.slice(at, per_task) for at in range(0, len(sample_ids), per_task)]


def name(anno_key: str, run_id: str, number: int) -> str:
    """The name of a task: unique among all runs, of the characters ``A-Z a-z 0-9 _ -`` only."""
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', anno_key)}-{run_id[:8]}-{number:05d}"


def number(name: str) -> int:
    """The number in the name of a task."""
    return int(name.rpartition("-")[2])


def select_by_schema(labels: pa.Table, schema: LabelSchema) -> pa.Table:
    """The labels that are sent: those of the type and classes of their field, without attributes that the schema lacks."""
    parts = []
    for spec in schema.fields.values():
        selected = pc.and_(pc.equal(labels["field"], spec.name), pc.equal(labels["kind"], spec.kind))
        if spec.classes and spec.type != "scalar":
            selected = pc.and_(selected, pc.is_in(labels["label"], value_set=pa.array(spec.classes, pa.string())))
        rows = labels if pc.all(selected).as_py() else labels.filter(selected)
        parts.append(_split_attributes(rows, spec)[0])
    return pa.concat_tables(parts)


def with_unsent(baseline: pa.Table, labels: pa.Table, schema: LabelSchema) -> pa.Table:
    """A baseline with the values of ``labels`` that are not sent, so that a load can detect edits of them in the dataset.

    Confidence and tags go into their columns, attributes outside the schema into the column ``unsent``.
    """
    ids = as_array(labels["label_id"])
    labels = labels.select(["field", *NOT_MERGED, "attributes"])
    if not ids.equals(as_array(baseline["label_id"])):
        labels = take_rows(labels, pc.index_in(baseline["label_id"], value_set=ids).fill_null(-1).to_numpy())
    for name in NOT_MERGED:
        at = baseline.column_names.index(name)
        baseline = baseline.set_column(at, baseline.schema.field(name), labels[name])
    unsent = pa.nulls(labels.num_rows, attributes.LIST)
    for spec in schema.fields.values():
        in_field = equal(labels["field"], spec.name)
        if in_field.any():
            unsent = pc.if_else(pa.array(in_field), _split_attributes(labels, spec)[1], unsent)
    return baseline.append_column("unsent", unsent)


def _split_attributes(rows: pa.Table, spec: FieldSchema) -> tuple[pa.Table, pa.ListArray]:
    """Labels of a field with only the attributes that its schema has, and a column of the others. Messages keep all of theirs."""
    known = set(spec.all_attributes())
    present = attributes.names(rows["attributes"])
    if spec.kind == "message" or present <= known:
        return rows, attributes.build(np.zeros(0, np.int64), pa.array([], ATTRIBUTE), rows.num_rows)
    everywhere, nothing = np.ones(rows.num_rows, bool), pa.nulls(rows.num_rows, ATTRIBUTE)

    def without(names: set[str]) -> pa.ListArray:
        return attributes.replace(rows["attributes"], dict.fromkeys(names, (everywhere, nothing)))

    column = rows.column_names.index("attributes")
    return rows.set_column(column, "attributes", without(present - known)), without(present & known)
