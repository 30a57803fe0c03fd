"""Shapes that describe the expected JSON of a response, and the first difference of a value from one.

{"id": int, "name": str, "owner?": {"id": int}}   an object with these members, the last one optional; it may have others
[{"id": int}]                                    a list of such objects
int | None                                       a type, or one of several
({"id": int}, None)                              one of several shapes
Any                                              anything
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, repeat
from operator import contains, itemgetter
from types import UnionType
from typing import Any, NamedTuple, get_args

Shape = Any  # a type, a union of types, [shape], {"name": shape}, (shape, shape), or typing.Any

_MAX_SHOWN = 40  # characters that are shown of a wrong value
_NAMES: dict[Any, str] = {
    int: "an integer", float: "a number", str: "a string", bool: "true or false", list: "a list", dict: "an object",
    type(None): "null",
}  # fmt: skip


class _Difference(NamedTuple):
    path: str
    found: Any
    wanted: Shape

    def within(self, outer: str) -> _Difference:
        return self._replace(path=outer + self.path)


class _Absent:
    """Stands for a member that an object lacks."""


def mismatch(value: Any, shape: Shape) -> str | None:
    """The first difference of a value from a shape, as part of a sentence; ``None`` if it has the shape."""
    if _fit([value], shape):
        return None
    found = _difference(value, shape)
    if found is None:
        return None
    name = repr(found.path.lstrip(".")) if found.path else "it"
    if found.found is _Absent:
        return f"{name} is missing"
    return f"{name} is {_shown(found.found)}, and should be {_described(found.wanted)}"


def _fit(values: Iterable[Any], shape: Shape) -> bool:
    """Whether all values have a shape, found member by member instead of value by value: long lists take a tenth of the time. It
    may be false of values that have the shape, where ``_difference`` has to look, but never true of others.
    """
    if shape is Any:
        return True
    if not isinstance(shape, Mapping | list | tuple):
        return set(map(type, values)) <= _types(shape)
    values = list(values)
    if not values:  # a shape may contain itself
        return True
    if isinstance(shape, Mapping):
        return set(map(type, values)) == {dict} and _members_fit(values, shape)
    if isinstance(shape, list):
        return set(map(type, values)) == {list} and _fit(chain.from_iterable(values), shape[0])
    present = [value for value in values if value is not None] if None in shape else values
    return any(_fit(present, alternative) for alternative in shape)


def _members_fit(objects: list[dict[Any, Any]], shape: Mapping[Any, Shape]) -> bool:
    if ... in shape:
        return _fit(chain.from_iterable(one.values() for one in objects), shape[...])
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if key != name and any(map(contains, objects, repeat(name))):  # a member whose own name ends so
            return False
        try:
            found = list(map(itemgetter(key), objects))
        except KeyError:
            if key == name:
                return False
            found = [one[key] for one in objects if key in one]
        if not _fit(found, inner):
            return False
    return True


def _types(shape: Shape) -> set[type]:
    """The Python types of JSON values that have a shape which is a type, or several."""
    kinds = {
        type(None) if kind is None else kind for kind in (get_args(shape) if isinstance(shape, UnionType) else (shape,))
    }
    return kinds | {int} if float in kinds else kinds


def _difference(value: Any, shape: Shape) -> _Difference | None:
    if shape is Any:
        return None
    if isinstance(shape, Mapping):
        return _of_object(value, shape)
    if isinstance(shape, list):
        return _of_list(value, shape[0])
    if isinstance(shape, tuple):
        found = [_difference(value, alternative) for alternative in shape]
        return None if None in found else found[0]
    kinds = get_args(shape) if isinstance(shape, UnionType) else (shape,)
    return None if any(_is(value, kind) for kind in kinds) else _Difference("", value, shape)


def _of_object(value: Any, shape: Mapping[Any, Shape]) -> _Difference | None:
    if not isinstance(value, Mapping):
        return _Difference("", value, dict)
    wanted = dict.fromkeys(value, shape[...]) if ... in shape else shape
    for name, inner in wanted.items():
        key = name if name in value else name.removesuffix("?")
        if key in value:
            if found := _difference(value[key], inner):
                return found.within(f".{key}")
        elif key == name:
            return _Difference(f".{key}", _Absent, inner)
    return None


def _of_list(value: Any, shape: Shape) -> _Difference | None:
    if not isinstance(value, list):
        return _Difference("", value, list)
    for n, item in enumerate(value):
        if found := _difference(item, shape):
            return found.within(f"[{n}]")
    return None


def _is(value: Any, kind: Any) -> bool:
    """Whether a value has a type of JSON. An integer is also a float; true and false are not numbers."""
    if kind is None or kind is type(None):
        return value is None
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _described(shape: Shape) -> str:
    kinds = get_args(shape) if isinstance(shape, UnionType) else (shape,)
    return " or ".join(_NAMES.get(kind, str(kind)) for kind in kinds)


def _shown(value: Any) -> str:
    """A wrong value for messages: a short scalar itself, of others the type."""
    if isinstance(value, list | Mapping):
        return f"{'a list' if isinstance(value, list) else 'an object'}{'' if value else ' without anything in it'}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a long string" if isinstance(value, str) and len(value) > _MAX_SHOWN else repr(value)
