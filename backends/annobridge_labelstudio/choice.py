"""Which annotation of a task counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from .config import Which


class Candidate(NamedTuple):
    """An annotation that somebody submitted; not a draft, and not one that was skipped."""

    task_id: int
    sample_id: str
    annotation_id: int
    annotator: str | None  # the e-mail address of who changed it last
    created: datetime | None
    updated: datetime | None
    ground_truth: bool


def choose(candidates: Sequence[Candidate], which: Which) -> Candidate | None:
    """The annotation of one task that counts: the one that was changed last, of all or of those marked as ground truth."""
    allowed = [c for c in candidates if c.ground_truth or which == "latest"]
    return max(allowed, key=lambda c: (c.updated is not None and c.updated.timestamp(), c.annotation_id), default=None)
