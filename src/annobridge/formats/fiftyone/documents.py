"""The documents of a JSON file ``{"samples": [{…}, {…}]}``, parsed one at a time, as the file may be larger than memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from ...core.json_values import DEEPEST, is_deeper
from ...exceptions import AnnobridgeError, InvalidSource
from .extended_json import decode_value

_CHUNK = 1 << 20
_MARGIN = (
    16  # characters before the end of the window in which a syntax error may be due to the part that is not read yet
)
_WRONG_TYPE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError, pa.ArrowException)
_DECODER = json.JSONDecoder(object_hook=decode_value)


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object, and its location as messages name it."""

    location: str
    values: dict[str, Any]


def read_documents(path: Path, key: str) -> Iterator[Document]:
    """The documents of the list ``key`` of a JSON file, or of a folder with one in each file.

    Raises ``InvalidSource`` with file and line.
    """
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            yield Document(str(file), read_document(file))
        return
    with path.open(encoding="utf-8-sig") as text:
        window = _Window(text, path)
        yield from (d for name, d in window.members(key) if name == key)


def read_document(path: Path, without: str = "") -> dict[str, Any]:
    """A JSON file that is one document, without the list ``without``. Raises ``InvalidSource``."""
    with path.open(encoding="utf-8-sig") as text:
        return {name: value for name, value in _Window(text, path).members(without) if name != without}


@contextmanager
def naming_errors(location: str) -> Iterator[None]:
    """Raise the errors of the block that values of unexpected types cause as ``InvalidSource`` with a location.

    A document may hold anything anywhere, so any use of a value may raise.
    """
    try:
        yield
    except AnnobridgeError:
        raise
    except _WRONG_TYPE as error:
        said = str(error).partition("\n")[0][:200].rstrip(".")
        raise InvalidSource(
            f"{location} has a value where FiftyOne writes one of another type ({type(error).__name__}: {said}); correct it, or "
            "export the dataset again."
        ) from error


class _Window:
    """The part of a file that was read, and is not parsed yet."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at = "", 0
        self._line, self._counted = 1, 0
        self._chunk = _CHUNK

    def members(self, key: str) -> Iterator[tuple[str, Any]]:
        """The members of the object in the file; the list ``key`` as a member for each of its documents."""
        self._expect("{")
        for _ in self._items("}"):
            name = self._value("a name")
            self._expect(":")
            if name == key and self._peek():
                self._expect("[")
                yield from ((key, document) for document in self._documents(key.removesuffix("s")))
            else:
                yield name, self._value(f"the value of {name!r}")
        if self._peek():
            raise self._wrong("there is something after its end")

    def _documents(self, noun: str) -> Iterator[Document]:
        for number in self._items("]"):
            location = f"{self._path}:{self._count(self._at)}, {noun} {number}"
            values = self._value(f"{noun} {number}")
            if not isinstance(values, dict):
                raise InvalidSource(f"{location} is {repr(values)[:80]}, where an object is needed; export it again.")
            yield Document(location, values)

    def _items(self, end: str) -> Iterator[int]:
        """Yield the number of each item of a list or object, from 1, with the position before the item."""
        number = 0
        while self._peek() != end:
            if number:
                self._expect(",")
            number += 1
            yield number
        self._at += 1

    def _value(self, what: str) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._text) - _MARGIN or error.msg.startswith("Unterminated string")
                if cut and self._more():
                    continue
                raise self._cut(what) if cut else self._wrong(error.msg.lower(), error.pos) from None
            except RecursionError:
                raise self._wrong(f"{what} is nested too deeply") from None
            except (ArithmeticError, ValueError, KeyError, TypeError) as error:
                raise self._wrong(f"a value in {what} is not MongoDB's JSON ({error})") from None
            if end == len(self._text) and self._more():  # a number may go on
                continue
            if is_deeper(value):
                raise self._wrong(f"{what} is nested more than {DEEPEST} deep")
            self._at = end
            return value

    def _expect(self, sign: str) -> None:
        found = self._peek()
        if not found:
            raise self._cut("a list or an object")
        if found != sign:
            raise self._wrong(f"it has {found!r} where {sign!r} is needed")
        self._at += 1

    def _peek(self) -> str:
        """The next character that is not white space; ``""`` at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Drop what was parsed, and read more: twice as much each time a value needs it, so that it is parsed again seldom."""
        self._chunk = _CHUNK if self._at else 2 * self._chunk
        self._count(self._at)
        self._text, self._at, self._counted = self._text[self._at :], 0, 0
        try:
            read = self._file.read(self._chunk)
        except UnicodeDecodeError as error:
            raise self._wrong(f"it is not UTF-8 ({error.reason})") from None
        self._text += read
        return bool(read)

    def _count(self, to: int) -> int:
        """The line number of a position in the window, which must not be before that of the last call."""
        self._line += self._text.count("\n", self._counted, to)
        self._counted = to
        return self._line

    def _wrong(self, what: str, at: int | None = None) -> InvalidSource:
        line = self._count(self._at if at is None else at)
        return InvalidSource(
            f"{self._path}:{line} is not JSON as FiftyOne writes it: {what}; export the dataset again."
        )

    def _cut(self, what: str) -> InvalidSource:
        line = self._count(self._at)
        return InvalidSource(
            f"{self._path}:{line} ends in the middle of {what}; export the dataset again, or copy it again."
        )
