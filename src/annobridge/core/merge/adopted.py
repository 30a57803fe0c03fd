"""The labels of a task that was made in the tool, paired with those of the dataset: the baseline of an adopted run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .. import tasks
from ..arrays import set_columns
from ..labels import COMPONENTS, LABELS, REMOTE, conform
from ..schema import LabelSchema
from ..similarity import sizes_of
from .assignment import BY_ID, assign
from .fields import with_fields
from .patch import with_columns
from .precision import SAME, same_shapes


class Paired(NamedTuple):
    """The baseline of a task, and how its labels were paired."""

    baseline: pa.Table  # REMOTE, with ``unsent``: the labels of the dataset that the tool has too, with its ids
    by_id: int  # of them, those that the tool knows by the id of the dataset
    only_there: int  # labels that only the tool has; the next load adds them
    only_here: int  # labels that only the dataset has; the next push adds them there
    ambiguous: int  # pairs where another label would have fitted about as well


def pair(here: pa.Table, there: pa.Table, samples: pa.Table, schema: LabelSchema) -> Paired:
    """Pair labels: by the id of the dataset where the tool has it, else by the assignment of the largest overlap.

    The baseline has the values of the dataset. So what is different in the tool is a change that was made there: a load takes it.
    Shapes whose positions all differ by half a pixel at most are the same, as tools round; the baseline has them as the tool does.

    Args:
        here: ``LABELS``, of the fields of the schema on the samples of the task.
        there: ``REMOTE``, what the tool has.
        samples: sample_id, width and height of the samples.
        schema: of the run.
    """
    sent = tasks.select_by_schema(here.select(LABELS.names), schema).combine_chunks()
    there, sizes = with_fields(there, schema), sizes_of(samples, there)
    found = assign(conform(sent, REMOTE, remote_id=""), there, (sizes_of(samples, sent), sizes))
    at = np.flatnonzero(found.rows >= 0)
    paired, ours = there.take(pa.array(at)), sent.take(pa.array(found.rows[at]))
    baseline = set_columns(conform(ours, REMOTE, remote_id=""), remote_id=paired["remote_id"])
    half_a_pixel = np.where(np.isfinite(sizes[at]), 0.5 / np.fmax(sizes[at], 1), 0.0) + SAME
    baseline = with_columns(baseline, paired, COMPONENTS["spatial"], same_shapes(paired, ours, half_a_pixel))
    return Paired(
        tasks.with_unsent(baseline, here, schema), int((found.how == BY_ID).sum()), there.num_rows - len(at),
        sent.num_rows - len(at), int(found.is_ambiguous.sum()),
    )  # fmt: skip
