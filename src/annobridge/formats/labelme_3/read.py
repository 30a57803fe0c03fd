"""Read LabelMe's XML files."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from ...core.geometry import encode_rle
from ..common import mask_images
from ..common.archive import Archive
from ..common.corners import CORNERS
from ..common.items import Items, Shapes, frame_of
from ..common.report import ReadReport
from ..common.voc_tree import SPLITS
from ..common.xml import Element, parse_number, parse_size, text
from ..names import with_slashes
from .attributes import parse

OWN = "annobridge"  # who wrote a file, in its sourceAnnotation
_ANNOTATIONS, _MASKS = "Annotations", "Masks"
_WITH_SUBSETS = frozenset({"datumaro", OWN})  # writers that have a folder for each subset
_NO_IMAGES = frozenset({"masks", "scribbles"})
_BOX = "bounding_box"
_DEFAULT = "default"
_YES = {"yes": True, "no": False}


def has_folder(name: str) -> bool:
    """Whether a file is in a folder of masks."""
    return any(part.lower() in _NO_IMAGES for part in name.split("/")[:-1])


class Layout:
    """Where the files of a source are."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._masks: dict[str, list[str]] = defaultdict(list)
        for suffix in (".png", ".bmp"):
            for name in archive.by_suffix.get(suffix, ()):
                if has_folder(name):
                    self._masks[name.rpartition("/")[2]].append(name)

    def place(self, name: str, writer: str) -> tuple[str, str]:
        """The subset of an XML file, ``""`` for none, and the folder that it is in below that of the subset."""
        folders = name.split("/")[:-1]
        if _ANNOTATIONS in folders:
            folders = folders[folders.index(_ANNOTATIONS) + 1 :]
        is_subset = bool(folders) and (writer.lower() in _WITH_SUBSETS or folders[0].lower() in (*SPLITS, _DEFAULT))
        if not is_subset:
            return "", "/".join(folders)
        return folders[0] if folders[0] != _DEFAULT else "", "/".join(folders[1:])

    def mask(self, xml: str, name: str) -> str | None:
        """The file of a mask that an XML file names; of several with that name, the one that is nearest to it."""
        found = self._masks.get(with_slashes(name).rpartition("/")[2], [])
        folders = xml.split("/")[:-1]
        parallel = [_MASKS if part == _ANNOTATIONS else part for part in folders]

        def nearness(path: str) -> tuple[int, int]:
            parts = [part for part in path.split("/")[:-1] if part.lower() not in _NO_IMAGES]
            wanted = [part for part in parallel if part != _MASKS]
            same = next(
                (n for n, (a, b) in enumerate(zip(parts, wanted, strict=False)) if a != b), min(len(parts), len(wanted))
            )
            return same, -len(parts)

        return max(found, key=nearness, default=None)


