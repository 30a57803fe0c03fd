"""Match: which label here is each label of the tool? The tool's own id is the key; nothing that people can edit is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import ids
from .labels import REMOTE, SINGLE
from .schema import LabelSchema


def match(run_id: str, base: pa.Table, theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """``theirs`` (``REMOTE``) with ``label_id`` filled, and ``field`` where the baseline knows it.

    A label is known when the baseline has its remote id *on the same sample*. What is not known gets an id derived from
    the run and the remote id; the second bearer of one remote id is a copy, and so an addition.
    """
    theirs = theirs.select(REMOTE.names)
    if not theirs.num_rows:
        return theirs
    sample, remote = theirs["sample_id"].combine_chunks(), theirs["remote_id"].combine_chunks()
    key = pc.binary_join_element_wise(sample, remote, "\n")
    copies = _repeats(key)
    found = pc.index_in(key, value_set=pc.binary_join_element_wise(base["sample_id"], base["remote_id"], "\n"))
    known = found.is_valid().to_numpy(zero_copy_only=False) & (copies == 0)
    index = pa.array(np.where(known, found.fill_null(0).to_numpy(), 0), mask=~known)
    label_id, field = _taken(base["label_id"], index), _taken(base["field"], index)
    field = pc.coalesce(field, theirs["field"].combine_chunks())
    label_id = _adopt(label_id, field, sample, base, known, schema)
    label_id = _fill(label_id, run_id, base, remote, sample, copies)
    return theirs.set_column(0, REMOTE.field("label_id"), label_id).set_column(
        theirs.column_names.index("field"), REMOTE.field("field"), field
    )


def _taken(column: pa.ChunkedArray, index: pa.Array) -> pa.Array:
    return pa.concat_arrays(column.chunks or [pa.array([], column.type)]).take(index)


def _repeats(key: pa.Array) -> np.ndarray:
    """How many equal keys came before each one."""
    codes = key.dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ranks = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    repeats = np.empty(len(codes), np.int64)
    repeats[order] = ranks
    return repeats


def _adopt(
    label_id: pa.Array, field: pa.Array, sample: pa.Array, base: pa.Table, known: np.ndarray, schema: LabelSchema
) -> pa.Array:
    """A field of one label per sample: a label that replaces the one that was sent *is* that label, edited."""
    for spec in schema.fields.values():
        if spec.type not in SINGLE:
            continue
        here = ~known & pc.fill_null(pc.equal(field, spec.name), False).to_numpy(zero_copy_only=False)
        left = base.filter(pc.equal(base["field"], spec.name)).select(["sample_id", "label_id"]).combine_chunks()
        left = left.filter(pc.invert(pc.is_in(left["label_id"], value_set=label_id.drop_null())))
        if not here.any() or not left.num_rows:
            continue
        place = pc.index_in(sample, value_set=left["sample_id"].combine_chunks())
        first = _repeats(pa.array(np.where(here, place.fill_null(-1).to_numpy(), -1))) == 0
        take = here & first & place.is_valid().to_numpy(zero_copy_only=False)
        adopted = _taken(left["label_id"], pa.array(place.fill_null(0)))
        label_id = pc.if_else(pa.array(take), adopted, label_id)
    return label_id


def _fill(
    label_id: pa.Array, run_id: str, base: pa.Table, remote: pa.Array, sample: pa.Array, copies: np.ndarray
) -> pa.Array:
    new = np.flatnonzero(label_id.is_null().to_numpy(zero_copy_only=False))
    if not len(new):
        return label_id
    names = remote.take(pa.array(new)).to_pylist()
    again = copies[new] > 0
    moved = pc.is_in(remote.take(pa.array(new)), value_set=base["remote_id"]).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(again | moved):  # few: copies, and labels that went to another image
        place = int(new[i])
        names[i] = f"{names[i]}\n{sample[place].as_py()}" + (f"\n{copies[place]}" if again[i] else "")
    index = np.full(len(label_id), -1, np.int64)
    index[new] = np.arange(len(new))
    return pc.if_else(label_id.is_null(), ids.derive(run_id, names).take(pa.array(index, mask=index < 0)), label_id)
