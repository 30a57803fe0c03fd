"""Objects: a label on its own, or all labels of a track, by one annotator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..arrays import Ints, not_null
from ..codes import row_codes


class Objects(NamedTuple):
    """The objects that labels belong to, numbered in the order of their first labels.

    Attributes:
        of_label: the object of each label.
        first: the first label of each object.
        sizes: how many labels each object has.
    """

    of_label: Ints
    first: Ints
    sizes: Ints


def objects_of(labels: pa.Table, annotators: Ints) -> Objects:
    """The objects of labels (``LABELS``), whose annotators are given as numbers.

    >>> from annobridge.core.labels import LABELS, conform
    >>> rows = {"label_id": ["a", "b", "c"], "sample_id": ["s"] * 3, "field": ["f"] * 3, "kind": ["box"] * 3, "rev": [0] * 3}
    >>> video = conform(pa.table({**rows, "frame_number": [1, 2, 1], "index": [7, 7, None]}), LABELS)
    >>> objects_of(video, np.zeros(3, np.int64)).of_label.tolist()
    [0, 0, 1]
    """
    is_track = not_null(labels["index"]) & not_null(labels["frame_number"])
    keys = np.arange(labels.num_rows)
    if is_track.any():
        tracks = row_codes([labels], ("sample_id", "field", "kind", "index"))[0]
        first = _first_of(tracks * (int(annotators.max()) + 1) + annotators)
        keys = np.where(is_track, first, keys)
    first, of_label, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return Objects(of_label, first, sizes)


def _first_of(codes: Ints) -> Ints:
    """The first row that has the code of each row."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    found: Ints = first[inverse]
    return found
