"""Pixels that other labels cover: in formats in which a pixel is of one label, a mask lacks them although nobody removed them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..arrays import Bools, as_array, as_mask, replace_values, set_columns
from ..geometry import Mask, decode_rle
from .assignment import BY_PLACE, Assignment

_WHERE = ("sample_id", "frame_number")


def uncover(base: pa.Table, theirs: pa.Table, found: Assignment) -> tuple[pa.Table, Bools]:
    """The labels of a file with the masks that were sent, where all pixels that they lack are those of other labels in the file.
    Adds labels to ``found`` of which so little is left that they were not assigned.

    Returns:
        The labels; and which labels of ``base`` may be below others as a whole.
    """
    hidden = np.zeros(base.num_rows, bool)
    sides = [as_mask(side["mask"].is_valid()) for side in (base, theirs)]
    if not all(side.any() for side in sides):
        return theirs, hidden
    here, there = (_by_image(side, where) for side, where in zip((base, theirs), sides, strict=True))
    partner = {row: at for at, row in enumerate(found.rows.tolist()) if row >= 0}
    restored: dict[int, int] = {}  # row of theirs → row of base
    for image, rows in here.items():
        if image not in there or all(_same(base, row, theirs, partner.get(row)) for row in rows):
            continue
        told = {at: decode_rle(theirs["mask"][at].as_py()) for at in there[image]}
        count = np.sum([mask.astype(np.int32) for mask in told.values()], axis=0)
        for row in rows:
            sent = decode_rle(base["mask"][row].as_py())
            if sent.shape != count.shape:
                continue
            if row in partner:
                if partner[row] in told and _lacks_covered_only(sent, told[partner[row]], count):
                    restored[partner[row]] = row
                continue
            label = base["label"][row].as_py()
            rest = [at for at in told if found.rows[at] < 0 and theirs["label"][at].as_py() == label]
            at = next((at for at in rest if _lacks_covered_only(sent, told[at], count)), None)
            if at is not None:
                found.rows[at], found.how[at], restored[at] = row, BY_PLACE, row
            hidden[row] = at is None and bool((count[sent] > 0).all())
    return _restored(base, theirs, restored), hidden


def _by_image(labels: pa.Table, where: Bools) -> dict[tuple[Any, ...], list[int]]:
    rows = np.flatnonzero(where)
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, image in zip(rows.tolist(), labels.select(_WHERE).take(pa.array(rows)).to_pylist(), strict=True):
        found[tuple(image.values())].append(row)
    return found


def _same(base: pa.Table, row: int, theirs: pa.Table, at: int | None) -> bool:
    return at is not None and bool(base["mask"][row].as_py() == theirs["mask"][at].as_py())


def _lacks_covered_only(sent: Mask, told: Mask, count: npt.NDArray[np.int32]) -> bool:
    """Whether ``told`` is ``sent`` without pixels of other masks. ``count`` says how many masks of the file have each pixel."""
    lacks = sent & ~told
    return not (told & ~sent).any() and bool((count[lacks] > 0).all())


def _restored(base: pa.Table, theirs: pa.Table, pairs: dict[int, int]) -> pa.Table:
    if not pairs:
        return theirs
    at, rows = np.array(list(pairs)), pa.array(list(pairs.values()))
    columns = {
        name: replace_values(
            as_array(theirs[name]), at, as_array(base[name]).take(rows).cast(theirs.schema.field(name).type)
        )
        for name in ("mask", "bounding_box")
    }
    return set_columns(theirs, **columns)
