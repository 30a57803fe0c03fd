"""The files behind the samples: opened wherever they lie, and looked at before anything is sent."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import requests
from PIL import UnidentifiedImageError
from pyarrow import fs

from ..core.media import Media as Media  # with the media that implement it
from . import image_headers, images
from .image_headers import ImageHeader

_THREADS = 4
_LOGIN = re.compile(r"://[^/]*@")
_IN_MEMORY = 8 << 20  # bytes of a file from the web
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_SHOWN = 20
_BLOCK = 256  # files
_SLOW = 0.0005  # seconds for a header; from memory it is some 10 µs
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class FileMedia:
    """Media by path or URI (``https://``; ``s3://``, ``gs://``, … by Arrow's file systems)."""

    def __init__(self, places: Mapping[str, str | None]) -> None:
        self._places = places

    @classmethod
    def of(cls, samples: pa.Table) -> FileMedia:
        """The media of some sample rows."""
        return cls(dict(zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True)))

    def path(self, sample_id: str) -> Path | None:
        """The local file, or ``None`` for a URI."""
        place = self._places[sample_id] or ""
        return None if "://" in place else Path(place)

    def open(self, sample_id: str) -> BinaryIO:
        """A binary stream; the caller closes it."""
        path = self.path(sample_id)
        if path is not None:
            return path.open("rb")
        place = self._places[sample_id] or ""
        if place.startswith(("http://", "https://")):
            return _fetched(place)
        system, inner = fs.FileSystem.from_uri(place)
        stream: BinaryIO = system.open_input_file(inner)
        return stream


def _fetched(url: str) -> BinaryIO:
    """What a web server has there; large files lie on disk. Raises ``OSError``, without the address: it may be signed."""
    with ExitStack() as opened:
        file: Any = opened.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT) as answer:
                if answer.status_code == requests.codes.not_found:
                    raise FileNotFoundError
                if not answer.ok:
                    raise OSError(f"the server answers {answer.status_code}")
                for piece in answer.iter_content(1 << 16):
                    file.write(piece)
        except requests.RequestException as e:
            raise OSError(f"the server does not answer ({type(e).__name__})") from None
        file.seek(0)
        opened.pop_all()  # the caller closes it
        return file  # type: ignore[no-any-return]


def check_media(
    samples: pa.Table,
    media: Media,
    advance: Callable[[int], None] = lambda _: None,
    size: Callable[[BinaryIO], tuple[int, int]] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Open every image and take its ``size``, by default once it is known to be whole: ``[width, height]`` of each as it is
    shown (0 where it is bad, and for videos, which are only looked for), and a sentence for each bad one.
    """
    sizes = np.zeros((samples.num_rows, 2), np.int32)
    faults: list[str] = []
    rows = zip(*(samples[n].to_pylist() for n in ("sample_id", "media_type", "filepath")), strict=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        for at, found in enumerate(pool.map(lambda row: _look(media, size or size_of, *row), rows)):
            if isinstance(found, str):
                faults.append(found)
            else:
                sizes[at] = found
            advance(1)
    return sizes, faults


def describe_bad_files(faults: list[str], cure: str = "leave what cannot be read out of the view") -> str:
    """One sentence for some files, a list for many."""
    if len(faults) == 1:
        return f"{faults[0]} Mend or replace the file, or {cure}."
    shown = "\n  - ".join(faults[:_SHOWN])
    more = f"\n  … and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return f"{len(faults)} files cannot be used; mend or replace them, or {cure}:\n  - {shown}{more}"


def without_secrets(place: str) -> str:
    """A path or address for messages: without its query and login, which are secrets.

    >>> shown("https://me:word@host/a.png?signature=s")
    'https://host/a.png'
    """
    return _LOGIN.sub("://", re.split(r"[?#]", place, maxsplit=1)[0], 1) if "://" in place else place


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
    """Width and height, as shown, of a whole image: one that was cut off raises ``OSError``.

    A JPEG or PNG with its end in place was not cut; another is decoded, which costs some milliseconds. Raises
    ``TooManyPixels`` if it is too large for that.
    """
    header = image_headers.read_header(stream)
    if not _ends(stream, _ENDS.get(header.format, b"")):
        with images.open_image(stream) as image:
            image.draft("RGB", (64, 64))  # JPEG: decode at an eighth, which still reads every byte
            images.decode_pixels(image)
    return header.shown


def _ends(stream: BinaryIO, end: bytes) -> bool:
    if not end:
        return False
    stream.seek(-len(end), os.SEEK_END)
    return stream.read(len(end)) == end


def header_size(stream: BinaryIO) -> tuple[int, int]:
    """Width and height, as shown, as the header says."""
    return image_headers.read_header(stream).shown


def read_header_of(media: Media, sample_id: str) -> ImageHeader | None:
    """Size, format and EXIF orientation of an image; ``None`` for one that cannot be read, and for a video."""
    try:
        with media.open(sample_id) as stream:
            return image_headers.read_header(stream)
    except image_headers.IMAGE_ERRORS:
        return None


def known_sizes(paths: Sequence[str | Path]) -> list[tuple[int, int] | None]:
    """Width and height, as shown, of the files that are there and are images."""
    return [header and header.shown for header in known_headers(paths)]


def known_headers(paths: Sequence[str | Path]) -> list[ImageHeader | None]:
    """The headers of the files that are there and are images.

    In parallel where files are slow to come; from memory, threads only wait for each other.
    """
    found: list[ImageHeader | None] = []
    start = perf_counter()
    for at in range(0, len(paths), _BLOCK):
        if at and perf_counter() - start > _SLOW * at:
            rest = [paths[n : n + _BLOCK] for n in range(at, len(paths), _BLOCK)]
            with ThreadPoolExecutor(_THREADS) as pool:
                return [*found, *chain.from_iterable(pool.map(_headers, rest))]
        found += _headers(paths[at : at + _BLOCK])
    return found


def _headers(paths: Sequence[str | Path]) -> list[ImageHeader | None]:
    """Of some files, one after the other: a future for each would cost more than the reading."""
    found: list[ImageHeader | None] = []
    for path in paths:
        try:
            found.append(image_headers.read_header(path))
        except image_headers.IMAGE_ERRORS:
            found.append(None)
    return found
