"""The media of samples that are written: found wherever they lie, and errors that name the sample."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ..exceptions import InvalidMedia
from ..store.image_headers import ImageHeader, read_header
from ..store.images import decode_pixels, is_image, open_image
from ..store.media import FileMedia, Media, known_headers, read_header_of, without_secrets
from .base import Part

__all__ = [
    "ImageHeader", "Media", "decode_pixels", "inside", "is_image", "known_headers", "of", "open_image", "pieces", "read_header",
    "read_header_of", "unreadable", "without_secrets",
]  # fmt: skip
_PIECE = 1 << 20  # bytes


def inside(part: Part) -> Media | None:
    """What opens media that lie inside of a table, whose ``filepath`` is but a name; ``None`` where it says where they lie.

    A writer that puts parts by keeps this, and not what the rows say anyway.
    """
    return None if isinstance(part.media, FileMedia) else part.media


def of(samples: pa.Table, inside: Media | None) -> Media:
    """The media of some sample rows that were put by."""
    return FileMedia.of(samples) if inside is None else inside


def pieces(media: Media, sample_id: str, place: str, cure: str) -> Iterator[bytes]:
    """The bytes of a medium, a few at a time; what goes wrong with them outside is not caught here. Raises ``InvalidMedia``."""
    try:
        with media.open(sample_id) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(sample_id, place, error, cure) from None


def unreadable(sample_id: str, place: str, error: Exception, cure: str) -> InvalidMedia:
    """The sentence for a medium that cannot be read, or is none. ``place`` may be ``""``, where there is but a sample."""
    known = without_secrets(place)
    what = f"{known!r} of sample {sample_id!r}" if place else f"The image of sample {sample_id!r}"
    if place and isinstance(error, FileNotFoundError):
        return InvalidMedia(f"{what} does not exist; {cure}.")
    said = getattr(error, "strerror", None) or str(error)
    return InvalidMedia(f"{what} cannot be read ({said.replace(place, known) if place else said}); {cure}.")
