"""The format: detection, and which layout is read and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa

from ...exceptions import InvalidOption
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.object_table import BOXED, FIDELITY, OF_OBJECTS, OUTLINED
from ..common.report import ReadReport
from .options import HuggingFaceReading, HuggingFaceWriting
from .read import TableReader
from .shards import find, holds_images
from .write import write_imagefolder, write_parquet

_LOOKED_AT = 3  # files of tables
_IN_FOLDERS = Fidelity(
    kinds={"box": KEPT, "classification": KEPT, "polygon": "written as the boxes around them",
           **dict.fromkeys(OUTLINED, "written as the boxes around them"), **BOXED},
    attributes=None, attribute_types=frozenset({"bool", "int", "float", "str"}), confidence=True, tracks=True, splits=True,
    parts=True, only=OF_OBJECTS,
)  # fmt: skip


class HuggingFaceFormat(FileFormat):
    """Tables with images inside. Folders of images with metadata are written here, and read by ``folder``."""

    name: ClassVar[str] = "huggingface"
    title: ClassVar[str] = "Hugging Face tables"
    fidelity: ClassVar[Fidelity] = replace(
        FIDELITY, notes=("Attributes of lists, or of several types, are JSON text in one column.",)
    )
    has_images_inside: ClassVar[bool] = True
    reading: ClassVar[type[ReadOptions]] = HuggingFaceReading
    writing: ClassVar[type[WriteOptions] | None] = HuggingFaceWriting

    def detect(self, archive: Archive) -> str | None:
        """Parquet or Arrow files with a column of images."""
        if not archive.by_suffix.get(".parquet") and not archive.by_suffix.get(".arrow"):
            return None
        for shard in find(archive)[:_LOOKED_AT]:
            if holds_images(archive, shard.name):
                return f"{shard.name} has a column of images"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each row of each table is an image."""
        assert isinstance(options, HuggingFaceReading)  # noqa: S101 - the options of this format
        return TableReader(archive, items, options, report).read()

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Folders of images hold boxes and classes only."""
        assert isinstance(options, HuggingFaceWriting)  # noqa: S101 - the options of this format
        return self.fidelity if options.layout == "parquet" else _IN_FOLDERS

    def image_folder(self, split: str | None) -> str:
        """The folder of the split, where its metadata file is too."""
        return split or "."

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Images of no split get the split ``default`` where others have one, as the layouts have a place for each split."""
        assert isinstance(options, HuggingFaceWriting)  # noqa: S101 - the options of this format
        if options.layout == "imagefolder" and None in data.splits and len(data.splits) > 1:
            data.items = data.items.set_column(1, "split", data.items["split"].fill_null("default"))
            data.notes.append("Images without a split are in the split 'default'.")

    def place_images(self, data: ExportData, options: WriteOptions) -> None:
        """Images are files of their own in folders of images only."""
        assert isinstance(options, HuggingFaceWriting)  # noqa: S101 - the options of this format
        if options.layout == "imagefolder":
            super().place_images(data, options)
        elif options.save_media == "link":
            raise InvalidOption("Tables have the images inside, which cannot be links; give save_media=True or False.")

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the tables, or the metadata files."""
        assert isinstance(options, HuggingFaceWriting)  # noqa: S101 - the options of this format
        (write_parquet if options.layout == "parquet" else write_imagefolder)(data, options)
