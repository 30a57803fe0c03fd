"""Decisions as the page gets them, and which changes they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.review.decisions import DECISIONS
from .reviewed import ReviewedPlan

_SIGNATURE = ("change_id", "verdict", "value", "by", "at")  # by what a decision is known again
Row = Mapping[str, Any]


class KnownChanges:
    """What a plan has to decide about.

    Attributes:
        position: change_id → row of ``plan.changes``.
        bound_to: of each row, what there is to look at.
        choices: of each row, the verdicts that it can get.
        prior: records of the decisions that the plan had already; their ``seq`` is 0.
    """

    def __init__(self, plan: ReviewedPlan) -> None:
        changes, states = plan.changes, plan.states()
        self.position = {change_id: at for at, change_id in enumerate(changes["change_id"].to_pylist())}
        self.bound_to: list[str] = changes["bound_to"].to_pylist()
        self.choices: list[list[str]] = changes["choices"].to_pylist()
        self._recorded = {_signature(row) for row in states.filter(states["recorded"]).to_pylist()}
        self.prior = self.records((0, row) for row in plan.decisions.to_pylist())

    def records(self, rows: Iterable[tuple[int, Row]]) -> list[dict[str, Any]]:
        """Decisions (``seq``, row of ``DECISIONS``) as records, without those about changes that the plan does not have."""
        return [self._record(seq, row) for seq, row in rows if row["change_id"] in self.position]

    def _record(self, seq: int, row: Row) -> dict[str, Any]:
        found = {name: row[name] for name in DECISIONS.names if name != "run_id"}
        found["at"] = row["at"] and row["at"].isoformat()
        stale = row["bound_to"] != self.bound_to[self.position[row["change_id"]]]
        return found | {"seq": seq, "recorded": not stale and _signature(row) in self._recorded, "stale": stale}


def _signature(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _SIGNATURE)
