"""Which tasks and samples of a run a load looks at: all of them, or those that its options select."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Receipt
from ..core.arrays import Bools, as_array, as_mask, index_of
from ..exceptions import InvalidOption
from ..store.by_task import ByTask
from ..store.stores import Stores
from .download import Answers
from .outcome import LAST, Options, Outcome


class Scope:
    """The part of a run that a load looks at.

    Args:
        stores: the dataset.
        outcome: the plan, with its options. What is left out is counted in it.
        answers: where the work is.
        tasks: all tasks of the run.

    Raises:
        InvalidOption: no sample of ``where`` is in the run, or the tool does not say what ``reviewed_only`` or ``since`` needs.
    """

    def __init__(self, stores: Stores, outcome: Outcome, answers: Answers, tasks: ByTask) -> None:
        self._out, self._answers, self._tasks = outcome, answers, tasks
        options, run = outcome.options, outcome.run
        if (options.reviewed_only or isinstance(options.since, datetime)) and not answers.says_reviewed:
            name = "reviewed_only=True" if options.reviewed_only else "since= with a time"
            raise InvalidOption(
                f"{answers.name} does not say which samples are reviewed, and when, as {name} needs; leave it out, or give the "
                "samples as where=."
            )
        self._chosen = [np.ones(len(ids), bool) for ids in tasks.sample_ids]
        if options.where is not None:
            self._chosen = [as_mask(pc.is_in(ids, value_set=options.where)) for ids in tasks.sample_ids]
            if not any(chosen.any() for chosen in self._chosen):
                raise InvalidOption(
                    f"None of the {len(options.where)} samples of where= is in the run {run.anno_key!r}; give samples that "
                    "were sent."
                )
        self._known_marks = stores.marks.of(run) if options.since == LAST else {}

    def numbers(self, receipts: Mapping[str, Mapping[str, Any]]) -> list[int]:
        """The numbers of the tasks to download. Others have no sample of ``where``, or did not change since the last load."""
        found = [number for number, chosen in enumerate(self._chosen) if chosen.any()]
        if self._out.options.since == LAST:
            found = [number for number in found if self._has_changed(self._tasks.names[number], receipts)]
        self._out.skipped += len(self._tasks.all_sample_ids) - sum(len(self._tasks.sample_ids[n]) for n in found)
        return found

    def _has_changed(self, task: str, receipts: Mapping[str, Mapping[str, Any]]) -> bool:
        mark = self._answers.mark(Receipt(task, receipts[task]))
        if mark is None:
            return True
        # What a load with other options takes is not what the last one took.
        which = "reviewed" if self._out.options.reviewed_only else "all"
        options = [which, sorted(self._out.destinations.items()), self._out.reading]
        mark = json.dumps([mark, *options], sort_keys=True)
        if self._known_marks.get(task) == mark:
            return False
        if self._out.options.where is None:
            self._out.marks[task] = mark
        return True

    def chosen(self, number: int, sample_ids: pa.Array) -> Bools:
        """Which of some samples of a task ``where`` selects."""
        chosen = self._chosen[number]
        if len(sample_ids) == len(chosen):
            return chosen
        # Without those that were deleted here.
        return as_mask(pc.is_in(sample_ids, value_set=self._tasks.sample_ids[number].filter(pa.array(chosen))))


def chosen_by_state(options: Options, sample_ids: pa.Array, states: pa.Table) -> Bools:
    """Which samples the options select by what the tool says about them (``REVIEWED``)."""
    chosen = np.ones(len(sample_ids), bool)
    if not options.reviewed_only and not isinstance(options.since, datetime):
        return chosen
    at = index_of(sample_ids, states["sample_id"])
    if options.reviewed_only:
        chosen &= as_mask(as_array(states["reviewed"]).take(at))
    if isinstance(options.since, datetime):
        times = as_array(states["time"]).take(at)
        chosen &= as_mask(pc.fill_null(pc.greater_equal(times, pa.scalar(options.since, times.type)), True))
    return chosen
