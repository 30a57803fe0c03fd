"""JSON values: texts read strictly, and values compared by what they are and their JSON type.

>>> same(1, 1.0), same(1, True), same(1, "1"), same([1], [1.0])
(True, False, False, True)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

DEEPEST = 100  # lists and objects in each other; Python's own functions fail beyond some hundreds


def read(text: str) -> Any:
    """The value of a JSON text. Raises ``ValueError`` for any other text, ``NaN`` and ``Infinity`` (Python's own) included."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in JSON. It has one type of number, so 1 and 1.0 are equal; True is no number."""
    return bool(a == b) and key(a) == key(b)


def key(value: Any) -> Hashable:
    """Equal for values that are the same in JSON. Raises ``TypeError`` for what JSON cannot hold."""
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
    """Whether lists and objects lie in each other more than so many times; without recursion, as depth is what is asked.

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
