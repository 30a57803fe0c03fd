"""Write LabelMe's XML files in the folders that CVAT reads: one for each subset, with its masks in ``Masks``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree

from ...core.geometry import decode_rle, mask_box
from ..common.export import ExportData
from ..common.mask_images import save_colours
from ..common.paint import PAINTED, attributes_of, turned
from ..common.palette import Palette
from ..common.single_rings import single_rings
from ..common.xml import Element
from .attributes import text_of
from .read import OWN

_DECIMALS = 6
_MASK = Palette(("", "object"), ((0, 0, 0), (0, 203, 255)))
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(data: ExportData) -> None:
    """Write an XML file for each item, and a picture for each mask."""
    for part in data.parts():
        for _, item, labels in part.by_item():
            folder = data.folder / str(item["split"] or "default")
            stem = os.path.splitext(str(item["name"]))[0]
            root = _head(item)
            rows = [row for row in labels.to_pylist() if row["kind"] in PAINTED]
            _Objects(root, folder, stem).add_all(rows)
            path = folder / f"{stem}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(etree.tostring(root, pretty_print=True, encoding="utf-8"))


def _head(item: Mapping[str, object]) -> Element:
    folder, _, base = str(item["name"]).rpartition("/")
    root = etree.Element("annotation")
    _add(root, "filename", base)
    _add(root, "folder", folder)
    source = _add(root, "source")
    _add(source, "sourceImage", "")
    _add(source, "sourceAnnotation", OWN)
    if item["width"] and item["height"]:
        size = _add(root, "imagesize")
        _add(size, "nrows", str(item["height"]))
        _add(size, "ncols", str(item["width"]))
    return root


class _Objects:
    """The objects of one image."""

    def __init__(self, root: Element, folder: Path, stem: str) -> None:
        self._root, self._folder, self._stem = root, folder, stem
        self._count = 0
        self._groups: dict[Any, list[tuple[int, Element]]] = {}  # of each: ids and <parts>

    def add_all(self, rows: list[dict[str, Any]]) -> None:
        """Add objects for labels; several for one of several parts, which are a group."""
        for at, row in enumerate(rows):
            attributes = attributes_of(row)
            group: Any = attributes.get("group")
            shapes = list(self._shapes(row, attributes))
            key = ("group", group) if isinstance(group, int) and group else ("label", at) if len(shapes) > 1 else None
            for shape in shapes:
                parts = self._add(row, dict(attributes), shape)
                if key is not None:
                    self._groups.setdefault(key, []).append((self._count, parts))
                self._count += 1
        for members in self._groups.values():
            (first, leader), *others = members
            leader[0].text = ",".join(str(number) for number, _ in others)
            for _, parts in others:
                parts[1].text = str(first)

    def _shapes(self, row: dict[str, Any], attributes: dict[str, Any]) -> Iterator[Any]:
        """Points of polygons, or a mask. A turned box gets its rotation as an attribute."""
        if row["mask"] is not None:
            yield row["mask"]
            return
        if row["kind"] == "box":
            degrees = row["rotation"] or 0.0
            if degrees % 360:
                attributes["rotation"] = degrees
            yield turned(row["bounding_box"], degrees)
            return
        yield from single_rings(row)

    def _add(self, row: dict[str, Any], attributes: dict[str, Any], shape: Any) -> Element:
        element = _add(self._root, "object")
        occluded = attributes.get("occluded")
        if isinstance(occluded, bool):
            del attributes["occluded"]
        verified, date = attributes.get("verified"), attributes.get("date")
        if verified is True:
            del attributes["verified"]
        if isinstance(date, str) and date and date == date.strip():
            del attributes["date"]
        else:
            date = ""
        _add(element, "name", row["label"] or "")
        _add(element, "deleted", "0")
        _add(element, "verified", "1" if verified is True else "0")
        _add(element, "occluded", ("yes" if occluded else "no") if isinstance(occluded, bool) else "")
        _add(element, "date", date)
        _add(element, "id", str(self._count))
        parts = _add(element, "parts")
        _add(parts, "hasparts", "")
        _add(parts, "ispartof", "")
        if isinstance(shape, dict):
            self._add_mask(element, row, shape)
        else:
            is_box = row["kind"] == "box" and not (row["rotation"] or 0.0) % 360
            _add_points(element, row, shape, is_box)
        if row["confidence"] is not None:
            attributes["score"] = row["confidence"]
        if row["index"] is not None:
            attributes["track_id"] = row["index"]
        _add(element, "attributes", text_of(attributes))
        return parts

    def _add_mask(self, element: Element, row: Mapping[str, Any], mask: dict[str, Any]) -> None:
        name = f"{self._stem.replace('/', '_')}_mask_{self._count}.png"
        save_colours(self._folder / "Masks" / name, decode_rle(mask).astype(np.int64), _MASK)
        height, width = mask["size"]
        x, y, w, h = np.array(mask_box(mask)) * (width, height, width, height)
        segm = _add(element, "segm")
        _add(segm, "mask", name)
        box = _add(segm, "box")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), (x, y, x + w, y + h), strict=True):
            _add(box, side, _text(value))
        _add(segm, "username", row["annotator"] or "")


def _add_points(element: Element, row: Mapping[str, Any], points: np.ndarray, is_box: bool) -> None:
    if is_box:
        _add(element, "type", "bounding_box")
    polygon = _add(element, "polygon")
    for x, y in points.tolist():
        point = _add(polygon, "pt")
        _add(point, "x", _text(x))
        _add(point, "y", _text(y))
    _add(polygon, "username", row["annotator"] or "")


def _add(parent: Element, name: str, content: str | None = None) -> Element:
    element = etree.SubElement(parent, name)
    if content:
        element.text = _NOT_XML.sub("", content)
    return element


def _text(value: float) -> str:
    rounded = round(float(value), _DECIMALS) + 0.0
    return f"{rounded:.2f}" if round(rounded, 2) == rounded else repr(rounded)
