"""Validate labels before they are stored or sent: every value is checked, column by column, and each mistake is a sentence.

>>> box = pa.table({"label_id": ["a"], "kind": ["box"], "bounding_box": [[0.5, 0.5, 0.0, 0.1]]})
>>> problems(box)[0]
"Label 'a' has the box [0.5, 0.5, 0.0, 0.1], which has no area; give [x, y, width, height], the last two above 0."
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import geometry
from ..arrays import Bools, Ints, as_array, as_mask, list_lengths, replace_values
from ..labels import LABELS
from . import shape_checks, value_checks
from .label_columns import Floats, LabelColumns, Mistake
from .shape_checks import TOLERANCE, all_inside, boxes_overhang, is_finite, is_outside

PARTS = ("spatial", "label", "attributes")  # the parts of a label that can be checked separately
Check = Callable[[LabelColumns], Iterator[Mistake]]


def problems(labels: pa.Table, limit: int = 20, checks: Iterable[Check] | None = None) -> list[str]:
    """A sentence for each mistake in ``labels``, in the order of the rows.

    Args:
        labels: a table with any of the columns of ``LABELS``.
        limit: how many sentences to return; a last one counts the rest.
        checks: the checks to run; ``STORED_LABEL_CHECKS`` by default.
    """
    table = LabelColumns(labels)
    found = [f for check in (STORED_LABEL_CHECKS if checks is None else checks) for f in check(table) if f.rows.size]
    first = sorted((int(row), i, k) for i, f in enumerate(found) for k, row in enumerate(f.rows[:limit]))[:limit]
    sentences = [f"{table.name(row)} {found[i].sentence(k)}" for row, i, k in first]
    more = sum(f.rows.size for f in found) - len(sentences)
    return [*sentences, f"and {more} more"] if more else sentences


def unstorable(labels: pa.Table, parts: Collection[str] = PARTS) -> dict[int, str]:
    """The rows that cannot be stored, each with the first mistake found in the given parts: row number to sentence."""
    table = LabelColumns(labels)
    found = [f for part in parts for check in _CHECKS_OF_PART[part] for f in check(table)]
    return {int(row): f.sentence(k) for f in reversed(found) for k, row in enumerate(f.rows)}


def other_size(labels: pa.Table, samples: pa.Table) -> Bools:
    """Which labels have a mask of another size than their image. ``samples`` (sample_id, width, height) has the sizes of the
    images; where a size is null or missing, the label is not flagged.
    """
    table = LabelColumns(labels)
    wrong = np.zeros(table.size, bool)
    if table["mask"].null_count == table.size:
        return wrong
    at = pc.index_in(table["sample_id"], value_set=as_array(samples["sample_id"]))
    size = pc.struct_field(table["mask"], [0])
    for side, name in enumerate(("height", "width")):
        wrong |= as_mask(pc.not_equal(pc.list_element(size, side), as_array(samples[name]).take(at)))
    return wrong


def mask_sizes(labels: pa.Table, samples: pa.Table, limit: int = 20) -> list[str]:
    """A sentence for each mask of another size than its image; a last one counts those beyond ``limit``."""
    rows = np.flatnonzero(other_size(labels, samples))
    if not rows.size:
        return []
    table, first = LabelColumns(labels), pa.array(rows[:limit])
    at = pc.index_in(table["sample_id"].take(first), value_set=as_array(samples["sample_id"]))
    images = zip(*(as_array(samples[name]).take(at).to_pylist() for name in ("width", "height")), strict=True)
    sizes = pc.struct_field(table["mask"].take(first), [0]).to_pylist()
    sentences = [
        f"{table.name(int(row))} has a mask that {geometry.other_size(size[::-1], image)}"
        for row, size, image in zip(rows, sizes, images, strict=False)
    ]
    return [*sentences, f"and {rows.size - len(sentences)} more"] if rows.size > len(sentences) else sentences


def clip(labels: pa.Table) -> pa.Table:
    """``labels`` with upright boxes and points clipped to the image; values inside it keep their exact bits.

    No row is dropped: a box that was entirely outside has no area afterwards, which ``problems`` reports.
    """
    table = LabelColumns(labels)
    rows, boxes, upright = table.boxes
    overhanging = upright & is_finite(boxes) & boxes_overhang(boxes)
    labels = _replaced(labels, table, "bounding_box", rows[overhanging], _clipped_boxes(boxes[overhanging]))
    parts = table["points"]
    rings = parts.flatten()
    points = rings.flatten()
    xy = points.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    if all_inside(xy):
        return labels
    owner = np.repeat(np.repeat(np.arange(table.size), list_lengths(parts)), list_lengths(rings))[
        as_mask(points.is_valid())
    ]
    outside = is_outside(xy) & ~table.any_of("cuboid")[owner]
    clipped = np.unique(owner[outside])
    return _replaced(labels, table, "points", clipped, _clipped_points(parts.take(pa.array(clipped))))


def _replaced(labels: pa.Table, table: LabelColumns, name: str, rows: Ints, new: pa.Array) -> pa.Table:
    if not rows.size:
        return labels
    column = replace_values(table[name], rows, new)
    return labels.set_column(labels.column_names.index(name), LABELS.field(name), column)


def _clipped_boxes(boxes: Floats) -> pa.Array:
    start, end = np.clip(boxes[:, :2], 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.hstack([start, end - start]).ravel()), 4)


def _clipped_points(parts: pa.ListArray) -> pa.ListArray:
    rings = parts.values
    points = rings.values
    numbers, missing = points.values.to_numpy(zero_copy_only=False), as_mask(points.values.is_null())
    outside = np.isfinite(numbers) & ((numbers < -TOLERANCE) | (numbers > 1 + TOLERANCE))
    inside = pa.array(np.where(outside, np.clip(numbers, 0, 1), numbers), mask=missing)
    points = pa.FixedSizeListArray.from_arrays(inside, 2, mask=points.is_null())
    rings = pa.ListArray.from_arrays(rings.offsets, points, mask=rings.is_null())
    return pa.ListArray.from_arrays(parts.offsets, rings, mask=parts.is_null())


_CHECKS_OF_PART = {
    "spatial": (value_checks.kinds, value_checks.numbers, shape_checks.boxes, shape_checks.points, shape_checks.masks),
    "label": (value_checks.scalars,),
    "attributes": (value_checks.attributes,),
}
VALUE_CHECKS = tuple(check for part in PARTS for check in _CHECKS_OF_PART[part])
STORED_LABEL_CHECKS = (*VALUE_CHECKS, value_checks.ids)
# Field, frame and class. Only new labels are checked: versions before these checks may have stored others.
PLACEMENT_CHECKS = (value_checks.fields, value_checks.frames, value_checks.classes)
NEW_LABEL_CHECKS = (*STORED_LABEL_CHECKS, *PLACEMENT_CHECKS, value_checks.given_ids)
