"""Images of samples as they are shown: EXIF orientation applied, scaled down while they are decoded, in bounded memory."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..core.media import Media
from ..store import images as opening
from ..store.image_headers import IMAGE_ERRORS, read_header
from .pictures import Picture, encode

T = TypeVar("T")
WIDEST = 2048  # pixels of a picture
_MOST_DECODED = 5 << 28  # bytes that an image may need
_HUGE = 50_000_000  # pixels from which images are decoded one at a time
_AS_THEY_ARE = 4 << 20  # bytes of a file that is sent unchanged
_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png"}  # of files that are sent unchanged, if they end so:
_NEARLY = 1.3  # an image that is wider than was asked for by no more than this is not decoded
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_BYTES = {
    "1": 1,
    "L": 1,
    "P": 1,
    "LA": 4,
    "I;16": 2,
    "I;16B": 2,
    "I;16L": 2,
}  # of a pixel in memory; other modes have 4
_STRIP = 1 << 24  # pixels that are converted at a time

# EXIF orientation → what makes the image upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_one_huge = threading.Semaphore()


class NotShown(Exception):
    """A picture cannot be made; the message says why."""


def image_picture(media: Media, sample_id: str, width: int) -> Picture:
    """The image of a sample, at most ``width`` pixels wide. Raises ``NotShown``."""
    return _with_stream(media, sample_id, lambda stream: unchanged(stream, width) or encode(decoded(stream, width)))


def sample_image(media: Media, sample_id: str, width: int) -> Image.Image:
    """The image of a sample, at most ``width`` pixels wide. Raises ``NotShown``."""
    return _with_stream(media, sample_id, lambda stream: decoded(stream, width))


def _with_stream(media: Media, sample_id: str, make: Callable[[BinaryIO], T]) -> T:
    """What ``make`` makes of a file. Raises ``NotShown``."""
    try:
        stream = media.open(sample_id)
    except (FileNotFoundError, KeyError):  # the file, or the sample
        raise NotShown("The image is not there any more.") from None
    except (OSError, ValueError) as error:  # ValueError: the address is none
        raise NotShown(f"The image cannot be opened: {_short(error)}.") from None
    try:
        with stream:
            return make(stream)
    except UnidentifiedImageError:
        raise NotShown("The file is no image that Pillow can read.") from None
    except MemoryError:
        raise NotShown("There is not enough memory to decode the image.") from None
    except IMAGE_ERRORS as error:
        raise NotShown(f"The image cannot be read: {_short(error)}.") from None


def unchanged(stream: BinaryIO, width: int) -> Picture | None:
    """The file itself, if a browser shows it as it is meant, and it is not too large."""
    header = read_header(stream)
    if header.format not in _MEDIA_TYPES or header.orientation != 1 or header.width > _NEARLY * width:
        return None
    size = stream.seek(0, os.SEEK_END)
    if size > _AS_THEY_ARE:
        return None
    stream.seek(0)
    data = stream.read()
    if not data.endswith(_ENDS[header.format]):  # maybe cut off; a browser would show the rest as grey
        return None
    with opening.open_image(io.BytesIO(data)) as image:
        shows = image.mode in (
            "1",
            "L",
            "P",
            "RGB",
            "RGBA",
            "LA",
        )  # and not CMYK, or 16 bits, which need a choice of range
    return Picture(data, _MEDIA_TYPES[header.format]) if shows else None


def decoded(stream: BinaryIO, width: int) -> Image.Image:
    """The image as it is shown, of mode L, RGB or RGBA, at most ``width`` pixels wide."""
    orientation = read_header(stream).orientation
    with opening.open_image(stream) as image:
        across = image.height if orientation >= 5 else image.width
        step = max(1, across // width)
        pixels = image.width * image.height
        image.draft("RGB", (-(-image.width // step), -(-image.height // step)))  # a JPEG, at a fraction of its size
        _check_memory(image, pixels)
        if image.width * image.height < _HUGE:
            return _scaled(image, orientation, width)
        with _one_huge:
            return _scaled(image, orientation, width)


def _check_memory(image: Image.Image, pixels: int) -> None:
    """Raise ``NotShown`` for an image that needs too much memory to decode. ``pixels`` is how many the file has."""
    needed = image.width * image.height * _BYTES.get(image.mode, 4)
    if image.format == "WEBP":
        needed *= 4  # as measured: its decoder has copies
    elif image.format == "JPEG" and image.info.get("progressive"):
        needed += 6 * pixels  # the coefficients of all of them, two bytes each
    if needed > _MOST_DECODED:
        raise NotShown(
            f"The image has {pixels:,} pixels, for which {needed / 2**30:.1f} GB of memory would be needed; up to "
            f"{_MOST_DECODED / 2**30:.2f} GB are used to show one. Review it in the tool, or make a smaller copy."
        )


def _scaled(image: Image.Image, orientation: int, width: int) -> Image.Image:
    opening.decode_all_pixels(image)
    before = image.size
    upright = orientation if image.format != "TIFF" else 1  # Pillow turns a TIFF while it decodes it
    across = before[1] if upright >= 5 else before[0]
    small = _in_strips(image, max(1, across // (2 * width)))
    if (upright >= 5 and small.height > width) or (upright < 5 and small.width > width):
        share = width / (small.height if upright >= 5 else small.width)
        small = small.resize((max(1, round(small.width * share)), max(1, round(small.height * share))))
    return small.transpose(TURNS[upright]) if upright in TURNS else small


def _in_strips(image: Image.Image, step: int) -> Image.Image:
    """The image as L, RGB or RGBA, at 1/``step`` of its size. Converted in strips, as a copy of a huge one is as large again."""
    convert = _converter(image)
    rows = max(step, _STRIP // image.width // step * step)
    if step == 1 or image.height <= rows:
        whole = convert(image)
        return whole.reduce(step) if step > 1 else whole
    result = None
    for top in range(0, image.height, rows):
        part = convert(image.crop((0, top, image.width, min(top + rows, image.height)))).reduce(step)
        if result is None:
            result = Image.new(part.mode, (part.width, -(-image.height // step)))
        result.paste(part, (0, top // step))
    assert result is not None  # noqa: S101 - an image has rows
    return result


def _converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes L, RGB or RGBA of an image, or of a part of it."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        lowest, highest = _range(image)
        scale = 255 / (highest - lowest) if highest > lowest else 1.0
        return lambda part: Image.fromarray(
            ((np.asarray(part, np.float32) - lowest) * scale).clip(0, 255).astype(np.uint8)
        )
    transparent = "A" in image.getbands() or "transparency" in image.info
    mode = "RGBA" if transparent else "L" if image.mode in ("1", "L") else "RGB"
    return lambda part: part if part.mode == mode else part.convert(mode)


def _range(image: Image.Image) -> tuple[float, float]:
    """The least and the greatest value of an image of numbers, which are shown as black and white."""
    lowest, highest = [], []
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))), np.float32)
        finite = values[np.isfinite(values)]
        if finite.size:
            lowest.append(float(finite.min()))
            highest.append(float(finite.max()))
    return (min(lowest), max(highest)) if lowest else (0.0, 0.0)


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
