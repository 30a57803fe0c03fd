"""Sizes of images from the first bytes of their files.

Pillow opens a JPEG in about 80 µs of CPU, which is more than all else that an import does with an image of ten boxes; the two
formats that nearly all images have are read here in a quarter of that, and everything else, and whatever is odd, by Pillow.
"""

from __future__ import annotations

import os
import struct

from PIL import Image

_HEAD = 4096  # bytes; the frame header comes later when the file begins with a large thumbnail or profile
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG that give the size


def size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height as stored. Raises ``OSError`` (also for no image), ``ValueError`` or ``SyntaxError``, as Pillow."""
    file = os.open(path, os.O_RDONLY)  # file objects cost more than all the rest
    try:
        head = os.read(file, _HEAD)
    finally:
        os.close(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        found = struct.unpack_from(">II", head, 16)
    else:
        found = _jpeg(head) if head.startswith(b"\xff\xd8\xff") else (0, 0)
    if all(found):
        return found[0], found[1]
    with Image.open(path) as image:
        return image.size


def _jpeg(head: bytes) -> tuple[int, int]:
    """The size in the first frame header, or zeros if it is not in these bytes."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return 0, 0
