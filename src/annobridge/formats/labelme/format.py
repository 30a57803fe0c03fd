"""labelme's JSON as a format: how it is recognised, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import BRIDGED, KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.report import ReadReport
from .read import HEAD, File, is_head
from .write import LISTS, is_circle, write

_LOOKED_AT = 20
_SHAPED = frozenset(
    {"box", "polygon", "polyline", "keypoints", "mask", "segmentation", "skeleton", "ellipse", "cuboid"}
)


class LabelmeWriteOptions(WriteOptions):
    """The options of writing labelme's files."""

    embed_images: bool = Field(False, description="put each image into its JSON file too")


class LabelmeFormat(FileFormat):
    """A JSON file for each image."""

    name = "labelme"
    title = "labelme JSON"
    fidelity = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "polyline": KEPT, "keypoints": KEPT, "mask": KEPT, "classification": KEPT,
            "segmentation": "written as masks", "skeleton": "written as keypoints",
            "ellipse": "written as polygons where they are no circles", "cuboid": "written as the polygons around them",
        },
        attributes=None, rotation=True, confidence=True, tracks=True, visibility=True, closed=True,
        only=dict.fromkeys(("attributes", "confidence", "tracks"), _SHAPED),
        without_holes=BRIDGED, splits=True,
        notes=(
            "Classes of the whole image are flags of it, and have no attributes and no confidence.",
            "What labelme has no place for (attributes that are not boolean, confidence, index, visibility) is in keys that it "
            "keeps when it saves a file, and does not show.",
        ),
    )  # fmt: skip
    writing = LabelmeWriteOptions

    def detect(self, archive: Archive) -> str | None:
        for name in archive.by_suffix.get(".json", ())[:_LOOKED_AT]:
            with archive.open(name) as stream:
                if is_head(stream.read(HEAD)):
                    return f"{name} has shapes on an image"
        return None

    def is_image(self, name: str) -> bool:
        return True  # masks are in the JSON files, and people call folders of images and JSON files as they like

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        shapes = Shapes()
        for name in archive.by_suffix.get(".txt", ()):
            if name.rpartition("/")[2] in LISTS:
                archive.read(name)  # lists of classes, which the JSON files have too
        for name in archive.by_suffix.get(".json", ()):
            File(archive, name, report).read(items, shapes)
            yield from shapes.take_full()
        yield shapes.take()
        if not len(items):
            raise InvalidSource(
                f"{str(archive.path)!r} has no JSON file of labelme, with 'shapes' and 'imagePath'; give another format."
            )

    def image_folder(self, split: str | None) -> str:
        return split or "."

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.unique_stems()

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Ellipses survive if all are circles."""
        if not data.kinds["ellipse"] or any(
            row["kind"] == "ellipse" and not is_circle(row) for part in data.parts() for row in part.labels.to_pylist()
        ):
            return self.fidelity
        return replace(self.fidelity, kinds={**self.fidelity.kinds, "ellipse": KEPT})

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        assert isinstance(options, LabelmeWriteOptions)  # noqa: S101 - the options of this format
        write(data, options.embed_images)
