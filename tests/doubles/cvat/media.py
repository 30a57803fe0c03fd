"""Media files: the kind by the name, the size in pixels, and the number of frames of a video."""

from __future__ import annotations

import io
import re
import struct
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

IMAGES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jfif", ".ppm"}
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg"}
ROTATED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
ORIENTATION = 0x0112
_PILLOW = threading.Lock()


@dataclass(frozen=True)
class Video:
    width: int
    height: int
    count: int


def kind_of(name: str) -> str:
    """`image`, `video`, `archive`, or nothing for a file that is left out."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in IMAGES:
        return "image"
    return "video" if suffix in VIDEOS else "archive" if suffix == ".zip" else ""


def opened(content: bytes) -> Image.Image:
    """A picture of any size: the limit of Pillow in this process is that of annobridge, not of the server."""
    with _PILLOW:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(content))
        finally:
            Image.MAX_IMAGE_PIXELS = most


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height as shown, after the rotation that EXIF asks for. The pixels are not read: a cut file passes."""
    with opened(content) as image:
        width, height = image.size
        rotated = image.getexif().get(ORIENTATION) in ROTATED
    return (height, width) if rotated else (width, height)


def unpack(content: bytes) -> dict[str, bytes]:
    """The images of an archive, by their path in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if kind_of(name) == "image"}


def video(name: str, content: bytes) -> Video | None:
    """``None`` for a file without a header. One with a header and no picture is opened, and the server falls over it."""
    found = avi(content) if name.lower().endswith(".avi") else mp4(content)
    return found if found and found.count else None


def mp4(content: bytes) -> Video | None:
    """From the first track with a picture size: samples of `stsz`, and width and height of `tkhd`."""
    for kind, body in boxes(content):
        if kind != b"moov":
            continue
        for _, track in (box for box in boxes(body) if box[0] == b"trak"):
            found = dict(descend(track))
            if b"stsz" in found and b"tkhd" in found:
                width, height = (value >> 16 for value in struct.unpack(">II", found[b"tkhd"][-8:]))
                if width and height:
                    return Video(width, height, struct.unpack(">I", found[b"stsz"][8:12])[0])
        raise IndexError("tuple index out of range")
    return None


def descend(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in boxes(content):
        yield kind, body
        if kind in (b"mdia", b"minf", b"stbl"):
            yield from descend(body)


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", content[at + 8 : at + 16])[0], 16
        size = size or len(content) - at
        if size < head:
            return
        yield kind, content[at + head : at + size]
        at += size


def avi(content: bytes) -> Video | None:
    """From the main header: total frames, width and height."""
    at = content.find(b"avih")
    if content[:4] != b"RIFF" or at < 0:
        return None
    fields = struct.unpack("<14I", content[at + 8 : at + 64])
    return Video(fields[8], fields[9], fields[4])


def natural_key(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
