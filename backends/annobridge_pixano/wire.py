"""The tables of a Pixano dataset that matter to us, as Arrow, and the columns that spatial labels become.

Every function here is aligned with the rows of the ``LABELS`` it is given, so that it serves to send labels and, later,
to see which of them still have the form in which they were sent.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import FLOATS, INTS, STRINGS, bools, choose, each, lengths, lists, offsets, one
from .layout import OF_ENTITY, SPATIAL, Layout
from .values import ARROW

_ROW = [("id", pa.string()), ("record_id", pa.string())]
_ANNOTATION = [*_ROW, ("entity_id", pa.string())]
TABLES = {
    "bboxes": pa.schema(
        [
            *_ANNOTATION,
            ("coords", FLOATS),
            ("format", pa.string()),
            ("is_normalized", pa.bool_()),
            ("confidence", pa.float64()),
        ]
    ),
    "masks": pa.schema([*_ANNOTATION, ("size", INTS), ("counts", pa.string())]),
    "multi-paths": pa.schema([*_ANNOTATION, ("coords", FLOATS), ("num_points", INTS), ("is_closed", pa.bool_())]),
    "keypoints": pa.schema([*_ANNOTATION, ("coords", FLOATS), ("states", STRINGS)]),
}
MESSAGES = pa.schema(
    [
        *_ROW,
        ("conversation_id", pa.string()),
        ("number", pa.int64()),
        ("type", pa.string()),
        ("content", pa.string()),
        ("question_type", pa.string()),
        ("choices", STRINGS),
        ("user", pa.string()),
    ]
)
STATES = ("invisible", "hidden", "visible")
TEMPLATES = {"face": 4, "person": 7, "cow": 11}  # the keypoints that Pixano draws, and how many points they have
AUTO = "auto"  # whichever has as many points
UNDRAWN = "annobridge"  # the template of those that it keeps and does not draw
_PARTS = pa.list_(pa.list_(pa.list_(pa.float64(), 2)))

Wire = dict[str, pa.Table]


def schemas(layout: Layout) -> dict[str, pa.Schema]:
    """The tables to read, and the columns of each."""
    entity = [(name, pa.string()) for name in OF_ENTITY if name != "parent_id"]
    out = {
        "records": pa.schema(
            [
                ("id", pa.string()),
                ("split", pa.string()),
                *((c.name, ARROW[c.type]) for c in (*layout.records.values(), *layout.shown.values())),
            ]
        ),
        "entities": pa.schema(entity + [(c.name, ARROW[c.type]) for c in layout.attributes.values()]),
        **TABLES,
    }
    return out | ({"messages": MESSAGES} if layout.messages else {})


def remote_ids(labels: pa.Table, layout: Layout) -> pa.Array:
    """Our ids of the labels in Pixano. Messages get theirs from the server; here each has a stand-in."""
    records, entities = record_of(labels, layout), entity_ids(labels)
    out = pa.nulls(len(labels), pa.string())
    kinds = one(labels["kind"])
    for kind, suffix in SPATIAL.items():
        ids = pc.binary_join_element_wise(entities, suffix, ".")
        out = choose(bools(pc.equal(kinds, kind)), ids, out)
    fields = pc.binary_join_element_wise(records, one(labels["field"]), "/")
    many = [name for name, c in layout.records.items() if c.type == "list"]
    classes = pc.binary_join_element_wise(fields, pc.fill_null(one(labels["label"]), ""), "/")
    out = choose(bools(pc.is_in(kinds, pa.array(["classification", "scalar"]))), fields, out)
    out = choose(bools(pc.is_in(one(labels["field"]), pa.array(many, pa.string()))), classes, out)
    return choose(
        bools(pc.equal(kinds, "message")), pa.array([f"message/{i}" for i in range(len(labels))], pa.string()), out
    )


def entity_ids(labels: pa.Table) -> pa.Array:
    """The entity of each label: its own id, if Pixano can address it."""
    ids = one(labels["label_id"])
    safe = bools(pc.match_substring_regex(ids, r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$"))
    if safe.all():
        return ids
    taken = set(ids.to_pylist())
    others = [f"label.{i}" + "_" * (f"label.{i}" in taken) for i in range(len(ids))]
    return choose(safe, ids, pa.array(others, pa.string()))


def record_of(labels: pa.Table, layout: Layout) -> pa.Array:
    """The record of each label."""
    ours = {sample: record for record, sample in layout.samples.items()}
    samples = one(labels["sample_id"])
    return each(samples, lambda s: ours.get(s, s), pa.string()) if ours else samples


def sample_of(records: pa.Array, layout: Layout) -> pa.Array:
    """The sample of each record."""
    return each(records, lambda r: layout.samples.get(r, r), pa.string()) if layout.samples else records


def boxes(labels: pa.Table, *, clip: bool = True) -> pa.Array:
    """Boxes as ``[x, y, width, height]``. ``clip`` pulls in what is a rounding error outside, as Pixano wants it."""
    found = one(labels["bounding_box"]).cast(FLOATS)
    return _clipped(found) if clip else found


def box_confidence(labels: pa.Table) -> pa.Array:
    """Confidences of boxes; -1 is Pixano's word for none."""
    known = one(labels["confidence"])
    valid = bools(pc.and_(pc.greater_equal(known, 0.0), pc.less_equal(known, 1.0)))
    return choose(valid, known, pa.repeat(pa.scalar(-1.0), len(labels)))


