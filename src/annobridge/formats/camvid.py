"""CamVid 1.0: a list of images for each split, and colour masks of classes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pyarrow as pa

from ..core.media import PICTURES
from .common import mask_images
from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes
from .common.paint import PAINTED
from .common.painter import Painter
from .common.palette import Colour, Palette, code, colours_text, fits_colours, read_colours
from .common.report import ReadReport
from .common.street_scenes import CAMVID, class_masks, palette_file, to_class_masks
from .segmentation_mask import MaskOptions

_ANNOT = "annot"
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_BLACK: Colour = (0, 0, 0)


class CamvidFormat(FileFormat):
    """Colour masks of classes."""

    name = "camvid"
    title = "CamVid"
    fidelity = Fidelity(
        kinds={"segmentation": "written as masks", **to_class_masks(), "mask": "joined with those of its class"},
        holes=True, parts=True, splits=True, overlaps=False,
        notes=("A pixel is of one class: that of the label with the highest z_order.",),
    )  # fmt: skip
    reading = MaskOptions

    def detect(self, archive: Archive) -> str | None:
        mask = next((name for name in archive.by_suffix.get(".png", ()) if _mask_split(name) is not None), None)
        return f"{mask} is in a folder of CamVid's masks" if mask else None

    def is_image(self, name: str) -> bool:
        return _mask_split(name) is None and super().is_image(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, MaskOptions)  # noqa: S101 - the options of this format
        palette = _palette(archive)
        shapes = Shapes()
        done: set[str] = set()
        for root, split, image, mask in _entries(archive):
            found = None
            if mask is not None:
                done.add(mask)
                if mask in archive:
                    found = mask_images.load(archive, mask, report)
                else:
                    report.skip(archive.where(mask), "the mask is not in the archive")
            width, height = found.size if found else (None, None)
            file = f"{root}{image}" if f"{root}{image}" in archive else None
            name = image.removeprefix(f"{split}/")
            item = items.add(name, None if split == "default" else split, width, height, file=file)
            if found is not None and mask is not None:
                class_masks(
                    shapes, item, found.classes(palette), palette, archive.where(mask), report, options.semantic
                )
                yield from shapes.take_full()
        for name in archive.by_suffix.get(".png", ()):
            split_name = _mask_split(name)
            if split_name is None or name in done or (found := mask_images.load(archive, name, report)) is None:
                continue
            split, stem = split_name
            item = items.add(stem, None if split == "default" else split, *found.size)
            class_masks(shapes, item, found.classes(palette), palette, archive.where(name), report, options.semantic)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return split or "default"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(fits_colours, "in a line of label_colors.txt")
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        painter = Painter(data)
        palette = painter.palette
        # Without the background, which CVAT would take for a class of the task.
        listed = Palette(palette.names[1:], palette.colours[1:])
        (data.folder / "label_colors.txt").write_text(colours_text(listed), "utf-8")
        lines: dict[str, list[str]] = {split or "default": [] for split in data.splits}
        for part in data.parts():
            for _, item, labels in part.by_item():
                split, name = str(item["split"] or "default"), str(item["name"])
                rows = [row for row in labels.to_pylist() if row["kind"] in PAINTED]
                mask = ""
                if rows:
                    mask = f"{split}{_ANNOT}/{os.path.splitext(name)[0]}.png"
                    mask_images.save_colours(data.folder / mask, painter.canvas(rows, item).classes, palette)
                lines[split].append(_line(f"/{split}/{name}", mask))
        for split, rows_of in lines.items():
            (data.folder / f"{split}.txt").write_text("".join(rows_of), "utf-8")


def _line(image: str, mask: str) -> str:
    """A line of a list. Readers take both names in quotes, or neither."""
    return f'"{image}" "{mask}"\n' if re.search(r"\s", image + mask) else f"{image} {mask}".rstrip() + "\n"


def _mask_split(name: str) -> tuple[str, str] | None:
    """Split and name without suffix of a mask in ``SPLITannot/``."""
    parts = name.split("/")
    for at, part in enumerate(parts[:-1]):
        if part.endswith(_ANNOT) and part != _ANNOT:
            return part.removesuffix(_ANNOT), "/".join(parts[at + 1 :]).rpartition(".")[0]
    return None


def _entries(archive: Archive) -> Iterator[tuple[str, str, str, str | None]]:
    """The lines of the lists: the folder of the list, its split, the image and the mask."""
    for name in archive.by_suffix.get(".txt", ()):
        root, _, base = name.rpartition("/")
        root = f"{root}/" if root else ""
        split = base.rpartition(".")[0]
        if base.startswith("label_color"):
            continue
        for _, line in archive.lines(name):
            words = [quoted or plain for quoted, plain in _WORD.findall(line)]
            if len(words) in (1, 2) and os.path.splitext(words[0])[1].lower() in PICTURES:
                mask = words[1] if len(words) == 2 else ""
                yield root, split, words[0].lstrip("/"), f"{root}{mask.lstrip('/')}" if mask else None


def _palette(archive: Archive) -> Palette:
    """The colours of the archive; black is the background where no class has it."""
    name = palette_file(archive)
    if name is None:
        return CAMVID
    found = read_colours(archive, name)
    if code(_BLACK) in found.number_of():
        return found
    return Palette(("background", *found.names), (_BLACK, *found.colours))
