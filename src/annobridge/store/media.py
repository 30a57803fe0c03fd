"""Access to the image and video files of samples, on disk or on a server, and checks of them before they are uploaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from PIL import UnidentifiedImageError

from ..core.media import Media as Media  # with the media that implement it
from ..core.media import without_secrets as without_secrets
from ..core.wording import listed
from . import image_headers, images
from .image_headers import ImageHeader
from .media_cache import open_cached
from .parallel import THREADS, map_files
from .remote import local_path
from .remote_file import StorageOptions

_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class FileMedia:
    """Media by path or URI.

    Args:
        locations: sample id → path or URI.
        options: options of the object store for URIs of it.
    """

    def __init__(self, locations: Mapping[str, str | None], options: StorageOptions = None) -> None:
        self._locations, self.options = locations, options

    @classmethod
    def of(cls, samples: pa.Table, options: StorageOptions = None) -> FileMedia:
        """Access to the media of samples, rows with ``sample_id`` and ``filepath``."""
        pairs = zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True)
        return cls(dict(pairs), options)

    def path(self, sample_id: str) -> Path | None:
        """The local file, or ``None`` for a URI of another place."""
        return local_path(self._locations[sample_id] or "")

    def open(self, sample_id: str) -> BinaryIO:
        """A binary stream; the caller closes it. A file elsewhere comes through the cache (``media_cache``)."""
        path = self.path(sample_id)
        return path.open("rb") if path is not None else open_cached(self._locations[sample_id] or "", self.options)


def check_media(
    samples: pa.Table,
    media: Media,
    advance: Callable[[int], None] = lambda _: None,
    size: Callable[[BinaryIO], tuple[int, int]] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Open the file of each sample, in parallel.

    Args:
        samples: rows with ``sample_id``, ``media_type`` and ``filepath``.
        media: access to their files.
        advance: called with 1 after each file.
        size: the width and height of an image; by default ``size_of``, which finds out whether the file is complete.

    Returns:
        ``[width, height]`` of each sample, as displayed; 0 for bad files and for videos, which are only opened. And a sentence
        for each bad file.
    """
    sizes = np.zeros((samples.num_rows, 2), np.int32)
    faults: list[str] = []
    rows = zip(*(samples[n].to_pylist() for n in ("sample_id", "media_type", "filepath")), strict=True)
    with ThreadPoolExecutor(THREADS) as pool:
        for at, found in enumerate(pool.map(lambda row: _look(media, size or size_of, *row), rows)):
            if isinstance(found, str):
                faults.append(found)
            else:
                sizes[at] = found
            advance(1)
    return sizes, faults


def describe_bad_files(faults: list[str], cure: str = "leave what cannot be read out of the view") -> str:
    """One message for the sentences of ``check_media``, with what to do."""
    if len(faults) == 1:
        return f"{faults[0]} Mend or replace the file, or {cure}."
    shown = "\n  - ".join(listed(faults, len(faults)))
    return f"{len(faults)} files cannot be used; mend or replace them, or {cure}:\n  - {shown}"


def _look(
    media: Media, size: Callable[[BinaryIO], tuple[int, int]], sample_id: str, media_type: str | None, place: str | None
) -> tuple[int, int] | str:
    if place is None:
        return f"The sample {sample_id!r} has no filepath."
    place = without_secrets(place)
    what = media_type or "image"
    try:
        with media.open(sample_id) as stream:
            if what != "video":
                return size(stream)
            return (0, 0) if stream.read(1) else f"The video {place!r} of sample {sample_id!r} is empty (0 bytes)."
    except FileNotFoundError:
        if (path := media.path(sample_id)) is not None:
            place = str(path.absolute())  # a relative path is looked for in the current folder
        return f"The {what} {place!r} of sample {sample_id!r} does not exist."
    except UnidentifiedImageError:
        empty = (path := media.path(sample_id)) is not None and path.stat().st_size == 0
        why = "empty (0 bytes)" if empty else "not an image that Pillow can read"
        return f"The image {place!r} of sample {sample_id!r} is {why}."
    except image_headers.IMAGE_ERRORS as e:
        return f"The {what} {place!r} of sample {sample_id!r} cannot be read: {e}."


def size_of(stream: BinaryIO) -> tuple[int, int]:
    """Width and height of an image, as displayed. Raises ``OSError`` for a truncated file.

    A JPEG or PNG with its end marker is complete. Any other image is decoded to find out, which takes some milliseconds; raises
    ``TooManyPixels`` if it is too large for that.
    """
    header = image_headers.read_header(stream)
    if not _ends_with(stream, _END_MARKERS.get(header.format, b"")):
        with images.open_image(stream) as image:
            image.draft("RGB", (64, 64))  # JPEG: at an eighth of the size, which still reads every byte
            images.decode_pixels(image)
    return header.shown


def _ends_with(stream: BinaryIO, end: bytes) -> bool:
    if not end:
        return False
    stream.seek(-len(end), os.SEEK_END)
    return stream.read(len(end)) == end


def header_size(stream: BinaryIO) -> tuple[int, int]:
    """Width and height of an image, as displayed, from its header alone."""
    return image_headers.read_header(stream).shown


def read_header_of(media: Media, sample_id: str) -> ImageHeader | None:
    """The header of a sample's image; ``None`` if it cannot be read, as of a video."""
    try:
        with media.open(sample_id) as stream:
            return image_headers.read_header(stream)
    except image_headers.IMAGE_ERRORS:
        return None


def known_sizes(paths: Sequence[str | Path]) -> list[tuple[int, int] | None]:
    """Width and height of each image, as displayed; ``None`` for files that are missing or not images."""
    return [header and header.shown for header in known_headers(paths)]


def known_headers(paths: Sequence[str | Path]) -> list[ImageHeader | None]:
    """The header of each image; ``None`` for files that are missing or not images."""
    return map_files(_header, paths)


def _header(path: str | Path) -> ImageHeader | None:
    try:
        return image_headers.read_header(path)
    except image_headers.IMAGE_ERRORS:
        return None