def _clipped(coords: pa.Array) -> pa.Array:
    flat = pc.list_flatten(coords).to_numpy(zero_copy_only=False)
    inside = pa.array(np.clip(flat, 0.0, 1.0))
    return pa.ListArray.from_arrays(offsets(lengths(coords)), inside, mask=pc.is_null(coords))


def paths(labels: pa.Table, *, clip: bool = True) -> tuple[pa.Array, pa.Array]:
    """Points as flat coordinates, and how many there are in each part."""
    points = one(labels["points"])
    parts = pc.list_flatten(points)
    counts = lengths(parts)
    num_points = lists(lengths(points), pa.array(counts, pa.int64()))
    flat = pc.list_flatten(pc.list_flatten(parts)).cast(pa.float64())
    coords = lists(_sums(num_points) * 2, flat)
    return (_clipped(coords) if clip else coords), num_points


def closed(labels: pa.Table) -> pa.Array:
    """Whether paths are closed; polygons always are."""
    return pc.or_(pc.fill_null(one(labels["closed"]), False), pc.equal(one(labels["kind"]), "polygon"))


def points(coords: pa.Array, num_points: pa.Array) -> pa.Array:
    """``paths`` back to points."""
    pairs = pa.FixedSizeListArray.from_arrays(pc.list_flatten(coords), 2)
    parts = lists(pc.list_flatten(num_points).to_numpy(zero_copy_only=False).astype(np.int64), pairs)
    return lists(lengths(num_points), parts).cast(_PARTS)


def keypoints(labels: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Coordinates and states of keypoints; a missing one is invisible, at 0."""
    coords, _ = paths(labels)
    size = lengths(coords)
    xy = pc.list_flatten(coords).to_numpy(zero_copy_only=False)
    missing = np.isnan(xy).reshape(-1, 2).any(axis=1)
    state = np.full(len(missing), 2)
    given = one(labels["visibility"])
    known = np.repeat((lengths(given) == size // 2) & (size > 0), size // 2)
    whole = given.filter(pa.array((lengths(given) == size // 2) & (size > 0)))
    state[known] = np.clip(pc.list_flatten(whole).to_numpy(zero_copy_only=False), 0, 2)
    state[missing] = 0
    xy = np.where(np.repeat(missing, 2), 0.0, xy)
    return lists(size, pa.array(xy)), lists(size // 2, pa.array(np.array(STATES)[state], pa.string()))


def templates(states: pa.Array, template: str) -> pa.Array:
    """The template of each set of keypoints: the one given, or the one that has as many points."""
    if template != AUTO:
        return pa.repeat(pa.scalar(template), len(states))
    by_size = {size: name for name, size in TEMPLATES.items()}
    return pa.array([by_size.get(size, UNDRAWN) for size in lengths(states).tolist()], pa.string())


def keypoints_back(coords: pa.Array, states: pa.Array) -> tuple[pa.Array, pa.Array]:
    """``keypoints`` back to points and visibility."""
    size = lengths(states)
    xy = pc.list_flatten(coords).to_numpy(zero_copy_only=False).copy()
    seen = pc.index_in(pc.list_flatten(states), value_set=pa.array(STATES)).fill_null(2)
    visible = seen.to_numpy(zero_copy_only=False).astype(np.int8)
    missing = (visible == 0) & (xy.reshape(-1, 2) == 0).all(axis=1)
    xy[np.repeat(missing, 2)] = np.nan
    one_part = lists((size > 0).astype(np.int64), pa.array(size[size > 0], pa.int64()))
    return points(lists(size * 2, pa.array(xy)), one_part), lists(size, pa.array(visible))


def _sums(nested: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The sum of each list of integers."""
    flat = pc.list_flatten(nested).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(nested)), lengths(nested))
    return np.bincount(rows, weights=flat, minlength=len(nested)).astype(np.int64)
