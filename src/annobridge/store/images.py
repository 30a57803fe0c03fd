"""Opens images with Pillow, recognized by content, and with a limit on the pixels that are decoded.

``PIL.Image.open`` refuses an image of more than 179 million pixels even if only its header is read. Here the limit applies when
pixels are decoded, can be raised, and is named in the error.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from ..core.media import MAX_PIXELS
from ..exceptions import InvalidOption

_LOCK = threading.Lock()
_PREFIX = 16  # bytes by which Pillow recognizes formats
# What plug-ins of Pillow raise for a file of another format.
_OTHER_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)
# Formats of which Pillow reads the size, but not the pixels.
_NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})


class TooManyPixels(ValueError):
    """A valid image has more pixels than may be decoded."""


def open_image(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """An image of any size, of which only the header was read; the caller closes it.

    Raises ``OSError`` or ``ValueError`` for what is not an image.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            prefix = file.read(_PREFIX)
    else:
        source.seek(0)
        prefix = source.read(_PREFIX)
    _prepare()
    for name in Image.ID:
        if (found := _read(name, source, prefix)) is not None:
            return found
    raise UnidentifiedImageError("not an image that Pillow can read")


def decode_pixels(image: Image.Image) -> None:
    """Decode the pixels. Raises ``TooManyPixels`` for more than ``pixel_limit``."""
    count, most = image.width * image.height, pixel_limit()
    if most is not None and count > most:
        raise TooManyPixels(
            f"it has {count:,} pixels, and no more than {most:,} are decoded here; "
            f"allow it with {MAX_PIXELS}={count} in the environment, or 0 for any number"
        )
    decode_all_pixels(image)


def decode_all_pixels(image: Image.Image) -> None:
    """Decode the pixels, however many: for callers that know that there is memory for them."""
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        with _without_limit():
            image.load()
    else:
        image.load()


@contextmanager
def _without_limit() -> Iterator[None]:
    """Disable Pillow's own limit, a global of the process, for the block."""
    with _LOCK:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most


def pixel_limit() -> int | None:
    """The largest number of pixels to decode: the setting, or else Pillow's limit; ``None`` for any. Raises ``InvalidOption``."""
    text = os.environ.get(MAX_PIXELS, "").strip()
    if not text:
        return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS is not None else None
    if not text.replace("_", "").isdecimal():
        raise InvalidOption(
            f"{MAX_PIXELS}={text!r} (environment) is not a number of pixels; give one, as 500000000, or 0."
        )
    return int(text) or None


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an image by its content. A format without a signature also needs its file extension."""
    try:
        # Pillow warns about some files that are not images.
        with warnings.catch_warnings(action="ignore"), open_image(path) as image:
            name = image.format or ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    marked = Image.OPEN[name][1] is not None if name in Image.OPEN else True
    ending = os.path.splitext(path)[1].lower()
    return name not in _NO_PIXELS and (marked or Image.registered_extensions().get(ending) == name)


def _read(name: str, source: str | os.PathLike[str] | BinaryIO, prefix: bytes) -> Image.Image | None:
    """The file as an image of one format; ``None`` if it is of another."""
    factory, accepts = Image.OPEN[name]
    try:
        answer = accepts is None or accepts(prefix)
        if not answer or isinstance(answer, str):  # a string is the reason for a refusal
            return None
        return _header(factory, source)
    except Image.DecompressionBombError:  # some plug-ins check the limit themselves
        with _without_limit():
            return _header(factory, source)
    except _OTHER_FORMAT:
        return None


def _header(factory: Any, source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    if not isinstance(source, str | os.PathLike):
        source.seek(0)
    found: Image.Image = factory(source, "")
    return found


@functools.cache
def _prepare() -> None:
    """Load all plug-ins of Pillow, and the one for HEIC if it is installed."""
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
