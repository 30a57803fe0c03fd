"""What formats need of media: opening them wherever they are, reading headers, and errors that name the sample."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ..exceptions import InvalidMedia
from ..store.image_headers import IMAGE_ERRORS, ImageHeader, read_header
from ..store.images import decode_pixels, is_image, open_image
from ..store.media import FileMedia, Media, known_headers, read_header_of, without_secrets
from .base import Part

__all__ = [
    "IMAGE_ERRORS", "ImageHeader", "Media", "are_files", "decode_pixels", "embedded", "is_image", "known_headers", "of",
    "open_image", "read_chunks", "read_header", "read_header_of", "unreadable", "without_secrets",
]  # fmt: skip
_CHUNK = 1 << 20  # bytes


def embedded(part: Part) -> Media | None:
    """What opens the media of a part that are inside a table, or in an object store that needs the options of the dataset; ``None``
    for others, which ``of`` finds by their paths.

    A writer that keeps parts on disk keeps this beside them.
    """
    if not isinstance(part.media, FileMedia):
        return part.media
    return FileMedia({}, part.media.options) if part.media.options else None


def of(samples: pa.Table, embedded: Media | None) -> Media:
    """What opens the media of samples, given what ``embedded`` returned for their part."""
    if embedded is None or isinstance(embedded, FileMedia):
        return FileMedia.of(samples, embedded.options if embedded is not None else None)
    return embedded


def are_files(media: Media) -> bool:
    """Whether media are at the paths or URIs of their samples, and not inside a table."""
    return isinstance(media, FileMedia)


def read_chunks(media: Media, sample_id: str, place: str, cure: str) -> Iterator[bytes]:
    """The bytes of a file, a few at a time.

    Raises ``InvalidMedia`` for a file that cannot be read. What the caller does with the bytes may raise other errors.
    """
    try:
        with media.open(sample_id) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(sample_id, place, error, cure) from None


def unreadable(sample_id: str, place: str, error: Exception, cure: str) -> InvalidMedia:
    """The error for a file that cannot be read, or is no image. ``place`` is its path; ``""`` for one inside a table."""
    shown = without_secrets(place)
    what = f"{shown!r} of sample {sample_id!r}" if place else f"The image of sample {sample_id!r}"
    if place and isinstance(error, FileNotFoundError):
        return InvalidMedia(f"{what} does not exist; {cure}.")
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidMedia(f"{what} cannot be read ({reason.replace(place, shown) if place else reason}); {cure}.")
