"""JSON objects, one a line, parsed strictly: what Python's JSON parser accepts beyond the standard is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ....core.json_values import DEEPEST, is_deeper
from ....exceptions import InvalidSource

Line = dict[str, Any]


def parse_lines(lines: Iterable[bytes], path: Path, first: int = 1) -> Iterator[tuple[int, Line]]:
    """The objects of some lines with their numbers, without blank lines. Raises ``InvalidSource`` with file and line.

    ``first`` is the number of the first of them.
    """
    for number, raw in enumerate(lines, first):
        if (line := _quick(raw)) is not None:
            yield number, line
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = "UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else f"not UTF-8 (byte {error.start + 1})"
            fail(location(path, number), f"is {what}; save the file as UTF-8.")
        if not text.isspace():
            yield number, _parse(text, location(path, number))


def location(path: Path, number: int) -> str:
    """A line as messages name it: ``file:line``."""
    return f"{path}:{number}"


def fail(where: str, what: str) -> NoReturn:
    """Raise ``InvalidSource`` with a location and what is wrong there."""
    raise InvalidSource(f"{where} {what}")


def _quick(raw: bytes) -> Line | None:
    r"""The object of a line; ``None`` where that needs ``_parse``: for what may be wrong, and to say what is.

    msgspec takes a fifth of the time of ``json``, and accepts nothing that ``_parse`` refuses but repeated keys, of which it keeps
    the last. Such a line has more colons than what is written of it: every pair has one, and texts keep theirs, unless these are
    escaped (``\u003a``).
    """
    try:
        value = _decode(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or b"\\u003" in raw or _encode(value).count(b":") != raw.count(b":"):
        return None
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and is_deeper(value):
        return None
    return value


class _InvalidLine(Exception):
    """What a hook of the parser refuses."""


def _parse(text: str, where: str) -> Line:
    try:
        value = _decode_strictly(text)
    except _InvalidLine as error:
        fail(where, str(error))
    except json.JSONDecodeError as error:
        fail(where, f"is not JSON: {error.msg} (column {error.colno}); correct the line.")
    except (ValueError, RecursionError) as error:
        fail(where, f"cannot be read as JSON: {error}; correct the line.")
    if not isinstance(value, dict):
        fail(where, f"is a {type(value).__name__}, not a JSON object; write one object {{…}} on each line.")
    if text.count("[") + text.count("{") > DEEPEST and is_deeper(value):
        fail(where, f"has lists or objects that are nested more than {DEEPEST} deep; flatten them.")
    if "\\ud" in text or "\\uD" in text:  # an escaped surrogate, perhaps without its other half
        _require_unicode(value, where)
    return value


def _require_unicode(line: Line, where: str) -> None:
    for name, value in line.items():
        try:
            name.encode()
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            fail(where, f"has a text in {name!r} that is not Unicode; correct it.")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> Line:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _InvalidLine(f"has the key {repeated!r} twice in one object; keep one of them.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _InvalidLine(f"holds {name}, which is not JSON; write a number, or null.")


_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
_decode_strictly = json.JSONDecoder(object_pairs_hook=_without_repeated_keys, parse_constant=_refuse_constant).decode
