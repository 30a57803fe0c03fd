"""Pascal VOC 1.1: an XML file for each image, with lists of images, class lists and masks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidSource
from ..common import voc_write
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.palette import fits_labelmap
from ..common.report import ReadReport
from ..common.voc_tree import CLASSES, SPLITS, Key, Tree, palette_of, read_image_sets, read_masks, split_path
from ..common.xml import Element, document, parse_number, parse_size, text
from ..common.xml_text import is_xml
from ..names import with_slashes
from ..segmentation_mask import PAINTED, MaskOptions
from .write import write

_FOLDERS = ("Annotations", "annotations", "labels", "xml", "xmls")
_LOOKED_AT = 20
_HEAD = 4096
_MARKS = re.compile(rb"<(bndbox|segmented|size)[\s/>]")
_LABELME = re.compile(rb"<(imagesize|nrows|sourceImage|deleted)[\s/>]")
_FLAGS = ("truncated", "difficult", "occluded", "iscrowd")
_WORDS = {"1": True, "true": True, "0": False, "false": False}
_KNOWN = ("name", "bndbox", "attributes", "part", "actions", "polygon", "point")
_ORIGINAL = "the voc"  # how the database of the original data sets begins, whose first pixel is 1


class VocOptions(MaskOptions):
    """The options of reading Pascal VOC."""

    one_based: bool | None = Field(
        None, description="whether the first pixel is 1; by default, of files whose database is one of the original VOC"
    )


class VocFormat(FileFormat):
    """Pascal VOC: boxes in XML, classes of images in lists, masks in PNG files."""

    name = "voc"
    title = "Pascal VOC"
    fidelity = Fidelity(
        kinds={"box": KEPT, "classification": KEPT, "mask": KEPT, "segmentation": "written as masks",
               **{kind: fate for kind, fate in PAINTED.items() if kind != "box"}},
        attributes=None, rotation=True, confidence=True, tracks=True, holes=True, parts=True, splits=True, decimals=6,
        overlaps=False, xml=True, attribute_types=frozenset({"bool", "int", "float", "str"}),
        only=dict.fromkeys(("attributes", "confidence", "tracks"), ("box",)),
        notes=(
            "A pixel is of one label: the one with the highest z_order.",
            "Only boxes have attributes, a confidence and a track's index.",
        ),
    )  # fmt: skip
    reading = VocOptions

    def detect(self, archive: Archive) -> str | None:
        names = sorted(archive.by_suffix.get(".xml", ()), key=lambda name: (name.count("/"), name))
        for name in names[:_LOOKED_AT]:
            with archive.open(name) as stream:
                head = stream.read(_HEAD)
            if b"<annotation>" in head and _MARKS.search(head) and not _LABELME.search(head):
                return f"{name} is an <annotation> of Pascal VOC"
        for name in archive.by_suffix.get(".txt", ()):
            if (key := split_path(name, "ImageSets")) is not None and key[1].startswith("Main/"):
                return f"{name} is a list of images of Pascal VOC"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, VocOptions)  # noqa: S101 - the options of this format
        tree = Tree(archive, items, report)
        classes = read_image_sets(tree)
        shapes = Shapes()
        found = False
        for name in archive.by_suffix.get(".xml", ()):
            root = document(archive, name)
            if root.tag == "annotation":
                found = True
                _File(tree, name, root, options.one_based).read(shapes)
                yield from shapes.take_full()
        for entries in classes.values():
            for key, class_ in entries:
                place = f"{archive.path.name}/{key[0]}ImageSets/Main of {class_!r}, {key[1]}"
                shapes.add(tree.item(key), "classification", class_, place=place)
                yield from shapes.take_full()
        yield shapes.take()
        for key in tree.splits:
            tree.item(key)
        masks = None
        for masks in read_masks(tree, palette_of(archive), options.semantic):
            yield from masks.take_full()
        if masks is not None:
            yield masks.take()
        if not found and not tree.numbers:
            raise InvalidSource(
                f"{str(archive.path)!r} has no XML with the root <annotation>, no ImageSets and no {CLASSES}; give another format."
            )

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.refuse_classes(lambda name: fits_labelmap(name) and is_xml(name), "in XML and a line of labelmap.txt")
        if data.kinds["classification"]:
            data.refuse_classes(lambda name: "/" not in name and name[0] != ".", "in the name of a file")
        voc_write.flat_names(data)

    def image_folder(self, split: str | None) -> str:
        return "JPEGImages"

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        write(data)


class _File:
    """One XML file."""

    def __init__(self, tree: Tree, name: str, root: Element, one_based: bool | None) -> None:
        self._report, self._where, self._root = tree.report, tree.archive.where(name), root
        key, image = _key_of(name, text(root, "filename"))
        width, height = (parse_size(text(root, f"size/{side}")) for side in ("width", "height"))
        self._item = tree.item(key, image, (width, height) if width and height else None)
        database = text(root, "source/database").lower()
        self._offset = float(database.startswith(_ORIGINAL) if one_based is None else one_based)

    def read(self, shapes: Shapes) -> None:
        """Add the labels."""
        for group, element in enumerate(self._root.iterfind("object"), 1):
            place = f"{self._where}, line {element.sourceline}"
            label = text(element, "name")
            if not label:
                self._report.skip(place, "it has no class")
                continue
            parts = element.findall("part")
            values = _values(element)
            if parts:
                values["attributes"]["group"] = group
            self._box(shapes, element, label, place, values)
            ring = _ring(element.find("polygon"), self._offset)
            if ring is not None:
                shapes.add(
                    self._item,
                    "polygon",
                    label,
                    points=[ring],
                    closed=True,
                    filled=True,
                    place=place,
                    **_copied(values),
                )
            elif element.find("polygon") is not None:
                self._report.skip(place, "a position of its polygon is missing, or is no number")
            for part in parts:
                name = text(part, "name")
                given = {"attributes": {"part_of": label, "group": group}}
                if name:
                    self._box(shapes, part, name, f"{self._where}, line {part.sourceline}", given)

    def _box(self, shapes: Shapes, element: Element, label: str, place: str, values: dict[str, Any]) -> None:
        if element.find("bndbox") is None:
            if element.find("polygon") is None:
                self._report.skip(place, "it has no box")
            return
        corners = [parse_number(text(element, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
        if None in corners:
            self._report.skip(place, "a position is missing, or is no number")
            return
        x1, y1, x2, y2 = (value or 0.0 for value in corners)
        x, y = min(x1, x2) - self._offset, min(y1, y2) - self._offset
        box = [x, y, max(x1, x2) - x, max(y1, y2) - y]
        shapes.add(self._item, "box", label, bounding_box=box, place=place, **_copied(values))


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}


def _key_of(name: str, filename: str) -> tuple[Key, str]:
    """The key of an XML file's image and its name: the file's place, and the name with suffix that the XML gives."""
    key = next((key for folder in _FOLDERS if (key := split_path(name, folder)) is not None), None)
    if key is None:  # a flat folder of XML files, or one for each split
        root, slash, rest = name.partition("/")
        is_split = bool(slash) and root.lower() in SPLITS
        key = (f"{root}/", rest.rpartition(".")[0]) if is_split else ("", name.rpartition(".")[0])
    folder, base = key[1].rpartition("/")[0], with_slashes(filename).rpartition("/")[2]
    if not base:
        return key, key[1]
    image = f"{folder}/{base}" if folder else base
    stem, suffix = os.path.splitext(image)
    is_image = suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
    return (key[0], stem if is_image else image), image


def _values(element: Element) -> dict[str, Any]:
    """Attributes, confidence, track and rotation of an object. Elements that no VOC has are attributes too."""
    attributes: dict[str, Any] = {}
    for child in element:
        plain = (child.text or "").strip()
        if child.tag not in _KNOWN and len(child) == 0 and plain:
            attributes[str(child.tag)] = plain
    for child in element.iterfind("actions/*"):
        attributes[str(child.tag)] = _WORDS.get((child.text or "").strip().lower(), (child.text or "").strip())
    for child in element.iterfind("attributes/attribute"):
        if name := text(child, "name"):
            attributes[name] = _typed(child.findtext("value") or "", text(child, "type"))
    for name in _FLAGS:
        if isinstance(given := attributes.get(name), str):
            attributes[name] = _WORDS.get(given.lower(), given)
    values: dict[str, Any] = {}
    for column, names in (
        ("confidence", ("confidence", "score")),
        ("index", ("track_id",)),
        ("rotation", ("rotation",)),
    ):
        for name in names:
            number = parse_number(str(attributes.get(name, "")))
            if number is None or column in values:
                continue
            if (column == "confidence" and not 0 <= number <= 1) or (column == "index" and not _is_index(number)):
                continue
            values[column] = int(number) if column == "index" else number
            del attributes[name]
    return values | {"attributes": attributes}


def _is_index(number: float) -> bool:
    return number.is_integer() and 0 <= number < 2**31


def _typed(value: str, type_: str) -> Any:
    """The value of an attribute: text, unless an ``type`` beside it, which only our own files have, says otherwise."""
    if type_ == "bool":
        return _WORDS.get(value.strip().lower(), value)
    number = parse_number(value) if type_ in ("int", "float") else None
    if number is None:
        return value
    return int(value) if type_ == "int" and re.fullmatch(r"\s*-?\d{1,18}\s*", value) else number


def _ring(element: Element | None, offset: float) -> list[list[float]] | None:
    """The ring of ``x1, y1, x2, y2, …``, as Roboflow writes it."""
    if element is None:
        return None
    found = {str(child.tag): parse_number(child.text or "") for child in element}
    count = len(found) // 2
    ring = [[found.get(f"x{n}"), found.get(f"y{n}")] for n in range(1, count + 1)]
    if not ring or any(value is None for point in ring for value in point):
        return None
    return [[(x or 0.0) - offset, (y or 0.0) - offset] for x, y in ring]
