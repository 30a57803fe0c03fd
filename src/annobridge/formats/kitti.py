"""KITTI 1.0: boxes in text files, masks of instances and of classes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from .cityscapes import UNLABELED, instance_values
from .common import mask_images
from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes
from .common.paint import PAINTED, attribute_of
from .common.painter import Painter
from .common.palette import BACKGROUND, Palette, colours_text, fits_colours, read_colours
from .common.report import ReadReport
from .common.street_scenes import CITYSCAPES, class_masks, instance_masks, palette_file
from .segmentation_mask import PAINTED as PAINTED_AS_MASKS
from .segmentation_mask import MaskOptions

BASE = 256  # of instance numbers
_TEXTS = ("label_2", "labels")
_MASKS = ("instance", "semantic", "semantic_rgb")  # the first that an image has is read
_IMAGES = ("image_2", "data")
_COLUMNS = 14  # of numbers behind the class; one more is the score
_WORDS = {"true": 1.0, "false": 0.0}
_LOOKED_AT = 20
Key = tuple[str, str]  # the folder of the subset, with its "/", and the name of the image without suffix


class KittiFormat(FileFormat):
    """Boxes of objects, and masks of instances."""

    name = "kitti"
    title = "KITTI"
    fidelity = Fidelity(
        kinds={"box": KEPT, "mask": KEPT, "segmentation": "written as masks",
               **{kind: fate for kind, fate in PAINTED_AS_MASKS.items() if kind != "box"}},
        attributes=frozenset({"truncated", "occluded", "iscrowd"}), confidence=True, holes=True, parts=True, splits=True,
        decimals=6, overlaps=False, defaults=dict.fromkeys(("truncated", "occluded", "iscrowd"), False),
        only={"confidence": ("box",), "truncated": ("box",), "occluded": ("box",),
              "iscrowd": ("mask", "segmentation", *(kind for kind in PAINTED_AS_MASKS if kind != "box"))},
        notes=(
            "A pixel is of one label: the one with the highest z_order.",
            "Boxes without truncated and occluded, and masks without iscrowd, are read back with them, as false.",
        ),
    )  # fmt: skip
    reading = MaskOptions

    def detect(self, archive: Archive) -> str | None:
        for name in archive.by_suffix.get(".txt", ())[:_LOOKED_AT]:
            if _key(name, _TEXTS) is None:
                continue
            found = _parsed(next(iter(archive.lines(name)), (0, ""))[1])
            # What begins with a number is a line of YOLO.
            if found is not None and _number(found[0].split()[0]) is None:
                return f"{name} has lines of KITTI"
        for name in archive.by_suffix.get(".png", ()):
            if _key(name, ("instance", "semantic_rgb")):
                return f"{name} is a mask of KITTI"
        return None

    def is_image(self, name: str) -> bool:
        return _key(name, _MASKS) is None and super().is_image(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, MaskOptions)  # noqa: S101 - the options of this format
        colours = palette_file(archive)
        palette = read_colours(archive, colours) if colours else CITYSCAPES
        texts = {key: name for name in archive.by_suffix.get(".txt", ()) if (key := _key(name, _TEXTS))}
        files = {key: name for name in image_names(archive) if self.is_image(name) and (key := _key(name, _IMAGES))}
        masks: dict[Key, dict[str, str]] = {}
        for name in archive.by_suffix.get(".png", ()):
            for folder in _MASKS:
                if (key := _key(name, (folder,))) is not None:
                    masks.setdefault(key, {})[folder] = name
        shapes = Shapes()
        for key in sorted({*texts, *files, *masks}):
            kind = next((kind for kind in _MASKS if kind in masks.get(key, {})), None)
            mask = mask_images.load(archive, masks[key][kind], report) if kind else None
            frame = int(key[1]) if key[1].isdecimal() and len(key[1]) < 10 else None
            split = key[0].rstrip("/").rpartition("/")[2]
            width, height = mask.size if mask else (None, None)
            item = items.add(
                key[1], split if split not in ("", "default") else None, width, height, frame, file=files.get(key)
            )
            if key in texts:
                _read_boxes(archive, texts[key], item, shapes, report)
            if kind is not None and mask is not None:
                _read_mask(shapes, item, kind, mask, palette, archive.where(masks[key][kind]), report, options.semantic)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return f"{split or 'default'}/image_2"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(lambda name: _fits(name) and fits_colours(name), "in a line of KITTI")
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        painter = Painter(data, UNLABELED)
        palette = painter.palette
        (data.folder / "label_colors.txt").write_text(colours_text(palette), "utf-8")
        (data.folder / "labels.txt").write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
        for part in data.parts():
            for _, item, labels in part.by_item():
                rows = labels.to_pylist()
                folder, stem = data.folder / str(item["split"] or "default"), os.path.splitext(str(item["name"]))[0]
                text = folder / "label_2" / f"{stem}.txt"
                text.parent.mkdir(parents=True, exist_ok=True)
                text.write_text("".join(_line(row) for row in rows if row["kind"] == "box"), "utf-8")
                painted = [row for row in rows if row["kind"] in PAINTED and row["kind"] != "box"]
                if painted:
                    canvas = painter.canvas(painted, item)
                    mask_images.save_numbers(
                        folder / "instance" / f"{stem}.png", instance_values(canvas, painter.numbers, BASE), 16
                    )
                    mask_images.save_numbers(folder / "semantic" / f"{stem}.png", canvas.classes, 16)
                    mask_images.save_colours(folder / "semantic_rgb" / f"{stem}.png", canvas.classes, palette)


def _key(name: str, folders: tuple[str, ...]) -> Key | None:
    """The subset and the image of a file in one of these folders."""
    parts = name.split("/")
    at = next((at for at, part in enumerate(parts[:-1]) if part in folders), None)
    if at is None:
        return None
    return "".join(f"{part}/" for part in parts[:at]), os.path.splitext("/".join(parts[at + 1 :]))[0]


def _parsed(line: str) -> tuple[str, list[float]] | None:
    """The class of a line, which may have spaces in it, and its 14 or 15 numbers; ``None`` if it is no such line.

    >>> _parsed("traffic light 0.0 1 -1 5 3 15 15.5 -1 -1 -1 -1 -1 -1 -1 0.5")[0]
    'traffic light'
    """
    words = line.split()
    for count in (_COLUMNS + 1, _COLUMNS):
        if len(words) > count:
            numbers = [_number(word) for word in words[-count:]]
            if all(number is not None for number in numbers):
                return " ".join(words[:-count]), [number or 0.0 for number in numbers]
    return None


def _number(word: str) -> float | None:
    try:
        number = _WORDS[word.lower()] if word.lower() in _WORDS else float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _read_boxes(archive: Archive, name: str, item: int, shapes: Shapes, report: ReadReport) -> None:
    for number, line in archive.lines(name):
        place = f"{archive.where(name)}, line {number}"
        found = _parsed(line)
        if found is None:
            report.skip(place, "it is no class with 14 or 15 numbers behind it")
            continue
        label, values = found
        attributes: dict[str, Any] = {"truncated": values[0] > 0, "occluded": values[1] > 0}
        if any(value not in (-1.0, 0.0) for value in values[7:10]):  # of three dimensions
            attributes |= {"dimensions": values[7:10], "location": values[10:13], "rotation_y": values[13]}
        if values[2] not in (-1.0, 0.0, -10.0):
            attributes["alpha"] = values[2]
        x1, y1, x2, y2 = values[3:7]
        given: dict[str, Any] = {"bounding_box": [min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)]}
        if len(values) > _COLUMNS:
            if 0 <= values[14] <= 1:
                given["confidence"] = values[14]
            else:
                attributes["score"] = values[14]
        shapes.add(item, "box", label, attributes, place=place, **given)


def _read_mask(
    shapes: Shapes, item: int, kind: str, mask: mask_images.MaskImage, palette: Palette, place: str, report: ReadReport,
    semantic: bool,
) -> None:  # fmt: skip
    if kind == "instance" and mask.numbers is not None and not semantic:
        is_class = palette.names[0] == BACKGROUND and palette.colours[0] == (0, 0, 0)
        instance_masks(shapes, item, mask.numbers, palette, place, report, BASE, is_class)
        return
    classes = mask.classes(palette)
    if kind == "instance" and mask.numbers is not None:
        classes = np.where(mask.numbers // BASE < len(palette.names), mask.numbers // BASE, mask_images.UNKNOWN)
    class_masks(shapes, item, classes, palette, place, report, semantic)


def _fits(name: str) -> bool:
    """Whether a class is read back as it is: numbers at its end would be columns."""
    found = _parsed(f"{name} 0.0 0 -1 0 0 1 1 -1 -1 -1 -1 -1 -1 -1")
    return found is not None and found[0] == name and name.splitlines() == [name]


def _line(row: dict[str, Any]) -> str:
    x, y, width, height = row["bounding_box"]
    corners = " ".join(str(round(value, 6) + 0.0) for value in (x, y, x + width, y + height))
    truncated, occluded = (int(attribute_of(row, name) is True) for name in ("truncated", "occluded"))
    score = "" if row["confidence"] is None else f" {row['confidence']}"
    label = " ".join(row["label"].split())
    return f"{label} {truncated}.0 {occluded} -1 {corners} -1 -1 -1 -1 -1 -1 -1{score}\n"
