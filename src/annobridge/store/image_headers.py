"""Reads the size and EXIF orientation of images from their headers.

Positions of labels refer to the image as displayed, so the size is swapped where the orientation says so, as
``PIL.ImageOps.exif_transpose`` does, but without decoding pixels. An EXIF block that cannot be read is ignored.

Pillow takes about 80 µs of CPU to open a JPEG, more than all else that an import does for an image with ten boxes. So common JPEG
and PNG files are read here, in a fraction of that. Everything else, and whatever is unusual, is left to Pillow.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from PIL import ExifTags, Image, TiffImagePlugin

from . import images

# What Pillow raises for a file that is not an image.
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)

_Read = Callable[[int, int], bytes]  # (position, size): a position below 0 counts from the end
OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for its other end
_HEAD = 4096  # bytes read at a time
_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}  # markers of JPEG that give the size
_APP1 = 0xFFE1
# Markers of segments without size or orientation: tables, comments, data of programs.
_SKIPPED = frozenset({0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE, *range(0xFFE0, 0xFFF0)}) - {_APP1}
_TWO = struct.Struct(">HH").unpack_from
_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
# Names of text chunks of a PNG in which older programs wrote EXIF and XMP.
_TEXT_METADATA = (b"Raw profile type exif\x00", b"XML:com.adobe.xmp\x00")
_EXIF_LIMIT = 65_536  # bytes that are read of an EXIF chunk, and of what follows the pixels of a PNG
_MAX_PARTS = 1000  # segments or chunks; a file with more is left to Pillow
_TAG = {order: struct.pack(order + "H", ExifTags.Base.Orientation) for order in "<>"}
_INTEGERS = {3: "H", 4: "I", 8: "h", 9: "i"}  # EXIF type → format of ``struct``
_QUARTER_TURNS = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_MAX_SIDE = 2**31  # exclusive


class ImageHeader(NamedTuple):
    """The header of an image. ``orientation`` is that of EXIF, from 1 (upright) to 8."""

    width: int  # as stored
    height: int
    orientation: int
    format: str  # Pillow's name, as "JPEG"

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of the image as displayed."""
        return (self.height, self.width) if self.orientation in _QUARTER_TURNS else (self.width, self.height)


def read_header(source: str | os.PathLike[str] | BinaryIO) -> ImageHeader:
    """The header of a file, or of a seekable stream. Raises one of ``IMAGE_ERRORS``, also for what is not an image."""
    if isinstance(source, str | os.PathLike):
        return _by_path(source)
    read = _reader(source)
    return _checked(_quick(read(0, _HEAD), read) or _by_pillow(source))


def header_of(path: str | os.PathLike[str], file: int, start: bytes) -> ImageHeader:
    """The header of a file that is open, given its first bytes. Raises as ``read_header``."""

    def read(position: int, size: int) -> bytes:
        os.lseek(file, position if position >= 0 else max(0, os.fstat(file).st_size + position), os.SEEK_SET)
        return os.read(file, size)

    return _checked(_quick(start, read) or _by_pillow(path))


def _checked(header: ImageHeader) -> ImageHeader:
    if not (0 < header.width < _MAX_SIDE and 0 < header.height < _MAX_SIDE):
        raise ValueError(f"its header says {header.width}×{header.height} pixels, which no image has")
    return header


def _by_path(path: str | os.PathLike[str]) -> ImageHeader:
    file = os.open(path, OPEN)  # a file object would cost more than all the rest
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("it is no file")
        return header_of(path, file, os.read(file, _HEAD))
    finally:
        os.close(file)


def _reader(stream: BinaryIO) -> _Read:
    def read(position: int, size: int) -> bytes:
        stream.seek(position if position >= 0 else max(0, stream.seek(0, os.SEEK_END) + position))
        return stream.read(size)

    return read


def _quick(head: bytes, read: _Read) -> ImageHeader | None:
    """The header of a common JPEG or PNG, given its first bytes; ``None`` for anything else."""
    try:
        if head.startswith(b"\xff\xd8\xff"):
            return _jpeg(read, head)
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return _png(read, head)
    except (struct.error, IndexError):  # truncated
        pass
    return None


