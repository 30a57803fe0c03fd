"""MOTS PNG 1.0, and the text files of MOTS: masks of tracks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.class_list import ClassList
from ..common.export import ExportData, is_line
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.report import ReadReport
from ..mot.write import rename
from ..segmentation_mask import PAINTED
from . import write
from .read import INSTANCES, instance_images, is_empty, read_images, read_texts, text_files

_PNG_16 = b"\x10\x00"  # bits and kind of colour: 16, grey
_LOOKED_AT = 5


class MotsReading(ReadOptions):
    """How to read MOTS."""

    classes: ClassList = Field(
        (), description="the classes in the order of their numbers, from 1, where there is no labels.txt or another one"
    )


class MotsWriting(WriteOptions):
    """How to write MOTS."""

    layout: Literal["png", "txt"] = Field(
        "png", description="MOTS PNG, as CVAT has it, or gt/gt.txt with RLE in the layout of MOTSChallenge"
    )


class MotsFormat(FileFormat):
    """Masks of tracks, of sequences of images or of videos."""

    name: ClassVar[str] = "mots"
    title: ClassVar[str] = "MOTS"
    video: ClassVar[bool] = True
    reading: ClassVar[type[ReadOptions]] = MotsReading
    writing: ClassVar[type[WriteOptions] | None] = MotsWriting
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"mask": KEPT, "segmentation": "written as masks", **PAINTED}, tracks=True, tracks_numbered=True,
        holes=True, parts=True, splits=True, overlaps=False,
        notes=(
            "A pixel is of one label: the one with the highest z_order.",
            "Tracks have numbers from 0 to 999 in their class; labels of no track get one.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """PNG files of 16 bits in ``instances``, with ``labels.txt`` or not; or lines of MOTS."""
        for name in instance_images(archive)[:_LOOKED_AT]:
            if _is_16_bit(archive, name):
                return f"{name} is a mask of MOTS"
        named = [
            name for name in text_files(archive) if name.rpartition("/")[2] == "gt.txt" or "instances_txt/" in name
        ]
        return f"{named[0]} has lines of MOTS" if named else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Read the masks; text files only where there are none."""
        assert isinstance(options, MotsReading)  # noqa: S101 - the options of this format
        if instance_images(archive):
            yield from read_images(archive, items, options.classes, report)
        elif text_files(archive) or is_empty(archive):
            yield from read_texts(archive, items, options.classes, report)
        else:
            raise InvalidSource(
                f"{str(archive.path)!r} has no masks in a folder {INSTANCES}, and no lines of MOTS; give another format."
            )

    def image_folder(self, split: str | None) -> str:
        """Names of images have all of the path."""
        return "."

    def video_folder(self, split: str | None) -> str | None:
        """Names of videos have all of the path."""
        return "."

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Name images as the layout wants it."""
        assert isinstance(options, MotsWriting)  # noqa: S101 - the options of this format
        write.require_few_classes(data)
        data.refuse_classes(is_line, "in a line of labels.txt")
        if options.layout == "txt":
            rename(data)
        else:
            write.place_items(data)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the masks and ``labels.txt``."""
        assert isinstance(options, MotsWriting)  # noqa: S101 - the options of this format
        if options.layout == "txt":
            write.write_texts(data)
        else:
            write.write_images(data)


def _is_16_bit(archive: Archive, name: str) -> bool:
    """Whether a PNG is grey, with 16 bits for each pixel."""
    with archive.open(name) as stream:
        head = stream.read(26)
    archive.opened.discard(name)
    return head[:4] == b"\x89PNG" and head[24:26] == _PNG_16
