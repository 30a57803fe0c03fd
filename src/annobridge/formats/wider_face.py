"""WIDER Face 1.0: lists of images with the boxes of faces, in folders that are named after a class of the image."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ..core.media import PICTURES
from ..core.rows import attributes as attribute_list
from ..exceptions import InvalidSource
from .common.archive import Archive
from .common.class_folders import NO_LABEL, first_classes, require_folder_names, split_name, unique
from .common.corners import upright
from .common.export import ExportData, ExportPart
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes, frame_of
from .common.paint import attribute_of
from .common.report import ReadReport
from .names import with_slashes

FACE = "face"  # the class of boxes that name none
_ATTRIBUTES = ("blur", "expression", "illumination", "occluded", "pose", "invalid")  # in the order of a line
_OCCLUSION = "occlusion"  # 2 where ``occluded`` is more than true: heavily
_FOLDER, _CLASSES = "wider_face_split", "labels.txt"
_LIST = re.compile(r"wider_face_(.+)_(bbx_gt|filelist)\.txt")
_NUMBERED = re.compile(r"(\d+)--(.+)")
_ATTRIBUTE = re.compile(r"-|-?\d+(\.\d+)?|[Tt]rue|[Ff]alse")
_DEFAULT = "default"  # the subset of images without one
_ALL_WORDS = 11  # of CVAT's lines: a box, six attributes and a class, which is empty for faces


class WiderFaceWriteOptions(WriteOptions):
    """The options of writing WIDER Face."""

    fill_attributes: bool = Field(
        False, description="write 0 for the attributes that a box lacks, as torchvision needs all of them"
    )


class WiderFaceFormat(FileFormat):
    """Lists of images with boxes."""

    name: ClassVar[str] = "wider-face"
    title: ClassVar[str] = "WIDER Face"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "classification": KEPT}, attributes=frozenset({*_ATTRIBUTES, _OCCLUSION}), splits=True,
        several_classes=False, only={"attributes": {"box"}},
        notes=(
            "The class of an image is its folder.",
            "A rotated box is written as the upright one around it.",
            "A box without a class is read back as a face.",
        ),
    )  # fmt: skip
    writing: ClassVar[type[WriteOptions]] = WiderFaceWriteOptions

    def detect(self, archive: Archive) -> str | None:
        """A list by its name, or a text in the folder of the lists."""
        name = next(iter(_lists(archive)), None)
        return f"{name} is called as a list of WIDER Face" if name else None

    def is_image(self, name: str) -> bool:
        """All are: a class may be called "masks"."""
        return True

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each line that names an image, and the boxes in the lines behind it."""
        lists = _lists(archive)
        if not lists:
            raise InvalidSource(
                f"{str(archive.path)!r} has no list {_FOLDER}/wider_face_NAME_bbx_gt.txt; add it, or choose another format."
            )
        for name, split in lists.items():
            folder = name.rpartition("/")[0]
            root = folder.removesuffix(_FOLDER) if folder.endswith(_FOLDER) else f"{folder}/" if folder else ""
            yield from _List(archive, name, split, root, items, report).read()

    def image_folder(self, split: str | None) -> str:
        """The folder of the images of a subset."""
        return f"WIDER_{split or _DEFAULT}/images"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Put the class in front of the name of each item."""
        numbers = {name: number for number, name in enumerate(data.classes)}
        classes = first_classes(data, ["classification"])
        require_folder_names({name for name in classes if name is not None})
        data.refuse_classes(lambda name: name == _one_line(name), "in a line of a list")
        names = [
            _in_folder(name, class_, numbers)
            for name, class_ in zip(data.items["name"].to_pylist(), classes, strict=True)
        ]
        data.rename(unique(names, data.items["split"].to_pylist()))

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the lists and ``labels.txt``."""
        assert isinstance(options, WiderFaceWriteOptions)  # noqa: S101 - the options of this format
        (data.folder / _CLASSES).write_text("".join(f"{_one_line(name)}\n" for name in data.classes), "utf-8")
        (data.folder / _FOLDER).mkdir(exist_ok=True)
        for split in data.splits:
            path = data.folder / _FOLDER / f"wider_face_{split or _DEFAULT}_bbx_gt.txt"
            with path.open("w", encoding="utf-8", newline="\n") as file:
                for part in data.parts():
                    labels = upright(part.labels.filter(pc.equal(part.labels["kind"], "box")))
                    for _, item, rows in ExportPart(part.first, part.items, labels).by_item():
                        if item["split"] == split:
                            lines = [_line(row, options.fill_attributes) for row in rows.to_pylist()]
                            # Readers of the original expect a line of zeros where there is no box.
                            lines = [str(len(lines)), *(lines or [" ".join("0" * 10)])]
                            file.write("\n".join([str(item["name"]), *lines, ""]))


