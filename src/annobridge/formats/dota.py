"""DOTA: a text file for each image, with four corners in pixels, the class and whether it is difficult on each line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import attributes
from ..core.arrays import as_array
from .common.archive import Archive
from .common.corners import CORNERS, corners
from .common.export import ExportData, ExportPart
from .common.fidelity import KEPT, NOTHING, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes
from .common.report import ReadReport
from .common.source import PIXELS
from .common.yolo_text import boxes_around, turns, with_area, write_texts

_AS_BOXES = "written as the boxes around them"
_KINDS = ("polygon", "polyline", "keypoints", "skeleton", "ellipse", "cuboid")
_FOLDER = re.compile(r"(?i)labelTxt.*|annfiles?")  # of label files: DOTA's own, and mmrotate's
_HEADERS = ("imagesource", "gsd", "acquisition dates")  # lines before the labels
_LOOKED_AT = 20
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "trainval"})


class DotaFormat(FileFormat):
    """DOTA's ``labelTxt``."""

    name: ClassVar[str] = "dota"
    title: ClassVar[str] = "DOTA text files"
    unit: ClassVar[str] = PIXELS
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds=dict.fromkeys(_KINDS, _AS_BOXES) | {"box": KEPT},
        attributes=frozenset({"difficult"}), rotation=True, splits=True, parts=True, defaults={"difficult": False},
        notes=("Labels without the attribute `difficult` have it as False after a round trip.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """Text files with lines of eight numbers, a class and 0 or 1."""
        texts = [name for name in archive.by_suffix.get(".txt", ()) if _is_label_file(name)]
        stems = {name.rpartition("/")[2].rpartition(".")[0] for name in image_names(archive)}
        texts = texts or [
            n for n in archive.by_suffix.get(".txt", ()) if n.rpartition("/")[2].rpartition(".")[0] in stems
        ]
        for name in texts[:_LOOKED_AT]:
            with archive.open(name) as stream:
                lines = stream.read(4096).decode("utf-8", "replace").splitlines()
            lines = [line for line in lines if line.strip() and not _is_header(line)][:1]
            if lines:
                found = _parsed(lines[0])
                full = not isinstance(found, str) and (_is_label_file(name) or _is_named(found[1], found[2]))
                return f"{name} has lines of four corners and a class" if full else None
        return f"{texts[0]} is called so" if texts and _is_label_file(texts[0]) else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Read the label file of each image."""
        shapes = Shapes()
        for file in _label_files(archive):
            item = items.add(*_name_and_split(file))
            for number, line in archive.lines(file):
                if _is_header(line):
                    continue
                place = f"{archive.where(file)} line {number}"
                found = _parsed(line)
                if isinstance(found, str):
                    report.skip(place, found)
                    continue
                points, label, difficult = found
                given = None if difficult is None else {"difficult": difficult}
                shapes.add(item, CORNERS, label, given, points=[points], place=place)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """Beside the folder of the label files."""
        return f"{split}/images" if split else "images"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give each image a label file of its own."""
        data.refuse_classes(lambda name: _parsed(f"1 1 5 1 5 5 1 5 {name} 0")[1:2] == (name,), "in a line of DOTA")
        if spaced := [name for name in data.classes if " " in name]:
            data.notes.append(
                f"{len(spaced)} classes have spaces in their names, as {spaced[0]!r}; many readers of DOTA stop at the first space."
            )
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the label files."""
        for part in data.parts():
            keep = pc.and_(pc.is_in(part.labels["kind"], pa.array(["box", *_KINDS])), part.labels["label"].is_valid())
            rows = part.labels.filter(keep).combine_chunks()
            lines = [_lines(rows, part)] if rows.num_rows else []
            data.lose(NOTHING, rows.num_rows - sum(at.size for at, _ in lines))
            write_texts(ExportPart(part.first, part.items, rows), lines, lambda item: _label_file(data, item))


def _lines(rows: pa.Table, part: ExportPart) -> tuple[np.ndarray, pa.Array]:
    """The lines of labels in pixels."""
    at = np.arange(rows.num_rows)
    upright = rows.set_column(rows.column_names.index("rotation"), "rotation", pa.nulls(rows.num_rows, pa.float64()))
    is_box = np.array([kind in ("box", "ellipse") for kind in rows["kind"].to_pylist()], bool)
    boxes = boxes_around(upright, part.items, part.first)
    degrees = np.where(is_box, turns(rows, at), 0.0)
    quads = corners(boxes, degrees, np.ones((len(at), 2))).reshape(len(at), 8)
    columns = [pa.array(np.ascontiguousarray(column)).cast(pa.string()) for column in quads.T]
    difficult = pc.if_else(pc.equal(attributes.values(rows["attributes"], "difficult"), "true"), "1", "0")
    texts = pc.binary_join_element_wise(*columns, as_array(rows["label"]), pc.fill_null(difficult, "0"), " ")
    there = with_area(boxes)
    return at[there], texts.filter(pa.array(there))


def _parsed(line: str) -> tuple[list[list[float]], str, bool | None] | str:
    """The corners, the class and whether it is difficult; or what is wrong with a line. A class may have spaces.

    >>> _parsed("1 1 5 1 5 5 1 5 small car 1")
    ([[1.0, 1.0], [5.0, 1.0], [5.0, 5.0], [1.0, 5.0]], 'small car', True)
    """
    words = line.split()
    if len(words) < 9:
        return "it has less than eight numbers and a class"
    try:
        numbers = np.array([float(word) for word in words[:8]])
    except ValueError:
        return "its first eight values are not all numbers"
    if not np.isfinite(numbers).all():
        return "a value is not a finite number"
    difficult: bool | None = None
    if len(words) > 9 and words[-1] in ("0", "1", "2"):
        difficult = words.pop() != "0"
    return numbers.reshape(4, 2).tolist(), " ".join(words[8:]), difficult


def _is_named(label: str, difficult: bool | None) -> bool:
    """Whether it is a class with a name and the number after it, and not one number more of another format."""
    try:
        float(label.split()[0])
    except ValueError:
        return difficult is not None
    return False


def _is_header(line: str) -> bool:
    return line.strip().lower().startswith(_HEADERS) and ":" in line


def _is_label_file(name: str) -> bool:
    return any(_FOLDER.fullmatch(part) for part in name.split("/")[:-1])


def _label_files(archive: Archive) -> list[str]:
    """The texts of folders that are called so; without any, all texts of images."""
    texts = archive.by_suffix.get(".txt", [])
    found = [name for name in texts if _is_label_file(name)]
    if found:
        # Several versions of the labels may lie side by side; the last one is meant, as v1.5 after v1.0.
        versions = sorted({part for name in found for part in name.split("/")[:-1] if _FOLDER.fullmatch(part)})
        return [name for name in found if versions[-1] in name.split("/")]
    stems = {name.rpartition("/")[2].rpartition(".")[0] for name in image_names(archive)}
    return [n for n in texts if not stems or n.rpartition("/")[2].rpartition(".")[0] in stems]


def _name_and_split(file: str) -> tuple[str, str | None]:
    parts = file.rpartition(".")[0].split("/")
    at = next((n for n, part in enumerate(parts[:-1]) if _FOLDER.fullmatch(part)), None)
    if at is None:
        return "/".join(parts), next((part for part in parts[:-1] if part.lower() in _SPLITS), None)
    rest = parts[at + 1 :]
    near = [*parts[max(at - 1, 0) : at], *rest[:-1][:1]]
    split = next((part for part in near if part.lower() in _SPLITS), None)
    if split is not None and len(rest) > 1 and rest[0] == split:
        rest = rest[1:]
    return "/".join(rest), split


def _label_file(data: ExportData, item: dict[str, object]) -> str:
    name = str(item["name"])
    stem = name.rpartition(".")[0] or name
    return (
        f"{data.folder}/{item['split']}/labelTxt/{stem}.txt" if item["split"] else f"{data.folder}/labelTxt/{stem}.txt"
    )
