"""Segmentation mask 1.1, as CVAT has it: PNG files of classes and of objects, with a label map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa
from pydantic import Field

from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items
from .common.report import ReadReport
from .common.voc_tree import CLASSES, Tree, palette_of, read_image_sets, read_masks, split_path
from .common.voc_write import flat_names, write_lists, write_masks

PAINTED = dict.fromkeys(("box", "polygon", "ellipse", "cuboid"), "painted as masks")


class MaskOptions(ReadOptions):
    """The options of reading masks."""

    semantic: bool = Field(
        False, description="read the pixels of each class as one `segmentation`, not objects as masks"
    )


class SegmentationMaskFormat(FileFormat):
    """Masks of classes and of objects."""

    name = "segmentation-mask"
    title = "segmentation masks"
    fidelity = Fidelity(
        kinds={"mask": KEPT, "segmentation": "written as masks", **PAINTED}, holes=True, parts=True, splits=True,
        notes=("A pixel is of one label: the one with the highest z_order.",),
    )  # fmt: skip
    reading = MaskOptions

    def detect(self, archive: Archive) -> str | None:
        if not any(split_path(name, CLASSES) for name in archive.by_suffix.get(".png", ())):
            return None
        if any(split_path(name, "Annotations") for name in archive.by_suffix.get(".xml", ())):
            return None  # Pascal VOC, which reads masks too
        if any(
            (split_path(name, "ImageSets") or ("", ""))[1].startswith("Main/")
            for name in archive.by_suffix.get(".txt", ())
        ):
            return None
        return f"there are masks in {CLASSES}"

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, MaskOptions)  # noqa: S101 - the options of this format
        tree = Tree(archive, items, report)
        read_image_sets(tree)
        shapes = None
        for shapes in read_masks(tree, palette_of(archive), options.semantic):
            yield from shapes.take_full()
        if shapes is not None:
            yield shapes.take()
        for key in tree.splits:
            tree.item(key)

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        flat_names(data)

    def image_folder(self, split: str | None) -> str:
        return "JPEGImages"

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        write_masks(data)
        stems = [str(PurePosixPath(name).with_suffix("")) for name in data.items["name"].to_pylist()]
        write_lists(data, "Segmentation", stems)
