"""Read labelme's JSON files."""

from __future__ import annotations

import binascii
import os
import posixpath
from typing import Any

import msgspec

from ...core.media import IMAGES
from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.items import Items, Shapes, frame_of
from ..common.json_stream import decode_whole
from ..common.report import ReadReport
from ..common.voc_tree import SPLITS
from ..names import with_slashes
from .shapes import Size, shape_of

HEAD = 1 << 16  # bytes by which a file is recognised
_MARKS = (b'"imagePath"', b'"shape_type"', b'"imageData"', b'"imageHeight"')
_SIGNATURES = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"BM": ".bmp",
    b"GIF8": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def is_head(head: bytes) -> bool:
    """Whether a file that begins so is one of labelme."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b'"shapes"' in head and any(m in head for m in _MARKS)
    )


class File:
    """One JSON file: an image and its shapes."""

    def __init__(self, archive: Archive, name: str, report: ReadReport) -> None:
        self._archive, self._name, self._report = archive, name, report
        self._where = archive.where(name)

    def read(self, items: Items, shapes: Shapes) -> None:
        """Add the image and its labels. A JSON file of another kind is skipped."""
        content = self._content()
        if content is None:
            return
        size = _size_of(content)
        image = self._image_name(content["imagePath"])
        split = content.get("split") if isinstance(content.get("split"), str) else None
        if split is None:
            split = next((part for part in self._name.split("/")[:-1] if part.lower() in SPLITS), None)
        file = self._embed(content.get("imageData"), image)
        width, height = size or (None, None)
        item = items.add(image, split or None, width, height, frame_of(posixpath.basename(image)), file=file)
        for at, given in enumerate(content["shapes"]):
            self._add(shapes, item, given, size, f"{self._where}, shape {at}")
        flags = content.get("flags")
        for label, value in flags.items() if isinstance(flags, dict) else ():
            if value is True and label:
                shapes.add(item, "classification", label, place=f"{self._where}, flag {label!r}")

    def _add(self, shapes: Shapes, item: int, given: Any, size: Size | None, place: str) -> None:
        found = shape_of(given, size)
        if isinstance(found, str):
            self._report.skip(place, found)
            return
        kind, label, attributes, values = found
        shapes.add(item, kind, label, attributes, place=place, **values)

    def _content(self) -> dict[str, Any] | None:
        """The file's object; ``None`` for another kind of file. Raises ``InvalidSource`` for a damaged one."""
        data = self._archive.read(self._name)
        try:
            content = decode_whole(data, self._where, "save it again with labelme")
        except InvalidSource:
            if is_head(data[:HEAD]):
                raise
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            self._report.skip(self._where, "it is no JSON of labelme")
            return None
        if not isinstance(content.get("imagePath"), str) or not content["imagePath"].strip():
            raise InvalidSource(f"{self._where} has no imagePath; add it, or leave the file out.")
        return content

    def _image_name(self, given: str) -> str:
        """The image's name in the source: ``imagePath`` is relative to the JSON's folder."""
        path = with_slashes(given)
        is_elsewhere = path.startswith("/") or path[1:2] == ":"
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(self._name), path))
        return posixpath.basename(path) if is_elsewhere or joined.startswith("..") else joined

    def _embed(self, data: Any, image: str) -> str | None:
        """The archive's file of the image: beside the JSON, or inside it; ``None`` if it is in neither."""
        if image in self._archive:
            return image
        if not isinstance(data, str) or not data:
            return None
        try:
            content = binascii.a2b_base64(data)
        except ValueError:
            content = b""
        suffix = next((suffix for mark, suffix in _SIGNATURES.items() if content.startswith(mark)), None)
        if suffix is None and not content.startswith(b"RIFF"):
            self._report.skip(f"{self._where}, imageData", "it is no image in base64")
            return None
        if os.path.splitext(image)[1].lower() not in IMAGES:
            image += suffix or ".webp"
        self._archive.embed(image, len(content), lambda: _image_data(self._archive, self._name))
        return image


def _image_data(archive: Archive, name: str) -> bytes:
    content = msgspec.json.decode(archive.read(name).removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any])
    return binascii.a2b_base64(content["imageData"])


def _size_of(content: dict[str, Any]) -> Size | None:
    size = content.get("imageWidth"), content.get("imageHeight")
    width, height = (side if isinstance(side, int) and 0 < side < 2**31 else None for side in size)
    return (width, height) if width is not None and height is not None else None
