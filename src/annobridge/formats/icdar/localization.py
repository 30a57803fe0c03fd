"""ICDAR Localization 1.0: where the texts of an image are, and what they say, in a text file for each image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import BRIDGED, KEPT, NOTHING, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.paint import PAINTED, attributes_of
from ..common.report import ReadReport
from ..common.single_rings import single_rings
from .layout import LABEL, Layout, image_folder, numbers_of, quoted, text_of

_PREFIX = "gt_"
_LOOKED_AT = 20
_DECIMALS = 6
_QUAD = 8  # numbers of a shape of four corners


class LocalizationFormat(FileFormat):
    """Boxes and polygons with texts."""

    name = "icdar-localization"
    title = "ICDAR Localization"
    fidelity = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "ellipse": "written as polygons", "cuboid": "written as the polygons around them",
            **dict.fromkeys(("mask", "segmentation"), "written as polygons along the edges of their pixels"),
        },
        attributes=frozenset({"text"}), attribute_types=frozenset({"str"}), only_class=LABEL,
        without_holes=BRIDGED, splits=True,
        decimals=_DECIMALS, notes=("Turned boxes are written as polygons of four corners.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        for name in _files(archive)[:_LOOKED_AT]:
            line = next(iter(archive.lines(name)), (0, ""))[1]
            if line and isinstance(_parsed(line), tuple):
                return f"{name} has lines of texts and where they are"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        shapes, layout = Shapes(), Layout(archive)
        for name in _files(archive):
            folder, inner = layout.place(name)
            stem = name.rpartition("/")[2].removeprefix(_PREFIX).removesuffix(".txt")
            item = layout.add(items, folder, f"{inner}/{stem}" if inner else stem)
            for number, line in archive.lines(name):
                place = f"{archive.where(name)}, line {number}"
                found = _parsed(line)
                if isinstance(found, str):
                    report.skip(place, found)
                    continue
                values, text = found
                attributes = {"text": text} if text else None
                if len(values) == 4:
                    x1, y1, x2, y2 = values
                    box = [min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)]
                    shapes.add(item, "box", LABEL, attributes, bounding_box=box, place=place)
                else:
                    ring = [list(pair) for pair in zip(values[::2], values[1::2], strict=True)]
                    shapes.add(item, "polygon", LABEL, attributes, points=[ring], closed=True, filled=True, place=place)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return image_folder(split)

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.unique_stems()

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Boxes survive if none is turned."""
        if not data.rotated:
            return self.fidelity
        kinds = {**self.fidelity.kinds, "box": "written as polygons where they are turned"}
        return replace(self.fidelity, kinds=kinds, rotation=True)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        for part in data.parts():
            for _, item, labels in part.by_item():
                folder, _, base = str(item["name"]).rpartition("/")
                path = (
                    data.folder / str(item["split"] or "default") / folder / f"{_PREFIX}{os.path.splitext(base)[0]}.txt"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                made = [list(_lines(data, row)) for row in labels.to_pylist() if row["kind"] in PAINTED]
                data.lose(NOTHING, made.count([]))
                path.write_text("".join(line for lines in made for line in lines), "utf-8", newline="\n")


def _files(archive: Archive) -> list[str]:
    return [name for name in archive.by_suffix.get(".txt", ()) if name.rpartition("/")[2].startswith(_PREFIX)]


def _parsed(line: str) -> tuple[list[float], str | None] | str:
    """The numbers of a line and its text; a sentence about what is wrong."""
    found = quoted(line)
    if found is not None and (values := numbers_of(found[0].replace(",", " ").split())) is not None:
        return _checked(values, found[1])
    separator = "," if "," in line else None
    words = [word.strip() for word in line.split(separator)]
    count = next((at for at, word in enumerate(words) if numbers_of([word]) is None), len(words))
    if (
        count == len(words) and count > 4 and count % 2 == 0 and separator
    ):  # a polygon without a text, as CVAT writes it
        return _checked(numbers_of(words) or [], None)
    count = _QUAD if count >= _QUAD else min(count, 4)
    text = (separator or " ").join(words[count:])
    return _checked(numbers_of(words[:count]) or [], text or None)


def _checked(values: list[float], text: str | None) -> tuple[list[float], str | None] | str:
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        return "the line does not begin with the 4 numbers of a box, or 6 or more of a polygon"
    return values, text


def _lines(data: ExportData, row: Mapping[str, Any]) -> Iterator[str]:
    text = text_of(data, attributes_of(row), ("text",)) or ""
    if row["kind"] == "box" and not (row["rotation"] or 0.0) % 360:
        x, y, width, height = row["bounding_box"]
        yield f'{" ".join(map(_text, (x, y, x + width, y + height)))} "{text}"\n'
        return
    for ring in single_rings(row):
        yield f'{",".join(map(_text, ring.ravel().tolist()))},"{text}"\n'


def _text(value: float) -> str:
    rounded = round(value, _DECIMALS) + 0.0
    return str(int(rounded)) if rounded.is_integer() else repr(rounded)
