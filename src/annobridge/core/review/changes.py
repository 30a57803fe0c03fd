"""``CHANGES``: what a plan would change, a row for each label and component, for people and for checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask, equal, not_null, set_columns
from ..labels import TIME
from ..similarity import REFINED, extents, overlaps, refined, sizes_of
from .decisions import ACCEPT, VERDICTS
from .legal import OF_PUSHES, are_conflicts, choices
from .values import LABEL, SPATIAL, bound_to, side_table, texts

BOX = pa.list_(pa.float64(), 4)
CHANGES = pa.schema(
    [
        pa.field("change_id", pa.string()),  # the same in every plan of the run
        pa.field("task", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("frame_number", pa.int32()),
        pa.field("field", pa.string()),
        pa.field("label_id", pa.string()),
        pa.field("index", pa.int32()),  # the number of the track
        pa.field("shape", pa.string()),  # the kind of label: box, polygon, …
        pa.field("component", pa.string()),  # existence | label | spatial | index | attributes.NAME
        # add | edit | delete; conflicts: add/add | edit/edit | edit/delete | delete/edit
        pa.field("kind", pa.string()),
        pa.field("group", pa.string()),  # a member of GROUPS
        pa.field("label", pa.string()),  # the class: that in the tool, or the last one
        pa.field("class_from", pa.string()),
        pa.field("class_to", pa.string()),
        pa.field("base", pa.string()),  # the value that was sent, as JSON text (see ``values.texts``)
        pa.field("ours", pa.string()),  # that in the dataset
        pa.field("theirs", pa.string()),  # that in the tool
        pa.field("base_box", BOX),  # x, y, width and height of what the shape covers, relative to the image
        pa.field("ours_box", BOX),
        pa.field("theirs_box", BOX),
        pa.field("our_by", pa.string()),
        pa.field("our_at", TIME),
        pa.field("their_by", pa.string()),
        pa.field("their_at", TIME),
        # Of edits of the shape: how much the shapes here and in the tool have in common (0..1), and how far apart their centres are
        pa.field("iou", pa.float64()),
        pa.field("shift", pa.float64()),  # in pixels
        pa.field("proposal", pa.string()),  # what happens if nobody decides: accept | theirs | ours | leave
        pa.field("why", pa.string()),
        pa.field("choices", pa.list_(pa.string())),  # the verdicts that it can get
        pa.field("bound_to", pa.string()),  # what there is to look at, as a hash
    ]
)
CONFLICT, DISPUTE, DELETION = "conflict", "dispute", "deletion"
CLASS_CHANGE, LARGE_MOVE = "class change", "large move"
ATTRIBUTE_CHANGE, ADDITION, SMALL_MOVE = "attribute change", "addition", "small move"
GROUPS = (
    CONFLICT,
    DISPUTE,
    DELETION,
    CLASS_CHANGE,
    LARGE_MOVE,
    ATTRIBUTE_CHANGE,
    ADDITION,
    SMALL_MOVE,
)  # the riskiest first
_LARGE = 0.8  # a move is large if the shapes have less than this in common
_SIDES = ("base", "ours", "theirs")
_WHY = {
    "add": "new in the tool",
    "edit": "changed in the tool only",
    "delete": "deleted in the tool, and not changed here",
    "add/add": "the same label is here with other values",
    "edit/edit": "changed here and in the tool",
    "edit/delete": "deleted here, and edited in the tool",
    "delete/edit": "changed here, and deleted in the tool",
}
_WHY_PUSHED = {
    "add": "new here",
    "edit": "changed here only",
    "delete": "deleted here, and not changed in the tool",
    "add/add": "the same label is in the tool with other values",
    "edit/edit": "changed here and in the tool",
    "edit/delete": "edited here, and deleted in the tool",
    "delete/edit": "deleted here, and changed in the tool",
}


def changes(proposed: pa.Table, samples: pa.Table) -> pa.Table:
    """``CHANGES``, the riskiest first; within a group, by sample and frame.

    Args:
        proposed: ``PROPOSED``.
        samples: sample_id, width and height of the samples, which distances need.
    """
    rows = {name: side_table(proposed[name]) for name in _SIDES}
    last = _first_known(rows["theirs"], rows["ours"], rows["base"])
    sizes = sizes_of(samples, proposed)
    boxes = {name: extents(table, sizes) for name, table in rows.items()}
    moved = equal(proposed["component"], SPATIAL)
    iou, shift = _moves(rows, boxes, sizes, moved)
    class_from, class_to = _first_known(rows["ours"], rows["base"])["label"], rows["theirs"]["label"]
    columns = {name: proposed[name] for name in CHANGES.names if name in proposed.column_names and name not in _SIDES}
    values = {name: texts(proposed[name], proposed["component"]) for name in _SIDES}
    columns |= values | {f"{name}_box": _boxes(found) for name, found in boxes.items()}
    columns |= {name: last[name] for name in ("frame_number", "index", "label")}
    columns |= {
        "shape": last["kind"], "class_from": class_from, "class_to": class_to, "iou": iou, "shift": shift,
        "our_by": rows["ours"]["annotator"], "our_at": rows["ours"]["time"],
        "their_by": rows["theirs"]["annotator"], "their_at": rows["theirs"]["time"],
        "group": _groups(proposed, iou), "why": _why(proposed), "choices": _choices(proposed),
        "bound_to": bound_to(as_array(proposed["kind"]), *values.values()),
    }  # fmt: skip
    return _sorted(pa.table([columns[f.name] for f in CHANGES], schema=CHANGES))


def of_push(proposed: pa.Table, samples: pa.Table) -> pa.Table:
    """``CHANGES`` of a push, whose changes are those of the dataset; as ``changes``."""
    exchanged = set_columns(proposed, ours=proposed["theirs"], theirs=proposed["ours"])
    table = changes(exchanged, samples)
    pairs = (("ours", "theirs"), ("ours_box", "theirs_box"), ("our_by", "their_by"), ("our_at", "their_at"))
    columns = {name: table[other] for a, b in pairs for name, other in ((a, b), (b, a))}
    at = pc.index_in(table["change_id"], value_set=as_array(proposed["change_id"]))
    of_pushes = _choices(proposed, OF_PUSHES).take(at)
    return set_columns(table, **columns, choices=of_pushes, why=_why(proposed, _WHY_PUSHED).take(at))


def _first_known(*tables: pa.Table) -> pa.Table:
    """The rows of the first table that has the label, row by row."""
    size = tables[0].num_rows
    rows = [np.arange(size) + n * size for n in range(len(tables))]
    at = np.select([not_null(table["kind"]) for table in tables], rows, np.arange(size))
    return pa.concat_tables(tables).take(pa.array(at))


def _moves(
    rows: dict[str, pa.Table], boxes: dict[str, np.ndarray], sizes: np.ndarray, moved: Bools
) -> tuple[pa.Array, pa.Array]:
    """How much the shapes here and in the tool have in common, and how far apart their centres are, in pixels: of moved labels."""
    at = np.flatnonzero(moved)
    a, b = boxes["ours"][at], boxes["theirs"][at]
    common = overlaps(a, b)
    ours, theirs = (rows[name].take(pa.array(at)) for name in ("ours", "theirs"))
    same_kind = equal(ours["kind"], as_array(theirs["kind"]))
    finer = as_mask(pc.is_in(ours["kind"], value_set=pa.array(REFINED)))
    for n in np.flatnonzero(same_kind & finer).tolist():
        window = np.concatenate([np.minimum(a[n, :2], b[n, :2]), np.maximum(a[n, 2:], b[n, 2:])])
        common[n] = refined(ours.slice(n, 1).to_pylist()[0], theirs.slice(n, 1).to_pylist()[0], window)
    distance = np.hypot(*(((b[:, :2] + b[:, 2:] - a[:, :2] - a[:, 2:]) / 2 * sizes[at]).T))
    out = []
    for values in (common, distance):
        column = np.full(len(moved), np.nan)
        column[at] = values
        out.append(pa.array(column, mask=np.isnan(column)))
    return out[0], out[1]


def _boxes(ends: np.ndarray) -> pa.FixedSizeListArray:
    """Left, top, right and bottom as x, y, width and height; null where there is no shape."""
    xywh = np.concatenate([ends[:, :2], ends[:, 2:] - ends[:, :2]], axis=1)
    missing = np.isnan(ends).any(axis=1)
    flat = pa.array(np.where(np.isnan(xywh), 0.0, xywh).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, 4, mask=pa.array(missing))


def _groups(proposed: pa.Table, iou: pa.Array) -> pa.Array:
    kind, component = proposed["kind"], proposed["component"]
    small = np.nan_to_num(iou.to_numpy(zero_copy_only=False), nan=0.0) >= _LARGE
    spatial = equal(component, SPATIAL)
    table = [
        (as_mask(are_conflicts(kind)), CONFLICT),
        (not_null(proposed["dispute"]), DISPUTE),
        (equal(kind, "delete"), DELETION),
        (equal(kind, "add"), ADDITION),
        (equal(component, LABEL), CLASS_CHANGE),
        (spatial & small, SMALL_MOVE),
        (spatial, LARGE_MOVE),
    ]
    return pa.array(
        np.select([where for where, _ in table], [name for _, name in table], ATTRIBUTE_CHANGE), pa.string()
    )


def _why(proposed: pa.Table, reasons: Mapping[str, str] = _WHY) -> pa.Array:
    codes = as_array(proposed["kind"]).dictionary_encode()
    why = pa.array([reasons[kind] for kind in codes.dictionary.to_pylist()], pa.string()).take(codes.indices)
    kept = pc.binary_join_element_wise(why, as_array(proposed["proposal"]), "; by default, ")
    why = pc.if_else(pc.equal(as_array(proposed["proposal"]), ACCEPT), why, kept)
    left = pc.binary_join_element_wise(as_array(proposed["dispute"]), "by default, it is left for later", "; ")
    return pc.coalesce(left, why)


def _choices(proposed: pa.Table, among: Collection[str] = VERDICTS) -> pa.Array:
    pairs = pc.binary_join_element_wise(as_array(proposed["kind"]), as_array(proposed["component"]), "\n")
    codes = pairs.dictionary_encode()
    kinds = (pair.partition("\n") for pair in codes.dictionary.to_pylist())
    legal = [choices(kind, component, among) for kind, _, component in kinds]
    return pa.array(legal, pa.list_(pa.string())).take(codes.indices)


def _sorted(table: pa.Table) -> pa.Table:
    risk = pc.index_in(as_array(table["group"]), value_set=pa.array(GROUPS))
    keys = pa.table({"risk": risk, **{n: table[n] for n in ("sample_id", "frame_number", "label_id", "component")}})
    return table.take(pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]))
