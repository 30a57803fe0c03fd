"""Write the tables of Open Images, and the masks."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..common import mask_images
from ..common.corners import around
from ..common.export import ExportData
from ..common.paint import attribute_of, pixels
from ..common.painter import size_of
from ..common.path_lookup import stem
from .tables import BOX, CLASSES, DEFAULT, FLAGS, HIERARCHY, MASK_BOX, SIZES

FOLDER = "annotations"
AS_MASKS = ("polygon", "ellipse", "cuboid", "segmentation")  # kinds that are painted
_ROOT = "/m/0"
_IMAGE_COLUMNS = (
    "ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL", "Author", "Title", "OriginalSize",
    "OriginalMD5", "Thumbnail300KURL", "Rotation",
)  # fmt: skip
_LABEL_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
_BOX_COLUMNS = (*_LABEL_COLUMNS, *BOX, *FLAGS)
_MASK_COLUMNS = ("MaskPath", "ImageID", "LabelName", "BoxID", *MASK_BOX, "PredictedIoU", "Clicks")
_ODD = re.compile(r"[^\w.-]+")


def write(data: ExportData) -> None:
    """Write all files but the images."""
    folder = data.folder / FOLDER
    folder.mkdir(exist_ok=True)
    with (folder / CLASSES).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([name, name] for name in data.classes)
    tree = {"LabelName": _ROOT, "Subcategory": [{"LabelName": name} for name in data.classes]}
    (folder / HIERARCHY).write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", "utf-8")
    _write_sizes(data, folder / SIZES)
    for split in data.splits:
        with ExitStack() as files:
            tables = _Tables(folder, split or DEFAULT, files)
            masks = _Masks(data.folder / "masks" / (split or DEFAULT))
            for part in data.parts():
                for _, item, labels in part.by_item():
                    if item["split"] == split:
                        rows = labels.filter(labels["label"].is_valid()).to_pylist()
                        _write_item(item, rows, tables, masks)


def _write_sizes(data: ExportData, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("# <image name> <height> <width>\n\n")
        for row in data.items.select(["name", "width", "height"]).to_pylist():
            if row["width"] and row["height"]:
                file.write(f"{shlex.quote(stem(row['name']))} {row['height']} {row['width']}\n")


class _Tables:
    """The tables of one subset. A table is made with its first row, but the one of images always."""

    def __init__(self, folder: Path, subset: str, files: ExitStack) -> None:
        self._folder, self._subset, self._files = folder, subset, files
        self._writers: dict[str, Any] = {}
        self._writer("images-with-rotation", _IMAGE_COLUMNS)

    def _writer(self, name: str, columns: Sequence[str]) -> Any:
        if name not in self._writers:
            path = self._folder / f"{self._subset}-{name}.csv"
            file = self._files.enter_context(path.open("w", encoding="utf-8", newline=""))
            self._writers[name] = csv.DictWriter(file, columns, lineterminator="\n")
            self._writers[name].writeheader()
        return self._writers[name]

    def image(self, name: str) -> None:
        self._writer("images-with-rotation", _IMAGE_COLUMNS).writerow({"ImageID": name, "Subset": self._subset})

    def label(self, values: Mapping[str, Any]) -> None:
        self._writer("annotations-human-imagelabels", _LABEL_COLUMNS).writerow(values)

    def box(self, values: Mapping[str, Any]) -> None:
        self._writer("annotations-bbox", _BOX_COLUMNS).writerow(values)

    def mask(self, values: Mapping[str, Any]) -> None:
        self._writer("annotations-object-segmentation", _MASK_COLUMNS).writerow(values)


def _write_item(item: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], tables: _Tables, masks: _Masks) -> None:
    name = stem(str(item["name"]))
    tables.image(name)
    boxes: dict[tuple[Any, ...], dict[str, float]] = {}  # class and group → box
    for row in rows:
        common = {"ImageID": name, "LabelName": row["label"]}
        described = {"Source": attribute_of(row, "source"), "Confidence": _confidence(row)}
        if row["kind"] == "classification":
            tables.label(common | described)
        elif row["kind"] == "box":
            box = _box(row, item)
            if (group := attribute_of(row, "group")) is not None:
                boxes.setdefault((row["label"], group), box)
            flags = {column: _flag(attribute_of(row, key)) for column, key in FLAGS.items()}
            tables.box(common | described | box | flags)
    box_ids = {attribute_of(row, "box_id") for row in rows}
    for row in rows:
        if row["kind"] in ("mask", *AS_MASKS):
            box_id = attribute_of(row, "box_id") or masks.free_id(box_ids)
            path = masks.save(row, size_of(dict(item)), name, str(box_id))
            tied = boxes.get((row["label"], attribute_of(row, "group")), {})
            values = {"MaskPath": path, "ImageID": name, "LabelName": row["label"], "BoxID": box_id}
            values |= {f"Box{key}": value for key, value in tied.items()}
            values |= {"PredictedIoU": attribute_of(row, "predicted_iou"), "Clicks": attribute_of(row, "clicks")}
            tables.mask(values)


class _Masks:
    """The masks of one subset."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._taken = folder, set[str]()

    def free_id(self, taken: set[Any]) -> str:
        """An id that no mask of the image has, which is taken then."""
        found = next(text for text in map("x{:07d}".format, count()) if text not in taken)
        taken.add(found)
        return found

    def save(self, row: Mapping[str, Any], size: tuple[int, int], image: str, box_id: str) -> str:
        """Write a mask; returns the name of its file."""
        first = "_".join(_ODD.sub("-", text) for text in (image, row["label"], box_id))
        name, number = first, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{first}_{number}"
        self._taken.add(name.lower())
        found = pixels(_in_pixels(row, size), size)
        where = np.zeros((size[1], size[0]), np.int64) if found is None else found.astype(np.int64) * 255
        mask_images.save_numbers(self._folder / f"{name}.png", where, 8)
        return f"{name}.png"


def _in_pixels(row: Mapping[str, Any], size: tuple[int, int]) -> Mapping[str, Any]:
    """A row with its positions in pixels."""
    box, points = row["bounding_box"], row["points"]
    return {
        **row,
        "bounding_box": None if box is None else (np.array(box) * np.tile(size, 2)).tolist(),
        "points": None if points is None else [(np.array(part) * size).tolist() for part in points],
    }


def _box(row: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, float]:
    """The edges of a box; of a turned one, of the upright box around it."""
    box, degrees = np.array([row["bounding_box"]]), row["rotation"] or 0.0
    if degrees % 360:
        box = around(box, np.array([degrees]), np.array([size_of(dict(item))], float))
    x, y, width, height = box[0].tolist()
    return dict(zip(BOX, (x, x + width, y, y + height), strict=True))


def _confidence(row: Mapping[str, Any]) -> float | int:
    value = row["confidence"]
    return 1 if value is None else int(value) if value in (0.0, 1.0) else float(value)


def _flag(value: Any) -> int:
    return int(value) if isinstance(value, bool) else -1
