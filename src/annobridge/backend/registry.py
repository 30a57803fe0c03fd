"""Finds backends: entry points of the group ``annobridge.backends``, and ``config_cls`` in the settings.

A plug-in is imported when it is used, so that a broken one does not affect the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

from ..core.did_you_mean import did_you_mean
from ..entry_points import by_name, source
from ..exceptions import ConfigError, UnknownBackend
from .base import AnnotationBackend, AnnotationBackendConfig

GROUP = "annobridge.backends"
Custom = Mapping[str, str]  # backend name -> "your.module.Config"


def names(custom: Custom | None = None) -> list[str]:
    """All names, sorted. Imports nothing, so some of them may be broken."""
    return sorted({*by_name(GROUP), *(custom or {})})


def get(name: str, custom: Custom | None = None) -> type[AnnotationBackend]:
    """Import a backend. Raises ``UnknownBackend``, or ``ConfigError`` if it cannot be used."""
    installed, custom = by_name(GROUP).get(name, []), custom or {}
    if name in custom and installed:
        raise ConfigError(
            f"The backend name {name!r} is taken by {source(installed[0])}, and `config_cls` gives it to "
            f"{custom[name]} too; register yours under another name."
        )
    if len({e.value for e in installed}) > 1:
        raise ConfigError(
            f"The backend name {name!r} is taken by several packages, {' and '.join(map(source, installed))}; "
            "uninstall all but one."
        )
    if name in custom:
        return _from_config_cls(name, custom[name])
    if installed:
        return _from_entry_point(installed[0])
    raise UnknownBackend(f"There is no backend {name!r}; {did_you_mean(name, names(custom))}")


def broken(custom: Custom | None = None) -> dict[str, str]:
    """The backends that cannot be used: name → reason. Imports all of them."""
    reasons = {}
    for name in names(custom):
        try:
            get(name, custom)
        except ConfigError as error:
            reasons[name] = str(error)
    return reasons


def _from_entry_point(entry: EntryPoint) -> type[AnnotationBackend]:
    found = _imported(entry.module, entry.attr, f"The backend {entry.name!r} of {source(entry)}")
    if not _is(found, AnnotationBackend):
        raise ConfigError(f"The backend {entry.name!r} of {source(entry)} is not a subclass of AnnotationBackend.")
    if getattr(found, "name", None) != entry.name:
        raise ConfigError(
            f"The backend {entry.name!r} of {source(entry)} calls itself {getattr(found, 'name', None)!r}; "
            "its entry point must have the same name."
        )
    return found  # type: ignore[no-any-return]


def _from_config_cls(name: str, path: str) -> type[AnnotationBackend]:
    """The backend whose ``Config`` is the class at ``path``, in the same module."""
    module, _, attribute = path.rpartition(".")
    what = f"The backend {name!r}, registered by config_cls = {path!r},"
    if not module:
        raise ConfigError(f"{what} needs a module and a class, as 'your.module.Config'.")
    config = _imported(module, attribute, what)
    if not _is(config, AnnotationBackendConfig):
        raise ConfigError(f"{what} should name a subclass of AnnotationBackendConfig.")
    members = vars(importlib.import_module(module)).values()
    found = {m for m in members if _is(m, AnnotationBackend) and m.Config is config}
    if len(found) != 1:
        raise ConfigError(
            f"{what} needs one AnnotationBackend in {module} with `Config = {attribute}`; there are {len(found)}."
        )
    return found.pop()  # type: ignore[no-any-return]


def _imported(module: str, attribute: str, what: str) -> Any:
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a plug-in may raise anything while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{what} cannot be loaded: {reason}. Install what it needs, or uninstall it.") from error
    return found


def _is(thing: Any, base: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, base) and thing is not base
