"""Cityscapes 1.0: masks of instances, of classes, and in colour."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from .common import mask_images
from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import ITEMS, Items, Shapes
from .common.paint import PAINTED, Canvas, attribute_of
from .common.painter import Painter
from .common.palette import BACKGROUND, colours_text, fits_colours, read_colours
from .common.report import ReadReport
from .common.street_scenes import CITYSCAPES, class_masks, instance_masks, palette_file
from .common.voc_tree import SPLITS
from .segmentation_mask import PAINTED as PAINTED_AS_MASKS
from .segmentation_mask import MaskOptions

_GT = "_gtFine_"
_LEFT = "_leftImg8bit"
_KINDS = ("instanceIds", "labelIds", "color")  # the first that an image has is read
BASE = 1000  # of instance numbers
UNLABELED = "unlabeled"  # the class of no label; CVAT reads a ``background`` as a label


class CityscapesFormat(FileFormat):
    """Masks of instances: class * 1000 + number."""

    name = "cityscapes"
    title = "Cityscapes"
    fidelity = Fidelity(
        kinds={"mask": KEPT, "segmentation": "written as masks", **PAINTED_AS_MASKS}, attributes=frozenset({"iscrowd"}),
        holes=True, parts=True, splits=True, overlaps=False, defaults={"iscrowd": False},
        notes=(
            "A pixel is of one label: the one with the highest z_order.",
            "Masks without iscrowd are read back with it, as false.",
        ),
    )  # fmt: skip
    reading = MaskOptions

    def detect(self, archive: Archive) -> str | None:
        found = next((name for name in archive.by_suffix.get(".png", ()) if _of_mask(name) is not None), None)
        return f"{found} is a mask of Cityscapes" if found else None

    def is_image(self, name: str) -> bool:
        return _of_mask(name) is None and super().is_image(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, MaskOptions)  # noqa: S101 - the options of this format
        colours = palette_file(archive)
        palette = read_colours(archive, colours) if colours else CITYSCAPES
        masks: dict[tuple[str | None, str], dict[str, str]] = {}
        for name in archive.by_suffix.get(".png", ()):
            if (found := _of_mask(name)) is not None:
                masks.setdefault((found[0], found[1]), {})[found[2]] = name
        files = dict(filter(None, map(_of_image, filter(self.is_image, image_names(archive)))))
        shapes = Shapes()
        for key in sorted({*masks, *files}, key=str):
            kind = next((kind for kind in _KINDS if kind in masks.get(key, {})), None)
            mask = mask_images.load(archive, masks[key][kind], report) if kind else None
            width, height = mask.size if mask else (None, None)
            item = items.add(key[1], key[0], width, height, file=files.get(key))
            if kind is None or mask is None:
                continue
            place = archive.where(masks[key][kind])
            if kind == "instanceIds" and mask.numbers is not None and not options.semantic:
                with_numbers = bool((mask.numbers >= BASE).any())
                is_class = with_numbers and palette.names[0] == BACKGROUND
                instance_masks(shapes, item, mask.numbers, palette, place, report, BASE, is_class)
            else:
                values = mask.classes(palette)
                if kind == "instanceIds" and mask.numbers is not None:
                    values = np.where(mask.numbers >= BASE, mask.numbers // BASE, mask.numbers)
                    values = np.where(values < len(palette.names), values, mask_images.UNKNOWN)
                class_masks(shapes, item, values, palette, place, report, options.semantic)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return f"leftImg8bit/{split or 'default'}"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(fits_colours, "in a line of label_colors.txt")
        data.unique_stems()
        names = [
            name if os.path.splitext(name)[0].endswith(_LEFT) else _LEFT.join(os.path.splitext(name))
            for name in data.items["name"].to_pylist()
        ]
        data.items = data.items.set_column(0, ITEMS.field("name"), pa.array(names, pa.string()))

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        painter = Painter(data, UNLABELED)
        palette = painter.palette
        (data.folder / "label_colors.txt").write_text(colours_text(palette), "utf-8")
        for part in data.parts():
            for _, item, labels in part.by_item():
                rows = [row for row in labels.to_pylist() if row["kind"] in PAINTED]
                # A mask without labels tells of an image where no image is written.
                if rows or (options.save_media is False and item["width"] is not None):
                    canvas = painter.canvas(rows, item)
                    stem = str(item["name"]).rpartition(_LEFT)[0]
                    place = data.folder / "gtFine" / str(item["split"] or "default") / f"{stem}{_GT}"
                    mask_images.save_colours(place.with_name(f"{place.name}color.png"), canvas.classes, palette)
                    mask_images.save_numbers(
                        place.with_name(f"{place.name}labelIds.png"),
                        canvas.classes,
                        8 if len(palette.names) < 257 else 16,
                    )
                    values = instance_values(canvas, painter.numbers, BASE)
                    mask_images.save_numbers(place.with_name(f"{place.name}instanceIds.png"), values, 16)


def instance_values(canvas: Canvas, numbers: dict[str, int], base: int) -> np.ndarray:
    """``class * base + instance`` of each pixel; crowds, and what is more than fits into the base, have no instance."""
    counts: dict[str, int] = {}
    table = np.zeros(len(canvas.rows) + 1, np.int64)
    for at, row in enumerate(canvas.rows):
        number = numbers[row["label"]]
        is_crowd = attribute_of(row, "iscrowd") is True or row["kind"] == "segmentation"
        if not is_crowd:
            counts[row["label"]] = counts.get(row["label"], 0) + 1
        instance = 0 if is_crowd or counts[row["label"]] >= base else counts[row["label"]]
        table[at + 1] = number * base + instance if instance or base != BASE else number
    values: np.ndarray = table[canvas.instances()]
    return values


def _of_mask(name: str) -> tuple[str | None, str, str] | None:
    """Split, name and kind of a mask, as ``gtFine/train/aachen/a_gtFine_labelIds.png``."""
    stem, suffix = os.path.splitext(name)
    head, mark, kind = stem.rpartition(_GT)
    if not mark or suffix.lower() != ".png" or kind not in _KINDS:
        return None
    parts = head.split("/")
    return (*_split_and_name(parts[parts.index("gtFine") + 1 :] if "gtFine" in parts else parts), kind)


def _of_image(name: str) -> tuple[tuple[str | None, str], str] | None:
    head, mark, _ = name.rpartition(_LEFT)
    if not mark:
        return None
    parts = head.split("/")
    return _split_and_name(parts[parts.index("leftImg8bit") + 1 :] if "leftImg8bit" in parts else parts), name


def _split_and_name(parts: list[str]) -> tuple[str | None, str]:
    if len(parts) > 1 and (parts[0].lower() in SPLITS or parts[0] == "default"):
        return None if parts[0] == "default" else parts[0], "/".join(parts[1:])
    return None, "/".join(parts)
