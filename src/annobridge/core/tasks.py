"""Tasks: the bounded pieces in which a run is sent. What is held in memory at once is one of them."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .arrays import as_array, equal
from .labels import ATTRIBUTE, NOT_MERGED
from .merge.diff import take_or_null
from .schema import FieldSchema, LabelSchema

DEFAULT_SIZE = 2_000  # samples; ten labels each are some 20 MB on the way


def size(asked: int | None, largest: int | None) -> int:
    """Samples per task: what was asked for, within what the backend takes."""
    return min(asked or DEFAULT_SIZE, largest or asked or DEFAULT_SIZE)


def split(sample_ids: pa.Array, per_task: int) -> list[pa.Array]:
    """The samples of each task, in the order of the view."""
    return [sample_ids.slice(at, per_task) for at in range(0, len(sample_ids), per_task)]


def name(anno_key: str, run_id: str, number: int) -> str:
    """A task's name: unique for all runs, and made of ``A-Z a-z 0-9 _ -`` only."""
    return f"{re.sub(r'[^A-Za-z0-9_]', '_', anno_key)}-{run_id[:8]}-{number:05d}"


def select_by_schema(labels: pa.Table, schema: LabelSchema) -> pa.Table:
    """Those of the labels that the schema selects: of the field's type and classes, with the schema's attributes only."""
    parts = []
    for spec in schema.fields.values():
        wanted = pc.and_(pc.equal(labels["field"], spec.name), pc.equal(labels["kind"], spec.kind))
        if spec.classes and spec.type != "scalar":
            wanted = pc.and_(wanted, pc.is_in(labels["label"], value_set=pa.array(spec.classes, pa.string())))
        rows = labels if pc.all(wanted).as_py() else labels.filter(wanted)
        parts.append(_split_attributes(rows, spec)[0])
    return pa.concat_tables(parts)


def with_unsent(baseline: pa.Table, labels: pa.Table, schema: LabelSchema) -> pa.Table:
    """A baseline with what no tool is asked about, as it is in ``labels``: so that a later edit of it is seen as one.

    Confidence and tags are put into their columns, attributes outside the schema into a new one, ``unsent``.
    """
    place = pc.index_in(baseline["label_id"], value_set=as_array(labels["label_id"]))
    labels = take_or_null(labels.select(["field", *NOT_MERGED, "attributes"]), place.fill_null(-1).to_numpy())
    for name in NOT_MERGED:
        at = baseline.column_names.index(name)
        baseline = baseline.set_column(at, baseline.schema.field(name), labels[name])
    unsent = pa.nulls(labels.num_rows, attributes.LIST)
    for spec in schema.fields.values():
        here = equal(labels["field"], spec.name)
        if here.any():
            unsent = pc.if_else(pa.array(here), _split_attributes(labels, spec)[1], unsent)
    return baseline.append_column("unsent", unsent)


def _split_attributes(rows: pa.Table, spec: FieldSchema) -> tuple[pa.Table, pa.ListArray]:
    """Labels of a field with the attributes of its schema only, and the other attributes. Those of a message are its form."""
    known = set(spec.all_attributes())
    present = attributes.names(rows["attributes"])
    if spec.kind == "message" or present <= known:
        return rows, attributes.build(np.zeros(0, np.int64), pa.array([], ATTRIBUTE), rows.num_rows)
    everywhere, nothing = np.ones(rows.num_rows, bool), pa.nulls(rows.num_rows, ATTRIBUTE)

    def without(names: set[str]) -> pa.ListArray:
        return attributes.replace(rows["attributes"], dict.fromkeys(names, (everywhere, nothing)))

    column = rows.column_names.index("attributes")
    return rows.set_column(column, "attributes", without(present - known)), without(present & known)
