"""The pictures of the documentation."""

from __future__ import annotations

from pathlib import Path


def draw(folder: Path) -> list[Path]:
    """Draw all pictures anew; returns their files."""
    raise NotImplementedError(folder)
