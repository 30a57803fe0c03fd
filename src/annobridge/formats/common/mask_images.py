"""Masks as PNG files: decoded once their size is known to be harmless, and written."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...core.geometry import compress, encode_rle
from .. import media
from .archive import Archive
from .items import Shapes
from .palette import Palette
from .report import ReadReport

Codes = npt.NDArray[np.int64]
UNKNOWN = -1
_MOST = 1 << 28  # bytes of a file
_MOST_CLASSES = 1024
_ERRORS = (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True)
class MaskImage:
    """The pixels of a mask. ``numbers`` of an image of one channel or with a palette, ``codes`` of one with colours."""

    numbers: Codes | None
    codes: Codes | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        values = self.numbers if self.numbers is not None else self.codes
        assert values is not None  # noqa: S101 - one of them is there
        return values.shape[1], values.shape[0]

    @property
    def values(self) -> Codes:
        """The numbers of the pixels, or their colours as numbers."""
        found = self.numbers if self.codes is None else self.codes
        assert found is not None  # noqa: S101 - one of them is there
        return found

    def classes(self, palette: Palette) -> Codes:
        """The class of each pixel by a palette; ``UNKNOWN`` for a colour or number that it does not have."""
        by_colour = None
        if self.codes is not None:
            table = palette.number_of()
            found, where = np.unique(self.codes, return_inverse=True)
            classes = np.array([table.get(int(value), 0 if value == 0 else UNKNOWN) for value in found], np.int64)
            by_colour = classes[where].reshape(self.codes.shape)
        if by_colour is not None and (self.numbers is None or (by_colour != UNKNOWN).all()):
            return by_colour
        assert self.numbers is not None  # noqa: S101 - one of them is there
        return np.where(self.numbers < len(palette.names), self.numbers, UNKNOWN)


def load(archive: Archive, name: str, report: ReadReport) -> MaskImage | None:
    """Decode a mask; what cannot be decoded is skipped."""
    if archive.size(name) > _MOST:
        report.skip(archive.where(name), "the mask has more bytes than a mask needs")
        return None
    return decode(archive.read(name), archive.where(name), report)


def decode(data: bytes, place: str, report: ReadReport) -> MaskImage | None:
    """Decode a mask, given its file; what cannot be decoded is skipped."""
    try:
        with media.open_image(io.BytesIO(data)) as image:
            media.decode_pixels(image)
            return _pixels(image)
    except _ERRORS as error:
        report.skip(place, f"the mask cannot be decoded ({type(error).__name__})")
        return None


def _pixels(image: Image.Image) -> MaskImage:
    if image.mode == "P":
        colours = np.asarray(image.convert("RGB"), np.int64)
        return MaskImage(np.asarray(image, np.int64), _codes(colours))
    if image.mode in ("1", "L", "I", "I;16", "I;16B", "I;16L"):
        return MaskImage(np.asarray(image).astype(np.int64), None)
    return MaskImage(None, _codes(np.asarray(image.convert("RGB"), np.int64)))


def _codes(colours: Codes) -> Codes:
    return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def regions(values: Codes) -> Iterator[tuple[int, npt.NDArray[np.bool_], dict[str, Any]]]:
    """Each value that is in an image, the pixels that have it, and their mask."""
    for value in np.unique(values).tolist():
        where = values == value
        yield value, where, dict(encode_rle(where))


def add_mask(
    shapes: Shapes,
    item: int,
    data: bytes,
    place: str,
    names: Sequence[str],
    report: ReadReport,
    column: str | None = None,
) -> None:
    """Add a mask for each class of a PNG of class numbers: 0 is none, and a number without a name is its own. ``column`` is an
    attribute that says which of several PNGs it was.
    """
    mask = decode(data, place, report)
    if mask is None:
        return
    values = mask.numbers if mask.numbers is not None else mask.values
    if len(np.unique(values)) > _MOST_CLASSES:
        report.skip(place, f"it has more than {_MOST_CLASSES:,} values, so it is no mask of classes")
        return
    for value, _, found in regions(values):
        if value:
            label = f"#{value:06x}" if mask.numbers is None else names[value] if value < len(names) else str(value)
            shapes.add(item, "mask", label, {"column": column} if column else None, mask=found, place=place)


def objects(values: Codes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each value that is in an image but 0, and its mask. Faster than ``regions`` where there are many.

    >>> [(value, mask["counts"]) for value, mask in objects(np.array([[0, 7], [9, 7]]))]
    [(7, b'22'), (9, b'112')]
    """
    height, width = values.shape
    flat = values.T.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(flat)], strict=True):
        places, value = order[start:end], int(flat[order[start]])
        if value:
            breaks = np.flatnonzero(np.diff(places) > 1)
            first, last = places[np.append(0, breaks + 1)], places[np.append(breaks, -1)] + 1
            edges = np.concatenate([[0], np.stack([first, last], axis=1).ravel(), [len(flat)]])
            counts = np.diff(edges)
            yield value, {"size": [height, width], "counts": compress(counts[: -1 if counts[-1] == 0 else None])}


def save_colours(path: Path, classes: Codes, palette: Palette) -> None:
    """Write the class of each pixel as its colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.array(palette.colours, np.uint8)
    Image.fromarray(table[classes]).save(path, "PNG")


def save_indexed(path: Path, numbers: Codes, count: int) -> None:
    """Write numbers as a PNG with the palette of Pascal VOC, which tools read as numbers or as colours; of more than 256, as
    colours.
    """
    from .palette import voc_colour

    path.parent.mkdir(parents=True, exist_ok=True)
    if count > 256:
        table = np.array([voc_colour(n) for n in range(count)], np.uint8)
        Image.fromarray(table[numbers]).save(path, "PNG")
        return
    image = Image.fromarray(numbers.astype(np.uint8), "L")
    image.putpalette([channel for n in range(256) for channel in voc_colour(n)])
    image.save(path, "PNG")


def save_numbers(path: Path, numbers: Codes, bits: int) -> None:
    """Write numbers as they are, as a PNG of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers.astype(np.uint8 if bits == 8 else np.uint16)).save(path, "PNG")
