"""VGG Image Annotator (VIA 1 and 2): projects and exports of annotations, as JSON or CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
from pydantic import Field

from ..exceptions import InvalidSource
from .common import csv_rows
from .common.archive import Archive
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes, frame_of
from .common.json_stream import JsonStream
from .common.report import ReadReport
from .names import with_slashes

_HEAD = 1 << 16  # bytes by which a file is recognised
_PROJECT = "_via_img_metadata"
_CLASS_KEYS = ("class", "label", "name", "category", "type", "object", "class_name", "object_name")
_COLUMNS = ("filename", "file_attributes", "region_shape_attributes", "region_attributes")
_MOST = 256 << 20  # bytes of a file


class ViaReadOptions(ReadOptions):
    """The options of reading VIA."""

    class_key: str | None = Field(
        None,
        description="the region attribute that is the class; by default one called class, label, name, …, or the only one",
    )


class ViaFormat(FileFormat):
    """Regions of images. They are read only."""

    name: ClassVar[str] = "via"
    title: ClassVar[str] = "VGG Image Annotator (VIA)"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds=dict.fromkeys(("box", "polygon", "polyline", "ellipse", "keypoints"), KEPT), attributes=None, rotation=True,
        notes=("Attributes of files are not read.",),
    )  # fmt: skip
    reading: ClassVar[type[ReadOptions]] = ViaReadOptions
    writing: ClassVar[type[WriteOptions] | None] = None

    def detect(self, archive: Archive) -> str | None:
        """JSON or CSV of images with regions."""
        name = next(iter(_files(archive)), None)
        return f"{name} has images with regions" if name else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each region of each file."""
        assert isinstance(options, ViaReadOptions)  # noqa: S101 - the options of this format
        files = _files(archive)
        if not files:
            raise InvalidSource(f"{str(archive.path)!r} has no JSON or CSV of VIA; choose another format.")
        shapes = Shapes()
        for name in files:
            known: dict[str, int] = {}
            entries = _rows(archive, name, report) if name.lower().endswith(".csv") else _images(archive, name, report)
            for place, image, shape, attributes in entries:
                if image not in known:
                    folder, slash, _ = name.rpartition("/")
                    beside = f"{folder}{slash}{image}"
                    file = beside if beside in archive else None
                    known[image] = items.add(image, None, frame=frame_of(image), file=file)
                if shape is not None:
                    _add(shapes, known[image], shape, attributes, place, options.class_key, report)
            yield from shapes.take_full()
        yield shapes.take()


Entry = tuple[str, str, Any, Any]  # place, image, shape (None: an image without one), attributes


def _files(archive: Archive) -> list[str]:
    found = []
    for name in archive.by_suffix.get(".json", ()):
        was_read = name in archive.opened
        with archive.open(name) as stream:
            head = stream.read(_HEAD)
        if not was_read:
            archive.opened.discard(name)
        if b'"filename"' in head and b'"regions"' in head and (b'"shape_attributes"' in head or b'"_via_' in head):
            found.append(name)
    for name in archive.by_suffix.get(".csv", ()):
        columns = [column.lstrip("#") for column in csv_rows.header(archive, name)[0]]
        if set(_COLUMNS) <= set(columns):
            found.append(name)
    return found


def _images(archive: Archive, name: str, report: ReadReport) -> Iterator[Entry]:
    """The regions in JSON: a project, or an export of its images."""
    where = archive.where(name)
    if archive.size(name) > _MOST:
        raise InvalidSource(f"{where} has more than {_MOST >> 20} MiB; export the annotations in parts.")
    with archive.open(name) as stream:
        for key, value in JsonStream(stream, where).members():
            try:
                found = msgspec.json.decode(value) if isinstance(value, bytes) else None
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                raise InvalidSource(f"{where} is not JSON at {key[:60]!r} ({error}); export it again.") from None
            if key == _PROJECT and isinstance(found, dict):
                for inner, entry in found.items():
                    yield from _regions(where, inner, entry, report)
            elif not key.startswith("_via_"):
                yield from _regions(where, key, found, report)


def _regions(where: str, key: str, entry: Any, report: ReadReport) -> Iterator[Entry]:
    place = f"{where} image {key[:120]!r}"
    name = entry.get("filename") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        report.skip(place, "it has no filename")
        return
    name = with_slashes(name)
    yield place, name, None, None
    regions = entry.get("regions") or []
    if isinstance(regions, dict):  # VIA 1 has numbers as keys
        regions = list(regions.values())
    if not isinstance(regions, list):
        report.skip(place, "its regions are no list")
        return
    for number, region in enumerate(regions):
        given = region if isinstance(region, dict) else {}
        yield f"{place} region {number}", name, given.get("shape_attributes") or {}, given.get("region_attributes")


