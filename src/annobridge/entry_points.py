"""The entry points of installed packages, by which plug-ins are found."""

from __future__ import annotations

import functools
from importlib import metadata


@functools.cache
def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """The entry points of a group.

    Finding them reads the metadata of every installed package, so it is done once per process: a package that is
    installed meanwhile is seen by the next process.
    """
    return tuple(metadata.entry_points(group=group))
