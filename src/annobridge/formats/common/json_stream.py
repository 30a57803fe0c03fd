"""JSON documents that are read piece by piece: the arrays at the top of a document, some elements at a time.

Memory holds one window of the file, or one element if that is larger. The structure of a window is found with numpy: where its
strings are, and how deep each bracket is; the values in it are decoded by ``msgspec``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import numpy as np

from ...core.collection import no_collection
from ...exceptions import InvalidSource

_WINDOW = 1 << 20  # bytes that are read at once
_MAX_DEPTH = 64  # brackets inside one another, from the element on
_MAX_ELEMENT = 256 << 20  # bytes of one element
_LIST = msgspec.json.Decoder(list[Any])
_SPACE = b" \t\r\n"
_QUOTE, _BACKSLASH = 34, 92
_STEP = np.zeros(256, np.int8)  # what a bracket does to the depth
_STEP[list(b"{[")], _STEP[list(b"}]")] = 1, -1
_STRUCTURE = bytes(bool(step) or code == _QUOTE for code, step in enumerate(_STEP))
_BYTE = re.compile(r"byte (\d+)")  # in msgspec's messages
_NEW_LINE = b"\n"
_SCALAR = re.compile(rb"[^\s,\]}]+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole elements of an array, as JSON text with commas between them."""

    data: bytes
    first: int  # the number of the first element, from 0
    line: int  # where it begins, from 1
    where: str

    def decode(self, decoder: msgspec.json.Decoder[list[Any]]) -> list[Any]:
        """All elements, by a decoder of their list. Raises ``msgspec``'s errors."""
        with no_collection():
            return decoder.decode(b"".join((b"[", self.data, b"]")))

    def elements(self) -> Iterator[tuple[int, int, bytes]]:
        """Number, line and text of each element."""
        places, depth = _brackets(self.data)
        ends = np.flatnonzero(depth == 0)
        starts, ends = places[np.concatenate([[0], ends[:-1] + 1])], places[ends] + 1
        line, before = self.line, 0
        for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True), self.first):
            line += self.data.count(b"\n", before, start)
            before = start
            yield number, line, self.data[start:end]


def decode_whole(data: bytes, where: str, cure: str) -> Any:
    """A document that is decoded as a whole. Raises ``InvalidSource`` with the line of a mistake, and what to do about it."""
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _BYTE.search(str(error))
        before = data[: int(found[1])] if found else data if "truncated" in str(error) else b""
        line = f", line {before.count(_NEW_LINE) + 1}," if before else ""
        raise InvalidSource(f"{where}{line} is not valid JSON ({error}); {cure}.") from None


