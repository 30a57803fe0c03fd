"""Labels as a column of objects, the inverse of ``objects``: for each image a list of structs with box, class and other values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, is_rotated, list_lengths, map_distinct
from ...core.geometry import decode_rle
from . import rings
from .export import ExportData, ExportPart
from .fidelity import KEPT, NOTHING, Fidelity
from .objects import BOXES
from .paint import outlines

# Kinds that are objects, and what becomes of those that are neither boxes nor polygons.
OUTLINED = {"mask": "written as polygons along the edges of their pixels",
            "segmentation": "written as polygons along the edges of their pixels",
            "ellipse": "written as polygons", "cuboid": "written as the polygons around them"}  # fmt: skip
BOXED = dict.fromkeys(("polyline", "keypoints", "skeleton"), "written as the boxes around them")
OF_OBJECTS = {
    name: frozenset({"box", "polygon"}) for name in ("attributes", "confidence", "tracks")
}  # what classes lack
FIDELITY = Fidelity(  # of formats that hold all that these columns do
    kinds={"box": KEPT, "polygon": KEPT, "classification": KEPT, **OUTLINED, **BOXED},
    attributes=None, rotation=True, confidence=True, tracks=True, holes=True, parts=True, splits=True, only=OF_OBJECTS,
)  # fmt: skip
_KINDS = frozenset({"box", "polygon", *OUTLINED, *BOXED})
_OWN = frozenset({*BOXES, "category", "categories", "segmentation", "segmentations", "polygon", "polygons", "score", "scores",
                  "confidence", "confidences", "track_id", "track_ids", "index", "rotation", "attributes"})  # fmt: skip
_LONGEST = 18  # digits of a whole number in a column
_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}
BOX = pa.list_(pa.float64(), 4)
_RINGS = pa.list_(pa.list_(pa.float64()))


@dataclass
class ObjectColumns:
    """Which columns the objects of an export have; every object has all of them."""

    attributes: dict[str, str] = field(default_factory=dict)  # name → type
    others: bool = False  # whether there are attributes that no column holds, which are JSON in a column ``attributes``
    polygons: bool = False
    score: bool = False
    track: bool = False
    rotation: bool = False

    @classmethod
    def of(cls, data: ExportData, polygons: bool = True) -> ObjectColumns:
        """Look at all labels. Attributes of several types, of lists, and with the name of another column have no column."""
        found, types, large = cls(), dict[str, set[str]](), set[str]()
        for labels in data.label_tables():
            rows = labels.filter(pc.is_in(labels["kind"], pa.array(sorted(_KINDS)))).combine_chunks()
            kinds = set(pc.unique(rows["kind"]).to_pylist())
            found.polygons |= polygons and bool(kinds & {"polygon", *OUTLINED})
            found.score |= rows["confidence"].null_count < rows.num_rows
            found.track |= rows["index"].null_count < rows.num_rows
            found.rotation |= bool(is_rotated(rows["rotation"].filter(pc.equal(rows["kind"], "box"))).any())
            _, flat = attributes.flattened(rows["attributes"])
            is_long = pc.greater(pc.binary_length(flat.field("value")), _LONGEST)
            is_large = pc.and_(pc.equal(flat.field("type"), "int"), is_long)
            large.update(flat.filter(is_large).field("name").to_pylist())
            pairs = pc.unique(pc.binary_join_element_wise(flat.field("name"), flat.field("type"), "\0")).to_pylist()
            for name, kind in (pair.split("\0") for pair in pairs):
                types.setdefault(name, set()).add(kind)
        found.attributes = {
            name: next(iter(kinds)) for name, kinds in sorted(types.items())
            if len(kinds) == 1 and kinds <= _TYPES.keys() and name not in _OWN and name not in large
        }  # fmt: skip
        if others := sorted(types.keys() - found.attributes.keys()):
            found.others = True
            data.notes.append(
                f"The attributes {', '.join(map(repr, others))} are JSON text in the column 'attributes', as they have values of "
                "several types, or lists, or the name of another column."
            )
        return found


def object_lists(
    data: ExportData, part: ExportPart, columns: ObjectColumns, classes: Sequence[str] | None
) -> pa.ListArray:
    """The objects of each item of a part, a list of structs. With ``classes``, the class is its number, else its name."""
    rows = part.labels.filter(pc.is_in(part.labels["kind"], pa.array(sorted(_KINDS)))).combine_chunks()
    boxes, shapes = _geometry(rows)
    good = np.isfinite(boxes).all(axis=1) & ((boxes[:, 2:] > 0).all(axis=1) | as_mask(shapes.is_valid()))
    if not good.all():
        data.lose(NOTHING, int((~good).sum()))
        rows, boxes = rows.filter(pa.array(good)).combine_chunks(), boxes[good]
        shapes = shapes.filter(pa.array(good))
    at = rows["item"].to_numpy() - part.first
    counts = np.bincount(at, minlength=part.items.num_rows)
    label = as_array(rows["label"])
    if classes is not None:
        label = pc.index_in(label, pa.array(list(classes), pa.string())).cast(pa.int64())
    found = {"bbox": pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel()), 4), "category": label}
    if columns.polygons:
        found["segmentation"] = shapes
    if columns.score:
        found["score"] = as_array(rows["confidence"])
    if columns.track:
        found["track_id"] = as_array(rows["index"]).cast(pa.int64())
    if columns.rotation:
        found["rotation"] = pc.if_else(pc.equal(rows["kind"], "box"), as_array(rows["rotation"]), None)
    for name, kind in columns.attributes.items():
        found[name] = _attribute(attributes.values(rows["attributes"], name), kind)
    if columns.others:
        found["attributes"] = _other_attributes(rows["attributes"], columns.attributes)
    names = list(found)
    structs = pa.StructArray.from_arrays([as_array(found[name]) for name in names], names)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _other_attributes(given: pa.ChunkedArray, own: Mapping[str, str]) -> pa.Array:
    """The attributes without a column, as the text of a JSON object; null where there are none."""
    texts = []
    for entries in given.to_pylist():
        left = [f"{json.dumps(e['name'])}: {e['value']}" for e in entries or () if e["name"] not in own]
        texts.append(f"{{{', '.join(left)}}}" if left else None)
    return pa.array(texts, pa.string())


def _attribute(texts: pa.Array, kind: str) -> pa.Array:
    """The values of an attribute, given as JSON texts, in a column of its type."""
    if kind == "bool":
        return pc.equal(texts, "true")
    if kind in ("int", "float"):
        return map_distinct(texts, json.loads, _TYPES[kind])
    return map_distinct(texts, json.loads, pa.string()) if kind == "str" else texts


def _geometry(rows: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """The box of each label, and its rings as lists of x and y; null for those that are no polygons."""
    count, kinds = rows.num_rows, rows["kind"].to_pylist()
    boxes = np.full((count, 4), np.nan)
    given = as_array(rows["bounding_box"])
    valid = as_mask(given.is_valid())
    boxes[valid] = given.take(pa.array(np.flatnonzero(valid))).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    points = as_array(rows["points"])
    if any(kind in OUTLINED for kind in kinds):
        points = _outlined(rows, points)
    lengths, inner = list_lengths(points), points.flatten()
    xy = inner.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    owner = np.repeat(np.repeat(np.arange(count), lengths), list_lengths(inner))
    known = np.isfinite(xy).all(axis=1)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, owner[known], xy[known])
    np.maximum.at(high, owner[known], xy[known])
    has = np.isfinite(low).all(axis=1)
    boxes[has] = np.hstack([low, high - low])[has]
    boxes[~has & np.array([kind != "box" for kind in kinds], bool)] = np.nan
    polygon = has & np.array([kind == "polygon" or kind in OUTLINED for kind in kinds], bool)
    flat = pa.array(xy.ravel())
    sizes = list_lengths(inner) * 2
    ring = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)), flat)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), ring, mask=pa.array(~polygon))
    return boxes, lists.cast(_RINGS)


def _outlined(rows: pa.Table, points: pa.Array) -> pa.Array:
    found = points.to_pylist()
    for at, row in enumerate(rows.select(["kind", "points", "bounding_box", "rotation", "mask"]).to_pylist()):
        if row["kind"] not in OUTLINED:
            continue
        shapes = outlines(row) if row["mask"] is None else rings.outlines(decode_rle(row["mask"]))
        found[at] = [ring.tolist() for ring in shapes] or None
    return pa.array(found, points.type)
