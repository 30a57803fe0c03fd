"""Labels on their way into a table, and where each is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ...core.labels import LABELS
from ...core.rows import Label
from ...exceptions import InvalidSource

ROWS = pa.schema(  # less what an import fills in
    [f.with_nullable(True) for f in LABELS if f.name not in ("run", "tool", "annotator", "time", "rev")]
)
_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)


class LabelRows:
    """Rows of ``ROWS``, gathered label by label."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._places: list[str] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, labels: Sequence[Label], place: str, where: Mapping[str, Any]) -> None:
        """Add labels that are at a place of the source; ``where`` is their sample, field and frame."""
        self._rows += [{**label.row(), **where} for label in labels]
        self._places += [place] * len(labels)

    def table(self) -> pa.Table:
        """The labels. Raises ``InvalidSource`` for a value of another type."""
        try:
            return _table(self._rows)
        except _UNFIT:
            for row, place in zip(self._rows, self._places, strict=True):
                try:
                    _table([row])
                except _UNFIT as error:
                    said = str(error).splitlines()[0].rstrip(".")
                    raise InvalidSource(f"{place} has a value of another type: {said}; correct it.") from None
            raise


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    given = set().union(*rows)
    columns = [
        pa.array([r.get(f.name) for r in rows], f.type) if f.name in given else pa.nulls(len(rows), f.type)
        for f in ROWS
    ]
    return pa.Table.from_arrays(columns, schema=ROWS)
