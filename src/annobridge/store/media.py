"""The files behind the samples: opened wherever they lie, and looked at before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from PIL import Image, UnidentifiedImageError
from pyarrow import fs

from ..exceptions import InvalidMedia

_THREADS = 4
_SHOWN = 20


class FileMedia:
    """Media by path or URI (``s3://``, ``gs://``, … by Arrow's file systems)."""

    def __init__(self, places: Mapping[str, str | None]) -> None:
        self._places = places

    @classmethod
    def of(cls, samples: pa.Table) -> FileMedia:
        """The media of some sample rows."""
        return cls(dict(zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True)))

    def place(self, sample_id: str) -> str | None:
        """The path or URI, as the dataset has it."""
        return self._places[sample_id]

    def path(self, sample_id: str) -> Path | None:
        """The local file, or ``None`` for a URI."""
        place = self._places[sample_id] or ""
        return None if "://" in place else Path(place)

    def open(self, sample_id: str) -> BinaryIO:
        """A binary stream; the caller closes it."""
        path = self.path(sample_id)
        if path is not None:
            return path.open("rb")
        system, inner = fs.FileSystem.from_uri(self.place(sample_id))
        stream: BinaryIO = system.open_input_file(inner)
        return stream


def check(samples: pa.Table, advance: Callable[[int], None] = lambda _: None) -> tuple[np.ndarray, list[str]]:
    """Open and decode every image: ``[width, height]`` of each (0 where it is bad, and for videos, which are only
    looked for), and a sentence for each bad one.
    """
    media = FileMedia.of(samples)
    sizes = np.zeros((samples.num_rows, 2), np.int32)
    faults: list[str] = []
    rows = zip(samples["sample_id"].to_pylist(), samples["media_type"].to_pylist(), strict=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        for at, found in enumerate(pool.map(lambda row: _look(media, *row), rows)):
            if isinstance(found, str):
                faults.append(found)
            else:
                sizes[at] = found
            advance(1)
    return sizes, faults


def bad_files(faults: list[str]) -> str:
    """One sentence for some files, a list for many."""
    if len(faults) == 1:
        return f"{faults[0]} Mend or replace the file, or leave the sample out of the view."
    shown = "\n  - ".join(faults[:_SHOWN])
    more = f"\n  … and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    head = f"{len(faults)} files cannot be sent; mend or replace them, or leave their samples out of the view:"
    return f"{head}\n  - {shown}{more}"


def _look(media: FileMedia, sample_id: str, media_type: str | None) -> tuple[int, int] | str:
    place = media.place(sample_id)
    if place is None:
        return f"The sample {sample_id!r} has no filepath."
    what = media_type or "image"
    try:
        with media.open(sample_id) as stream:
            if what != "video":
                return size_of(stream)
            return (0, 0) if stream.read(1) else f"The video {place!r} of sample {sample_id!r} is empty (0 bytes)."
    except FileNotFoundError:
        return f"The {what} {place!r} of sample {sample_id!r} does not exist."
    except UnidentifiedImageError:
        empty = (path := media.path(sample_id)) is not None and path.stat().st_size == 0
        why = "empty (0 bytes)" if empty else "not an image that Pillow can read"
        return f"The image {place!r} of sample {sample_id!r} is {why}."
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        return f"The {what} {place!r} of sample {sample_id!r} cannot be read: {e}."


def size_of(stream: BinaryIO) -> tuple[int, int]:
    """Width and height, once the pixels have been decoded to the end (a truncated file raises ``OSError``)."""
    with Image.open(stream) as image:
        size = image.size
        image.draft("RGB", (64, 64))  # JPEG: decode at an eighth, which still reads every byte
        image.load()
    return size


def sizes_of(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Width and height from the headers alone. Raises ``InvalidMedia`` with all files that have none."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(_header, paths))
    if faults := [f for f in found if isinstance(f, str)]:
        raise InvalidMedia(bad_files(faults))
    return [f for f in found if not isinstance(f, str)]


def known_sizes(paths: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Width and height of the files that are there and have them. ``annotate`` looks at the others more closely."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return [None if isinstance(found, str) else found for found in pool.map(_header, paths)]


def _header(path: Path) -> tuple[int, int] | str:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        empty = path.is_file() and path.stat().st_size == 0
        return f"The image {str(path)!r} {'is empty (0 bytes)' if empty else f'cannot be read: {e}'}."
