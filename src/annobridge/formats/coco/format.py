"""The format: its declaration, and how it is recognised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.report import ReadReport
from .files import look
from .read import Reader
from .write import Writer

_LOOKED_AT = 100  # files of JSON


class CocoReading(ReadOptions):
    """The options of reading COCO."""

    files: str | None = Field(
        None, description="the JSON files to read, as a pattern of their names, as 'panoptic_*.json'"
    )
    ground_truth: Path | None = Field(
        None, description="the file with the images and categories of a file of results, where it is not in the source"
    )


class CocoWriting(WriteOptions):
    """The options of writing COCO."""

    skeletons: dict[str, dict[str, Any]] = Field(
        {}, description="class → {'labels': names of its points, 'edges': pairs of places from 0}, for its category"
    )


class CocoFormat(FileFormat):
    """COCO instances, keypoints, classes of images, panoptic and results."""

    name = "coco"
    title = "a COCO dataset"
    fidelity = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "mask": KEPT, "keypoints": KEPT, "skeleton": KEPT, "classification": KEPT,
            "segmentation": "written as masks of single objects", "ellipse": "written as masks",
        },
        attributes=None, rotation=True, confidence=True, tracks=True, visibility=True, parts=True, splits=True,
        decimals=9, defaults={"iscrowd": False},
        without_holes="painted: these polygons will be masks",
        notes=("A rotation is an attribute of its box, as CVAT writes it; other readers see the box upright.",),
    )  # fmt: skip
    reading: ClassVar[type[ReadOptions]] = CocoReading
    writing: ClassVar[type[WriteOptions] | None] = CocoWriting

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".json", ()), key=lambda n: (len(PurePosixPath(n).parts), n))
        for name in names[:_LOOKED_AT]:
            if (is_results := look(archive, name)) is not None:
                return f"{name} has {'results with image_id' if is_results else 'images and annotations'}"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, CocoReading)  # noqa: S101 - the options of this format
        yield from Reader(archive, items, report).tables(options.files, options.as_predictions, options.ground_truth)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        assert isinstance(options, CocoWriting)  # noqa: S101 - the options of this format
        Writer(data, options.skeletons).write()
