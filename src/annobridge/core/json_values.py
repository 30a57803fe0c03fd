"""JSON values: strict parsing, and comparison that respects JSON types.

>>> same(1, 1.0), same(1, True), same(1, "1"), same([1], [1.0])
(True, False, False, True)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

DEEPEST = 100  # levels of nesting; functions of the standard library fail beyond some hundreds


def read(text: str) -> Any:
    """Parse a JSON text. Raises ``ValueError`` for anything else, also for ``NaN`` and ``Infinity``, which Python accepts."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in JSON, which has one type of numbers: 1 and 1.0 are equal, 1 and True are not."""
    return bool(a == b) and key(a) == key(b)


def key(value: Any) -> Hashable:
    """A hashable key, equal for values that are the same in JSON. Raises ``TypeError`` for values that JSON does not have."""
    match value:
        case None | bool() | str():
            return (type(value).__name__, value)
        case int() | float() if math.isfinite(value):
            return ("number", value)
        case list() | tuple():
            return ("array", tuple(map(key, value)))
        case Mapping() if all(isinstance(name, str) for name in value):
            return ("object", frozenset((name, key(v)) for name, v in value.items()))
    raise TypeError(f"{value!r} is not a JSON value")


def repeated(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once, each once. Raises as ``key`` does."""
    listed = list(values)
    first = {key(value): value for value in reversed(listed)}
    return [first[k] for k, times in Counter(map(key, listed)).items() if times > 1]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def is_deeper(value: Any, most: int = DEEPEST) -> bool:
    """Whether lists and objects are nested more than ``most`` levels deep. Not recursive, so that it works at any depth.

    >>> is_deeper([[1], {"a": [2]}], 3), is_deeper([[1], {"a": [2]}], 2)
    (False, True)
    """
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for each in level
            if isinstance(each, list | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def is_unicode(value: Any) -> bool:
    r"""Whether all texts in a JSON value can be stored as UTF-8: JSON can say half of a surrogate pair, which cannot.

    >>> is_unicode({"a": "é"}), is_unicode(["\ud83d"])
    (True, False)
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
