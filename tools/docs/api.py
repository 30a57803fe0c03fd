"""A public name as Markdown, with signature and docstring, for the twins of the API pages."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from typing import Any

_VALUES = (property, cached_property)  # members that are not called


def markdown(path: str) -> str:
    """A class with its public methods, or a function, as ``annobridge.Dataset``."""
    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    return "\n\n".join(_lines(path, thing))


def members(thing: type) -> list[tuple[str, Any]]:
    """The public attributes of a class that have a docstring of their own, those of its bases in annobridge included."""
    names = [n for base in reversed(thing.__mro__) if base.__module__.startswith("annobridge") for n in vars(base)]
    found = [(name, inspect.getattr_static(thing, name)) for name in dict.fromkeys(names) if not name.startswith("_")]
    return [
        (name, value)
        for name, value in found
        if isinstance(value, (*_VALUES, classmethod)) or inspect.isfunction(value)
    ]


def _lines(path: str, thing: Any) -> Iterator[str]:
    yield f"## {path}{_signature(thing)}"
    yield inspect.getdoc(thing) or ""
    if not inspect.isclass(thing):
        return
    for name, value in members(thing):
        bound = getattr(value, "__func__", value)
        yield f"### {name}{'' if isinstance(value, _VALUES) else _signature(bound)}"
        yield inspect.getdoc(bound) or ""


def _signature(thing: Any) -> str:
    if not callable(thing) or (inspect.isclass(thing) and issubclass(thing, Exception)):
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    given = [p.replace(annotation=inspect.Parameter.empty) for n, p in found.parameters.items() if n != "self"]
    return str(found.replace(parameters=given, return_annotation=inspect.Signature.empty))
