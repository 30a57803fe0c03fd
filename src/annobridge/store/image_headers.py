"""Sizes of images from their headers: as they are stored, and as they are shown, which is what every position refers to.

Pillow opens a JPEG in about 80 µs of CPU, which is more than all else that an import does with an image of ten boxes; the two
formats that nearly all images have are read here in a fraction of that, and everything else, and whatever is odd, by Pillow.
The result is the one of ``PIL.ImageOps.exif_transpose``, without decoding a pixel; an EXIF block that cannot be read is ignored.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from PIL import ExifTags, Image, TiffImagePlugin

from . import images

# What Pillow raises for a file that is no image.
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)

_Read = Callable[[int, int], bytes]  # so many bytes, from a place
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_HEAD = 4096  # bytes read at a time
_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}  # markers of JPEG that give the size
_APP1 = 0xFFE1
_PASSED = frozenset({0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE, *range(0xFFE0, 0xFFF0)}) - {
    _APP1
}  # tables, comments, what programs add
_TWO = struct.Struct(">HH").unpack_from
_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_TEXTS = (b"Raw profile type exif\x00", b"XML:com.adobe.xmp\x00")  # older homes of EXIF and XMP in a PNG
_BLOCK = 65_536  # bytes of an EXIF chunk, and behind the pixels of a PNG, that are looked at
_STEPS = 1000  # segments, chunks and filling bytes; a file with more is left to Pillow
_TAG = {order: struct.pack(order + "H", ExifTags.Base.Orientation) for order in "<>"}
_INTEGERS = {3: "H", 4: "I", 8: "h", 9: "i"}  # types of EXIF
_TURNED = frozenset({5, 6, 7, 8})
_MOST = 2**31  # of a side, exclusive


class ImageHeader(NamedTuple):
    """What the header of an image says. ``orientation`` is EXIF's, from 1 to 8; 1 is upright."""

    width: int  # as stored
    height: int
    orientation: int
    format: str  # as Pillow names it

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of the image as it is shown."""
        return (self.height, self.width) if self.orientation in _TURNED else (self.width, self.height)


def read_header(source: str | os.PathLike[str] | BinaryIO) -> ImageHeader:
    """The header of a file, or of a stream that can seek. Raises one of ``ERRORS``, also for what is no image."""
    found = _by_path(source) if isinstance(source, str | os.PathLike) else _quick(_reader(source))
    if found is None:
        found = _by_pillow(source)
    if not (0 < found.width < _MOST and 0 < found.height < _MOST):
        raise ValueError(f"its header says {found.width}×{found.height} pixels, which no image has")
    return found


def _by_path(path: str | os.PathLike[str]) -> ImageHeader | None:
    file = os.open(path, _OPEN)  # file objects cost more than all the rest

    def part(at: int, size: int) -> bytes:
        if at:
            os.lseek(file, at if at > 0 else max(0, os.fstat(file).st_size + at), os.SEEK_SET)
        return os.read(file, size)

    try:
        return _quick(part)
    finally:
        os.close(file)


def _reader(stream: BinaryIO) -> _Read:
    def part(at: int, size: int) -> bytes:
        stream.seek(at if at >= 0 else max(0, stream.seek(0, os.SEEK_END) + at))
        return stream.read(size)

    return part


def _quick(part: _Read) -> ImageHeader | None:
    """The header of a plain JPEG or PNG; ``None`` for whatever else."""
    head = part(0, _HEAD)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            return _jpeg(part, head)
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return _png(part, head)
    except (struct.error, IndexError):  # cut off
        pass
    return None


def _jpeg(part: _Read, head: bytes) -> ImageHeader | None:
    """The size in the first frame header, and the orientation in an EXIF segment, which nearly always comes before."""
    base, at, turn, xmp = 0, 2, None, b""
    for _ in range(_STEPS):
        if at + 10 > len(head):
            base, at, head = base + at, 0, part(base + at, _HEAD)
        marker, length = _TWO(head, at)
        if marker in _PASSED and length > 1:
            at += 2 + length
        elif marker in _FRAMES:
            height, width = _TWO(head, at + 5)
            if (turn is None and (b"tiff:Orientation" in xmp or head.rfind(_EXIF, at) > 0)) or not width or not height:
                return None
            return ImageHeader(width, height, turn or 1, "JPEG")
        elif marker == _APP1 and length > 1:
            whole = at + 2 + length <= len(head)
            data = head[at + 4 : at + 2 + length] if whole else part(base + at + 4, length - 2)
            if turn is None and data.startswith(_EXIF):
                turn = _orientation(data[6:])
            elif data.startswith(_XMP):
                xmp = data
            at += 2 + length
        else:
            return None
    return None


def _png(part: _Read, head: bytes) -> ImageHeader | None:
    """The size in the first chunk, and the orientation in the EXIF chunk, before the pixels or behind them."""
    width, height = struct.unpack_from(">II", head, 16)
    at, base = 8, 0
    for _ in range(_STEPS):
        if at - base + 40 > len(head):
            head, base = part(at, _HEAD), at
        here = at - base
        size, name = struct.unpack_from(">I4s", head, here)
        if name == b"eXIf":
            return ImageHeader(width, height, _orientation(part(at + 8, min(size, _BLOCK))) or 1, "PNG")
        if name == b"IDAT":
            rest = head[here:]
            return ImageHeader(width, height, _behind(rest if b"IEND" in rest else part(-_BLOCK, _BLOCK)) or 1, "PNG")
        if name in (b"tEXt", b"zTXt", b"iTXt") and head.startswith(_TEXTS, here + 8):
            return None
        at += 12 + size
    return None


def _behind(tail: bytes) -> int | None:
    """The orientation in an EXIF chunk of a PNG, of which only the last bytes are known."""
    at = tail.rfind(b"eXIf")
    while at >= 4:
        end = at + 4 + int.from_bytes(tail[at - 4 : at])
        if tail[end : end + 4] == zlib.crc32(tail[at:end]).to_bytes(4):
            return _orientation(tail[at + 4 : end])
        at = tail.rfind(b"eXIf", 0, at)
    return None


def _orientation(exif: bytes) -> int | None:
    """The orientation in an EXIF block, a small TIFF; ``None`` where it has none, or cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or exif[2:4] not in (b"*\x00", b"\x00*"):
        return None
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        tags = exif[at + 2 : at + 2 + 12 * count]
        place = tags.find(_TAG[order])
        while place % 12 and place > 0:
            place = tags.find(_TAG[order], place + 1)
        if place < 0:
            return None
        kind, values = struct.unpack_from(order + "HI", tags, place + 2)
        if kind not in _INTEGERS or values != 1:
            return 1
        (found,) = struct.unpack_from(order + _INTEGERS[kind], tags, place + 8)
    except struct.error:  # cut off
        return None
    return found if found in range(2, 9) else 1


def _by_pillow(source: str | os.PathLike[str] | BinaryIO) -> ImageHeader:
    with images.open_image(source) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # its size is the shown one, in recent versions of Pillow
            width, height = image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
        try:  # a PNG's own ``getexif`` decodes the pixels, to look behind them
            found: Any = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        except Exception:  # Pillow raises many kinds for what is garbled
            found = None
        return ImageHeader(int(width), int(height), int(found) if found in range(2, 9) else 1, image.format or "")
