"""Read one XML file of CVAT: its images with their shapes and tags, and its tracks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa

from ..common.archive import Archive
from ..common.boxed_masks import from_rows
from ..common.items import Items
from ..common.report import ReadReport
from ..common.skeletons import POINT_NAMES, point_names, points_attribute
from ..common.xml import Element, elements
from .fill_tracks import Fill, is_outside
from .frame_files import FrameFiles
from .meta import Meta, Task, read_meta, subset_of, typed
from .rows import NOT_NUMBERS, Kind, Rows

CUBOID = tuple(f"{axis}{corner}{face}" for face in (1, 2) for corner in ("tl", "bl", "tr", "br") for axis in "xy")
_GEOMETRY = {
    "box": ("box", ("xtl", "ytl", "xbr", "ybr")),
    "ellipse": ("ellipse", ("cx", "cy", "rx", "ry")),
    "polygon": ("polygon", ("points",)),
    "polyline": ("polyline", ("points",)),
    "points": ("keypoints", ("points",)),
    "cuboid": ("cuboid", CUBOID),
}
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "trainval", "dev"})
_MOST = 2**31 - 2
_INTEGER = re.compile(r"\s*-?\d{1,10}\s*")
_FRAME_NAME = re.compile(r"frame_(\d{6,9})(\.\w+)?")
_SCORES = ("score", "confidence")
Size: TypeAlias = tuple[int, int] | None


class FileReader:
    """One file. ``stem`` is its name without suffix, and ``images`` are those of the archive, in order. ``fill`` interpolates."""

    def __init__(
        self, archive: Archive, name: str, items: Items, report: ReadReport, stem: str, images: Sequence[str] = (),
        fill: Fill | None = None,
    ) -> None:  # fmt: skip
        self._archive, self._name, self._items, self._report, self._stem = archive, name, items, report, stem
        self._meta = Meta()
        self._files = FrameFiles(images, stem)
        self._fill = fill
        self._rows = Rows(archive.where(name), report)
        self._frames: dict[tuple[str | None, str | None, int], tuple[int, Size]] = {}  # task, split, frame → item

    def read(self) -> Iterator[pa.Table]:
        """Add the items, and yield the shapes."""
        for element in elements(self._archive, self._name, ("meta", "image", "track"), self._unknown):
            if element.tag == "image":
                self._image(element)
            elif element.tag == "track":
                self._track(element)
            else:
                self._meta = read_meta(element)
                self._rows.classes = {name for parent, name in self._meta.types if parent is None}
            if self._rows.is_full:
                yield from self._rows.take()
        yield from self._rows.take()

    def _unknown(self, element: Element) -> None:
        if element.tag not in ("version", "meta"):
            self._skip(element, f"the element <{str(element.tag)[:40]}> is not known")

    def _skip(self, element: Element, reason: str, count: int = 1) -> None:
        self._report.skip(self._rows.place(element.sourceline), reason, count)

    def _split(self, subset: str | None, task: Task) -> str | None:
        given = subset or task.subset
        if (split := subset_of(given)) is not None or self._stem.lower() in _SPLITS:
            return split or self._stem
        return self._stem if given is None and self._stem == self._meta.name else None

    def _image(self, image: Element) -> None:
        name = image.get("name")
        if not name:
            self._skip(image, "its image has no name", max(len(image), 1))
            return
        width, height = _size(image.get("width")), _size(image.get("height"))
        size = (width, height) if width and height else None
        task = self._meta.task(image.get("task_id"))
        split = self._split(image.get("subset"), task)
        frame = _FRAME_NAME.fullmatch(name)  # of a video; other images are known by their names alone, not by their ids
        number = int(frame[1]) - task.shift if frame else None
        item = self._items.add(name, split, width, height, number, video=task.video if frame else None)
        if task.has_tracks and (at := _integer(image.get("id"))) is not None:
            self._frames[task.id, split, at] = item, size
        boxes = self._rows.kind("box")
        add = boxes.add
        for shape in image:
            get = shape.get
            if shape.tag == "box" and (label := get("label")):  # nearly all shapes are boxes
                add((
                    item, shape.sourceline, label, get("occluded"), get("z_order"), get("group_id"), get("source"), None, None,
                    get("rotation"), get("xtl"), get("ytl"), get("xbr"), get("ybr"),
                ))  # fmt: skip
                if len(shape):
                    self._attributes(boxes, shape, (None, label))
            else:
                self._shape(shape, item, size, get("label"), get("group_id"), get("source"), None, None)

    def _track(self, track: Element) -> None:
        label, task = track.get("label"), self._meta.task(track.get("task_id"))
        split = self._split(track.get("subset"), task)
        index, group, source = _integer(track.get("id")), track.get("group_id"), track.get("source")
        if index is not None and not 0 <= index <= _MOST:
            index = None
        shared = [child for child in track if child.tag == "attribute"]
        shapes: Iterable[Element] = (shape for shape in track if shape.tag != "attribute")
        if self._fill is not None:
            shapes = self._fill.filled(list(shapes), task, self._rows.place(track.sourceline))
        for shape in shapes:
            if is_outside(shape):
                continue
            frame = _integer(shape.get("frame"))
            if frame is None or not 0 <= frame - task.shift <= _MOST:
                self._skip(shape, "its frame is no number of a frame")
                continue
            for attribute in shared:
                shape.append(attribute.__copy__())
            item, size = self._frame(frame, split, task)
            self._shape(shape, item, size, label, group, source, index, shape.get("keyframe") == "1")

    def _frame(self, frame: int, split: str | None, task: Task) -> tuple[int, Size]:
        key = (task.id, split, frame)
        if key not in self._frames:
            width, height = task.size or (None, None)
            at = frame - task.shift
            item = self._items.add(
                f"frame_{frame:06d}", split, width, height, at, self._files.find(task, at),
                task.video or f"{self._stem}.mp4", task.frames if task.video else None,
            )  # fmt: skip
            self._frames[key] = item, task.size
        return self._frames[key]

    def _shape(
        self, shape: Element, item: int, size: tuple[int, int] | None, label: str | None, group: str | None,
        source: str | None, index: int | None, keyframe: bool | None,
    ) -> None:  # fmt: skip
        get = shape.get
        if not label:
            self._skip(shape, "it has no class")
            return
        common = (
            item,
            shape.sourceline,
            label,
            get("occluded"),
            get("z_order"),
            group,
            source,
            index,
            keyframe,
            get("rotation"),
        )
        if shape.tag in _GEOMETRY:
            name, texts = _GEOMETRY[shape.tag]
            kind = self._rows.kind(name)
            kind.add((*common, *map(get, texts)))
        elif shape.tag == "tag":
            kind = self._rows.kind("classification")
            kind.add(common)
        elif shape.tag == "mask":
            kind = self._rows.kind("mask")
            mask = _mask(shape, size)
            if isinstance(mask, str):
                self._skip(shape, mask)
                return
            kind.add((*common, mask))
        elif shape.tag == "skeleton":
            kind = self._rows.kind("skeleton")
            if not self._skeleton(kind, shape, common, label):
                return
        else:
            self._skip(shape, f"the element <{str(shape.tag)[:40]}> is not known")
            return
        if len(shape):
            self._attributes(kind, shape, (None, label))

    def _skeleton(self, kind: Kind, shape: Element, common: tuple[object, ...], label: str) -> bool:
        """Add a skeleton with its points in the order of the file's labels; whether it could be read."""
        found = {child.get("label") or "": child for child in shape if child.tag == "points"}
        for child in shape:
            if child.tag not in ("points", "attribute"):
                self._skip(child, f"<{str(child.tag)[:40]}> as a part of a skeleton is not supported")
        names = list(self._meta.points.get(label) or ()) or list(found)
        names += [name for name in found if name not in names]
        if not found:
            self._skip(shape, "it has no points")
            return False
        points, visibility = [], []
        for name in names:
            point, seen = _point(found.get(name))
            if point is None:
                self._skip(shape, NOT_NUMBERS)
                return False
            points.append(point)
            visibility.append(seen)
        row = kind.count
        kind.add((*common, points, visibility))
        if tuple(names) != point_names(None, len(names)):  # numbers say nothing
            kind.attributes.add(row, POINT_NAMES, points_attribute(names))
        for name, child in found.items():
            if len(child):
                self._attributes(kind, child, (label, name), f"{name}.")
        return True

    def _attributes(self, kind: Kind, shape: Element, key: tuple[str | None, str], prefix: str = "") -> None:
        """Add the attributes of the last row."""
        row = kind.count - 1
        types = self._meta.types.get(key, {})
        for child in shape:
            if child.tag == "attribute" and (name := child.get("name")):
                made = typed(types.get(name), name, child.text or "")
                if name in _SCORES and made[0] in ("int", "float") and 0 <= float(made[1]) <= 1:
                    kind.confidences[row] = float(made[1])
                else:
                    kind.attributes.add(row, prefix + name, made)


def _mask(shape: Element, size: tuple[int, int] | None) -> dict[str, object] | str:
    """The RLE of a ``mask`` element, or what is wrong with it."""
    box = [_integer(shape.get(name)) for name in ("left", "top", "width", "height")]
    if size is None:
        return "the size of its image is not known"
    if None in box:
        return NOT_NUMBERS
    left, top, width, height = (number or 0 for number in box)
    made = from_rows(shape.get("rle") or "", left, top, width, height, size)
    return made if isinstance(made, str) else dict(made)


def _point(element: Element | None) -> tuple[list[float] | None, int]:
    """A point of a skeleton, and its visibility; NaN for one that is missing, ``None`` for one that is no point."""
    if element is None or element.get("outside") == "1":
        return [math.nan, math.nan], 0
    try:
        x, y = map(float, (element.get("points") or "").split(";")[0].split(","))
    except ValueError:
        return None, 0
    if not (math.isfinite(x) and math.isfinite(y)):
        return None, 0
    return [x, y], 1 if element.get("occluded") == "1" else 2


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None


def _size(text: str | None) -> int | None:
    number = _integer(text)
    return number if number is not None and 0 < number <= _MOST else None
