"""Write labelme's JSON files, beside their images."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..common.boxed_masks import crop
from ..common.export import ExportData
from ..common.fidelity import NOTHING
from ..common.paint import attributes_of, turned
from ..common.single_rings import single_rings
from ..media import open_image, unreadable

LISTS = ("labels.txt", "flags.txt")  # of classes, as labelme's options --labels and --flags take them
_VERSION = "6.0.0"  # of the files; the first with turned rectangles
_ROUND = 1e-6  # pixels by which the sides of a circle's box may differ
_PRESENT = 2  # of visibility: visible


def write(data: ExportData, embed: bool) -> None:
    """Write a file for each item, and the list of classes."""
    flags = _classes_of_images(data)
    _write_lists(data, flags)
    images = _images(data) if embed else {}
    for part in data.parts():
        for number, item, labels in part.by_item():
            rows = labels.to_pylist()
            own = {row["label"] for row in rows if row["kind"] == "classification"}
            content = {
                "version": _VERSION,
                "flags": {name: name in own for name in flags},
                "shapes": list(_shapes(rows, data)),
                "imagePath": str(item["name"]).rpartition("/")[2],
                "imageData": images[number]() if embed else None,
                "imageHeight": item["height"],
                "imageWidth": item["width"],
            }
            if item["split"]:
                content["split"] = item["split"]
            path = data.folder / str(item["split"] or ".") / f"{os.path.splitext(str(item['name']))[0]}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")


def is_circle(row: Mapping[str, Any]) -> bool:
    """Whether an ellipse, in pixels, is a circle."""
    return bool(abs(row["bounding_box"][2] - row["bounding_box"][3]) <= _ROUND)


def _classes_of_images(data: ExportData) -> list[str]:
    found: set[str] = set()
    for labels in data.label_tables():
        for kind, label in zip(labels["kind"].to_pylist(), labels["label"].to_pylist(), strict=True):
            if kind == "classification" and label:
                found.add(label)
    return [name for name in data.classes if name in found]


def _write_lists(data: ExportData, flags: list[str]) -> None:
    names = [name for name in data.classes if name not in set(flags)]
    for file, listed in zip(LISTS, (names, flags), strict=True):
        if listed:
            (data.folder / file).write_text("".join(f"{name}\n" for name in listed), "utf-8")


def _shapes(rows: list[dict[str, Any]], data: ExportData) -> Iterator[dict[str, Any]]:
    """The shapes of an image. The parts of one label have the same ``group_id``."""
    groups = [value for row in rows if isinstance(value := attributes_of(row).get("group"), int)]
    free = max(groups, default=0) + 1
    for row in rows:
        made = list(_WRITERS[row["kind"]](row)) if row["kind"] in _WRITERS else []
        common = _common(row)
        if len(made) > 1 and common["group_id"] is None:
            common["group_id"], free = free, free + 1
        if not made and row["kind"] in _WRITERS:
            data.lose(NOTHING, 1)
        for own in made:
            yield {"label": row["label"] or "", **own, **common, "mask": own.get("mask")}


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes of all types have. Keys that are not labelme's own are kept by it."""
    values = attributes_of(row)
    group, text = values.get("group"), values.get("description")
    found: dict[str, Any] = {"group_id": None, "description": "", "flags": {}}
    if isinstance(group, int) and not isinstance(group, bool):
        found["group_id"] = values.pop("group")
    if isinstance(text, str) and text:
        found["description"] = values.pop("description")
    found["flags"] = {name: value for name, value in values.items() if isinstance(value, bool)}
    others = {name: value for name, value in values.items() if not isinstance(value, bool)}
    if others:
        found["attributes"] = others
    if row["confidence"] is not None:
        found["score"] = row["confidence"]
    if row["index"] is not None:
        found["track_id"] = row["index"]
    return found


def _box(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if (row["rotation"] or 0.0) % 360:
        yield {"points": turned(row["bounding_box"], row["rotation"]).tolist(), "shape_type": "oriented_rectangle"}
        return
    x, y, width, height = row["bounding_box"]
    yield {"points": [[x, y], [x + width, y + height]], "shape_type": "rectangle"}


def _ellipse(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    x, y, width, height = row["bounding_box"]
    if not is_circle(row):
        yield from _polygon(row)
        return
    centre = [x + width / 2, y + height / 2]
    yield {"points": [centre, [centre[0] + width / 2, centre[1]]], "shape_type": "circle"}


def _polygon(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for ring in single_rings(row):
        yield {"points": ring.tolist(), "shape_type": "polygon"}


def _polyline(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in row["points"]:
        yield {"points": part, "shape_type": "linestrip", **({"closed": True} if row["closed"] else {})}


def _keypoints(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    points = row["points"][0]
    is_there = [x is not None and y is not None and x == x and y == y for x, y in points]
    seen = row["visibility"] or [_PRESENT if there else 0 for there in is_there]
    seen = [value if there else 0 for value, there in zip(seen, is_there, strict=True)]
    given = [point for point, value in zip(points, seen, strict=True) if value]
    if not given:
        return
    found: dict[str, Any] = {"points": given, "shape_type": "point" if len(points) == 1 else "points"}
    yield found if all(value == _PRESENT for value in seen) else {**found, "visibility": seen}


def _mask(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    pixels, left, top = crop(row["mask"])
    if not pixels.any():
        return
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    height, width = pixels.shape
    corners = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
    yield {"points": corners, "shape_type": "mask", "mask": base64.b64encode(stream.getvalue()).decode()}


_WRITERS = {
    "box": _box, "polygon": _polygon, "cuboid": _polygon, "ellipse": _ellipse, "polyline": _polyline,
    "keypoints": _keypoints, "skeleton": _keypoints, "mask": _mask, "segmentation": _mask,
}  # fmt: skip


def _images(data: ExportData) -> dict[int, Any]:
    """What reads the image of each item as base64."""
    found: dict[int, Any] = {}
    for _, samples, files in data.media_of():
        for sample_id, place in zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True):

            def encoded(files: Any = files, sample_id: str = sample_id, place: str = place or "") -> str:
                try:
                    with files.open(sample_id) as stream:
                        return _encoded(stream)
                except (OSError, ValueError) as error:
                    raise unreadable(sample_id, place, error, "leave it out of the view") from None

            found[len(found)] = encoded
    return found


def _encoded(stream: BinaryIO) -> str:
    """A file in base64. Photos that are stored turned are stored upright, as labelme does not turn what is inside its files."""
    content = stream.read()
    with open_image(io.BytesIO(content)) as image:
        if image.getexif().get(0x0112, 1) != 1:
            upright = io.BytesIO()
            has_alpha = "A" in image.getbands()
            ImageOps.exif_transpose(image).save(upright, "PNG" if has_alpha else "JPEG", quality=95)
            content = upright.getvalue()
    return base64.b64encode(content).decode()
