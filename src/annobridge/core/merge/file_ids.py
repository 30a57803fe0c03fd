"""Ids of labels that came from a file, in the place of the tool's ids."""

from __future__ import annotations

from collections import Counter
from hashlib import sha1

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask, row_keys, set_columns
from ..flat_points import FlatPoints
from .assignment import assign

FILE_ID = "file-"  # how they begin, where the tool has ids of its own for these labels


def new_ids(labels: pa.Table, prefix: str = FILE_ID) -> pa.Array:
    """Ids for labels (with columns of ``REMOTE``), which begin with ``prefix``: the same for the same labels, and different for two
    that are equal.
    """
    texts = (
        row_keys(labels, ("sample_id", "frame_number", "index", "kind", "label", "value")).cast(pa.binary()).to_pylist()
    )
    boxes = pc.fill_null(as_array(labels["bounding_box"]), [0.0] * 4).flatten().to_numpy(zero_copy_only=False).tobytes()
    points = FlatPoints.of(labels["points"])
    xy, ends = points.xy.tobytes(), (16 * np.cumsum(points.counts())).tolist()
    masks = pc.struct_field(as_array(labels["mask"]), "counts").fill_null(b"").to_pylist()
    names, seen, start = [], Counter[str](), 0
    for row, (text, end, mask) in enumerate(zip(texts, ends, masks, strict=True)):
        digest = sha1(b"".join((text, boxes[32 * row : 32 * row + 32], xy[start:end], mask))).hexdigest()[:20]  # noqa: S324
        start = end
        seen[digest] += 1
        names.append(f"{prefix}{digest}" if seen[digest] == 1 else f"{prefix}{digest}-{seen[digest]}")
    return pa.array(names, pa.string())


def file_labels(base: pa.Table) -> Bools:
    """Which labels of a baseline came from a file, so that the tool has no ids for them that are known."""
    return as_mask(pc.starts_with(base["remote_id"], FILE_ID))


def with_ids_of_tool(base: pa.Table, theirs: pa.Table) -> pa.Table:
    """The baseline, where labels that came from a file have the tool's ids instead, if the tool has them by now."""
    lacks = file_labels(base) & ~as_mask(pc.is_in(base["remote_id"], value_set=as_array(theirs["remote_id"])))
    at = np.flatnonzero(lacks)
    if not at.size:
        return base
    unknown = theirs.filter(pc.invert(pc.is_in(theirs["remote_id"], value_set=as_array(base["remote_id"]))))
    rows = assign(base.take(pa.array(at)), set_columns(unknown, label_id=None)).rows
    is_found = rows >= 0
    taken = np.full(base.num_rows, -1)
    taken[at[rows[is_found]]] = np.flatnonzero(is_found)
    ids = as_array(unknown["remote_id"]).take(pa.array(np.maximum(taken, 0), mask=taken < 0))
    return set_columns(base, remote_id=pc.coalesce(ids, as_array(base["remote_id"])))
