"""Lines: a file of JSON objects, one a line, each looked at for what JSON itself lets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ....core.json_values import DEEPEST, is_deeper
from ....exceptions import InvalidSource

Line = dict[str, Any]


def read_lines(path: Path) -> Iterator[tuple[int, Line]]:
    """The objects with their line numbers; blank lines are passed over. Raises ``InvalidSource`` with file and line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                what = "UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else f"not UTF-8 (byte {error.start + 1})"
                fail(location(path, number), f"is {what}; save the file as UTF-8.")
            if not text.isspace():
                yield number, _object(text, path, number)


def location(path: Path, number: int) -> str:
    """How a sentence calls a line."""
    return f"{path}:{number}"


def fail(where: str, what: str) -> NoReturn:
    """Raise ``InvalidSource`` for a place."""
    raise InvalidSource(f"{where} {what}")


class _InvalidLine(Exception):
    """What JSON, or Python's reading of it, lets pass, and we do not."""


def _object(text: str, path: Path, number: int) -> Line:
    try:
        value = _decode(text)
    except _InvalidLine as error:
        fail(location(path, number), str(error))
    except json.JSONDecodeError as error:
        fail(location(path, number), f"is not JSON: {error.msg} (column {error.colno}); mend the line.")
    except (ValueError, RecursionError) as error:
        fail(location(path, number), f"cannot be read as JSON: {error}; mend the line.")
    if not isinstance(value, dict):
        fail(
            location(path, number),
            f"is a {type(value).__name__}, not a JSON object; write one object {{…}} on each line.",
        )
    if text.count("[") + text.count("{") > DEEPEST and is_deeper(value):
        fail(location(path, number), f"has lists or objects that are nested more than {DEEPEST} deep; flatten them.")
    if "\\ud" in text or "\\uD" in text:  # an escaped half of a character, perhaps without the other
        _require_unicode(value, location(path, number))
    return value


def _require_unicode(line: Line, where: str) -> None:
    for name, value in line.items():
        try:
            name.encode()
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            fail(where, f"has a text in {name!r} that is no Unicode; mend it.")


def _unique(pairs: list[tuple[str, Any]]) -> Line:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _InvalidLine(f"has the key {twice!r} twice in one object; keep one of them.")
    return made


def _constant(name: str) -> NoReturn:
    raise _InvalidLine(f"holds {name}, which is not JSON; write a number, or null.")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant).decode
