"""A person who edits files of labels with other means than annobridge's: COCO, CVAT's XML, YOLO, Pascal VOC, labelme."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import yaml

from annobridge.bridge.results import AnnotationResults

Row = dict[str, Any]
Box = list[float]  # x, y, width, height in pixels


@dataclass
class Entry:
    """A label in a file: its class, the box around it, its attributes, and what the file has for it."""

    label: str
    box: Box
    attributes: dict[str, Any] = field(default_factory=dict)
    raw: Any = None


class Files(ABC):
    """The label files of one format. ``open`` gives the labels of one image, and saves what is done to the list."""

    @abstractmethod
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Any:
        """A context manager with a list of ``Entry``."""


class Coco(Files):
    @contextmanager
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Iterator[list[Entry]]:
        path = next(folder.glob("annotations/*.json"))
        data = json.loads(path.read_text("utf-8"))
        number = next(i["id"] for i in data["images"] if Path(i["file_name"]).name == image)
        names = {c["id"]: c["name"] for c in data["categories"]}
        own = [a for a in data["annotations"] if a["image_id"] == number]
        entries = [Entry(names[a["category_id"]], a["bbox"], a.get("attributes", {}), a) for a in own]
        yield entries
        ids = {name: i for i, name in names.items()}
        rest = [a for a in data["annotations"] if a["image_id"] != number]
        for entry in entries:
            new = dict(entry.raw or {"id": 10_000 + len(rest), "image_id": number, "iscrowd": 0, "area": 1.0})
            if new.get("bbox") != entry.box:
                new.pop("segmentation", None)
            rest.append(new | {"category_id": ids[entry.label], "bbox": entry.box, "attributes": entry.attributes})
        data["annotations"] = rest
        path.write_text(json.dumps(data), "utf-8")


class CvatXml(Files):
    """``annotations.xml``: boxes, polygons, polylines, points, masks and tags of each ``<image>``."""

    @contextmanager
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Iterator[list[Entry]]:
        path = folder / "annotations.xml"
        tree = ElementTree.parse(path)
        (element,) = (e for e in tree.iter("image") if Path(e.get("name", "")).name == image)
        entries = [
            Entry(e.get("label", ""), _box_of(e), {a.get("name"): a.text or "" for a in e.iter("attribute")}, e)
            for e in element
        ]
        yield entries
        for child in list(element):
            element.remove(child)
        for entry in entries:
            element.append(self._element(entry))
        tree.write(path, encoding="utf-8")

    def _element(self, entry: Entry) -> ElementTree.Element:
        shape = (
            entry.raw
            if entry.raw is not None
            else ElementTree.Element("box", occluded="0", source="manual", z_order="0")
        )
        shape.set("label", entry.label)
        if shape.tag == "box":
            x, y, width, height = entry.box
            for name, value in (("xtl", x), ("ytl", y), ("xbr", x + width), ("ybr", y + height)):
                shape.set(name, f"{value:.2f}")
        for attribute in list(shape):
            shape.remove(attribute)
        for name, value in entry.attributes.items():
            text = value if isinstance(value, str) else json.dumps(value)
            ElementTree.SubElement(shape, "attribute", name=name).text = text
        return shape


def _box_of(element: ElementTree.Element) -> Box:
    if element.tag == "box":
        left, top, right, bottom = (float(element.get(n, "0")) for n in ("xtl", "ytl", "xbr", "ybr"))
        return [left, top, right - left, bottom - top]
    if element.tag == "mask":
        return [float(element.get(n, "0")) for n in ("left", "top", "width", "height")]
    if element.tag == "ellipse":
        x, y, rx, ry = (float(element.get(n, "0")) for n in ("cx", "cy", "rx", "ry"))
        return [x - rx, y - ry, 2 * rx, 2 * ry]
    points = [tuple(map(float, p.split(","))) for p in element.get("points", "0,0").split(";")]
    return _around(points)


def _around(points: list[Any]) -> Box:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


class Yolo(Files):
    """A text file beside each image: class, centre and size, all relative; or class and the points of a polygon."""

    @contextmanager
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Iterator[list[Entry]]:
        names = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))["names"]
        names = dict(enumerate(names)) if isinstance(names, list) else names
        path = folder / "labels" / f"{image.rpartition('.')[0]}.txt"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        entries = []
        for line in lines:
            number, *values = line.split()
            numbers = [float(v) * size[n % 2] for n, v in enumerate(values)]
            x, y, width, height = numbers[:4]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            box = [x - width / 2, y - height / 2, width, height] if len(numbers) == 4 else _around(points)
            entries.append(Entry(names[int(number)], box, {}, (box, values)))
        yield entries
        ids = {name: number for number, name in names.items()}
        text = ""
        for entry in entries:
            old_box, values = entry.raw or (None, [])
            if old_box != entry.box:
                x, y, width, height = entry.box
                moved = [(x + width / 2) / size[0], (y + height / 2) / size[1], width / size[0], height / size[1]]
                values = [f"{value:.6f}" for value in moved]
            text += f"{ids[entry.label]} {' '.join(values)}\n"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


class Voc(Files):
    """An XML file for each image, in ``Annotations``; its boxes count pixels from 1."""

    @contextmanager
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Iterator[list[Entry]]:
        path = folder / "Annotations" / f"{image.rpartition('.')[0]}.xml"
        tree = ElementTree.parse(path)
        root = tree.getroot()
        entries = [self._entry(e) for e in root.findall("object")]
        yield entries
        for element in root.findall("object"):
            root.remove(element)
        for entry in entries:
            root.append(self._element(entry))
        tree.write(path, encoding="utf-8")

    def _entry(self, element: ElementTree.Element) -> Entry:
        left, top, right, bottom = (
            float(element.findtext(f"bndbox/{n}", "0")) for n in ("xmin", "ymin", "xmax", "ymax")
        )
        named = {a.findtext("name"): a.findtext("value") for a in element.iter("attribute")}
        return Entry(element.findtext("name", ""), [left, top, right - left, bottom - top], named, element)

    def _element(self, entry: Entry) -> ElementTree.Element:
        element = entry.raw if entry.raw is not None else ElementTree.Element("object")
        for tag in ("name", "bndbox", "attributes"):
            for old in element.findall(tag):
                element.remove(old)
        ElementTree.SubElement(element, "name").text = entry.label
        x, y, width, height = entry.box
        box = ElementTree.SubElement(element, "bndbox")
        for name, value in (("xmin", x), ("ymin", y), ("xmax", x + width), ("ymax", y + height)):
            ElementTree.SubElement(box, name).text = f"{value:.2f}"
        attributes = ElementTree.SubElement(element, "attributes")
        for name, value in entry.attributes.items():
            attribute = ElementTree.SubElement(attributes, "attribute")
            ElementTree.SubElement(attribute, "name").text = name
            ElementTree.SubElement(attribute, "value").text = value if isinstance(value, str) else json.dumps(value)
        return element


class Labelme(Files):
    """A JSON file beside each image: shapes with points, flags for booleans; classes of the image are its flags."""

    @contextmanager
    def open(self, folder: Path, image: str, size: tuple[int, int]) -> Iterator[list[Entry]]:
        path = folder / f"{image.rpartition('.')[0]}.json"
        data = json.loads(path.read_text("utf-8"))
        flags = data.get("flags") or {}
        shapes = [Entry(s["label"], self._box(s), {**s.get("attributes", {}), **s["flags"]}, s) for s in data["shapes"]]
        classes = [Entry(name, [0.0] * 4, {}, "flag") for name, is_set in flags.items() if is_set]
        entries = [*shapes, *classes]
        yield entries
        kept = {entry.label for entry in entries if entry.raw == "flag"}
        data["flags"] = {**dict.fromkeys(flags, False), **dict.fromkeys(kept, True)}
        data["shapes"] = [self._shape(entry) for entry in entries if entry.raw != "flag"]
        path.write_text(json.dumps(data), "utf-8")

    def _box(self, shape: dict[str, Any]) -> Box:
        if shape["shape_type"] == "circle":
            (x, y), (rim, _) = shape["points"]
            return [x - abs(rim - x), y - abs(rim - x), 2 * abs(rim - x), 2 * abs(rim - x)]
        return _around(shape["points"])

    def _shape(self, entry: Entry) -> dict[str, Any]:
        shape = dict(entry.raw or {"shape_type": "rectangle", "group_id": None, "description": "", "mask": None})
        if shape["shape_type"] == "rectangle":
            x, y, width, height = entry.box
            shape["points"] = [[x, y], [x + width, y + height]]
        flags = {name: value for name, value in entry.attributes.items() if isinstance(value, bool)}
        others = {name: value for name, value in entry.attributes.items() if name not in flags}
        return shape | {"label": entry.label, "flags": flags} | ({"attributes": others} if others else {})


FILES: dict[str, Callable[[], Files]] = {"labelme": Labelme, "coco": Coco, "cvat": CvatXml, "yolo": Yolo, "voc": Voc}


class Editor:
    """Edits the files of a run, as the contract suite asks."""

    formats: ClassVar[dict[str, Callable[[], Files]]] = FILES

    def __init__(self, results: AnnotationResults, format_name: str) -> None:
        self._results, self._files = results, self.formats[format_name]()

    def edit(self, row: Row, **columns: Any) -> None:
        with self._open(row["sample_id"]) as (entries, size):
            entry = _nearest(entries, row, size)
            if "label" in columns:
                entry.label = columns["label"]
            if "bounding_box" in columns:
                entry.box = _in_pixels(columns["bounding_box"], size)
            entry.attributes |= columns.get("attributes", {})

    def delete(self, row: Row) -> None:
        with self._open(row["sample_id"]) as (entries, size):
            entries.remove(_nearest(entries, row, size))

    def add(self, sample_id: str, **columns: Any) -> None:
        with self._open(sample_id) as (entries, size):
            entries.append(Entry(columns["label"], _in_pixels(columns["bounding_box"], size)))

    @contextmanager
    def _open(self, sample_id: str) -> Iterator[tuple[list[Entry], tuple[int, int]]]:
        for receipt in self._results.receipts():
            if sample_id in receipt.state["samples"]:
                at = receipt.state["samples"].index(sample_id)
                size = tuple(receipt.state["sizes"][at])
                folder = self._folder(receipt.task)
                with self._files.open(folder, receipt.state["names"][at], size) as entries:
                    yield entries, size

    def _folder(self, task: str) -> Path:
        path, number = Path(self._results.backend.config.path), int(task[-5:])  # type: ignore[attr-defined]
        return path.with_name(f"{path.name}-{number + 1}") if number else path


def _in_pixels(box: Box, size: tuple[int, int]) -> Box:
    return [value * size[n % 2] for n, value in enumerate(box)]


def _nearest(entries: list[Entry], row: Row, size: tuple[int, int]) -> Entry:
    """The entry of a label: the one of its class whose box is nearest."""
    points = [p for part in row["points"] or () for p in part if p[0] == p[0]]
    box = _in_pixels(row["bounding_box"] or _around(points), size) if row["bounding_box"] or points else [0.0] * 4
    same = [entry for entry in entries if entry.label == row["label"]]
    return min(same, key=lambda entry: sum(abs(a - b) for a, b in zip(entry.box, box, strict=True)))