class File:
    """One XML file: an image and its objects."""

    def __init__(self, layout: Layout, name: str, root: Element, report: ReadReport) -> None:
        self._layout, self._name, self._root, self._report = layout, name, root, report
        self._where = layout.archive.where(name)
        self._writer = text(root, "source/sourceAnnotation")

    def read(self, items: Items, shapes: Shapes) -> None:
        """Add the image and its labels."""
        split, folder = self._layout.place(self._name, self._writer)
        image = self._image(split, folder)
        width, height = (parse_size(text(self._root, f"imagesize/{side}")) for side in ("ncols", "nrows"))
        if not width or not height:
            width, height = None, None
        item = items.add(image, split or None, width, height, frame_of(image.rpartition("/")[2]))
        elements = self._root.findall("object")
        groups = _groups(elements)
        for at, element in enumerate(elements):
            place = f"{self._where}, line {element.sourceline}"
            if text(element, "deleted") in ("1", "yes", "true"):
                self._report.skip(place, "it is marked as deleted")
                continue
            values = _values(element)
            if at in groups:
                values["attributes"].setdefault("group", groups[at])
            found = self._shape(element, values["attributes"])
            if isinstance(found, str):
                self._report.skip(place, found)
                continue
            kind, columns = found
            shapes.add(item, kind, text(element, "name") or None, place=place, **columns, **values)

    def _image(self, split: str, folder: str) -> str:
        """The image's name below the folder of its subset."""
        name = with_slashes(text(self._root, "filename"))
        given = with_slashes(text(self._root, "folder")).strip("/")
        if "/" in name:
            return name
        if not folder and given and given not in (split, _DEFAULT):
            folder = given
        return f"{folder}/{name}" if folder else name

    def _shape(self, element: Element, attributes: dict[str, Any]) -> tuple[str, dict[str, Any]] | str:
        if (polygon := element.find("polygon")) is not None:
            return self._polygon(element, polygon, attributes)
        if element.find("segm") is None:
            return "it has neither a <polygon> nor a <segm>"
        name = text(element, "segm/mask")
        mask = self._layout.mask(self._name, name) if name else None
        if mask is None:
            return "the file of its mask is not in the source"
        found = mask_images.load(self._layout.archive, mask, self._report)
        if found is None:
            return "its mask cannot be decoded"
        values = found.numbers if found.numbers is not None else found.values
        return "mask", {"mask": encode_rle(values != 0)}

    def _polygon(
        self, element: Element, polygon: Element, attributes: dict[str, Any]
    ) -> tuple[str, dict[str, Any]] | str:
        points = [[parse_number(text(point, "x")), parse_number(text(point, "y"))] for point in polygon.iterfind("pt")]
        if any(value is None for point in points for value in point):
            return "a position of its polygon is missing, or is no number"
        is_box = text(element, "type") == _BOX
        if len(points) < (2 if is_box else 3):
            return f"it is a {'box' if is_box else 'polygon'} of {len(points)} points"
        is_turned = self._writer == OWN and not is_box and isinstance(attributes.get("rotation"), int | float)
        if len(points) == 4 and (is_box or is_turned):
            if is_turned:
                del attributes["rotation"]
            return CORNERS, {"points": [points]}
        if is_box:
            low, high = np.min(np.array(points, float), axis=0), np.max(np.array(points, float), axis=0)
            return "box", {"bounding_box": [*low.tolist(), *(high - low).tolist()]}
        return "polygon", {"points": [points], "closed": True, "filled": True}


def _values(element: Element) -> dict[str, Any]:
    """Attributes, and the columns that some of them are."""
    attributes = parse(text(element, "attributes"))
    values: dict[str, Any] = {}
    score, track = attributes.get("score"), attributes.get("track_id")
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
        values["confidence"] = float(attributes.pop("score"))
    if isinstance(track, int) and not isinstance(track, bool) and 0 <= track < 2**31:
        values["index"] = attributes.pop("track_id")
    if (occluded := text(element, "occluded").lower()) in _YES:
        attributes["occluded"] = _YES[occluded]
    if text(element, "verified") == "1":
        attributes["verified"] = True
    if date := text(element, "date"):
        attributes["date"] = date
    if user := text(element, "polygon/username") or text(element, "segm/username"):
        values["annotator"] = user
    return {**values, "attributes": attributes}


def _groups(elements: list[Element]) -> dict[int, int]:
    """The number of the group of each object that is a part of another one, or has parts; from 1."""
    ids = {text(element, "id") or str(at): at for at, element in enumerate(elements)}
    owner = list(range(len(elements)))

    def root(at: int) -> int:
        while owner[at] != at:
            owner[at] = owner[owner[at]]
            at = owner[at]
        return at

    for at, element in enumerate(elements):
        for path in ("parts/hasparts", "parts/ispartof"):
            for other in text(element, path).split(","):
                if other.strip() in ids:
                    owner[root(ids[other.strip()])] = root(at)
    members: dict[int, list[int]] = defaultdict(list)
    for at in range(len(elements)):
        members[root(at)].append(at)
    several = sorted((some for some in members.values() if len(some) > 1), key=lambda some: some[0])
    return {at: number for number, some in enumerate(several, 1) for at in some}
