"""Match: which label of the dataset is each label of the tool? The key is the tool's own id, which nobody can edit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import ids
from ..arrays import Ints, as_array, equal, not_null
from ..codes import first_with, repeated_codes, row_codes
from ..labels import REMOTE, SINGLE
from ..schema import LabelSchema
from . import findings
from .diff import same_components
from .fields import with_fields


def match(run_id: str, base: pa.Table, theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """``theirs`` (``REMOTE``) with ``label_id`` and ``field`` filled, by three rules, in this order:

    1. A label is known if the baseline has its remote id *on the same sample*: many tools number their labels anew in each
       task or image. Where several labels have one remote id on one sample, each baseline row is paired with one of them,
       an equal one first; the others are copies, and so additions.
    2. In a field of one label per sample, a label that is not known takes over the label that was sent for that sample (or
       frame), if the tool does not have that one any more: it is that label, edited.
    3. Any other label is new. Its id is derived from the run, the remote id and the sample, so that each load derives the
       same one.
    """
    theirs = theirs.select(REMOTE.names)
    if not theirs.num_rows:
        return theirs
    key, base_key = row_codes([theirs, base], ["sample_id", "remote_id"])
    index = first_with(key, base_key)
    copy_names: dict[int, str] = {}  # row of a copy -> the name from which its id is derived
    for their_rows, base_rows in _duplicate_keys(key, base_key):
        index[their_rows], copies = _pair_duplicates(run_id, base, theirs, their_rows, base_rows)
        copy_names |= copies
    known = index >= 0
    at = pa.array(np.maximum(index, 0), mask=~known)
    field = pc.coalesce(as_array(base["field"]).take(at), as_array(theirs["field"]))
    theirs = with_fields(theirs.set_column(theirs.column_names.index("field"), REMOTE.field("field"), field), schema)
    label_id = _take_over_single(as_array(base["label_id"]).take(at), theirs, base, known, schema)
    return theirs.set_column(0, REMOTE.field("label_id"), _with_new_ids(label_id, run_id, theirs, copy_names))


def field_moves(theirs: pa.Table, matched: pa.Table) -> pa.Table:
    """Findings for labels that are in another field in the tool than the one from which they were sent.

    They keep their field: if a move were merged as a deletion and an addition, a label would be lost whose class the other
    field does not have.
    """
    in_tool, sent = as_array(theirs["field"]), as_array(matched["field"])
    moved = not_null(in_tool) & ~equal(in_tool, sent)
    reason = "moved to another field in the tool; a label stays in its field"
    return findings.of(matched, moved, "field", reason, base=matched, theirs=theirs)


def _duplicate_keys(key: Ints, base_key: Ints) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each key that one side has more than once: its rows in ``theirs``, and in the baseline. Such keys are few."""
    duplicates = np.union1d(repeated_codes(key), repeated_codes(base_key))
    pairs = [(np.flatnonzero(key == k), np.flatnonzero(base_key == k)) for k in duplicates.tolist()]
    return [(their_rows, base_rows) for their_rows, base_rows in pairs if their_rows.size]


def _pair_duplicates(
    run_id: str, base: pa.Table, theirs: pa.Table, their_rows: np.ndarray, base_rows: np.ndarray
) -> tuple[np.ndarray, dict[int, str]]:
    """For labels with one remote id on one sample: the baseline row of each (-1: none), and names for the copies.

    Labels that equal a baseline row are paired with it; then the others, in order; those that are left are copies.
    """
    index = np.full(len(their_rows), -1, np.int64)
    unpaired = list(base_rows)
    for i, row in enumerate(their_rows):
        if not unpaired:
            break
        is_equal = same_components(base, theirs, np.array(unpaired, np.int64), np.full(len(unpaired), row))
        if is_equal.any():
            index[i] = unpaired.pop(int(np.flatnonzero(is_equal)[0]))
    for i in np.flatnonzero(index < 0)[: len(unpaired)]:
        index[i] = unpaired.pop(0)
    new = their_rows[index < 0]
    if not len(base_rows):
        new = new[1:]  # the first label with a new remote id is not a copy
    remote_and_sample = [theirs[name][int(their_rows[0])].as_py() for name in ("remote_id", "sample_id")]
    names = [ids.join_parts(*remote_and_sample, str(n)) for n in range(1, len(their_rows) + len(base_rows) + 1)]
    taken = pc.is_in(ids.derive(run_id, names), value_set=as_array(base["label_id"]).take(pa.array(base_rows)))
    free = [name for name, is_taken in zip(names, taken.to_pylist(), strict=True) if not is_taken]
    return index, dict(zip(new.tolist(), free, strict=False))


def _take_over_single(
    label_id: pa.Array, theirs: pa.Table, base: pa.Table, known: np.ndarray, schema: LabelSchema
) -> pa.Array:
    """Give the label that replaces another one, in a field of one label per sample, the id of that one (rule 2)."""
    for spec in schema.fields.values():
        if spec.type not in SINGLE:
            continue
        new = ~known & equal(theirs["field"], spec.name)
        unmatched = base.filter(pc.equal(base["field"], spec.name))
        unmatched = unmatched.filter(pc.invert(pc.is_in(unmatched["label_id"], value_set=label_id.drop_null())))
        if not new.any() or not unmatched.num_rows:
            continue
        at = np.where(new, first_with(*row_codes([theirs, unmatched], ["sample_id", "frame_number"])), -1)
        takes_over = np.zeros(len(at), bool)
        takes_over[np.unique(at, return_index=True)[1]] = True  # the first label of each sample (or frame)
        takes_over &= at >= 0
        label_id = pc.if_else(
            pa.array(takes_over), as_array(unmatched["label_id"]).take(pa.array(np.maximum(at, 0))), label_id
        )
    return label_id


def _with_new_ids(label_id: pa.Array, run_id: str, theirs: pa.Table, copy_names: dict[int, str]) -> pa.Array:
    """Derive ids for the labels that have none (rule 3)."""
    new = np.flatnonzero(~not_null(label_id))
    if not len(new):
        return label_id
    remote, samples = (theirs[name].take(pa.array(new)).to_pylist() for name in ("remote_id", "sample_id"))
    rows = zip(new.tolist(), remote, samples, strict=True)
    names = [copy_names.get(row) or ids.join_parts(remote_id, sample_id) for row, remote_id, sample_id in rows]
    index = np.full(len(label_id), -1, np.int64)
    index[new] = np.arange(len(new))
    return pc.if_else(label_id.is_null(), ids.derive(run_id, names).take(pa.array(index, mask=index < 0)), label_id)