def _jpeg(read: _Read, head: bytes) -> ImageHeader | None:
    """The size in the first frame header, and the orientation in an EXIF segment, which nearly always comes before."""
    base, at, orientation, xmp = 0, 2, None, b""  # ``head`` begins at ``base`` of the file
    for _ in range(_MAX_PARTS):
        if at + 10 > len(head):
            base, at, head = base + at, 0, read(base + at, _HEAD)
        marker, length = _TWO(head, at)
        if marker in _SKIPPED and length > 1:
            at += 2 + length
        elif marker in _FRAMES:
            height, width = _TWO(head, at + 5)
            elsewhere = b"tiff:Orientation" in xmp or head.rfind(_EXIF, at) > 0  # where only Pillow looks
            if (orientation is None and elsewhere) or not width or not height:
                return None
            return ImageHeader(width, height, orientation or 1, "JPEG")
        elif marker == _APP1 and length > 1:
            whole = at + 2 + length <= len(head)
            data = head[at + 4 : at + 2 + length] if whole else read(base + at + 4, length - 2)
            if orientation is None and data.startswith(_EXIF):
                orientation = _orientation(data[6:])
            elif data.startswith(_XMP):
                xmp = data
            at += 2 + length
        else:
            return None
    return None


def _png(read: _Read, head: bytes) -> ImageHeader | None:
    """The size in the first chunk, and the orientation in the EXIF chunk, which comes before or after the pixels."""
    width, height = struct.unpack_from(">II", head, 16)
    at, base = 8, 0
    for _ in range(_MAX_PARTS):
        if at - base + 40 > len(head):
            head, base = read(at, _HEAD), at
        offset = at - base
        size, name = struct.unpack_from(">I4s", head, offset)
        if name == b"eXIf":
            return ImageHeader(width, height, _orientation(read(at + 8, min(size, _EXIF_LIMIT))) or 1, "PNG")
        if name == b"IDAT":
            rest = head[offset:]
            tail = rest if b"IEND" in rest else read(-_EXIF_LIMIT, _EXIF_LIMIT)
            return ImageHeader(width, height, _orientation_at_end(tail) or 1, "PNG")
        if name in (b"tEXt", b"zTXt", b"iTXt") and head.startswith(_TEXT_METADATA, offset + 8):
            return None
        at += 12 + size
    return None


def _orientation_at_end(tail: bytes) -> int | None:
    """The orientation in an EXIF chunk among the last bytes of a PNG."""
    at = tail.rfind(b"eXIf")
    while at >= 4:  # until the bytes are a chunk with a correct checksum, and not pixels that look alike
        end = at + 4 + int.from_bytes(tail[at - 4 : at])
        if tail[end : end + 4] == zlib.crc32(tail[at:end]).to_bytes(4):
            return _orientation(tail[at + 4 : end])
        at = tail.rfind(b"eXIf", 0, at)
    return None


def _orientation(exif: bytes) -> int | None:
    """The orientation in an EXIF block, which is a small TIFF file; ``None`` if it has none or cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or exif[2:4] not in (b"*\x00", b"\x00*"):
        return None
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        tags = exif[at + 2 : at + 2 + 12 * count]
        found_at = tags.find(_TAG[order])
        while found_at % 12 and found_at > 0:  # entries have 12 bytes; elsewhere the bytes are part of a value
            found_at = tags.find(_TAG[order], found_at + 1)
        if found_at < 0:
            return None
        kind, values = struct.unpack_from(order + "HI", tags, found_at + 2)
        if kind not in _INTEGERS or values != 1:
            return 1
        (found,) = struct.unpack_from(order + _INTEGERS[kind], tags, found_at + 8)
    except struct.error:  # truncated
        return None
    return found if found in range(2, 9) else 1


def _by_pillow(source: str | os.PathLike[str] | BinaryIO) -> ImageHeader:
    with images.open_image(source) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # recent versions of Pillow give its size as displayed
            width, height = image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
        try:  # ``getexif`` of a PNG decodes the pixels, to find chunks after them
            found: Any = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        except Exception:  # Pillow raises many kinds of errors for a damaged block
            found = None
        return ImageHeader(int(width), int(height), int(found) if found in range(2, 9) else 1, image.format or "")