class _List:
    """One list of images, read line by line."""

    def __init__(
        self, archive: Archive, name: str, split: str | None, root: str, items: Items, report: ReadReport
    ) -> None:
        self._archive, self._name, self._items, self._report = archive, name, items, report
        self._split, self._images = split, f"{root}WIDER_{split or _DEFAULT}/images/"
        classes = f"{root}{_CLASSES}"
        self._classes = [line.strip() for _, line in archive.lines(classes)] if classes in archive else None
        self._described = lru_cache(4_096)(self._describe)  # few combinations are in a file
        self._shapes = Shapes()
        self._item: int | None = None
        self._left = 0  # boxes that the count says are still to come

    def read(self) -> Iterator[pa.Table]:
        where = self._archive.where(self._name)
        for number, line in self._archive.lines(self._name):
            self._take(_spaced(line), f"{where} line {number}")
            yield from self._shapes.take_full()
        yield self._shapes.take()

    def _take(self, line: str, place: str) -> None:
        words = line.split()
        if _is_box(words):
            if self._item is None:
                self._report.skip(place, "it is a box before the first image")
            elif self._left > 0:
                self._left -= 1
                self._add_box(self._item, words, place)
            elif any(map(float, words[:4])):  # zeros stand for no box
                self._report.skip(place, "there are more boxes than the count says")
        elif os.path.splitext(line)[1].lower() in PICTURES:
            self._add_image(with_slashes(line), place)
        elif line.isdecimal() and len(line) < 10:
            self._left = int(line)
        else:
            self._left -= 1
            self._report.skip(place, "it is no image, no count and no box of four numbers")

    def _add_image(self, path: str, place: str) -> None:
        folder, rest = split_name(path)
        class_ = folder
        if folder is not None and (numbered := _NUMBERED.fullmatch(folder)):
            class_ = numbered[2]
        elif folder is not None and folder != NO_LABEL and folder not in (self._classes or ()):
            class_, rest = None, path
        file = self._images + path
        self._item = self._items.add(
            rest, self._split, frame=frame_of(rest), file=file if file in self._archive else None
        )
        self._left = 0
        if class_ is not None and class_ != NO_LABEL:
            self._shapes.add(self._item, "classification", class_, place=place)

    def _add_box(self, item: int, words: list[str], place: str) -> None:
        box = [float(word) for word in words[:4]]
        if not all(map(math.isfinite, box)):
            self._report.skip(place, "a coordinate is not a finite number")
            return
        attributes, label = self._described(" ".join(words[4:]))
        self._shapes.add(item, "box", label, attributes, bounding_box=box, place=place)

    def _describe(self, text: str) -> tuple[list[dict[str, str]], str]:
        attributes, label = _described(text.split(), self._classes or ())
        return attribute_list(attributes), label


def _spaced(line: str) -> str:
    """A line where attributes without a value are ``-``: CVAT writes nothing between their spaces.

    >>> _spaced("30.0 5.0 20.0 7.0 2   False   "), _spaced(" 1 2 3 4  5 ")
    ('30.0 5.0 20.0 7.0 2 - - False - -', '1 2 3 4  5')
    """
    words = line.rstrip("\r\n").split(" ")
    if len(words) != _ALL_WORDS or "" not in words[4:-1]:
        return line.strip()
    return " ".join([*words[:4], *(word or "-" for word in words[4:-1]), words[-1]]).strip()


def _lists(archive: Archive) -> dict[str, str | None]:
    """The lists with their subsets."""
    found, others = dict[str, str | None](), dict[str, str | None]()
    for name in archive.by_suffix.get(".txt", ()):
        folder, _, base = name.rpartition("/")
        if match := _LIST.fullmatch(base):
            found[name] = match[1] if match[1] != _DEFAULT else None
        elif folder.endswith(_FOLDER) and base != "readme.txt":
            others[name] = base.removesuffix(".txt")
    return found or others


def _is_box(words: list[str]) -> bool:
    try:
        return len([float(word) for word in words[:4] if "_" not in word]) == 4
    except ValueError:
        return False


def _described(words: list[str], classes: Collection[str]) -> tuple[dict[str, Any], str]:
    """The attributes and the class behind the numbers of a box.

    >>> _described(["1", "-", "-", "2", "-", "-", "traffic", "light"], [])
    ({'blur': 1, 'occluded': True, 'occlusion': 2}, 'traffic light')
    """
    rest, last = " ".join(words), " ".join(words[6:])
    is_plain = all(map(_ATTRIBUTE.fullmatch, words[:6])) or (bool(classes) and last in ("", *classes))
    if rest in classes or len(words) < len(_ATTRIBUTES) or not is_plain:
        return {}, rest or FACE
    attributes = {name: _value(word) for name, word in zip(_ATTRIBUTES, words, strict=False) if word != "-"}
    level = attributes.get("occluded")
    if level is not None:
        attributes["occluded"] = bool(level)
        if not isinstance(level, bool) and level not in (0, 1):
            attributes[_OCCLUSION] = level
    return attributes, last or FACE


def _value(word: str) -> bool | int | float | str:
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if not _ATTRIBUTE.fullmatch(word):
        return word
    return float(word) if "." in word else int(word)


def _in_folder(name: str, class_: str | None, numbers: Mapping[str, int]) -> str:
    """A name in the folder of its class; one that has such a folder keeps no second one."""
    folder, rest = split_name(name)
    numbered = _NUMBERED.fullmatch(folder or "")
    if folder == NO_LABEL or (numbered and numbered[2] == class_):
        name = rest
    return f"{numbers[class_]}--{class_}/{name}" if class_ is not None else f"{NO_LABEL}/{name}"


def _line(row: Mapping[str, Any], fill: bool) -> str:
    words = [_number(value) for value in row["bounding_box"]]
    given = {name: attribute_of(row, name) for name in (*_ATTRIBUTES, _OCCLUSION)}
    if isinstance(given[_OCCLUSION], int) and given["occluded"] is True:
        given["occluded"] = given[_OCCLUSION]
    missing = "0" if fill else "-"
    values = [missing if given[name] is None else _word(given[name]) for name in _ATTRIBUTES]
    if fill or any(value != missing for value in values):
        words += values
    label = _one_line(row["label"] or FACE)
    return " ".join(words if label == FACE else [*words, label])


def _word(value: Any) -> str:
    """An attribute as a word of a line."""
    return str(int(value)) if isinstance(value, bool) else "_".join(str(value).split()) or "-"


def _number(value: float) -> str:
    """A number, whole ones without a fraction, as many readers take no other."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _one_line(name: str) -> str:
    return " ".join(name.split())
