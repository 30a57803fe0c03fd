"""Nest labels in their samples, as a list column for each field, and unnest them.

>>> samples = pa.table({"sample_id": ["a", "b"]})
>>> labels = pa.table({"sample_id": ["b", "b"], "field": ["cars", "cars"], "label": ["x", "y"]})
>>> nest(samples, labels, ["cars"])["cars"].to_pylist()
[[], [{'label': 'x'}, {'label': 'y'}]]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import SchemaError
from .arrays import as_array

KEY_COLUMNS = ("sample_id", "field")


def nested_schema(samples: pa.Schema, labels: pa.Schema, fields: Sequence[str]) -> pa.Schema:
    """The schema of nested samples. Raises ``SchemaError`` for a field that has the name of a column of the samples."""
    if clashing := [name for name in fields if name in samples.names]:
        raise SchemaError(
            f"The label field {clashing[0]!r} is called as a column of the samples; choose the columns without it."
        )
    kind = pa.list_(pa.struct([f for f in labels if f.name not in KEY_COLUMNS]))
    return pa.schema([*samples, *(pa.field(name, kind) for name in fields)])


def nest(samples: pa.Table, labels: pa.Table, fields: Sequence[str]) -> pa.Table:
    """The samples with a column ``list<struct>`` of labels for each of the fields.

    Each list has the labels of its sample in the order of ``labels``, without ``sample_id`` and ``field``; it is empty if there
    are none. Labels of other samples and fields are ignored.
    """
    schema = nested_schema(samples.schema, labels.schema, fields)
    sample = (
        pc.index_in(as_array(labels["sample_id"]), value_set=as_array(samples["sample_id"])).fill_null(-1).to_numpy()
    )
    inner = [f for f in labels.schema if f.name not in KEY_COLUMNS]
    columns = list(samples.columns)
    for name in fields:
        rows = np.flatnonzero((sample >= 0) & pc.equal(as_array(labels["field"]), name).to_numpy(zero_copy_only=False))
        rows = rows[np.argsort(sample[rows], kind="stable")]
        counts = np.bincount(sample[rows], minlength=samples.num_rows)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        chosen = labels.take(pa.array(rows))
        structs = pa.StructArray.from_arrays([as_array(chosen[f.name]) for f in inner], fields=inner)
        columns.append(pa.ListArray.from_arrays(pa.array(offsets), structs))
    return pa.Table.from_arrays(columns, schema=schema)


def unnest(samples: pa.Table, fields: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """The inverse of ``nest``: the samples without the columns of the fields, and the labels with ``sample_id`` and ``field``.

    Raises ``SchemaError`` for a column that is missing, or is not of lists of structs.
    """
    parts = [_rows_of(samples, name) for name in fields]
    labels = pa.concat_tables(parts, promote_options="permissive") if parts else _NONE
    return samples.drop_columns(list(fields)), labels


_NONE = pa.table({name: pa.array([], pa.string()) for name in KEY_COLUMNS})


def _rows_of(samples: pa.Table, name: str) -> pa.Table:
    if name not in samples.column_names:
        raise SchemaError(f"The samples have no column {name!r}; they have {', '.join(samples.column_names)}.")
    lists = as_array(samples[name])
    if not pa.types.is_nested(lists.type) or not pa.types.is_struct(getattr(lists.type, "value_type", None)):
        raise SchemaError(
            f"The column {name!r} is {lists.type}, and labels are a list of structs; leave it out of them."
        )
    structs = pc.list_flatten(lists)
    present = structs.is_valid()
    ids = as_array(samples["sample_id"]).take(pc.list_parent_indices(lists)).filter(present)
    rows = pa.Table.from_struct_array(structs.filter(present))
    return rows.append_column("sample_id", ids).append_column("field", pa.repeat(name, rows.num_rows))
