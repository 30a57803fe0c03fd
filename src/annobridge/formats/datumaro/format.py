"""The format: its declaration, and how it is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa

from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.report import ReadReport
from .read import read_file
from .write import Writer

_HEAD = 1 << 16  # bytes
_LOOKED_AT = 100  # files of JSON
_MARK = re.compile(
    rb'"dm_format_version"\s*:|"categories"\s*:\s*\{\s*"(label|points|mask)"\s*:\s*\{|'
    rb'"categories"\s*:\s*\{\s*\}\s*,\s*"items"\s*:\s*\['
)


class DatumaroFormat(FileFormat):
    """Datumaro 1.0."""

    name = "datumaro"
    title = "a Datumaro dataset"
    fidelity = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "polyline": KEPT, "keypoints": KEPT, "skeleton": KEPT, "mask": KEPT,
            "classification": KEPT, "ellipse": "written as masks", "segmentation": "written as masks of single objects",
        },
        attributes=None, rotation=True, confidence=True, tracks=True, visibility=True, closed=True, splits=True, decimals=9,
        without_holes="painted: these polygons will be masks",
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".json", ()), key=lambda n: (len(PurePosixPath(n).parts), n))
        for name in names[:_LOOKED_AT]:
            if _is_datumaro(archive, name):
                return f"{name} has Datumaro's categories and items"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        for name in archive.by_suffix.get(".json", ()):
            if _is_datumaro(archive, name):
                yield from read_file(archive, name, items, report)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        Writer(data).write()

    def image_folder(self, split: str | None) -> str:
        return f"images/{split or 'default'}"


def _is_datumaro(archive: Archive, name: str) -> bool:
    with archive.open(name) as stream:
        head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"{") and _MARK.search(head) is not None
