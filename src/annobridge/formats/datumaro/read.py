"""Reading Datumaro's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ...exceptions import InvalidSource
from ..coco.attributes import lift
from ..coco.masks import checked
from ..coco.records import load
from ..common.archive import Archive
from ..common.items import Items, Shapes
from ..common.json_stream import Chunk, JsonStream
from ..common.report import ReadReport
from ..common.skeletons import POINT_NAMES, point_names
from ..names import with_slashes
from .records import Categories, Item

_ITEMS = msgspec.json.Decoder(list[Item])
_CATEGORIES = msgspec.json.Decoder(Categories)
_VOID = [float("nan"), float("nan")]


def read_file(archive: Archive, name: str, items: Items, report: ReadReport) -> Iterator[pa.Table]:
    """Add the items of a file, and yield their shapes."""
    where = archive.where(name)
    categories = _categories(archive, name, where)
    reader = _Reader(archive, name, categories, items, report)
    with archive.open(name) as stream:
        for key, value in JsonStream(stream, where).members():
            if key == "items" and not isinstance(value, bytes):
                for chunk in value:
                    for item in _decode(chunk, report):
                        reader.add(item)
                        yield from reader.shapes.take_full()
    yield reader.shapes.take()


def _categories(archive: Archive, name: str, where: str) -> Categories:
    """The classes, which mostly come first."""
    with archive.open(name) as stream:
        for key, value in JsonStream(stream, where).members():
            if key == "categories" and isinstance(value, bytes):
                try:
                    return _CATEGORIES.decode(value)
                except msgspec.DecodeError as error:
                    raise InvalidSource(
                        f"The categories of {where} cannot be read ({error}); correct the file."
                    ) from None
    return Categories()


def _decode(chunk: Chunk, report: ReadReport) -> list[Item]:
    try:
        return chunk.decode(_ITEMS)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    found: list[Item] = []
    for number, line, text in chunk.elements():
        record = load(text, chunk.where, line)
        try:
            found.append(msgspec.convert(record, Item))
        except msgspec.ValidationError as error:
            report.skip(f"{chunk.where} item {record.get('id', number)!r}", f"it is not as Datumaro has it: {error}")
    return found


def _is_point_cloud(item: Item) -> bool:
    """Whether an item is one. CVAT writes an empty ``point_cloud`` for every image of an export without images."""
    if isinstance(item.point_cloud, dict) and not item.point_cloud.get("path"):
        return any(annotation.get("type") == "cuboid_3d" for annotation in item.annotations)
    return item.point_cloud is not None


class _Reader:
    """Reads the items of one file."""

    def __init__(self, archive: Archive, name: str, categories: Categories, items: Items, report: ReadReport) -> None:
        self.shapes = Shapes()
        self._archive, self._items, self._report, self._where = archive, items, report, archive.where(name)
        self._labels = [label.name for label in categories.label.labels]
        self._points = {entry.label_id: entry.labels for entry in categories.points.items}
        stem = PurePosixPath(name).stem
        self._subset, self._split = stem, None if stem == "default" else stem
        root = (
            str(PurePosixPath(name).parent.parent)
            if PurePosixPath(name).parent.name == "annotations"
            else str(PurePosixPath(name).parent)
        )
        self._root = "" if root == "." else f"{root}/"

    def add(self, item: Item) -> None:
        """Add an item and its shapes."""
        if _is_point_cloud(item):
            self._report.skip(f"{self._where} item {item.id!r}", "it is a point cloud", max(len(item.annotations), 1))
            return
        medium = item.image or item.media
        path = with_slashes(medium.path) if medium else ""
        name = with_slashes(str(item.id))
        suffix = PurePosixPath(path).suffix
        if suffix and not name.endswith(suffix):
            name += suffix
        height, width = medium.size[:2] if medium and medium.size and len(medium.size) >= 2 else (0, 0)
        frame = item.attr.get("frame")
        number = self._items.add(
            name, self._split, _whole(width), _whole(height),
            frame if isinstance(frame, int) and not isinstance(frame, bool) else None, self._member(path, name),
        )  # fmt: skip
        for annotation in item.annotations:
            place = f"{self._where} item {item.id!r} annotation {annotation.get('id', '?')}"
            try:
                reason = self._add(number, annotation, place)
            except (TypeError, ValueError, KeyError, IndexError, OverflowError):
                reason = "it is not as Datumaro has it"
            if reason:
                self._report.skip(place, reason)

    def _member(self, path: str, name: str) -> str | None:
        tries = [f"{self._root}images/{self._subset}/{p}" for p in (path, name, PurePosixPath(path).name)]
        tries += [f"{self._root}images/{p}" for p in (path, name)]
        return next((place for place in tries if place in self._archive), None)

    def _add(self, item: int, annotation: dict[str, Any], place: str) -> str | None:
        """Add one annotation; returns why it cannot be."""
        kind = annotation["type"]
        found = _SHAPES.get(kind)
        if found is None:
            return f"annotations of the type {kind!r} are not read"
        label_id = annotation.get("label_id")
        if not isinstance(label_id, int) or not 0 <= label_id < len(self._labels):
            return "its label_id is not in the file"
        shape = found(self, annotation, label_id)
        if isinstance(shape, str):
            return shape
        values = dict(annotation.get("attributes") or {})
        if "z_order" in annotation:
            values.setdefault("z_order", annotation["z_order"])
        if annotation.get("group"):
            values.setdefault("group", annotation["group"])
        if "score" in annotation:
            values.setdefault("score", annotation["score"])
        values |= shape.pop("more", {})
        if shape["kind"] == "polyline":
            shape["closed"] = bool(values.pop("closed", False))
        if shape["kind"] == "box" and shape.get("rotation") is not None:
            values.pop("rotation", None)
        shape = {**lift(values, shape["kind"] in ("box", "ellipse")), **shape}
        self.shapes.add(item, shape.pop("kind"), self._labels[label_id], values, place=place, **shape)
        return None

    def _label(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        return {"kind": "classification"}

    def _box(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        return {"kind": "box", "bounding_box": _numbers(annotation["bbox"], 4)}

    def _rotated(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        x, y, width, height, degrees = _numbers(annotation["rotated_bbox"], 5)
        return {"kind": "box", "bounding_box": [x - width / 2, y - height / 2, width, height], "rotation": degrees}

    def _line(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        kind = annotation["type"]
        points = _pairs(annotation["points"])
        if len(points) < (3 if kind == "polygon" else 2):
            return f"its {kind} has too few points"
        return {"kind": kind, "points": [points], "closed": kind == "polygon", "filled": kind == "polygon"}

    def _ellipse(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        left, top, right, bottom = _numbers(annotation["points"], 4)
        return {"kind": "ellipse", "bounding_box": [left, top, right - left, bottom - top]}

    def _mask(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        rle = annotation["rle"]
        found = checked([int(n) for n in rle["size"]], rle["counts"])
        return found if isinstance(found, str) else {"kind": "mask", "mask": found[0], "bounding_box": found[1]}

    def _keypoints(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        points = _pairs(annotation["points"])
        seen = annotation.get("visibility") or [2] * len(points)
        return self._joints("keypoints", points, seen, label_id)

    def _skeleton(self, annotation: dict[str, Any], label_id: int) -> dict[str, Any] | str:
        if "elements" in annotation:
            return self._of_elements(annotation["elements"], label_id)
        flat = _numbers(annotation["points"])
        if len(flat) % 3:
            return "its points are not [x, y, visibility, …]"
        triples = [flat[k : k + 3] for k in range(0, len(flat), 3)]
        return self._joints("skeleton", [t[:2] for t in triples], [t[2] for t in triples], label_id)

    def _of_elements(self, elements: list[dict[str, Any]], label_id: int) -> dict[str, Any] | str:
        """A skeleton whose points are annotations of their own, each with the class of the point."""
        by_name = {self._labels[e["label_id"]]: e for e in elements}
        names = self._points.get(label_id) or list(by_name)
        points, seen = [], []
        for name in names:
            element = by_name.get(name, {})
            points.append(_numbers(element["points"])[:2] if element else _VOID)
            seen.append((element.get("visibility") or [2])[0] if element else 0)
        found = self._joints("skeleton", points, seen, label_id)
        if isinstance(found, dict):
            found["more"] = {POINT_NAMES: names}
        return found

    def _joints(self, kind: str, points: list[list[float]], seen: list[Any], label_id: int) -> dict[str, Any] | str:
        if len(seen) != len(points):
            return "its visibility is not as long as its points"
        visibility = np.clip(np.array(seen, float), 0, 2).astype(int).tolist()
        if not any(visibility):
            return "none of its points is there"
        shown = [p if v else _VOID for p, v in zip(points, visibility, strict=True)]
        names = self._points.get(label_id, [])
        are_names = len(names) == len(points) and tuple(names) != point_names(None, len(names))
        more = {POINT_NAMES: names} if are_names else {}
        return {"kind": kind, "points": [shown], "visibility": visibility, "more": more}


_SHAPES: dict[str, Any] = {
    "label": _Reader._label, "bbox": _Reader._box, "rotated_bbox": _Reader._rotated, "polygon": _Reader._line,
    "polyline": _Reader._line, "ellipse": _Reader._ellipse, "mask": _Reader._mask, "points": _Reader._keypoints,
    "skeleton": _Reader._skeleton,
}  # fmt: skip


def _numbers(values: Any, count: int | None = None) -> list[float]:
    found = [float(v) for v in values]
    if (count is not None and len(found) != count) or not all(map(math.isfinite, found)):
        raise ValueError(json.dumps(values))
    return found


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _pairs(values: Any) -> list[list[float]]:
    flat = _numbers(values)
    if len(flat) % 2:
        raise ValueError(json.dumps(values))
    return [flat[k : k + 2] for k in range(0, len(flat), 2)]
