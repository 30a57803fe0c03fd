"""ICDAR Segmentation 1.0: the pixels of each character by its colour, and a list of the characters, for each image."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from ...core import attributes
from ...core.geometry import encode_rle
from ..common import mask_images
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import COVERED, KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.paint import PAINTED, Canvas, attributes_of
from ..common.painter import size_of
from ..common.palette import Colour, code, voc_colour
from ..common.report import ReadReport
from .layout import LABEL, Layout, image_folder, numbers_of, quoted, text_of

_SUFFIX = "_GT"
_PICTURES = (".bmp", ".png")
_LOOKED_AT = 20
_COLUMNS = 9  # red, green, blue, the centre's x and y, the box's left, top, right and bottom
_ADDED = ("index", "color", "center")  # attributes that all labels have when they are read
_WHITE = (255, 255, 255)  # what is no character
_COLOUR = re.compile(r"\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*")


class SegmentationFormat(FileFormat):
    """Masks of characters."""

    name = "icdar-segmentation"
    title = "ICDAR Segmentation"
    fidelity = Fidelity(
        kinds={
            "mask": KEPT, "segmentation": "written as masks",
            **dict.fromkeys(("box", "polygon", "ellipse", "cuboid"), "painted as masks"),
        },
        attributes=frozenset({*_ADDED, "text"}), overlaps=False, only_class=LABEL, holes=True, parts=True, splits=True,
        notes=(
            "A pixel is of one label: the one with the highest z_order.",
            "Labels are numbered anew by their attribute index, from 0; colours that are not unique are replaced.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        for name in _files(archive)[:_LOOKED_AT]:
            lines = [line for _, line in archive.lines(name) if not line.startswith("#")]
            mask = f"{name.removesuffix('.txt')}.bmp"
            if lines and isinstance(_parsed(lines[0]), tuple):
                return f"{name} is a list of characters"
            if not lines and mask in archive:
                return f"{mask} has the pixels of characters"
        return None

    def is_image(self, name: str) -> bool:
        stem, suffix = os.path.splitext(name)
        return not (stem.endswith(_SUFFIX) and suffix.lower() in _PICTURES) and super().is_image(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        shapes, layout = Shapes(), Layout(archive)
        for name in _files(archive):
            folder, inner = layout.place(name)
            stem = name.rpartition("/")[2].removesuffix(f"{_SUFFIX}.txt")
            item = layout.add(items, folder, f"{inner}/{stem}" if inner else stem)
            _read_file(archive, name, item, shapes, report)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return image_folder(split)

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.unique_stems()

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Masks survive if they have all attributes."""
        for labels in data.label_tables():
            rows = labels.filter(pc.is_in(labels["kind"], value_set=pa.array(PAINTED)))
            if any(attributes.values(rows["attributes"], name).null_count for name in _ADDED):
                kinds = {**self.fidelity.kinds, "mask": "given an index, a colour and a centre"}
                return replace(self.fidelity, kinds=kinds)
        return self.fidelity

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        for part in data.parts():
            for _, item, labels in part.by_item():
                stem = os.path.splitext(str(item["name"]))[0]
                path = data.folder / str(item["split"] or "default") / f"{stem}{_SUFFIX}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = [row for row in labels.to_pylist() if row["kind"] in PAINTED]
                lines: list[str] = []
                if rows:
                    canvas = Canvas(rows, size_of(item), defaultdict(lambda: 1))
                    data.lose(COVERED, canvas.covered)
                    colours = _colours(canvas.rows)
                    table = np.array([_WHITE, *colours], np.uint8)
                    Image.fromarray(table[canvas.instances()]).save(path.with_suffix(".bmp"), "BMP")
                    lines = _lines(data, canvas, colours)
                path.write_text("".join(lines), "utf-8", newline="\n")


def _files(archive: Archive) -> list[str]:
    return [name for name in archive.by_suffix.get(".txt", ()) if name.endswith(f"{_SUFFIX}.txt")]