class JsonStream:
    """The members of the object at the top of a document, in their order.

    Args:
        stream: The document; UTF-8.
        where: How messages name it.
    """

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream, self._where = stream, where
        self._buffer, self._at, self._line = b"", 0, 1
        self._ended = False

    def members(self) -> Iterator[tuple[str, Iterator[Chunk] | bytes]]:
        """Key and value of each member: an array as its elements, in chunks, and any other value as its text.

        An array at the top of the document is one member, whose key is ``""``. What of an array is not taken is skipped when
        the next member is asked for.
        """
        self._fill()
        self._buffer = self._buffer.removeprefix(b"\xef\xbb\xbf")
        if self._peek() == b"[":
            yield "", self._array()
            return
        self._expect(b"{")
        while (mark := self._peek()) != b"}":
            if mark == b",":
                self._skip(1)
                continue
            key = self._string()
            self._expect(b":")
            if self._peek() == b"[":
                chunks = self._array()
                yield key, chunks
                for _ in chunks:
                    pass
            else:
                yield key, self._value()

    def elements(self, otherwise: str) -> Iterator[Any]:
        """The elements of the array at the top of the document, decoded.

        Args:
            otherwise: What the message says of a document without one, after its name.

        Raises:
            InvalidSource: The document is no array, or an element is not valid JSON.
        """
        for key, chunks in self.members():
            if key or isinstance(chunks, bytes):
                break
            for chunk in chunks:
                try:
                    elements = chunk.decode(_LIST)
                except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                    raise InvalidSource(
                        f"{self._where} is not JSON from line {chunk.line} on ({error}); export it again."
                    ) from None
                yield from elements
            return
        raise InvalidSource(f"{self._where} {otherwise}")

    def _array(self) -> Iterator[Chunk]:
        self._expect(b"[")
        number = 0
        while self._peek() != b"]":
            end, count = self._elements_end()
            data = self._buffer[self._at : self._at + end]
            chunk = Chunk(data, number, self._line, self._where)
            self._skip(end)
            number += count
            yield chunk
            if self._peek() == b",":
                self._skip(1)
        self._skip(1)

    def _elements_end(self) -> tuple[int, int]:
        """How long the whole elements are that the window has, and how many; it is enlarged until it has one."""
        while True:
            data = self._buffer[self._at :]
            places, depth = self._depths(data)
            closed = np.flatnonzero(depth < 0)
            last = int(places[closed[0]]) if len(closed) else len(data)
            ends = places[(depth == 0) & (places < last)]  # brackets that open leave a depth of 1 at least
            if len(ends):
                return int(ends[-1]) + 1, len(ends)
            if len(closed):
                raise self._broken("an element of a list is no object")
            self._grow(len(data))

    def _depths(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        found = _brackets(data)
        if len(found[1]) and found[1].max() > _MAX_DEPTH:
            raise self._broken(f"brackets are nested more than {_MAX_DEPTH} deep")
        return found

    def _value(self) -> bytes:
        """The text of an object, a text, a number or a word."""
        while True:
            data = self._buffer[self._at :]
            end = 0
            if data[:1] == b"{":
                places, depth = self._depths(data)
                ends = places[depth == 0]
                end = int(ends[0]) + 1 if len(ends) else 0
            elif data[:1] == b'"':
                end = _string_end(data)
            elif (match := _SCALAR.match(data)) and match.end() < len(data):
                end = match.end()
            if end:
                self._skip(end)
                return data[:end]
            self._grow(len(data))

    def _string(self) -> str:
        if self._peek() != b'"':
            raise self._broken('a key in double quotes, as "images", is missing')
        try:
            return str(json.loads(self._value()))
        except ValueError as error:
            raise self._broken(str(error)) from None

    def _expect(self, mark: bytes) -> None:
        if self._peek() != mark:
            raise self._broken(f"{mark.decode()!r} is missing")
        self._skip(1)

    def _peek(self) -> bytes:
        """The next byte that is no space, which is not taken."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._skip(1)
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            self._grow(0)

    def _skip(self, count: int) -> None:
        self._line += self._buffer.count(b"\n", self._at, self._at + count)
        self._at += count

    def _grow(self, size: int) -> None:
        if self._ended:
            raise InvalidSource(
                f"{self._where} ends in the middle of its JSON, in line {self._line}; copy or download the file again."
            )
        if size > _MAX_ELEMENT:
            raise self._broken(f"one element has more than {_MAX_ELEMENT:,} bytes")
        self._fill(max(size, _WINDOW))

    def _fill(self, size: int = _WINDOW) -> None:
        piece = self._stream.read(size)
        self._ended = not piece
        self._buffer, self._at = self._buffer[self._at :] + piece, 0

    def _broken(self, what: str) -> InvalidSource:
        return InvalidSource(f"{self._where} is not valid JSON, in line {self._line}: {what}; correct the file.")


def _brackets(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where the brackets outside of strings are, and how deep it is after each."""
    codes = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(np.frombuffer(data.translate(_STRUCTURE), np.bool_))
    marks = codes[places]
    quotes = marks == _QUOTE
    if b"\\" in data:
        quotes[quotes] = ~_escaped(data, codes, places[quotes])
    inside = np.cumsum(quotes) & 1  # whether a string is open after each mark
    kept = (inside == 0) & (marks != _QUOTE)
    steps = _STEP[marks[kept]]
    return places[kept], np.cumsum(steps, dtype=np.int32)


def _escaped(data: bytes, codes: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """Which quotes have an odd number of backslashes before them."""
    escaped: np.ndarray = (quotes > 0) & (codes[np.maximum(quotes - 1, 0)] == _BACKSLASH)
    for at in np.flatnonzero(escaped).tolist():
        end = int(quotes[at])
        start = end
        while start and data[start - 1] == _BACKSLASH:
            start -= 1
        escaped[at] = (end - start) % 2 == 1
    return escaped


def _string_end(data: bytes) -> int:
    at = 1
    while (at := data.find(b'"', at)) > 0:
        start = at
        while data[start - 1] == _BACKSLASH:
            start -= 1
        at += 1
        if (at - 1 - start) % 2 == 0:
            return at
    return 0
