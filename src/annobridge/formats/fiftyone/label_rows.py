"""Labels collected into a table, with their locations in the source for messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ...core.labels import LABELS
from ...core.rows import Label
from ...exceptions import InvalidSource

IMPORTED_COLUMNS = pa.schema(  # of LABELS, without those that the import fills in
    [f.with_nullable(True) for f in LABELS if f.name not in ("run", "tool", "annotator", "time", "rev")]
)
_WRONG_TYPE = (pa.ArrowException, TypeError, ValueError, OverflowError)


class LabelRows:
    """Collects labels as rows with ``IMPORTED_COLUMNS``."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._locations: list[str] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, labels: Sequence[Label], location: str, columns: Mapping[str, Any]) -> None:
        """Add labels from a location of the source. ``columns`` are their sample, field and frame."""
        self._rows += [{**label.row(), **columns} for label in labels]
        self._locations += [location] * len(labels)

    def table(self) -> pa.Table:
        """The labels. Raises ``InvalidSource`` with the location of a value of another type than its column."""
        try:
            return _table(self._rows)
        except _WRONG_TYPE:
            for row, location in zip(self._rows, self._locations, strict=True):
                try:
                    _table([row])
                except _WRONG_TYPE as error:
                    reason = str(error).splitlines()[0].rstrip(".")
                    raise InvalidSource(f"{location} has a value of another type: {reason}; correct it.") from None
            raise


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    given = set().union(*rows)
    columns = [
        pa.array([r.get(f.name) for r in rows], f.type) if f.name in given else pa.nulls(len(rows), f.type)
        for f in IMPORTED_COLUMNS
    ]
    return pa.Table.from_arrays(columns, schema=IMPORTED_COLUMNS)
