"""Tasks: the bounded pieces in which a run is sent. What is held in memory at once is one of them."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .diff import take
from .labels import ATTRIBUTE, UNSENT
from .schema import LabelSchema

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


def outgoing(labels: pa.Table, schema: LabelSchema) -> pa.Table:
    """Those of the labels that the schema selects: of the field's type and classes, with the schema's attributes only."""
    parts = []
    for spec in schema.fields.values():
        wanted = pc.and_(pc.equal(labels["field"], spec.name), pc.equal(labels["kind"], spec.kind))
        if spec.classes and spec.type != "scalar":
            wanted = pc.and_(wanted, pc.is_in(labels["label"], value_set=pa.array(spec.classes, pa.string())))
        rows = labels if pc.all(wanted).as_py() else labels.filter(wanted)
        if spec.kind != "message":  # whose attributes are its form
            rows = _narrowed(rows, set(spec.all_attributes()))
        parts.append(rows)
    return pa.concat_tables(parts)


def with_unsent(baseline: pa.Table, labels: pa.Table) -> pa.Table:
    """A baseline with what no tool is asked about, as it was here: so that a later edit of it is seen as one."""
    if not baseline["label_id"].equals(labels["label_id"]):
        place = pc.index_in(baseline["label_id"], value_set=labels["label_id"].combine_chunks())
        labels = take(labels.select([*UNSENT]), place.fill_null(-1).to_numpy())
    for name in UNSENT:
        column = labels[name]
        baseline = baseline.set_column(baseline.column_names.index(name), baseline.schema.field(name), column)
    return baseline


def _narrowed(rows: pa.Table, keep: set[str]) -> pa.Table:
    present = attributes.names(rows["attributes"])
    if present <= keep:
        return rows
    everywhere = np.ones(rows.num_rows, bool)
    nothing = pa.nulls(rows.num_rows, ATTRIBUTE)
    column = attributes.replace(rows["attributes"], dict.fromkeys(present - keep, (everywhere, nothing)))
    return rows.set_column(rows.column_names.index("attributes"), "attributes", column)
