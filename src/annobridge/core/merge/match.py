"""Match: which label here is each label of the tool? The tool's own id is the key; nothing that people can edit is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import ids
from ..arrays import as_array, equal, not_null
from ..labels import REMOTE, SINGLE
from ..schema import LabelSchema
from . import findings
from .diff import same_components
from .fields import with_fields


def match(run_id: str, base: pa.Table, theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """``theirs`` (``REMOTE``) with ``label_id`` and ``field`` filled.

    A label is known when the baseline has its remote id *on the same sample*. What is not known gets an id derived from
    the run, the remote id and the sample: many tools number their labels anew in each task or image. Of several bearers
    of one remote id on one sample, those that the baseline does not have are copies, and so additions.
    """
    theirs = theirs.select(REMOTE.names)
    if not theirs.num_rows:
        return theirs
    key, base_key = sample_keys(theirs), sample_keys(base)
    index = pc.index_in(key, value_set=base_key).fill_null(-1).to_numpy().copy()
    names: dict[int, str] = {}  # of copies, of which their ids are derived
    for t_rows, b_rows in _duplicate_keys(key, base_key):
        index[t_rows], copies = _pair_duplicates(run_id, base, theirs, t_rows, b_rows)
        names |= copies
    known = index >= 0
    at = pa.array(np.maximum(index, 0), mask=~known)
    field = pc.coalesce(as_array(base["field"]).take(at), as_array(theirs["field"]))
    theirs = with_fields(theirs.set_column(theirs.column_names.index("field"), REMOTE.field("field"), field), schema)
    label_id = _take_over_single(as_array(base["label_id"]).take(at), theirs, base, known, schema)
    return theirs.set_column(0, REMOTE.field("label_id"), _with_new_ids(label_id, run_id, theirs, names))


def field_moves(theirs: pa.Table, matched: pa.Table) -> pa.Table:
    """Findings for labels that lie in another field in the tool than the one they were sent from. They stay where they
    are here: merged as a deletion and an addition, a label whose class the other field does not have would be lost.
    """
    there, here = as_array(theirs["field"]), as_array(matched["field"])
    moved = not_null(there) & ~equal(there, here)
    reason = "moved to another field in the tool; a label stays in its field"
    return findings.of(matched, moved, "field", reason, base=matched, theirs=theirs)


def sample_keys(rows: pa.Table, column: str = "remote_id") -> pa.Array:
    """The sample and one column as one text. The length comes first, as there may be line breaks in ids."""
    sample, other = as_array(rows["sample_id"]), as_array(rows[column].cast(pa.string()))
    length = pc.utf8_length(sample).cast(pa.string())
    return pc.binary_join_element_wise(length, sample, other, "\n", null_handling="replace")


def _duplicate_keys(key: pa.Array, base_key: pa.Array) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows of either side that bear one key, for each key that a side has more than once. They are few."""
    many = set()
    for side in (key, base_key):
        if pc.count_distinct(side).as_py() < len(side):
            many |= {v["values"] for v in pc.value_counts(side).to_pylist() if v["counts"] > 1}
    pairs = [(np.flatnonzero(equal(key, k)), np.flatnonzero(equal(base_key, k))) for k in sorted(many)]
    return [(there, sent) for there, sent in pairs if there.size]


def _pair_duplicates(
    run_id: str, base: pa.Table, theirs: pa.Table, t_rows: np.ndarray, b_rows: np.ndarray
) -> tuple[np.ndarray, dict[int, str]]:
    """Of labels that bear one remote id: the baseline row of each (-1: none), and names for those that are copies.

    Who is as he was, is who he was; the others follow in order, and what is left over is new.
    """
    index = np.full(len(t_rows), -1, np.int64)
    left = list(b_rows)
    for i, row in enumerate(t_rows):
        alike = (
            same_components(base, theirs, np.array(left, np.int64), np.full(len(left), row))
            if left
            else np.zeros(0, bool)
        )
        if alike.any():
            index[i] = left.pop(int(np.flatnonzero(alike)[0]))
    for i in np.flatnonzero(index < 0)[: len(left)]:
        index[i] = left.pop(0)
    new = t_rows[index < 0]
    if not len(b_rows):
        new = new[1:]  # the first of a new remote id is no copy
    bearer = [theirs[name][int(t_rows[0])].as_py() for name in ("remote_id", "sample_id")]
    names = [ids.join_parts(*bearer, str(n)) for n in range(1, len(t_rows) + len(b_rows) + 1)]
    taken = pc.is_in(ids.derive(run_id, names), value_set=as_array(base["label_id"]).take(pa.array(b_rows)))
    free = [name for name, is_taken in zip(names, taken.to_pylist(), strict=True) if not is_taken]
    return index, dict(zip(new.tolist(), free, strict=False))


def _take_over_single(
    label_id: pa.Array, theirs: pa.Table, base: pa.Table, known: np.ndarray, schema: LabelSchema
) -> pa.Array:
    """A field of one label per sample: a label that replaces the one that was sent *is* that label, edited."""
    for spec in schema.fields.values():
        if spec.type not in SINGLE:
            continue
        here = ~known & equal(theirs["field"], spec.name)
        left = base.filter(pc.equal(base["field"], spec.name))
        left = left.filter(pc.invert(pc.is_in(left["label_id"], value_set=label_id.drop_null())))
        if not here.any() or not left.num_rows:
            continue
        place = pc.index_in(sample_keys(theirs, "frame_number"), value_set=sample_keys(left, "frame_number"))
        at = np.where(here, place.fill_null(-1).to_numpy(), -1)
        take = np.zeros(len(at), bool)
        take[np.unique(at, return_index=True)[1]] = True  # the first of each
        take &= at >= 0
        label_id = pc.if_else(pa.array(take), as_array(left["label_id"]).take(pa.array(np.maximum(at, 0))), label_id)
    return label_id


def _with_new_ids(label_id: pa.Array, run_id: str, theirs: pa.Table, copies: dict[int, str]) -> pa.Array:
    new = np.flatnonzero(~not_null(label_id))
    if not len(new):
        return label_id
    remote, samples = (theirs[name].take(pa.array(new)).to_pylist() for name in ("remote_id", "sample_id"))
    rows = zip(new.tolist(), remote, samples, strict=True)
    names = [copies.get(row) or ids.join_parts(remote_id, sample_id) for row, remote_id, sample_id in rows]
    index = np.full(len(label_id), -1, np.int64)
    index[new] = np.arange(len(new))
    return pc.if_else(label_id.is_null(), ids.derive(run_id, names).take(pa.array(index, mask=index < 0)), label_id)
