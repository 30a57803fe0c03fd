"""Documents of a JSON file, one at a time: ``{"samples": [{…}, {…}]}`` may be larger than memory."""

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
from .values import plain

_CHUNK = 1 << 20
_MARGIN = 16  # characters before the end of the window in which a mistake may only be that the rest is not read yet
_UNFIT = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError, pa.ArrowException)
_DECODER = json.JSONDecoder(object_hook=plain)


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object, and where it is, as a sentence names it."""

    place: str
    values: dict[str, Any]


def stream(path: Path, key: str) -> Iterator[Document]:
    """The documents of the list ``key`` of a JSON file, or of a folder with one in each file.

    Raises ``InvalidSource`` with file and line.
    """
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            yield Document(str(file), whole(file))
        return
    with path.open(encoding="utf-8-sig") as text:
        window = _Window(text, path)
        yield from (d for name, d in window.members(key) if name == key)


def whole(path: Path, less: str = "") -> dict[str, Any]:
    """A JSON file that is one document, without the members of the list ``less``. Raises ``InvalidSource``."""
    with path.open(encoding="utf-8-sig") as text:
        return {name: value for name, value in _Window(text, path).members(less) if name != less}


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what a value of another type than FiftyOne writes leads to into ``InvalidSource`` for a place.

    Documents may hold anything anywhere, so there are as many such errors as there are uses of a value.
    """
    try:
        yield
    except AnnobridgeError:
        raise
    except _UNFIT as error:
        said = str(error).partition("\n")[0][:200].rstrip(".")
        raise InvalidSource(
            f"{place} has a value where FiftyOne writes one of another type ({type(error).__name__}: {said}); correct it, or "
            "export the dataset again."
        ) from error


class _Window:
    """The part of a file that is in memory: what was read, and not yet used."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at = "", 0
        self._line, self._counted = 1, 0
        self._chunk = _CHUNK

    def members(self, key: str) -> Iterator[tuple[str, Any]]:
        """The members of the object that the file is; of the list ``key``, each of its documents by itself."""
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
            place = f"{self._path}:{self._count(self._at)}, {noun} {number}"
            values = self._value(f"{noun} {number}")
            if not isinstance(values, dict):
                raise InvalidSource(f"{place} is {repr(values)[:80]}, where an object is needed; export it again.")
            yield Document(place, values)

    def _items(self, end: str) -> Iterator[int]:
        """Stand before each item of a list or object, numbered from 1, until it ends."""
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
        """The next character that is not space; nothing at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Forget what was used, and read on: twice as much each time one value needs it, so that it is parsed seldom."""
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
        """The number of the line at a place of the window, not before the last one asked for."""
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
