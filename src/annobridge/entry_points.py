"""The entry points of installed packages, by which plug-ins are found."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any


@functools.cache
def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """The entry points of a group."""
    return tuple(_all().select(group=group))


@functools.cache
def _all() -> Any:
    """All entry points.

    Finding them reads the metadata of every installed package, so it is done once per process: a package that is
    installed meanwhile is seen by the next process.
    """
    return metadata.entry_points()


def by_name(group: str) -> dict[str, list[metadata.EntryPoint]]:
    """The entry points of a group by name; several packages may have one of the same name."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for entry in entry_points(group):
        found.setdefault(entry.name, []).append(entry)
    return found


@functools.cache
def source(entry: metadata.EntryPoint) -> str:
    """Whose an entry point is, and what it names, for messages. Its name is parsed from the metadata of its package."""
    return f"{entry.dist.name if entry.dist else 'an unknown package'} ({entry.value})"
