"""The answers of several annotators, as one table of labels, and who answered which samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_array, as_mask, set_columns, take_rows
from ..labels import REMOTE
from ..similarity import Floats


class Given(NamedTuple):
    """What one annotator gave.

    Attributes:
        annotator: who.
        labels: ``REMOTE``.
        samples: the ids of the samples that they answered; those of their labels are among them anyway.
    """

    annotator: str
    labels: pa.Table
    samples: pa.Array


class Answered(NamedTuple):
    """Who answered which samples.

    Attributes:
        names: of the annotators.
        samples: the ids of all samples that somebody answered.
        weights: the weight of each annotator.
        of_sample: the sum of the weights of those who answered each sample.
        people: how many answered each sample.
        saw: whether each annotator (row) answered each sample (column).
    """

    names: list[str]
    samples: pa.Array
    weights: Floats
    of_sample: Floats
    people: Ints
    saw: Bools

    @classmethod
    def of(cls, given: Sequence[Given], weights: Floats) -> Answered:
        """From the answers, and the weight of each."""
        seen = [
            pc.unique(pa.chunked_array([one.samples, *one.labels["sample_id"].chunks], pa.string())) for one in given
        ]
        samples = as_array(pc.unique(pa.chunked_array(seen, pa.string())))
        saw = np.zeros((len(given), len(samples)), bool)
        for number, theirs in enumerate(seen):
            saw[number] = as_mask(pc.is_in(samples, value_set=theirs))
        total, people = (saw * weights[:, None]).sum(axis=0), saw.sum(axis=0)
        return cls([one.annotator for one in given], samples, weights, total, people, saw)


def all_labels(given: Sequence[Given]) -> tuple[pa.Table, Ints]:
    """The labels of all (``REMOTE``, with the names of the annotators), sample by sample, in an order that does not depend on that
    of the labels of each; and the number of the annotator of each.
    """
    tables = [one.labels.select(REMOTE.names) for one in given]
    labels = pa.concat_tables([REMOTE.empty_table(), *tables]).combine_chunks()
    annotators = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    names = pa.array([one.annotator for one in given], pa.string()).take(pa.array(annotators, pa.int64()))
    keys = pa.table({"sample": labels["sample_id"], "annotator": annotators, "id": labels["remote_id"]})
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]).to_numpy()
    return take_rows(set_columns(labels, annotator=names), order), annotators[order]
