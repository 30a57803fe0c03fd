"""What a reader leaves out: each annotation with its place and the reason, and notes that count them."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from ..base import SKIPPED

_KEPT = 100_000  # rows of the table; the counts are of all
_SHOWN = 3


class ReadReport:
    """Collects what a reader skips and changes."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str]] = []
        self._skipped: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}
        self._notes: Counter[str] = Counter()
        self.assumptions: list[
            str
        ] = []  # how the source was read where it could be read in another way, a sentence each

    def skip(self, place: str, reason: str, count: int = 1) -> None:
        """An annotation that is not read. ``reason`` completes "left out: …", and has no place in it."""
        self._skipped[reason] += count
        examples = self._places.setdefault(reason, [])
        if len(examples) < _SHOWN:
            examples.append(place)
        if len(self._rows) < _KEPT:
            self._rows.append((place, reason))

    @property
    def total(self) -> int:
        """How many annotations were left out."""
        return self._skipped.total()

    def note(self, what: str, count: int = 1) -> None:
        """Something that was changed, as ``"shapes were cut to their image"``."""
        if count:
            self._notes[what] += count

    @property
    def skipped(self) -> pa.Table:
        """``SKIPPED``: one row for each annotation that was left out, the first 100,000."""
        return pa.Table.from_pylist([{"place": p, "reason": r} for p, r in self._rows], schema=SKIPPED)

    def notes(self) -> list[str]:
        """A sentence for each reason and each change, with how often."""
        left_out = [
            f"{count:,} annotations were left out: {reason} ({', '.join(self._places[reason])}{', …' * (count > _SHOWN)})."
            for reason, count in self._skipped.most_common()
        ]
        return [*left_out, *(f"{count:,} {what}." for what, count in self._notes.most_common())]
