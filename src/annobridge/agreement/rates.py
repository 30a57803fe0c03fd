"""Rates from counts of matches: precision, recall, F1, mean intersection over union, with intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PAIR = [pa.field("left", pa.string()), pa.field("right", pa.string())]
_RATES = [
    pa.field("left_labels", pa.int64()), pa.field("right_labels", pa.int64()),
    pa.field("matched", pa.int64()),  # with any class
    pa.field("agreed", pa.int64()),  # with one class
    pa.field("precision", pa.float64()), pa.field("recall", pa.float64()), pa.field("f1", pa.float64()),
    pa.field("mean_iou", pa.float64()),
]  # fmt: skip
PAIRS = pa.schema([*_PAIR, *_RATES])
CLASSES = pa.schema([*_PAIR, pa.field("class", pa.string()), *_RATES])
ATTRIBUTES = pa.schema(
    [*_PAIR, pa.field("attribute", pa.string()), pa.field("compared", pa.int64()), pa.field("equal", pa.int64()),
     pa.field("accuracy", pa.float64())]
)  # fmt: skip


def of_pairs(matches: pa.Table) -> pa.Table:
    """``PAIRS`` of ``MATCHES``."""
    rows = matches.to_pylist()
    pairs = dict.fromkeys((row["left"], row["right"]) for row in rows)
    found = [
        {"left": a, "right": b, **_rates([r for r in rows if (r["left"], r["right"]) == (a, b)], None)}
        for a, b in pairs
    ]
    return pa.Table.from_pylist(found, PAIRS)


def of_classes(matches: pa.Table) -> pa.Table:
    """``CLASSES`` of ``MATCHES``."""
    found = []
    rows = matches.to_pylist()
    for a, b in dict.fromkeys((row["left"], row["right"]) for row in rows):
        mine = [row for row in rows if (row["left"], row["right"]) == (a, b)]
        names = sorted({row[side] for row in mine for side in ("left_class", "right_class")} - {None})
        found += [{"left": a, "right": b, "class": name, **_rates(mine, name)} for name in names]
    return pa.Table.from_pylist(found, CLASSES)


def of_attributes(values: pa.Table) -> pa.Table:
    """``ATTRIBUTES`` of ``VALUES``."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in values.to_pylist():
        counts = found.setdefault((row["left"], row["right"], row["attribute"]), [0, 0])
        counts[0] += row["count"]
        counts[1] += row["count"] * (row["left_value"] == row["right_value"])
    rows = [
        dict(zip(ATTRIBUTES.names, (*key, compared, equal, _share(equal, compared)), strict=True))
        for key, (compared, equal) in sorted(found.items())
    ]
    return pa.Table.from_pylist(rows, ATTRIBUTES)


def _rates(rows: Iterable[dict[str, Any]], name: str | None) -> dict[str, Any]:
    """The rates of all classes, or of one."""
    left = right = matched = agreed = 0
    iou = 0.0
    for row in rows:
        on_left = row["left_class"] is not None and name in (None, row["left_class"])
        on_right = row["right_class"] is not None and name in (None, row["right_class"])
        left += row["count"] * on_left
        right += row["count"] * on_right
        both = row["left_class"] is not None and row["right_class"] is not None
        matched += row["count"] * (both and (on_left or on_right))
        if on_left and on_right and row["left_class"] == row["right_class"]:
            agreed += row["count"]
            iou += row["iou"]
    return {
        "left_labels": left, "right_labels": right, "matched": matched, "agreed": agreed, "precision": _share(agreed, left),
        "recall": _share(agreed, right), "f1": _share(2 * agreed, left + right), "mean_iou": _share(iou, agreed),
    }  # fmt: skip


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def interval(part: int, whole: int) -> tuple[float | None, float | None]:
    """The 95 % interval of a share, by Wilson."""
    if not whole:
        return None, None
    from scipy.stats import binomtest  # loaded when it is used: it takes half a second

    found = binomtest(part, whole).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def interval_of_mean(total: float, squares: float, count: int) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean of values from 0 to 1, by their sum and that of their squares."""
    if count < 2:
        return None, None
    mean = total / count
    margin = 1.96 * float(np.sqrt(max(squares / count - mean**2, 0.0) / (count - 1)))
    return max(mean - margin, 0.0), min(mean + margin, 1.0)


def sums_of(matches: pa.Table, left: str, name: str | None = None) -> tuple[float, float, int]:
    """The sums of the intersections over union of labels that agree, of their squares, and their number."""
    same = pc.and_(pc.equal(matches["left"], left), pc.equal(matches["left_class"], matches["right_class"]))
    if name is not None:
        same = pc.and_(same, pc.equal(matches["left_class"], name))
    rows = matches.filter(same)
    iou, squares, count = (pc.sum(rows[n], min_count=0).as_py() for n in ("iou", "iou_squared", "count"))
    return float(iou), float(squares), int(count)
