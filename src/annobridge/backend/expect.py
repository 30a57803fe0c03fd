"""Shapes that describe the expected JSON of a response, and the first difference of a value from one.

{"id": int, "name": str, "owner?": {"id": int}}   an object with these members, the last one optional; it may have others
[{"id": int}]                                    a list of such objects
int | None                                       a type, or one of several
({"id": int}, None)                              one of several shapes
Any                                              anything
"""

from __future__ import annotations

from collections.abc import Mapping
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
    found = _difference(value, shape)
    if found is None:
        return None
    name = repr(found.path.lstrip(".")) if found.path else "it"
    if found.found is _Absent:
        return f"{name} is missing"
    return f"{name} is {_shown(found.found)}, and should be {_described(found.wanted)}"


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
    if shape is float and set(map(type, value)) <= {int, float}:  # fast path for long lists of coordinates
        return None
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
