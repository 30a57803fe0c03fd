"""Uploads the files of samples as ``multipart/form-data``, in batches of limited number and size.

    for batch in batches(files_of(task.media, names), count=100, size=32 << 20):
        http.upload("/api/projects/7/import", batch, expect={"file_ids": [int]})

``Http.upload`` sends one batch.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, TypeVar

from urllib3.fields import RequestField

from ..core.media import Media
from ..exceptions import InvalidMedia

BINARY = "application/octet-stream"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MediaFile:
    """The file of a sample: its name on the server, its size in bytes, and a function that opens it."""

    sample_id: str
    name: str
    size: int
    open: Callable[[], BinaryIO]


def files_of(media: Media, names: Mapping[str, str]) -> Iterator[MediaFile]:
    """The files of samples; ``names`` is sample id → name on the server."""
    for sample_id, name in names.items():
        yield MediaFile(sample_id, name, size_of(media, sample_id), partial(media.open, sample_id))


def size_of(media: Media, sample_id: str) -> int:
    """The size of a sample's file in bytes."""
    path = media.path(sample_id)
    if path is not None:
        return path.stat().st_size
    with media.open(sample_id) as stream:
        return stream.seek(0, os.SEEK_END)


def batches(files: Iterable[MediaFile], *, count: int, size: int) -> Iterator[list[MediaFile]]:
    """Group files into batches of at most ``count`` files and ``size`` bytes; a larger file is a batch of its own."""
    return limited(files, lambda file: file.size, count=count, size=size)


def limited(items: Iterable[T], size_of: Callable[[T], int], *, count: int, size: int) -> Iterator[list[T]]:
    """Group items into batches of at most ``count`` items and ``size`` bytes in all; a larger item is a batch of its own."""
    batch: list[T] = []
    total = 0
    for item in items:
        own = size_of(item)
        if batch and (len(batch) == count or total + own > size):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += own
    if batch:
        yield batch


class Multipart(io.RawIOBase):
    """The body of one request: form fields, then files, which are opened one at a time. It can be read again from its start.

    Args:
        files: the files.
        fields: the form fields.
        field: the name of each file's form field; ``{}`` in it stands for the number of the file, from 0.
    """

    def __init__(self, files: Sequence[MediaFile], fields: Mapping[str, Any], field: str) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[bytes | MediaFile] = []
        for name, value in fields.items():
            self._add(RequestField(name, ""), boundary)
            self._parts += [_text(value).encode(), b"\r\n"]
        for number, file in enumerate(files):
            self._add(RequestField(field.format(number), "", file.name), boundary, BINARY)
            self._parts += [file, b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        self._length = sum(len(part) if isinstance(part, bytes) else part.size for part in self._parts)
        self.seek(0)

    def _add(self, head: RequestField, boundary: str, kind: str | None = None) -> None:
        head.make_multipart(content_type=kind)
        self._parts.append(f"--{boundary}\r\n{head.render_headers()}".encode())

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go back to the start; other positions are not supported."""
        if (offset, whence) != (0, os.SEEK_SET):
            raise io.UnsupportedOperation("a multipart body can be read again from its start only")
        self._at, self._left = 0, b""
        self._chunks = self._read_all()
        return 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; fewer only at the end."""
        pieces, wanted = [], self._length - self._at if size < 0 else size
        while wanted and (piece := self._left or next(self._chunks, b"")):
            pieces.append(piece[:wanted])
            self._left = piece[wanted:]
            wanted -= len(pieces[-1])
        found = b"".join(pieces)
        self._at += len(found)
        return found

    def _read_all(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from _read(part)


def _read(file: MediaFile) -> Iterator[bytes]:
    """The bytes of a file. Raises ``InvalidMedia`` if their number is not the one announced."""
    left = file.size
    with file.open() as stream:
        while piece := stream.read(io.DEFAULT_BUFFER_SIZE * 8):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left:
        raise InvalidMedia(
            f"The file of sample {file.sample_id!r} (sent as {file.name!r}) changed while it was sent: it had {file.size} bytes "
            "before. Try again when nobody writes to it."
        )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