def _rows(archive: Archive, name: str, report: ReadReport) -> Iterator[Entry]:
    """The regions in CSV, whose first column may begin with "#"."""
    columns = csv_rows.header(archive, name)[0]
    actual = {column.lstrip("#"): column for column in columns}
    for places, texts in csv_rows.batches(archive, name, [actual[column] for column in _COLUMNS], report):
        rows = zip(places.to_pylist(), *(texts[actual[column]].to_pylist() for column in _COLUMNS), strict=True)
        for place, image, _, shape, attributes in rows:
            if not image:
                report.skip(place, "it has no filename")
                continue
            try:
                given, more = json.loads(shape or "{}"), json.loads(attributes or "{}")
            except (ValueError, RecursionError):
                report.skip(place, "its attributes are not JSON")
                continue
            yield place, with_slashes(image), given or None, more


def _add(
    shapes: Shapes, item: int, shape: Any, attributes: Any, place: str, class_key: str | None, report: ReadReport
) -> None:
    kind = shape.get("name") if isinstance(shape, dict) else None
    made = _MADE.get(kind) if isinstance(kind, str) else None
    if made is None:
        report.skip(place, "its shape is none of rect, circle, ellipse, polygon, polyline and point")
        return
    try:
        values = made(shape)
    except (KeyError, TypeError, ValueError, OverflowError):
        report.skip(place, "the numbers of its shape are not all there")
        return
    given = attributes if isinstance(attributes, dict) else {}
    label, rest = _labelled({str(key): _plain(value) for key, value in given.items()}, class_key)
    shapes.add(item, values.pop("kind"), label, rest, place=place, **values)


def _plain(value: Any) -> Any:
    """The value of an attribute; of check boxes, the names of those that are checked, or the only one."""
    if isinstance(value, dict) and all(isinstance(on, bool) for on in value.values()):
        names = [name for name, on in value.items() if on]
        return names[0] if len(names) == 1 else names
    return value


def _labelled(given: dict[str, Any], class_key: str | None) -> tuple[str | None, dict[str, Any]]:
    """The class, and the other attributes."""
    by_name = {key.strip().lower(): key for key in reversed(given)}
    key = class_key or next((by_name[name] for name in _CLASS_KEYS if name in by_name), None)
    if key is None and len(given) == 1:
        key = next(iter(given))
    label = given.get(key) if key is not None else None
    if not isinstance(label, str | int | float) or isinstance(label, bool) or not str(label).strip():
        return None, {name: value for name, value in given.items() if value not in (None, "", [])}
    return str(label), {name: value for name, value in given.items() if name != key and value not in (None, "", [])}


def _numbers(shape: dict[str, Any], *names: str) -> list[float]:
    found = [shape[name] for name in names]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in found):
        raise TypeError
    numbers = [float(value) for value in found]
    if not all(map(math.isfinite, numbers)):
        raise ValueError
    return numbers


def _rect(shape: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "box", "bounding_box": _numbers(shape, "x", "y", "width", "height")}


def _circle(shape: dict[str, Any]) -> dict[str, Any]:
    x, y, radius = _numbers(shape, "cx", "cy", "r")
    return {"kind": "ellipse", "bounding_box": [x - radius, y - radius, 2 * radius, 2 * radius]}


def _ellipse(shape: dict[str, Any]) -> dict[str, Any]:
    x, y, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
    degrees = math.degrees(_numbers(shape, "theta")[0]) if "theta" in shape else 0.0
    return {"kind": "ellipse", "bounding_box": [x - rx, y - ry, 2 * rx, 2 * ry], "rotation": degrees or None}


def _line(shape: dict[str, Any]) -> dict[str, Any]:
    xs, ys = ([float(value) for value in shape[f"all_points_{axis}"]] for axis in "xy")
    points = [list(point) for point in zip(xs, ys, strict=True)]
    is_polygon = shape["name"] == "polygon"
    if is_polygon and len(points) > 1 and points[0] == points[-1]:  # VIA 1 repeats the first point
        points.pop()
    return {
        "kind": "polygon" if is_polygon else "polyline", "points": [points], "closed": is_polygon, "filled": is_polygon,
    }  # fmt: skip


def _point(shape: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "keypoints", "points": [[_numbers(shape, "cx", "cy")]]}


_MADE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "rect": _rect, "circle": _circle, "ellipse": _ellipse, "polygon": _line, "polyline": _line, "point": _point,
}  # fmt: skip
