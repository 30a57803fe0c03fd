"""The column ``attributes``, of type ``list<struct<name, type, value>>``: read one attribute of every label, and write it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Bools, as_mask, equal, not_null
from .labels import ATTRIBUTE
from .schema import Attribute, FieldSchema

LIST = pa.list_(ATTRIBUTE)


def flattened(attributes: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.StructArray]:
    """The number of the row of each attribute, and the attributes of all rows in one array."""
    if isinstance(attributes, pa.ChunkedArray):
        attributes = attributes.combine_chunks()
    if isinstance(attributes, pa.ChunkedArray):  # a column without chunks
        attributes = pa.array([], LIST)
    return pc.list_parent_indices(attributes).to_numpy(zero_copy_only=False), pc.list_flatten(attributes)


def names(attributes: pa.Array | pa.ChunkedArray) -> set[str]:
    """The names of the attributes that any label has."""
    _, flat = flattened(attributes)
    return set(pc.unique(flat.field("name")).to_pylist()) if len(flat) else set()


def column(attributes: pa.Array | pa.ChunkedArray, name: str) -> pa.StructArray:
    """One attribute of every row, as structs; null where a row lacks it."""
    rows, flat = flattened(attributes)
    at = np.flatnonzero(equal(flat.field("name"), name))
    index = np.full(len(attributes), -1, np.int64)
    index[rows[at]] = at
    return flat.take(pa.array(index, mask=index < 0))


def values(attributes: pa.Array | pa.ChunkedArray, name: str) -> pa.StringArray:
    """The value of one attribute of every row, as JSON text; null where a row lacks it."""
    return pc.struct_field(column(attributes, name), [2])


def replace(
    attributes: pa.Array | pa.ChunkedArray, changes: Mapping[str, tuple[np.ndarray, pa.StructArray]]
) -> pa.ListArray:
    """``attributes`` with new values; ``changes`` is name -> (mask of rows, structs for all rows). A null struct removes one."""
    rows, flat = flattened(attributes)
    size = len(attributes)
    keep = np.ones(len(rows), bool)
    all_rows, parts = [], []
    for name, (where, new) in changes.items():
        if len(flat):
            keep &= ~(equal(flat.field("name"), name) & where[rows])
        at = np.flatnonzero(where & not_null(new))
        all_rows.append(at)
        parts.append(new.take(pa.array(at)))
    all_rows.insert(0, rows[keep])
    parts.insert(0, flat.filter(pa.array(keep)))
    return build(np.concatenate(all_rows), pa.concat_arrays([p.cast(ATTRIBUTE) for p in parts]), size)


def build(rows: np.ndarray, flat: pa.StructArray, size: int) -> pa.ListArray:
    """The column of ``size`` rows, from attributes in ``flat`` and the row of each; sorted by name within a row."""
    order = pc.sort_indices(
        pa.table({"row": pa.array(rows), "name": flat.field("name")}),
        sort_keys=[("row", "ascending"), ("name", "ascending")],
    )
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat.take(order))


def definitions(spec: FieldSchema, name: str, label: pa.Array | pa.ChunkedArray) -> Iterator[tuple[Attribute, Bools]]:
    """The definitions of an attribute in a field, each with the mask of labels for which it holds. The attribute of a class
    overrides that of the field.

    Args:
        spec: the field.
        name: of the attribute.
        label: the class of each label.
    """
    others = np.ones(len(label), bool)
    for class_, own in spec.class_attributes.items():
        if defined := [a for a in own if a.name == name]:
            rows = as_mask(pc.equal(label, class_))
            others &= ~rows
            yield defined[0], rows
    yield from ((a, others) for a in spec.attributes if a.name == name)