def _read_file(archive: Archive, name: str, item: int, shapes: Shapes, report: ReadReport) -> None:
    """Add the characters of one image: masks, or boxes where the file of the pixels is missing."""
    masks = [f"{name.removesuffix('.txt')}{suffix}" for suffix in _PICTURES]
    mask = next((found for found in masks if found in archive), None)
    picture = None if mask is None else mask_images.load(archive, mask, report)
    pixels = None if picture is None else _colour_codes(picture)
    if mask is not None and pixels is None:
        return
    index, groups = 0, _groups(archive, name)
    for number, line in archive.lines(name):
        if line.startswith("#"):
            continue
        place, found = f"{archive.where(name)}, line {number}", _parsed(line)
        if isinstance(found, str):
            report.skip(place, found)
            continue
        numbers, text = found
        values: dict[str, Any] = {"index": index}
        values |= {"color": " ".join(map(str, numbers[:3])), "center": " ".join(map(str, numbers[3:5]))}
        if text:
            values["text"] = text
        if groups:
            values["group"] = groups[number]
        index += 1
        if pixels is not None:
            shapes.add(item, "mask", LABEL, values, mask=encode_rle(pixels == code(numbers[:3])), place=place)
        else:
            x1, y1, x2, y2 = map(float, numbers[5:])
            shapes.add(item, "box", LABEL, values, bounding_box=[x1, y1, x2 - x1, y2 - y1], place=place)
    if mask is None and index:
        report.note("lists of characters have no picture with their pixels; their boxes were read")


def _groups(archive: Archive, name: str) -> dict[int, int]:
    """The number of the word that each line is of, from 1, where blank lines part words; else nothing."""
    found: dict[int, int] = {}
    before, group = 0, 0
    for number, line in archive.lines(name):
        if line.startswith("#"):
            before = number if number == before + 1 else before
            continue
        group += number != before + 1 or group == 0
        found[number] = group
        before = number
    return found if group > 1 else {}


def _colour_codes(values: mask_images.MaskImage) -> mask_images.Codes:
    if values.codes is not None:
        return values.codes
    return values.values * 0x010101


def _parsed(line: str) -> tuple[list[int], str] | str:
    """The nine numbers of a line and its text; a sentence about what is wrong."""
    found = quoted(line)
    if found is None:
        return "the line has no text in quotes"
    values = numbers_of(found[0].replace(",", " ").split())
    if values is None or len(values) != _COLUMNS or any(not 0 <= value <= 255 for value in values[:3]):
        return "the line does not begin with a colour, the centre and the box, nine numbers"
    return [int(value) for value in values], found[1]


def _colours(rows: Sequence[Mapping[str, Any]]) -> list[Colour]:
    """A colour for each label: its own, if no label before has it."""
    given = [_COLOUR.fullmatch(str(attributes_of(row).get("color", ""))) for row in rows]
    wanted = [tuple(map(int, match.groups())) if match else None for match in given]
    taken: set[tuple[int, ...]] = {_WHITE}
    found: list[Colour | None] = []
    for colour in wanted:
        is_free = colour is not None and max(colour) <= 255 and colour not in taken
        found.append((colour[0], colour[1], colour[2]) if colour is not None and is_free else None)
        if colour is not None:
            taken.add(colour)
    number = 0
    for at, own in enumerate(found):
        if own is None:
            number += 1
            while voc_colour(number) in taken:
                number += 1
            found[at] = voc_colour(number)
    return [colour for colour in found if colour is not None]


def _lines(data: ExportData, canvas: Canvas, colours: Sequence[Colour]) -> list[str]:
    """The list of the characters, by their attribute index; those without one are last. A blank line parts groups."""
    found: list[tuple[float, Any, str]] = []
    for at, (row, colour) in enumerate(zip(canvas.rows, colours, strict=True)):
        values = attributes_of(row)
        y, x = np.nonzero(canvas.labels == at)
        box = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1) if x.size else (0, 0, 0, 0)
        centre = numbers_of(str(values.get("center", "")).split()) or []
        if len(centre) != 2:
            centre = [(box[0] + box[2]) // 2, (box[1] + box[3]) // 2]
        numbers = (*colour, *map(int, centre), *box)
        text = text_of(data, values, ("text",)) or ""
        index = values.get("index")
        place = float(index) if isinstance(index, int | float) else float("inf")
        found.append((place, values.get("group"), f'{" ".join(map(str, numbers))} "{text}"\n'))
    found.sort(key=lambda entry: entry[0])
    lines, before = list[str](), found[0][1] if found else None
    for _, group, line in found:
        lines += ["\n", line] if group != before else [line]
        before = group
    return lines
