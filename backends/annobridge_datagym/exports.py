"""Exports: read once as they come, put on disk image by image, and found again by image. What is in memory is one image."""

from __future__ import annotations

import codecs
import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from annobridge.exceptions import Broken, Rejected

Json = dict[str, Any]
LARGEST = 64 << 20  # characters of one image
_BLANK = " \t\r\n"


class _NotJson(Exception):
    """A constant that JSON does not have."""


class Export:
    """The export of one project. ``classes`` are the keys of its label configuration; ``None`` where there was nothing to export.
    ``types`` has the geometries among them.

    ``where`` names it in messages, ``cure`` says what to do with a bad one.
    """

    def __init__(self, chunks: Iterable[bytes], where: str, cure: str) -> None:
        self.where, self.cure = where, cure
        self.classes: set[str] | None = None
        self.types: dict[str, str] = {}
        self._file = tempfile.TemporaryFile(prefix="annobridge-export-")  # noqa: SIM115
        self._gone = weakref.finalize(self, self._file.close)
        try:
            keys, names, ends = self._spool(chunks)
        except BaseException:
            self.close()
            raise
        self._ends = np.array(ends, np.int64)
        self._by_id, self._by_name = _Index(keys), _Index(names)

    def __len__(self) -> int:
        return len(self._ends)

    def close(self) -> None:
        """Remove it from the disk; it goes by itself when nothing uses it any more."""
        self._gone()

    def _spool(self, chunks: Iterable[bytes]) -> tuple[list[int], list[int], list[int]]:
        keys: list[int] = []
        names: list[int] = []
        ends: list[int] = []
        for number, (text, item) in enumerate(self._items(chunks)):
            if number == 0:
                self.classes = self._header(item)
                continue
            if not isinstance(item, dict) or not isinstance(item.get("internal_media_ID"), str):
                raise self._bad(f"its element {number} is no image")
            self._file.write(text.encode())
            keys.append(_digest(item["internal_media_ID"]))
            names.append(_digest(str(item.get("external_media_ID"))))
            ends.append(self._file.tell())
        return keys, names, ends

    def _header(self, item: Any) -> set[str]:
        try:
            listed = item["label_classes"]
            self.types = {one["class_name"]: one["geometry_type"] for one in listed if "geometry_type" in one}
            return {one["class_name"] for one in listed}
        except (TypeError, KeyError):
            raise self._bad("it does not begin with its label classes") from None

    def _items(self, chunks: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
        """Each element of the array with its text."""
        source, buffer, at = _Source(chunks), "", 0
        buffer = source.more()
        while not buffer.strip() and not source.ended:
            buffer += source.more()
        at = len(buffer) - len(buffer.lstrip())
        if buffer[at : at + 1] != "[":
            raise self._bad("it is no JSON array")
        at += 1
        while True:
            at = _skip(buffer, at)
            if at < len(buffer) and buffer[at] == "]":
                return
            try:
                item, end = _DECODER.raw_decode(buffer, at)
            except _NotJson as error:
                raise self._bad(f"it holds {error}, which is no JSON") from None
            except (json.JSONDecodeError, RecursionError):
                if source.ended or len(buffer) - at > LARGEST:
                    raise self._bad("it is cut off or garbled" if source.ended else "it is garbled") from None
                buffer, at = buffer[at:], 0
                buffer += source.more(max(len(buffer), 1))
                continue
            yield buffer[at:end], item
            at = end

    def _bad(self, why: str) -> Broken:
        return Broken(f"datagym: {self.where} is not a whole export of DataGym: {why}. {self.cure}")

    # ----------------------------------------------------------------------------------------------------------------

    def of_images(self, media: Sequence[str | None], names: Sequence[str]) -> Iterator[tuple[int, Json]]:
        """The elements of these images, each with the image's number: by DataGym's id, or by name where that is not known."""
        for number, (one, name) in enumerate(zip(media, names, strict=True)):
            key, field, index = (
                (one, "internal_media_ID", self._by_id)
                if one is not None
                else (name, "external_media_ID", self._by_name)
            )
            found = [item for item in map(self._read, index.find(_digest(key))) if item.get(field) == key]
            if len(found) > 1 and one is None:
                raise Rejected(
                    f"datagym: {self.where} has {len(found)} images with the name {name!r}, so it cannot be told which is ours; "
                    "rename them, or give media_ids to annotate."
                )
            if found and "task_export_url" not in found[0]:
                yield number, found[0]

    def _read(self, row: int) -> Json:
        start = int(self._ends[row - 1]) if row else 0
        self._file.seek(start)
        return dict(json.loads(self._file.read(int(self._ends[row]) - start)))


class _Source:
    """The text of chunks of bytes, and whether it has ended."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self.ended = False

    def more(self, least: int = 1) -> str:
        """At least so many characters more, if there are: so that a long element is not tried again for each chunk."""
        parts, size = [], 0
        while size < least:
            chunk = next(self._chunks, None)
            if chunk is None:
                self.ended = True
                break
            parts.append(self._decoder.decode(chunk))
            size += len(parts[-1])
        return "".join(parts)


class _Index:
    """Rows by the digest of a name."""

    def __init__(self, digests: Sequence[int]) -> None:
        values = np.array(digests, np.uint64)
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def find(self, digest: int) -> list[int]:
        """The rows that have it."""
        key = np.uint64(digest)
        first, last = (int(np.searchsorted(self._sorted, key, side)) for side in ("left", "right"))
        return [int(row) for row in self._order[first:last]]


def _refuse(constant: str) -> None:
    raise _NotJson(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK + ",":
        at += 1
    return at


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
