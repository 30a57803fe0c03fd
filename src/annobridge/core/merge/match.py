"""Match: which label of the dataset is each label of the tool? The key is the tool's own id, which nobody can edit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import ids
from ..arrays import Ints, as_array, equal, not_null, replace_values, take_rows
from ..codes import first_with, repeated_codes, row_codes
from ..labels import REMOTE, SINGLE, TOOL_KEY
from ..lookup import look_up
from ..schema import LabelSchema
from . import findings
from .diff import BASE_ROW, same_components
from .fields import with_fields


def match(run_id: str, base: pa.Table, theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """``theirs`` (``REMOTE``) with ``label_id`` and ``field`` filled, and with ``BASE_ROW``, by three rules, in this order:

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
        return theirs.append_column(BASE_ROW, pa.array([], BASE_ROW.type))
    index, is_unique = look_up(theirs, base, TOOL_KEY)
    copy_names: dict[int, str] = {}  # row of a copy -> the name from which its id is derived
    for their_rows, base_rows in () if is_unique else _duplicate_keys(*row_codes([theirs, base], TOOL_KEY)):
        index[their_rows], copies = _pair_duplicates(run_id, base, theirs, their_rows, base_rows)
        copy_names |= copies
    at = pa.array(np.maximum(index, 0), mask=index < 0)
    field = pc.coalesce(as_array(base["field"]).take(at), as_array(theirs["field"]))
    theirs = with_fields(theirs.set_column(theirs.column_names.index("field"), REMOTE.field("field"), field), schema)
    index = _take_over_single(index, theirs, base, schema)
    copy_names = {row: name for row, name in copy_names.items() if index[row] < 0}
    at = pa.array(np.maximum(index, 0), mask=index < 0)
    label_id = _with_new_ids(as_array(base["label_id"]).take(at), run_id, theirs, copy_names)
    return theirs.set_column(0, REMOTE.field("label_id"), label_id).append_column(BASE_ROW, at)


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
    taken = pc.is_in(
        ids.derive(run_id, pa.array(names)), value_set=as_array(base["label_id"]).take(pa.array(base_rows))
    )
    free = [name for name, is_taken in zip(names, taken.to_pylist(), strict=True) if not is_taken]
    return index, dict(zip(new.tolist(), free, strict=False))


def _take_over_single(index: Ints, theirs: pa.Table, base: pa.Table, schema: LabelSchema) -> Ints:
    """``index`` (the baseline row of each label, -1 for none), where in a field of one label per sample the label that replaces
    another one is that one (rule 2).
    """
    for spec in schema.fields.values():
        if spec.type not in SINGLE:
            continue
        new = (index < 0) & equal(theirs["field"], spec.name)
        unmatched = equal(base["field"], spec.name)
        unmatched[index[index >= 0]] = False
        rows = np.flatnonzero(unmatched)
        if not new.any() or not rows.size:
            continue
        codes, base_codes = row_codes([theirs, base.take(pa.array(rows))], ["sample_id", "frame_number"])
        at = np.where(new, first_with(codes, base_codes), -1)
        first = np.unique(at, return_index=True)[1]  # the first label of each sample (or frame)
        first = first[at[first] >= 0]
        index[first] = rows[at[first]]
    return index


def _with_new_ids(label_id: pa.Array, run_id: str, theirs: pa.Table, copy_names: dict[int, str]) -> pa.Array:
    """Derive ids for the labels that have none (rule 3)."""
    new = np.flatnonzero(~not_null(label_id))
    if not len(new):
        return label_id
    names = ids.join_columns(*map(as_array, take_rows(theirs.select(["remote_id", "sample_id"]), new).columns))
    if copy_names:
        copies = np.searchsorted(new, np.array(list(copy_names), np.int64))
        names = replace_values(names, copies, pa.array(copy_names.values(), pa.string()))
    return replace_values(label_id, new, ids.derive(run_id, names))
