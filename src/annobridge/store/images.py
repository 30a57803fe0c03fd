"""Pictures as Pillow opens them: by their content, headers of any size, and pixels up to a limit that can be raised.

``PIL.Image.open`` refuses a picture of more than 179 million pixels before anybody asked for a pixel of it. Here the limit is
held where pixels are decoded, and the error says what it is.
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
_PREFIX = 16  # bytes that Pillow tells formats by
_OTHER = (
    SyntaxError,
    IndexError,
    TypeError,
    struct.error,
)  # raised by a reader of Pillow's for what is of another format
# What Pillow tells the size of, and cannot decode by itself.
_NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})


class TooManyPixels(ValueError):
    """A sound picture has more pixels than may be decoded."""


def open_image(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """A picture whose header was read, whatever its size; close it. Raises ``OSError`` or ``ValueError`` for what is none."""
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
    """Decode the pixels. Raises ``TooManyPixels`` for a picture that is too large to be decoded here."""
    count, most = image.width * image.height, pixel_limit()
    if most is not None and count > most:
        raise TooManyPixels(
            f"it has {count:,} pixels, and no more than {most:,} are decoded here; "
            f"allow it with {MAX_PIXELS}={count} in the environment, or 0 for any number"
        )
    if Image.MAX_IMAGE_PIXELS is not None and count > Image.MAX_IMAGE_PIXELS:
        with _without_limit():
            image.load()
    else:
        image.load()


@contextmanager
def _without_limit() -> Iterator[None]:
    """Without Pillow's own limit, which holds for the whole process."""
    with _LOCK:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = most


def pixel_limit() -> int | None:
    """How many pixels may be decoded: the setting, or else what Pillow takes. Raises ``InvalidOption``."""
    text = os.environ.get(MAX_PIXELS, "").strip()
    if not text:
        return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS is not None else None
    if not text.replace("_", "").isdecimal():
        raise InvalidOption(
            f"{MAX_PIXELS}={text!r} (environment) is no number of pixels; give one, as 500000000, or 0."
        )
    return int(text) or None


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an image by its content; a format without a mark in its first bytes counts with its own ending."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            open_image(path) as image,
        ):  # Pillow warns of what is no picture of its kinds
            name = image.format or ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    marked = Image.OPEN[name][1] is not None if name in Image.OPEN else True
    ending = os.path.splitext(path)[1].lower()
    return name not in _NO_PIXELS and (marked or Image.registered_extensions().get(ending) == name)


def _read(name: str, source: str | os.PathLike[str] | BinaryIO, prefix: bytes) -> Image.Image | None:
    """What the reader of one format makes of a file; ``None`` where it is of another format."""
    factory, accepts = Image.OPEN[name]
    try:
        answer = accepts is None or accepts(prefix)
        if not answer or isinstance(answer, str):  # a text says why not
            return None
        return _header(factory, source)
    except Image.DecompressionBombError:  # some readers ask for the limit themselves
        with _without_limit():
            return _header(factory, source)
    except _OTHER:
        return None


def _header(factory: Any, source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    if not isinstance(source, str | os.PathLike):
        source.seek(0)
    found: Image.Image = factory(source, "")
    return found


@functools.cache
def _prepare() -> None:
    """Load all readers of Pillow, and that of HEIC if it is installed."""
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
