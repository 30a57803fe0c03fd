"""What a load plans at once: jobs of some tasks each, which any process can plan that reaches the dataset and the tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from ..core.arrays import Bools, Ints
from ..spill.streams import Folder, Part
from ..store.run import Run
from ..store.task_rows import Places
from .outcome import Options, Tally
from .reviewed import Looking


@dataclass(frozen=True)
class LoadContext:
    """What is the same for all tasks of a load."""

    run: Run
    version: int  # of the labels
    load: int
    options: Options
    destinations: Mapping[str, str]
    looking: Looking
    time: datetime  # of the load
    folder: Folder  # where the rows of the plan are written
    ahead: int  # how many tasks a worker downloads while it merges others
    labels_at_once: int  # merged at once, or one task


class TaskToPlan(NamedTuple):
    """A task of a load."""

    number: int
    name: str
    sample_ids: pa.Array  # those that are in the dataset
    chosen: Bools  # which of them the load looks at
    state: Mapping[str, Any]  # of its receipt


class Job(NamedTuple):
    """Tasks that are planned at once."""

    number: int
    tasks: Sequence[TaskToPlan]
    base: Places  # of their baseline
    ours: Places  # of their labels in the dataset
    states: Places | None  # of what is recorded about the progress of their samples


class Planned(NamedTuple):
    """The result of a job."""

    tasks: Sequence[int]
    tally: Tally
    part: Part  # its rows


def batches(numbers: Sequence[int], labels: Ints, samples: Sequence[int], at_once: int) -> Iterator[list[int]]:
    """The tasks of each job, in order: as many as have ``at_once`` labels, or a quarter as many samples, which may get labels.

    >>> import numpy as np
    >>> list(batches([0, 1, 3], np.array([50, 60, 10, 70]), [1, 1, 1, 1], 100))
    [[0, 1], [3]]
    >>> list(batches([0, 1, 2], np.array([0, 0, 0]), [20, 20, 20], 100))
    [[0, 1], [2]]
    """
    some: list[int] = []
    labels_of_some = samples_of_some = 0
    for number in numbers:
        some.append(number)
        labels_of_some += int(labels[number])
        samples_of_some += samples[number]
        if labels_of_some >= at_once or 4 * samples_of_some >= at_once:
            yield some
            some, labels_of_some, samples_of_some = [], 0, 0
    if some:
        yield some
