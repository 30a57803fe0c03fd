"""LabelMe 3.0 as a format: how it is recognised, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import BRIDGED, KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.report import ReadReport
from ..common.xml import document
from .attributes import is_xml
from .read import File, Layout, has_folder
from .write import write

_LOOKED_AT = 20
_HEAD = 4096
_ROOT = re.compile(rb"<annotation[\s>]")
_MARKS = re.compile(rb"<(imagesize|nrows|sourceImage|deleted)[\s/>]")


class Labelme3Format(FileFormat):
    """An XML file for each image."""

    name = "labelme-3.0"
    title = "LabelMe 3.0 XML"
    fidelity = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "mask": KEPT, "segmentation": "written as masks",
            "ellipse": "written as polygons", "cuboid": "written as the polygons around them",
        },
        attributes=None, rotation=True, confidence=True, tracks=True,
        without_holes=BRIDGED, splits=True, decimals=6,
        notes=(
            "Turned boxes are polygons with the attribute rotation, which only annobridge reads back as boxes.",
            "Values of attributes that look like another type are quoted, which other tools do not undo.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".xml", ()), key=lambda name: (name.count("/"), name))
        for name in names[:_LOOKED_AT]:
            with archive.open(name) as stream:
                head = stream.read(_HEAD)
            if _ROOT.search(head) and _MARKS.search(head):
                return f"{name} is an <annotation> of LabelMe"
        return None

    def is_image(self, name: str) -> bool:
        return not has_folder(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        shapes, layout = Shapes(), Layout(archive)
        for name in archive.by_suffix.get(".xml", ()):
            root = document(archive, name)
            if root.tag != "annotation" or root.find("filename") is None:
                report.skip(archive.where(name), "it is no <annotation> of LabelMe with a <filename>")
                continue
            File(layout, name, root, report).read(items, shapes)
            yield from shapes.take_full()
        yield shapes.take()
        if not len(items):
            raise InvalidSource(
                f"{str(archive.path)!r} has no XML with the root <annotation> and a <filename>; give another format."
            )

    def image_folder(self, split: str | None) -> str:
        return split or "default"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(lambda name: is_xml(name) and name == name.strip(), "in an element of XML")
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        write(data)
