"""The tree that Pascal VOC and CVAT's Segmentation mask share: label map, image sets, masks of classes and of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from . import mask_images
from .archive import Archive
from .items import Items, Shapes
from .palette import BACKGROUND, VOC, Palette, of_names, read_labelmap
from .report import ReadReport

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing", "trainval", "dev")
FLAGGED = re.compile(r"^(.*\S)\s+(-1|0|1)$")
_FRAME = re.compile(r"(?:frame_)?(\d{1,9})")
Key = tuple[str, str]  # the folder of the tree, with its "/", and the name of the image in it, without suffix


@dataclass
class Tree:
    """The items of a source, by tree and name without suffix."""

    archive: Archive
    items: Items
    report: ReadReport
    numbers: dict[Key, int] = field(default_factory=dict)
    splits: dict[Key, str | None] = field(default_factory=dict)
    sizes: dict[Key, tuple[int, int]] = field(default_factory=dict)

    def item(self, key: Key, name: str | None = None, size: tuple[int, int] | None = None) -> int:
        """The number of an item, which is added if it is new."""
        if key not in self.numbers:
            width, height = size or self.sizes.get(key) or (None, None)
            frame = _FRAME.fullmatch(key[1].rpartition("/")[2])
            self.numbers[key] = self.items.add(
                name or key[1], self.split_of(key), width, height, int(frame[1]) if frame else None
            )
        return self.numbers[key]

    def split_of(self, key: Key) -> str | None:
        """The split of an item: of the image sets, or the name of its tree's folder."""
        if key in self.splits:
            return self.splits[key]
        last = key[0].rstrip("/").rpartition("/")[2]
        return last if last.lower() in SPLITS else None


def split_path(name: str, folder: str) -> Key | None:
    """The key of a file below a folder of a tree, as ``VOC2012/Annotations/a.xml``; ``None`` if it is not below one.

    >>> split_path("VOC2012/Annotations/cam 1/a.xml", "Annotations")
    ('VOC2012/', 'cam 1/a')
    """
    parts = name.split("/")
    if folder not in parts[:-1]:
        return None
    at = parts.index(folder)
    stem = "/".join(parts[at + 1 :]).rpartition(".")[0]
    return "".join(f"{part}/" for part in parts[:at]), stem


def read_image_sets(tree: Tree) -> dict[str, list[tuple[Key, str]]]:
    """Read the lists in ``ImageSets``. Sets the splits of their items, and returns what images have which class, by folder."""
    lists: dict[tuple[str, str], dict[str, str]] = {}
    for name in tree.archive.by_suffix.get(".txt", ()):
        if (key := split_path(name, "ImageSets")) is not None and key[1].count("/") == 1:
            folder, _, stem = key[1].partition("/")
            lists.setdefault((key[0], folder), {})[stem] = name
    classes: dict[str, list[tuple[Key, str]]] = {}
    for (root, folder), files in sorted(lists.items(), key=lambda entry: entry[0][1] != "Main"):
        flagged = _flagged(tree.archive, files)
        for stem in sorted(set(files) - set(flagged), key=lambda s: (s == "trainval", s)):
            split = stem if stem != "default" else None
            for image in _images(tree.archive, root, files[stem], folder != "Main"):
                tree.splits.setdefault((root, _unquoted(image)), split)
        for stem, class_ in flagged.items():
            for _, line in tree.archive.lines(files[stem]):
                found = FLAGGED.match(line.strip())
                if found is not None and found[2] == "1" and folder == "Main":
                    classes.setdefault(root, []).append(((root, _unquoted(found[1])), class_))
    return classes


def _images(archive: Archive, root: str, name: str, may_be_flagged: bool) -> Iterator[str]:
    """The images of a list. Lists of actions and of parts have a number behind each; but ``street 1`` can be a name, too."""
    lines = [line.strip() for _, line in archive.lines(name)]
    if not may_be_flagged or not all(map(FLAGGED.match, lines)):
        yield from lines
        return
    for line in lines:
        yield line if _has(archive, root, _unquoted(line)) else FLAGGED.sub(r"\1", line)


def _has(archive: Archive, root: str, image: str) -> bool:
    """Whether an archive has an annotation, a mask or the file of an image."""
    places = [f"{root}{folder}/{image}" for folder in ("Annotations", CLASSES, OBJECTS, "JPEGImages")]
    return any(f"{place}{suffix}" in archive for place in places for suffix in (".xml", ".png", ".jpg", ".jpeg"))


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _flagged(archive: Archive, files: dict[str, str]) -> dict[str, str]:
    """The lists of one class, as ``car_train``: whose name ends with that of another, and whose lines with a flag."""
    found = {}
    for stem in files:
        subset = next((other for other in files if other != stem and stem.endswith(f"_{other}")), None)
        if subset is not None and all(FLAGGED.match(line.strip()) for _, line in archive.lines(files[stem])):
            found[stem] = stem.removesuffix(f"_{subset}")
    return found


def palette_of(archive: Archive) -> Palette:
    """The label map; that of Pascal VOC where there is none."""
    for name in archive.by_suffix.get(".txt", ()):
        if name.rpartition("/")[2].lower() == "labelmap.txt":
            return read_labelmap(archive, name)
    return of_names(VOC)


def read_masks(tree: Tree, palette: Palette, semantic: bool) -> Iterator[Shapes]:
    """The masks of ``SegmentationClass`` and ``SegmentationObject``; fills the ``Shapes`` that it gives again and again."""
    shapes = Shapes()
    images = tree.archive.by_suffix.get(".png", ())
    objects = {key: name for name in images if (key := split_path(name, OBJECTS)) is not None}
    for name in images:
        key = split_path(name, CLASSES)
        if key is None or (mask := mask_images.load(tree.archive, name, tree.report)) is None:
            continue
        item = tree.item(key, size=mask.size)
        classes = mask.classes(palette)
        place = tree.archive.where(name)
        if (classes == mask_images.UNKNOWN).any():
            tree.report.skip(place, "pixels of a colour or number that the label map does not have")
        instances = None
        if not semantic and key in objects and (found := mask_images.load(tree.archive, objects[key], tree.report)):
            if found.size == mask.size:
                instances = found.values
            else:
                tree.report.skip(tree.archive.where(objects[key]), "its size is not that of the mask of classes")
        _add(shapes, item, classes, instances, palette, place, "segmentation" if semantic else "mask")
        yield shapes


def _add(
    shapes: Shapes, item: int, classes: np.ndarray, instances: np.ndarray | None, palette: Palette, place: str, kind: str
) -> None:  # fmt: skip
    """One mask for each object; for each class where objects are not told apart."""
    background = {0, mask_images.UNKNOWN, *(n for n, name in enumerate(palette.names) if name == BACKGROUND)}
    classes = np.where(np.isin(classes, list(background)), 0, classes)
    if instances is None:
        both = classes
    else:  # an object that spans classes is one mask for each
        both = np.where((classes > 0) & (instances > 0), instances * (len(palette.names) + 1) + classes, 0)
    for value, _, mask in mask_images.regions(both):
        if value:
            number = value if instances is None else value % (len(palette.names) + 1)
            shapes.add(item, kind, palette.names[number], mask=mask, place=place)
