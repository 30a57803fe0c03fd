"""Labels as annotations: the columns of a part become records, many at once where there can be many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, list_lengths
from ...core.geometry import encode_rle, mask_box, runs
from ..common.export import ExportPart
from ..common.paint import has_holes, pixels
from ..common.skeletons import POINT_NAMES, point_names

DECIMALS = 9  # of pixels: coordinates that were whole numbers are so again
_UNSET = msgspec.UNSET
_PAINTED = ("ellipse", "segmentation", "mask")
INSTANCES, KEYPOINTS, LABELS = "instances", "person_keypoints", "labels"
TASKS = {
    "box": INSTANCES, "polygon": INSTANCES, "mask": INSTANCES, "ellipse": INSTANCES, "segmentation": INSTANCES,
    "keypoints": KEYPOINTS, "skeleton": KEYPOINTS, "classification": LABELS,
}  # fmt: skip


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """An annotation as it is written."""

    id: int | msgspec.UnsetType = _UNSET
    image_id: int | msgspec.UnsetType = _UNSET
    category_id: int | msgspec.UnsetType = _UNSET
    segmentation: Any = _UNSET
    area: float | msgspec.UnsetType = _UNSET
    bbox: Any = _UNSET
    bbox_of: str | msgspec.UnsetType = _UNSET
    iscrowd: int | msgspec.UnsetType = _UNSET
    score: float | msgspec.UnsetType = _UNSET
    attributes: Any = _UNSET
    keypoints: Any = _UNSET
    num_keypoints: int | msgspec.UnsetType = _UNSET


@dataclass(slots=True)
class Shape:
    """What of a label becomes part of an annotation."""

    item: int
    label: str
    record: Record
    group: Any = None


@dataclass(slots=True)
class PartRows:
    """The labels of a part as shapes by their task."""

    part: ExportPart
    categories: Mapping[str, int]
    point_names: dict[str, Sequence[str]] = field(default_factory=dict)

    def shapes(self) -> Iterator[tuple[str, list[Shape]]]:
        """The task, and the shapes of one kind."""
        kinds = as_array(self.part.labels["kind"])
        for kind in sorted(set(kinds.to_pylist()) & set(TASKS)):
            rows = self.part.labels.filter(pc.equal(kinds, kind)).combine_chunks()
            shapes = self._shared(rows, kind)
            {
                "box": self._boxes, "polygon": self._polygons, "keypoints": self._joints, "skeleton": self._skeletons,
                "classification": lambda *_: None,
            }.get(kind, self._masks)(rows, shapes)  # fmt: skip
            yield TASKS[kind], shapes

    def _shared(self, rows: pa.Table, kind: str) -> list[Shape]:
        """Classes, attributes and what else all kinds have."""
        items = rows["item"].to_pylist()
        labels = rows["label"].to_pylist()
        records = [Record(image_id=item + 1, category_id=self.categories[name])
                   for item, name in zip(items, labels, strict=True)]  # fmt: skip
        shapes = [Shape(item, name, record) for item, name, record in zip(items, labels, records, strict=True)]
        if kind != "classification":
            for record in records:
                record.iscrowd = 0
        self._add_attributes(rows, shapes, turns=kind == "box")
        return shapes

    def _add_attributes(self, rows: pa.Table, shapes: list[Shape], *, turns: bool) -> None:
        columns = {name: as_array(rows[name]) for name in ("confidence", "index", "rotation")}
        given = {name: column.to_pylist() for name, column in columns.items() if column.null_count < len(column)}
        for shape, score in zip(shapes, given.get("confidence", ()), strict=False):
            if score is not None:
                shape.record.score = score
        self._put_attributes(as_array(rows["attributes"]), shapes)
        for shape, index in zip(shapes, given.get("index", ()), strict=False):
            if index is not None:
                _attributes_of(shape.record)["track_id"] = index
        for shape, rotation in zip(shapes, given.get("rotation", ()) if turns else (), strict=False):
            if rotation:
                _attributes_of(shape.record)["rotation"] = rotation

    def _put_attributes(self, column: pa.Array, shapes: list[Shape]) -> None:
        """Attributes in their places: a crowd is one of the annotation, the names of points are the category's."""
        if column.null_count == len(column):
            return
        flat = column.flatten()
        owners = np.repeat(np.arange(len(column)), list_lengths(column)).tolist()
        raws: dict[str, msgspec.Raw] = {}
        for at, name, text in zip(owners, *(flat.field(n).to_pylist() for n in ("name", "value")), strict=True):
            shape = shapes[at]
            if name in ("iscrowd", "is_crowd"):
                shape.record.iscrowd = int(bool(json.loads(text)))
            elif name == POINT_NAMES and text.startswith("["):
                self.point_names.setdefault(shape.label, tuple(map(str, json.loads(text))))
            else:
                if (raw := raws.get(text)) is None:
                    raw = raws[text] = msgspec.Raw(text.encode())
                _attributes_of(shape.record)[name] = raw
                if name == "group":
                    shape.group = text

    def _boxes(self, rows: pa.Table, shapes: list[Shape]) -> None:
        boxes = as_array(rows["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        areas = np.round(boxes[:, 2] * boxes[:, 3], 2).tolist()
        for shape, box, area in zip(shapes, np.round(boxes, DECIMALS).tolist(), areas, strict=True):
            record = shape.record
            record.segmentation, record.area, record.bbox = (), area, box

    def _polygons(self, rows: pa.Table, shapes: list[Shape]) -> None:
        points = Points.of(as_array(rows["points"]))
        rings = points.rings()
        counts = points.parts.tolist()
        boxes, areas = points.boxes().tolist(), points.areas().tolist()
        at = 0
        for k, (shape, count) in enumerate(zip(shapes, counts, strict=True)):
            some = rings[at : at + count]
            at += count
            if count > 1 and has_holes([np.reshape(ring, (-1, 2)).tolist() for ring in some]):
                self._mask(shape, self._painted(rows, k, shape.item))
                continue
            shape.record.segmentation, shape.record.bbox, shape.record.area = some, boxes[k], areas[k]

    def _masks(self, rows: pa.Table, shapes: list[Shape]) -> None:
        masks = as_array(rows["mask"]).to_pylist()
        for k, (shape, mask) in enumerate(zip(shapes, masks, strict=True)):
            self._mask(shape, mask if mask is not None else self._painted(rows, k, shape.item))

    def _mask(self, shape: Shape, rle: Mapping[str, Any] | None) -> None:
        if rle is None:
            return
        record = shape.record
        if not (area := float(runs(rle)[1::2].sum())):
            return
        record.segmentation = {"size": rle["size"], "counts": bytes(rle["counts"]).decode("ascii")}
        record.area = area
        record.bbox = np.round(np.array(mask_box(rle)) * np.tile(rle["size"][::-1], 2)).tolist()

    def _painted(self, rows: pa.Table, k: int, item: int) -> Mapping[str, Any] | None:
        size = self.part.items.slice(item - self.part.first, 1).to_pylist()[0]
        found = pixels(rows.slice(k, 1).to_pylist()[0], (size["width"], size["height"]))
        return encode_rle(found) if found is not None and found.any() else None

    def _joints(self, rows: pa.Table, shapes: list[Shape]) -> None:
        points = as_array(rows["points"]).to_pylist()
        seen = as_array(rows["visibility"]).to_pylist()
        for shape, parts, visible in zip(shapes, points, seen, strict=True):
            xy = np.round(np.array(parts[0], float).reshape(-1, 2), DECIMALS)
            v = np.where(np.isnan(xy).any(axis=1), 0, 2 if visible is None else np.array(visible))
            xy = np.where(v[:, None] > 0, xy, 0.0)
            record, there = shape.record, xy[v > 0]
            if not len(there):
                continue
            record.keypoints = [n for (x, y), s in zip(xy.tolist(), v.tolist(), strict=True) for n in (x, y, s)]
            record.num_keypoints = int((v > 0).sum())
            low, high = there.min(axis=0), there.max(axis=0)
            record.segmentation, record.bbox_of = (), "keypoints"
            record.bbox = [*low.tolist(), *np.round(high - low, DECIMALS).tolist()]
            record.area = float(np.prod(high - low))

    def _skeletons(self, rows: pa.Table, shapes: list[Shape]) -> None:
        self._joints(rows, shapes)
        for shape in shapes:
            self.point_names.setdefault(shape.label, point_names(None, len(shape.record.keypoints or ()) // 3))


@dataclass(frozen=True, slots=True)
class Points:
    """The rings of many polygons: how many each has, how many points each ring has, and all points."""

    parts: np.ndarray
    sizes: np.ndarray
    xy: np.ndarray

    @staticmethod
    def of(points: pa.Array) -> Points:
        """The points of a column of ``LABELS``."""
        rings = points.flatten()
        xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
        return Points(list_lengths(points), list_lengths(rings), np.round(xy, DECIMALS))

    def rings(self) -> list[list[float]]:
        """Each ring as COCO has it: x and y in turn."""
        flat = self.xy.ravel().tolist()
        ends = (2 * np.cumsum(self.sizes)).tolist()
        return [flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []

    def boxes(self) -> np.ndarray:
        """The box around each polygon."""
        if not len(self.parts):
            return np.empty((0, 4))
        starts = self._starts()
        low, high = np.minimum.reduceat(self.xy, starts), np.maximum.reduceat(self.xy, starts)
        return np.round(np.hstack([low, high - low]), DECIMALS)

    def areas(self) -> np.ndarray:
        """The area of each polygon: of all its rings."""
        if not len(self.parts):
            return np.empty(0)
        ends = np.cumsum(self.sizes)
        following = np.arange(1, len(self.xy) + 1)
        following[ends - 1] = ends - self.sizes
        x, y = self.xy.T
        cross = x * y[following] - x[following] * y
        of_rings = np.abs(np.add.reduceat(cross, ends - self.sizes)) / 2
        first = np.cumsum(self.parts) - self.parts
        result: np.ndarray = np.round(np.add.reduceat(of_rings, first), 2)
        return result

    def _starts(self) -> np.ndarray:
        of_rings = np.cumsum(self.sizes) - self.sizes
        starts: np.ndarray = of_rings[np.cumsum(self.parts) - self.parts]
        return starts


def _attributes_of(record: Record) -> dict[str, Any]:
    if record.attributes is _UNSET:
        record.attributes = {}
    found: dict[str, Any] = record.attributes
    return found
