"""ImageNet: images in folders named after their class, as CVAT, torchvision's ImageFolder and Ultralytics' classify have them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import InvalidOption, Unsupported
from .common.archive import Archive
from .common.class_json import class_lists, read_class_lists
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import ITEMS, Items, Shapes
from .common.report import ReadReport
from .common.source import RELATIVE

NO_LABEL = "no_label"  # the folder of images without a class, as CVAT names it
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
_SYNSET = re.compile(r"n\d{8}")
_NO_CLASSES = frozenset(
    {"image", "images", "img", "imgs", "data", "dataset", "jpegimages", "pictures", "photos", "frames"}
)


class ImagenetFormat(FileFormat):
    """Folders of classes, perhaps in folders of splits."""

    name: ClassVar[str] = "imagenet"
    title: ClassVar[str] = "folders of classes (ImageNet)"
    unit: ClassVar[str] = RELATIVE
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"classification": KEPT}, splits=True, several_classes=False,
        notes=("An image is in the folder of its first class; further classes are lost.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """Folders that cannot be but classes; in a zip, any folders that hold all images and nothing else."""
        if lists := class_lists(archive):
            return f"{next(iter(lists))} has the classes of images"
        images = image_names(archive)
        if not images or len(images) < len(archive.names):
            return None
        paths = [name.split("/") for name in images]
        if min(map(len, paths)) < 2:
            return None
        paths = _below_common(paths)
        above = len(paths[0]) > 2 and all(len(p) > 2 and p[0].lower() in _SPLITS for p in paths)
        classes = {p[1] if above else p[0] for p in paths}
        if above and len(classes) > 1:
            of_split = [{p[1] for p in paths if p[0] == split} for split in dict.fromkeys(p[0] for p in paths)]
            if len(of_split) > 1 and all(of_split[0] & other for other in of_split[1:]):
                return f"its splits have the same folders of images, as {sorted(classes)[0]!r}"
        if NO_LABEL in classes or all(map(_SYNSET.fullmatch, classes)):
            return f"its folders are classes, as {sorted(classes)[0]!r}"
        if all(p[-1].startswith(f"{p[-2]}_") for p in paths):
            return f"its images have the names of their folders in front, as {images[0]!r}"
        if not archive.is_folder and not above and not _SPLITS & set(map(str.lower, classes)) and not _generic(classes):
            return f"it has nothing but folders of images, as {sorted(classes)[0]!r}"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each image with the class that its folder names, or with those that a ``labels.json`` of CVAT has for it."""
        if lists := class_lists(archive):
            yield from read_class_lists(archive, lists, items)
            return
        images = image_names(archive)
        paths = [name.split("/") for name in images]
        if images and min(map(len, paths)) > 1:
            paths = _below_common(paths)
        shapes = Shapes()
        for name, path in zip(images, paths, strict=True):
            split = path[0] if len(path) > 2 and path[0].lower() in _SPLITS else None
            path = path[1:] if split is not None else path
            item = items.add("/".join(path), split, file=name)
            if len(path) > 1 and path[0] != NO_LABEL:
                shapes.add(item, "classification", path[0], place=archive.where(name))
                yield from shapes.take_full()
        yield shapes.take()

    def is_image(self, name: str) -> bool:
        """All are: a class may be called "masks"."""
        return True

    def image_folder(self, split: str | None) -> str:
        """The folder of a split; of its classes, the names of the items have the folders."""
        return split or "."

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Put the class in front of the name of each item."""
        if options.save_media is False:
            raise InvalidOption(
                "Folders of classes have no labels without their images; write the images, or choose format='imagenet-txt'."
            )
        classes = first_classes(data)
        odd = sorted({name for name in classes if name is not None and not _is_folder_name(name)})
        if odd:
            raise Unsupported(
                "", [f"The class {name!r} cannot be the name of a folder; rename it." for name in odd[:20]]
            )
        names = [
            _in_folder(class_ or NO_LABEL, name)
            for class_, name in zip(classes, data.items["name"].to_pylist(), strict=True)
        ]
        data.items = data.items.set_column(0, ITEMS.field("name"), pa.array(_unique(names, data), pa.string()))

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Nothing: the folders of the images say it all."""


def first_classes(data: ExportData) -> list[str | None]:
    """The class of each item."""
    classes: list[str | None] = [None] * data.items.num_rows
    for part in data.parts():
        rows = part.labels.filter(pc.equal(part.labels["kind"], "classification"))
        for item, label in zip(rows["item"].to_pylist(), rows["label"].to_pylist(), strict=True):
            classes[item] = classes[item] or label
    return classes


def _below_common(paths: Sequence[list[str]]) -> list[list[str]]:
    """Paths without a folder that holds everything, but not without the only class."""
    kept = {*_SPLITS, NO_LABEL}
    while min(map(len, paths)) > 2 and len({path[0] for path in paths}) == 1 and paths[0][0].lower() not in kept:
        paths = [path[1:] for path in paths]
    return list(paths)


def _generic(folders: set[str]) -> bool:
    return bool(_NO_CLASSES & {folder.lower() for folder in folders})


def _is_folder_name(name: str) -> bool:
    return name not in ("", ".", "..", NO_LABEL) and not any(c in name for c in "/\\\0:")


def _in_folder(class_: str, name: str) -> str:
    return name if name.startswith(f"{class_}/") else f"{class_}/{name}"


def _unique(names: list[str], data: ExportData) -> list[str]:
    """Names of which none is twice in one split: two may become one when a class is put in front."""
    taken: set[tuple[Any, str]] = set()
    found = []
    for name, split in zip(names, data.items["split"].to_pylist(), strict=True):
        stem, dot, suffix = name.rpartition(".")
        new, number = name, 1
        while (split, new) in taken:
            number += 1
            new = f"{stem}_{number}{dot}{suffix}"
        taken.add((split, new))
        found.append(new)
    return found
