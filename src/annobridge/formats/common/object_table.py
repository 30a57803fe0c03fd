"""Labels as a column of objects, the inverse of ``objects``: for each image a list of structs with box, class and other values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, is_rotated, list_lengths, map_distinct
from ...core.geometry import decode_rle
from . import rings
from .export import ExportData, ExportPart
from .objects import BOXES
from .paint import outlines

# Kinds that are objects, and what becomes of those that are neither boxes nor polygons.
OUTLINED = {"mask": "written as polygons along the edges of their pixels",
            "segmentation": "written as polygons along the edges of their pixels",
            "ellipse": "written as polygons", "cuboid": "written as the polygons around them"}  # fmt: skip
BOXED = dict.fromkeys(("polyline", "keypoints", "skeleton"), "written as the boxes around them")
_KINDS = frozenset({"box", "polygon", *OUTLINED, *BOXED})
_OWN = frozenset({*BOXES, "category", "categories", "segmentation", "segmentations", "polygon", "polygons", "score", "scores",
                  "confidence", "confidences", "track_id", "track_ids", "index", "rotation"})  # fmt: skip
_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}
BOX = pa.list_(pa.float64(), 4)
_RINGS = pa.list_(pa.list_(pa.float64()))


@dataclass
class ObjectColumns:
    """Which columns the objects of an export have; every object has all of them."""

    attributes: dict[str, str] = field(default_factory=dict)  # name → type, "" for values of several types
    polygons: bool = False
    score: bool = False
    track: bool = False
    rotation: bool = False

    @classmethod
    def of(cls, data: ExportData, polygons: bool = True) -> ObjectColumns:
        """Look at all labels. Attributes that have the name of another column are left out, with a note."""
        found, types, lost = cls(), dict[str, set[str]](), 0
        for labels in data.label_tables():
            rows = labels.filter(pc.is_in(labels["kind"], pa.array(sorted(_KINDS)))).combine_chunks()
            kinds = set(pc.unique(rows["kind"]).to_pylist())
            found.polygons |= polygons and bool(kinds & {"polygon", *OUTLINED})
            found.score |= rows["confidence"].null_count < rows.num_rows
            found.track |= rows["index"].null_count < rows.num_rows
            found.rotation |= bool(is_rotated(rows["rotation"].filter(pc.equal(rows["kind"], "box"))).any())
            _, flat = attributes.flattened(rows["attributes"])
            pairs = pc.unique(pc.binary_join_element_wise(flat.field("name"), flat.field("type"), "\0")).to_pylist()
            for name, kind in (pair.split("\0") for pair in pairs):
                types.setdefault(name, set()).add(kind)
            lost += sum(1 for name in flat.field("name").to_pylist() if name in _OWN) if types.keys() & _OWN else 0
        found.attributes = {
            name: next(iter(kinds)) if len(kinds) == 1 else ""
            for name, kinds in sorted(types.items())
            if name not in _OWN
        }
        if lost:
            data.notes.append(f"{lost:,} attributes have the name of another column of the objects, and are left out.")
        if texts := sorted(name for name, kind in found.attributes.items() if kind not in _TYPES):
            data.notes.append(f"The attributes {', '.join(map(repr, texts))} are written as JSON text.")
        return found


def object_lists(part: ExportPart, columns: ObjectColumns, classes: Sequence[str] | None) -> pa.ListArray:
    """The objects of each item of a part, a list of structs. With ``classes``, the class is its number, else its name."""
    rows = part.labels.filter(pc.is_in(part.labels["kind"], pa.array(sorted(_KINDS)))).combine_chunks()
    at = rows["item"].to_numpy() - part.first
    counts = np.bincount(at, minlength=part.items.num_rows)
    boxes, shapes = _geometry(rows)
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
    names = list(found)
    structs = pa.StructArray.from_arrays([as_array(found[name]) for name in names], names)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


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
    boxes = np.zeros((count, 4))
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
    polygon = np.array([kind == "polygon" or kind in OUTLINED for kind in kinds], bool)
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
        found[at] = [ring.tolist() for ring in shapes]
    return pa.array(found, points.type)
