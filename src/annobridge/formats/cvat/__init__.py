"""CVAT for images 1.1 and CVAT for video 1.1: CVAT's own XML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.images import image_names
from ..common.items import Items
from ..common.report import ReadReport
from ..common.xml import root_name
from .read import FileReader
from .write import write

_LOOKED_AT = 20  # files of which the beginning is read


class CvatFormat(FileFormat):
    """CVAT's XML, of a task, a job or a project, of images or videos."""

    name = "cvat"
    title = "CVAT for images or for video"
    fidelity = Fidelity(
        kinds={
            **dict.fromkeys(("box", "polygon", "polyline", "keypoints", "skeleton", "mask", "ellipse", "cuboid"), KEPT),
            "classification": KEPT,
            "segmentation": "written as masks",
        },
        attributes=None,
        rotation=True,
        confidence=True,
        splits=True,
        visibility=True,
        decimals=6,
        attribute_types=frozenset({"bool", "int", "float", "str"}),
        defaults={"occluded": False},
        only={"visibility": ("skeleton",)},
        without_holes="painted: these polygons will be masks",
    )

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".xml", ()), key=lambda name: (name.count("/"), name))
        for name in names[:_LOOKED_AT]:
            if root_name(archive, name) == "annotations":
                return f"{name} has the root <annotations> of CVAT's XML"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        found = False
        images = sorted(filter(self.is_image, image_names(archive)))
        for name in archive.by_suffix.get(".xml", ()):
            if root_name(archive, name) == "annotations":
                found = True
                yield from FileReader(archive, name, items, report, PurePosixPath(name).stem, images).read()
        if not found:
            raise InvalidSource(
                f"{str(archive.path)!r} has no XML file with the root <annotations>; give another format."
            )

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        write(data)
