"""What agreement and quality have in common: tables, shown in notebooks and written into files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from . import page

_SHOWN = 20  # rows of a table in a notebook


def not_compared(images: pa.Table) -> int:
    """How many images (``core.agreement.compare.IMAGES``) count for no pair of answers."""
    return int(images["disagreement"].null_count)


class Tables(ABC):
    """Tables with a title."""

    notes: list[str]

    @abstractmethod
    def _heading(self) -> str:
        """The title."""

    @abstractmethod
    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        """The tables, by their names."""

    def to_html(self, path: str | Path) -> Path:
        """Write all tables into one HTML file, which needs no server. Raises ``InvalidOption`` if it cannot be written."""
        return page.write(Path(path), self._heading(), self._tables(), self.notes)

    def _repr_html_(self) -> str:
        return page.body(self._heading(), ((name, rows.slice(0, _SHOWN)) for name, rows in self._tables()), self.notes)
