"""Paints the labels of an export, and tells what they lose by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...exceptions import Unsupported
from .export import ExportData
from .fidelity import COVERED, NOTHING
from .paint import Canvas
from .palette import BACKGROUND, with_background


class Painter:
    """The classes of an export by their numbers, 0 for the background, and the pixels of its images."""

    def __init__(self, data: ExportData, background: str = BACKGROUND) -> None:
        self._data, self._background = data, background
        self.palette = with_background(data.classes, background)
        self.numbers = {name: number for number, name in enumerate(self.palette.names)}

    def canvas(self, rows: Sequence[Mapping[str, Any]], item: Mapping[str, object]) -> Canvas:
        """The labels of an image, painted."""
        canvas = Canvas(rows, size_of(item), self.numbers)
        self._data.lose(COVERED, canvas.covered)
        self._data.lose(NOTHING, canvas.empty)
        what = f"labels are of the class {self._background!r}, which is no label here, and are left out"
        self._data.lose(what, sum(row["label"] == self._background for row in rows))
        return canvas


def size_of(item: Mapping[str, object]) -> tuple[int, int]:
    """The size of an image, which masks need. Raises ``Unsupported`` where it is not known."""
    width, height = item["width"], item["height"]
    if not isinstance(width, int) or not isinstance(height, int):
        raise Unsupported(
            "", [f"The size of the image {item['name']!r} is not known; doctor(repair=True) of the dataset reads it."]
        )
    return width, height
