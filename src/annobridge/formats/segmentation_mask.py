"""Segmentation mask 1.1, as CVAT has it: PNG files of classes and of objects, with a label map."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pyarrow as pa
from pydantic import Field

from .common import mask_images
from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes
from .common.palette import fits_labelmap, read_labelmap
from .common.report import ReadReport
from .common.voc_tree import CLASSES, Tree, palette_of, read_image_sets, read_masks, split_path
from .common.voc_write import flat_names, write_lists, write_masks

PAINTED = dict.fromkeys(("box", "polygon", "ellipse", "cuboid"), "painted as masks")


_MASKS = ("labels", "masks", "mask", "label", "annotations")
_IMAGES = ("data", "images", "image", "JPEGImages")


def _beside(archive: Archive) -> dict[str, str]:
    """Images and their masks, of the same name without suffix, in folders beside each other; none if there is other data."""
    masks: dict[tuple[str, str], str] = {}
    images: dict[tuple[str, str], str] = {}
    for found, folders, names in (
        (masks, _MASKS, archive.by_suffix.get(".png", ())),
        (images, _IMAGES, image_names(archive)),
    ):
        for name in names:
            key = next((key for folder in folders if (key := split_path(name, folder)) is not None), None)
            if key is not None:
                found[key] = name
    if not masks or not set(masks) <= set(images):
        return {}
    return {images[key]: name for key, name in masks.items()}


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
        overlaps=False,
        notes=("A pixel is of one label: the one with the highest z_order.",),
    )  # fmt: skip
    reading = MaskOptions

    def detect(self, archive: Archive) -> str | None:
        if not any(split_path(name, CLASSES) for name in archive.by_suffix.get(".png", ())):
            pairs = _beside(archive)
            return f"{next(iter(pairs.values()))} has the name of an image beside its folder" if pairs else None
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
        if shapes is None:
            yield from self._read_beside(archive, items, report, options)

    def _read_beside(
        self, archive: Archive, items: Items, report: ReadReport, options: MaskOptions
    ) -> Iterator[pa.Table]:
        """Masks of numbers in a folder of their own. Classes have the names of a label map, else their numbers."""
        given = next(
            (n for n in archive.by_suffix.get(".txt", ()) if n.rpartition("/")[2].lower() == "labelmap.txt"), None
        )
        palette = read_labelmap(archive, given) if given else None
        shapes, kind = Shapes(), "segmentation" if options.semantic else "mask"
        for image, name in _beside(archive).items():
            if (mask := mask_images.load(archive, name, report)) is None:
                continue
            item = items.add(image, None, *mask.size, file=image)
            values = mask.classes(palette) if palette else mask.numbers if mask.numbers is not None else mask.values
            for number, _, found in mask_images.regions(values):
                if number == mask_images.UNKNOWN:
                    report.skip(archive.where(name), "pixels of a colour or number that the label map does not have")
                elif number:
                    label = palette.names[number] if palette else str(number)
                    shapes.add(item, kind, label, mask=found, place=archive.where(name))
            yield from shapes.take_full()
        yield shapes.take()

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(fits_labelmap, "in a line of labelmap.txt")
        flat_names(data)

    def image_folder(self, split: str | None) -> str:
        return "JPEGImages"

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        write_masks(data)
        stems = [os.path.splitext(name)[0] for name in data.items["name"].to_pylist()]
        write_lists(data, "Segmentation", stems)
