"""What a review needs of a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa

from ..core.media import Media
from ..store.run import Run


class Report(Protocol):
    """What a load did."""

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain data."""


class ReviewedPlan(Protocol):
    """A plan, as ``bridge.reports.MergePlan`` implements it."""

    @property
    def run(self) -> Run:
        """The run."""

    @property
    def changes(self) -> pa.Table:
        """``CHANGES``: one row for each label and component that the tool changed, and each conflict."""

    @property
    def decisions(self) -> pa.Table:
        """``DECISIONS`` that the plan has, the oldest first."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about the plan, as sentences."""

    @property
    def not_allowed(self) -> int:
        """How many changes of the tool cannot be taken, whatever is decided."""

    def states(self) -> pa.Table:
        """What is decided about each change."""

    def add_decisions(self, decisions: pa.Table) -> None:
        """Decide. Raises ``InvalidOption``."""

    def samples(self) -> pa.Table:
        """``SAMPLES`` that have changes, in a stable order."""

    def shapes(self, sample_ids: pa.Array) -> pa.Table:
        """``LABELS`` of samples with their ``side``: same, base, ours, theirs."""

    def media(self, sample_ids: pa.Array) -> Media:
        """Access to the files of samples."""

    def load(
        self, undecided: str = "take", force: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Report:
        """Plan again, and apply what is decided."""

    def replan(self) -> ReviewedPlan:
        """The plan of the next load, made now."""
