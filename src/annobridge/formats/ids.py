"""Ids for samples that have none, derived from their paths, so that an import can be repeated."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def of_paths(paths: Iterable[str]) -> list[str]:
    """An id for each absolute path or URI.

    >>> of_paths(["/photos/a.jpg"])
    ['05f09429021ea0cf']
    """
    return [blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest() for path in paths]
