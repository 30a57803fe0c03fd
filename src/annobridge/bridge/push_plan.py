"""The plan of a push, as tables; the decisions of people about it; and the push itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from ..backend.checked import CheckedBackend
from ..core.review.changes import of_push
from ..core.review.legal import OF_PUSHES
from ..core.schema import LabelSchema
from ..display.progress import ProgressChoice
from ..exceptions import StalePlan
from ..store.run import Run
from ..store.stores import Stores
from . import push as pushing
from . import push_planning
from .apply import until_not_stale
from .decidable import Decidable
from .loads import decisions_of
from .outcome import Options, Outcome
from .reports import Summary


class _PushSummary(Summary):
    @property
    def not_sent(self) -> tuple[str, ...]:
        """Nothing: what was left out when the run was sent is in its own report."""
        return ()


class PushReport(_PushSummary):
    """What a push did. ``left_out`` is how many labels the tool did not take; the next plan has them again."""

    title = "Pushed"

    def __init__(self, outcome: Outcome, done: Mapping[tuple[str, str], int]) -> None:
        super().__init__(outcome)
        self.left_out = self.total - sum(done.values())
        if self.left_out:
            outcome.notes.append(
                f"{self.left_out} of the changes were not taken by the tool; the next push has them again."
            )
        self.outcome.counts.clear()
        self.outcome.counts.update(done)

    def to_dict(self) -> dict[str, Any]:
        """Counts and notes as plain data."""
        return {**super().to_dict(), "left_out": self.left_out}


class PushPlan(Decidable, _PushSummary):
    """What a push would change in the tool. Nothing is sent or written before ``apply()``."""

    title = "Plan of a push of"
    _verdicts = OF_PUSHES

    def __init__(self, stores: Stores, backend: CheckedBackend, outcome: Outcome) -> None:
        super().__init__(outcome)
        self._stores, self._backend = stores, backend
        self._given = outcome.options.decisions

    @property
    def run(self) -> Run:
        """The run."""
        return self.outcome.run

    @property
    def _schema(self) -> LabelSchema:
        return self.outcome.run.schema

    @cached_property
    def changes(self) -> pa.Table:
        """What the push would change, a row for each label and component, conflicts among them; the riskiest first.

        As in the plan of a load, ``ours`` is the dataset and ``theirs`` the tool: a conflict that is decided for ``ours`` is
        pushed.
        """
        proposed = self.outcome.streams.table("proposed").combine_chunks()
        sizes = self._stores.samples.rows(proposed["sample_id"].unique(), ["sample_id", "width", "height"])
        return of_push(proposed, sizes)

    def apply(self, force: bool = False, progress: ProgressChoice = None) -> PushReport:
        """Make exactly this change in the tool, with the decisions about it.

        Args:
            force: whether any number of deletions, and changes of what people have finished, are allowed.
            progress: as in ``annotate``.

        Raises:
            StalePlan: the labels here, or the work in the tool, changed since the plan was made.
            MergeError: the plan must not be applied without ``force``.
            BackendError: the tool refused, or cannot be reached.
        """
        options = replace(self.outcome.options, decisions=self._given)
        now = make(self._stores, self.anno_key, self._backend, options)
        if now.content() != self.outcome.content():
            raise StalePlan(
                f"The labels here, or the work in {self._backend.name}, changed since the plan of {self.anno_key!r} was made; "
                "plan again."
            )
        return PushReport(now, pushing.apply(self._stores, now, self._backend, force, progress))


def make(
    stores: Stores, anno_key: str, backend: CheckedBackend, options: Options, progress: ProgressChoice = None
) -> Outcome:
    """Plan a push of a run. A push that was interrupted is settled first."""
    run = pushing.settle(stores, stores.runs.get_idle(anno_key), backend)
    return push_planning.make(stores, run, backend, options, progress)


def plan(
    stores: Stores, anno_key: str, backend: CheckedBackend, given: Mapping[str, Any], progress: ProgressChoice = None
) -> PushPlan:
    """The plan of a push; ``given`` are the options ``conflicts``, ``decisions`` and ``undecided``."""
    outcome = make(stores, anno_key, backend, _options(stores, anno_key, given), progress)
    return PushPlan(stores, backend, outcome)


def push(
    stores: Stores,
    anno_key: str,
    backend: CheckedBackend,
    given: Mapping[str, Any],
    force: bool = False,
    progress: ProgressChoice = None,
) -> PushReport:
    """Plan and apply a push, and again where others changed the run meanwhile."""
    options = _options(stores, anno_key, given)

    def plan_and_apply() -> PushReport:
        outcome = make(stores, anno_key, backend, options, progress)
        return PushReport(outcome, pushing.apply(stores, outcome, backend, force, progress))

    return until_not_stale(plan_and_apply)


def _options(stores: Stores, anno_key: str, given: Mapping[str, Any]) -> Options:
    table, _ = decisions_of(given.get("decisions"), stores.runs.get_settled(anno_key))
    return Options(**{**given, "decisions": table})
