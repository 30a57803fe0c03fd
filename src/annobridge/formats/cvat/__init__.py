"""CVAT for images 1.1 and CVAT for video 1.1: CVAT's own XML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidOption, InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.images import image_names
from ..common.items import Items
from ..common.report import ReadReport
from ..common.xml import root_name
from ..common.xml_text import is_xml
from .fill_tracks import Fill
from .read import FileReader
from .write import write
from .write_tracks import write_tracks

_LOOKED_AT = 20  # files of which the beginning is read


class CvatReading(ReadOptions):
    """How to read CVAT's XML."""

    interpolate: bool = Field(
        False, description="fill in the frames between the shapes of a track that the file leaves out, as CVAT does"
    )
    max_interpolated: int = Field(10_000_000, gt=0, description="how many shapes may be filled in")


class CvatWriting(WriteOptions):
    """How to write CVAT's XML."""

    tracks: bool | None = Field(
        None, description="write CVAT for video, with tracks; by default, where there are videos"
    )


class CvatFormat(FileFormat):
    """CVAT's XML, of a task, a job or a project, of images or videos."""

    name = "cvat"
    title = "CVAT for images or for video"
    video = True
    reading = CvatReading
    writing = CvatWriting
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
        one_type=True,
        xml=True,
        defaults={"occluded": False},
        only={"visibility": ("skeleton",)},
        without_holes="painted: these polygons will be masks",
        notes=("With tracks=True, track indexes survive, and labels of no track get one.",),
    )

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".xml", ()), key=lambda name: (name.count("/"), name))
        for name in names[:_LOOKED_AT]:
            if root_name(archive, name) == "annotations":
                return f"{name} has the root <annotations> of CVAT's XML"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, CvatReading)  # noqa: S101 - the options of this format
        fill = Fill(options.max_interpolated) if options.interpolate else None
        found = False
        images = sorted(filter(self.is_image, image_names(archive)))
        for name in archive.by_suffix.get(".xml", ()):
            if root_name(archive, name) == "annotations":
                found = True
                yield from FileReader(archive, name, items, report, PurePosixPath(name).stem, images, fill).read()
        if not found:
            raise InvalidSource(
                f"{str(archive.path)!r} has no XML file with the root <annotations>; give another format."
            )

    def video_folder(self, split: str | None) -> str | None:
        return f"data/{split}" if split else "data"

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        if not _has_tracks(data, options):
            return self.fidelity
        tracked = [kind for kind in self.fidelity.kinds if kind != "classification"]
        return replace(self.fidelity, tracks=True, tracks_numbered=True, only={**self.fidelity.only, "tracks": tracked})

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(is_xml, "in XML")
        if data.videos.num_rows and not _has_tracks(data, options):
            raise InvalidOption("Frames of videos are written as tracks; leave tracks=False out.")

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        if _has_tracks(data, options):
            write_tracks(data)
        else:
            write(data)


def _has_tracks(data: ExportData, options: WriteOptions) -> bool:
    assert isinstance(options, CvatWriting)  # noqa: S101 - the options of this format
    return bool(data.videos.num_rows) if options.tracks is None else options.tracks
