"""Servers to test against: the double, and a real one where the environment names it.

``ANNOBRIDGE_TEST_PIXANO_ITEMS_URL``, ``…_EXECUTABLE`` (its program) and ``…_FOLDER`` (what it was started on).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .server import PixanoItems

_REAL = {
    name: os.environ.get(f"ANNOBRIDGE_TEST_PIXANO_ITEMS_{name.upper()}") for name in ("url", "executable", "folder")
}
KINDS = ["double", *(["real"] if all(_REAL.values()) else [])]


@contextmanager
def options(kind: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """The options of a backend for one of ``KINDS``."""
    if kind == "real":
        yield {name: value for name, value in _REAL.items() if value}
        return
    with PixanoItems(folder) as double:
        yield {"url": double.url, "executable": str(double.executable), "folder": str(double.folder)}
