"""ImageNet as lists: ``synsets.txt`` with the classes, and for each subset a text file of images and their classes, as in CVAT."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import InvalidSource
from .common.archive import Archive
from .common.export import ExportData, is_line
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes, frame_of
from .common.report import ReadReport
from .common.source import RELATIVE
from .common.voc_write import flat_names

_CLASSES = "synsets.txt"
_DEFAULT = "default"  # the subset of images without one


class ImagenetTxtFormat(FileFormat):
    """Lists of images with the numbers of their classes."""

    name: ClassVar[str] = "imagenet-txt"
    title: ClassVar[str] = "lists of images and classes (ImageNet txt)"
    unit: ClassVar[str] = RELATIVE
    fidelity: ClassVar[Fidelity] = Fidelity(kinds={"classification": KEPT}, splits=True)

    def detect(self, archive: Archive) -> str | None:
        """``synsets.txt`` and another text beside it."""
        name = _class_file(archive)
        return f"{name} has the classes" if name is not None and _lists(archive, name) else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each line is an image with its classes."""
        class_file = _class_file(archive)
        if class_file is None:
            raise InvalidSource(f"{str(archive.path)!r} has no {_CLASSES}; add it, with a class on each line.")
        # Of ImageNet's own lines, "n02119789 kit fox", the first word is the class; of others, all of it.
        classes = [line.strip() for _, line in archive.lines(class_file)]
        above = class_file.removesuffix(_CLASSES)
        shapes = Shapes()
        for file in _lists(archive, class_file):
            split = PurePosixPath(file).stem
            for number, line in archive.lines(file):
                place = f"{archive.where(file)} line {number}"
                name, numbers = _parsed(line.strip())
                image = next((path for path in (f"{above}images/{name}", above + name) if path in archive), None)
                item = items.add(name, None if split == _DEFAULT else split, frame=frame_of(name), file=image)
                for text in numbers:
                    if not text.isdecimal() or int(text) >= len(classes):
                        report.skip(place, f"its class is not the number of a line of {_CLASSES}, from 0")
                    else:
                        shapes.add(item, "classification", classes[int(text)], place=place)
                yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """One folder for all subsets, as CVAT has it."""
        return "images"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give images of two subsets different names, as all images are in one folder."""
        data.refuse_classes(is_line, f"in a line of {_CLASSES}")
        flat_names(data)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the lists and ``synsets.txt``."""
        numbers = {name: number for number, name in enumerate(data.classes)}
        (data.folder / _CLASSES).write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
        lines: dict[str, list[str]] = {split or _DEFAULT: [] for split in data.splits}
        for part in data.parts():
            for _, item, labels in part.by_item():
                kept = labels.filter(pc.equal(labels["kind"], "classification"))["label"].to_pylist()
                name = str(item["name"])
                stem, suffix = os.path.splitext(name)
                spoken = f'"{stem}"{suffix}' if " " in name else name  # CVAT takes no suffix in quotes
                lines[str(item["split"] or _DEFAULT)].append(
                    " ".join([spoken, *dict.fromkeys(str(numbers[label]) for label in kept if label is not None)])
                )
        for split, some in lines.items():
            (data.folder / f"{split}.txt").write_text("".join(f"{line}\n" for line in some), "utf-8")


def _parsed(line: str) -> tuple[str, list[str]]:
    """The name in a line, in quotes where it has spaces (datumaro leaves the suffix out of them), and the numbers of its classes.

    >>> _parsed('"a 1".jpg 0 3'), _parsed("a 1.jpg 5"), _parsed("a.jpg")
    (('a 1.jpg', ['0', '3']), ('a 1.jpg', ['5']), ('a.jpg', []))
    """
    if line.startswith('"') and line.count('"') > 1:
        _, stem, rest = line.split('"', 2)
        suffix = rest.split(" ", 1)[0]
        return stem + suffix, rest[len(suffix) :].split()
    words = line.split(" ")
    end = len(words)
    while (end > 1 and words[end - 1].lstrip("-").isdecimal()) or (end > 1 and not words[end - 1]):
        end -= 1
    return " ".join(words[:end]), [word for word in words[end:] if word]


def _class_file(archive: Archive) -> str | None:
    found = [name for name in archive.by_suffix.get(".txt", ()) if name.rpartition("/")[2] == _CLASSES]
    return min(found, key=lambda name: (name.count("/"), name), default=None)


def _lists(archive: Archive, class_file: str) -> list[str]:
    folder = class_file.rpartition("/")[0]
    return [
        name for name in archive.by_suffix.get(".txt", ()) if name.rpartition("/")[0] == folder and name != class_file
    ]
