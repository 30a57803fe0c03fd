"""What people decided about the changes of a run, as the loads recorded it; and fields that need a review."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.compute as pc

from ..core.labels import conform
from ..core.review.decisions import DECISIONS, OURS, REFUSE, latest
from .config_entries import ConfigEntries
from .run import Run
from .schemas import RECORDED
from .tables import Database, quote

_TABLE = "annotation_decisions"
_KEPT = pa.array([REFUSE, OURS])  # verdicts that hold until the work in the tool changes; others are carried out


class Recorded:
    """Reads and writes the decisions of loads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run: Run) -> pa.Table:
        """The decisions of a run's loads, the oldest first (``DECISIONS``). Those of loads that were undone do not count."""
        rows = self._rows(run)
        counts = pc.is_in(rows["load"], value_set=pa.array(run.applied_loads, pa.int32()))
        return rows.filter(counts).sort_by([("load", "ascending"), ("at", "ascending")]).select(DECISIONS.names)

    def standing(self, run: Run) -> pa.Table:
        """Of these, the last about each change, where it keeps a change of the tool out of the dataset."""
        last = latest(self.of(run))
        return last.filter(pc.is_in(last["verdict"], value_set=_KEPT)).combine_chunks()

    def _rows(self, run: Run) -> pa.Table:
        return self._database.read_later(_TABLE, f"run_id = {quote(run.run_id)}")

    def add(self, decisions: pa.Table, load: int) -> None:
        """Add the decisions of a load. They count once the ledger says that it is applied."""
        self._database.append_later(_TABLE, conform(decisions, RECORDED, load=load))


class Protections:
    """Patterns of field names, and what a load into these fields needs."""

    def __init__(self, database: Database) -> None:
        self._entries = ConfigEntries(database, "annobridge.protect.")

    def all(self) -> dict[str, str]:
        """Pattern → what is needed."""
        return {pattern: json.loads(text)["review"] for pattern, text in self._entries.all().items()}

    def put(self, pattern: str, review: str | None) -> None:
        """Set what the fields that a pattern matches need; ``None`` removes the entry."""
        self._entries.put(pattern, None if review is None else json.dumps({"pattern": pattern, "review": review}))


def protected(fields: Iterable[str], patterns: Collection[str]) -> dict[str, str]:
    """Field → the pattern that protects it, for the fields that need a review.

    >>> protected(["ground_truth", "model"], ["ground*"])
    {'ground_truth': 'ground*'}
    """
    return {f: p for f in sorted(fields) for p in sorted(patterns, reverse=True) if fnmatchcase(f, p)}
