"""Labels -> columns of Pixano's tables. Each function returns arrays with a row for each row of the labels that it is given.

They serve to send labels, and again in ``decode``, to see which labels still have the form in which they were sent.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import as_array, as_mask, choose, equal, list_array, list_lengths, map_distinct
from ....core.flat_points import FlatPoints
from . import values
from .layout import SAFE_ID, SPATIAL, Layout
from .tables import AUTO, FLOATS, KEYPOINT_STATES, NOT_DRAWN, TEMPLATES

# --- ids ------------------------------------------------------------------------------------------------------------


def remote_ids(labels: pa.Table, layout: Layout) -> pa.Array:
    """The ids of labels in Pixano: of annotations, ``record/field`` or ``record/field/class``.

    Pixano chooses the ids of messages, so here these are placeholders.
    """
    records, entities = record_ids(labels, layout), entity_ids(labels)
    kinds, fields = as_array(labels["kind"]), as_array(labels["field"])
    found = pa.nulls(len(labels), pa.string())
    for kind, suffix in SPATIAL.items():
        found = choose(equal(kinds, kind), pc.binary_join_element_wise(entities, suffix, "."), found)
    of_field = pc.binary_join_element_wise(records, fields, "/")
    of_class = pc.binary_join_element_wise(of_field, pc.fill_null(as_array(labels["label"]), ""), "/")
    in_lists = [name for name, c in layout.records.items() if c.type == "list"]
    found = choose(as_mask(pc.is_in(kinds, pa.array(["classification", "scalar"]))), of_field, found)
    found = choose(as_mask(pc.is_in(fields, pa.array(in_lists, pa.string()))), of_class, found)
    placeholders = pa.array([f"message/{i}" for i in range(len(labels))], pa.string())
    return choose(equal(kinds, "message"), placeholders, found)


def entity_ids(labels: pa.Table) -> pa.Array:
    """The id of each label's entity: the label's own, where Pixano can address it, else ``label.<row>``."""
    ids = as_array(labels["label_id"])
    safe = as_mask(pc.match_substring_regex(ids, f"^{SAFE_ID.pattern}$"))
    if safe.all():
        return ids
    taken = set(ids.to_pylist())
    others = [f"label.{i}" + "_" * (f"label.{i}" in taken) for i in range(len(ids))]
    return choose(safe, ids, pa.array(others, pa.string()))


def record_ids(rows: pa.Table, layout: Layout) -> pa.Array:
    """The record of each row's ``sample_id``."""
    by_sample = {sample: record for record, sample in layout.samples.items()}
    samples = as_array(rows["sample_id"])
    return map_distinct(samples, lambda s: by_sample.get(s, s), pa.string()) if by_sample else samples


def sample_ids(records: pa.Array, layout: Layout) -> pa.Array:
    """The sample of each record: the inverse of ``record_ids``."""
    return map_distinct(records, lambda r: layout.samples.get(r, r), pa.string()) if layout.samples else records


# --- geometry -------------------------------------------------------------------------------------------------------


def boxes(labels: pa.Table, *, clip: bool = True) -> pa.Array:
    """Bounding boxes, ``[x, y, width, height]``, relative.

    Args:
        labels: rows of ``LABELS``.
        clip: set numbers to the range 0 … 1, which Pixano insists on. For rounding errors only; see ``checks``.
    """
    found = as_array(labels["bounding_box"]).cast(FLOATS)
    return _clipped(found) if clip else found


def box_confidence(labels: pa.Table) -> pa.Array:
    """Confidences of boxes. Where there is none, -1: the only other number that Pixano accepts."""
    known = as_array(labels["confidence"])
    valid = as_mask(pc.and_(pc.greater_equal(known, 0.0), pc.less_equal(known, 1.0)))
    return choose(valid, known, pa.repeat(pa.scalar(-1.0), len(labels)))


def _clipped(coords: pa.Array) -> pa.Array:
    inside = pa.array(np.clip(coords.flatten().to_numpy(zero_copy_only=False), 0.0, 1.0))
    lists = list_array(list_lengths(coords), inside)
    return pa.ListArray.from_arrays(lists.offsets, inside, mask=pc.is_null(coords))


def paths(labels: pa.Table, *, clip: bool = True) -> tuple[pa.Array, pa.Array]:
    """The points of labels: flat coordinates x, y, x, y, … (relative), and the number of points in each part.

    ``clip`` as in ``boxes``.
    """
    flat = FlatPoints.of(labels["points"])
    coords = list_array(2 * flat.counts(), pa.array(flat.xy.ravel()))
    return (_clipped(coords) if clip else coords), list_array(flat.parts, pa.array(flat.part_sizes))


def closed(labels: pa.Table) -> pa.Array:
    """Whether paths are closed; polygons always are."""
    return pc.or_(pc.fill_null(as_array(labels["closed"]), False), pc.equal(as_array(labels["kind"]), "polygon"))


def keypoints(labels: pa.Table) -> tuple[pa.Array, pa.Array]:
    """The coordinates (flat, relative) and states of keypoints. Pixano has no NaN: a missing point is ``invisible`` at 0, 0."""
    coords, _ = paths(labels)
    counts = list_lengths(coords) // 2
    xy = coords.flatten().to_numpy(zero_copy_only=False)
    missing = np.isnan(xy).reshape(-1, 2).any(axis=1)
    given = as_array(labels["visibility"])
    complete = (list_lengths(given) == counts) & (counts > 0)
    state = np.full(len(missing), 2)  # visible, where a label does not say it of every point
    said = given.filter(pa.array(complete)).flatten().to_numpy(zero_copy_only=False)
    state[np.repeat(complete, counts)] = np.clip(said, 0, 2)
    state[missing] = 0
    xy = np.where(np.repeat(missing, 2), 0.0, xy)
    states = pa.array(np.array(KEYPOINT_STATES)[state], pa.string())
    return list_array(2 * counts, pa.array(xy)), list_array(counts, states)


def templates(states: pa.Array, template: str) -> pa.Array:
    """The template of each set of keypoints: the one given, or for ``auto`` the one with the same number of points."""
    if template != AUTO:
        return pa.repeat(pa.scalar(template), len(states))
    by_size = {size: name for name, size in TEMPLATES.items()}
    return pa.array([by_size.get(size, NOT_DRAWN) for size in list_lengths(states).tolist()], pa.string())


# --- labels of whole images -----------------------------------------------------------------------------------------


def record_attributes(labels: pa.Table, layout: Layout) -> dict[str, dict[str, Any]]:
    """The attributes of records that hold classifications and scalars: values by column name, by record id."""
    out: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, column in layout.records.items():
        rows = labels.filter(pc.equal(labels["field"], name)).combine_chunks()
        if column.kinds == ("scalar",):
            found = values.encode(as_array(rows["value"]), column.type)
        else:
            found = pc.fill_null(as_array(rows["label"]), "")
        for record, value in zip(record_ids(rows, layout).to_pylist(), found.to_pylist(), strict=True):
            if column.type == "list":
                out[record].setdefault(column.name, []).append(value)
            else:
                out[record][column.name] = value
    return out
