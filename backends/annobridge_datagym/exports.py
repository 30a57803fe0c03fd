"""Exports: read once as a stream, spilled to disk image by image, and looked up by image. Only one image is in memory at a time."""

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
MAX_IMAGE = 64 << 20  # characters
_WHITESPACE = " \t\r\n"


class _NotJson(Exception):
    """A constant such as NaN, which JSON does not have."""


class Export:
    """The export of one project. Raises ``Broken`` for one that is cut off or not in DataGym's form.

    Args:
        chunks: the bytes of it.
        where: its name in messages.
        cure: what to do about a bad one, a sentence.

    Attributes:
        keys: the keys of its label configuration; ``None`` where there was nothing to export.
        types: the geometry types of the classes of shapes among them.
    """

    def __init__(self, chunks: Iterable[bytes], where: str, cure: str) -> None:
        self.where, self.cure = where, cure
        self.keys: set[str] | None = None
        self.types: dict[str, str] = {}
        self._file = tempfile.TemporaryFile(prefix="annobridge-export-")  # noqa: SIM115
        self._finalizer = weakref.finalize(self, self._file.close)
        try:
            ids, names, ends = self._spill(chunks)
        except BaseException:
            self.close()
            raise
        self._ends = np.array(ends, np.int64)
        self._by_id, self._by_name = _Index(ids), _Index(names)

    def __len__(self) -> int:
        return len(self._ends)

    def close(self) -> None:
        """Delete the file on disk, which also happens when the object is garbage collected."""
        self._finalizer()

    def _spill(self, chunks: Iterable[bytes]) -> tuple[list[int], list[int], list[int]]:
        """Write the images to disk. Returns the digests of their ids and names, and where each ends in the file."""
        ids: list[int] = []
        names: list[int] = []
        ends: list[int] = []
        for number, (text, item) in enumerate(self._items(chunks)):
            if number == 0:
                self.keys = self._read_header(item)
                continue
            if not isinstance(item, dict) or not isinstance(item.get("internal_media_ID"), str):
                raise self._bad(f"its element {number} is not an image")
            self._file.write(text.encode())
            ids.append(_digest(item["internal_media_ID"]))
            names.append(_digest(str(item.get("external_media_ID"))))
            ends.append(self._file.tell())
        return ids, names, ends

    def _read_header(self, item: Any) -> set[str]:
        try:
            listed = item["label_classes"]
            self.types = {one["class_name"]: one["geometry_type"] for one in listed if "geometry_type" in one}
            return {one["class_name"] for one in listed}
        except (TypeError, KeyError):
            raise self._bad("it does not begin with its label classes") from None

    def _items(self, chunks: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
        """Each element of the array, as its text and decoded."""
        source = _TextStream(chunks)
        buffer = source.more()
        while not buffer.strip() and not source.ended:
            buffer += source.more()
        at = len(buffer) - len(buffer.lstrip())
        if buffer[at : at + 1] != "[":
            raise self._bad("it is not a JSON array")
        at += 1
        while True:
            at = _skip_separators(buffer, at)
            if at < len(buffer) and buffer[at] == "]":
                return
            try:
                item, end = _DECODER.raw_decode(buffer, at)
            except _NotJson as error:
                raise self._bad(f"it holds {error}, which is not JSON") from None
            except (json.JSONDecodeError, RecursionError):
                if source.ended or len(buffer) - at > MAX_IMAGE:
                    raise self._bad("it is cut off or garbled" if source.ended else "it is garbled") from None
                buffer, at = buffer[at:], 0
                buffer += source.more(max(len(buffer), 1))
                continue
            yield buffer[at:end], item
            at = end

    def _bad(self, why: str) -> Broken:
        return Broken(f"datagym: {self.where} is not a complete export of DataGym: {why}. {self.cure}")

    # ----------------------------------------------------------------------------------------------------------------

    def find_images(self, media_ids: Sequence[str | None], names: Sequence[str]) -> Iterator[tuple[int, Json]]:
        """Find images by DataGym's id, or by name where the id is ``None``. Yields the index and the element of each.

        Raises ``Rejected`` for a name that several images have.
        """
        for image, (media_id, name) in enumerate(zip(media_ids, names, strict=True)):
            if media_id is not None:
                key, field, index = media_id, "internal_media_ID", self._by_id
            else:
                key, field, index = name, "external_media_ID", self._by_name
            found = [item for item in map(self._read, index.find(_digest(key))) if item.get(field) == key]
            if len(found) > 1 and media_id is None:
                raise Rejected(
                    f"datagym: {self.where} has {len(found)} images with the name {name!r}, so it is not known which is of this "
                    "task; rename them, or give media_ids to annotate."
                )
            if found and "task_export_url" not in found[0]:
                yield image, found[0]

    def _read(self, row: int) -> Json:
        start = int(self._ends[row - 1]) if row else 0
        self._file.seek(start)
        return dict(json.loads(self._file.read(int(self._ends[row]) - start)))


class _TextStream:
    """The text of chunks of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self.ended = False

    def more(self, least: int = 1) -> str:
        """At least so many characters more, if there are. Asking for many avoids decoding a long element again at each chunk."""
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
    """Finds rows by the digest of a string."""

    def __init__(self, digests: Sequence[int]) -> None:
        values = np.array(digests, np.uint64)
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def find(self, digest: int) -> list[int]:
        key = np.uint64(digest)
        first, last = (int(np.searchsorted(self._sorted, key, side)) for side in ("left", "right"))
        return [int(row) for row in self._order[first:last]]


def _refuse_constant(constant: str) -> None:
    raise _NotJson(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _skip_separators(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE + ",":
        at += 1
    return at


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
