"""Numbers that the tool did not change keep their bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.labels import LABELS
from annobridge.core.merge.precision import keep_unchanged

NAMES = ("bounding_box", "rotation", "points")
numbers = st.floats(0, 1) | st.just(float("nan"))
shapes = st.lists(st.lists(st.tuples(numbers, numbers).map(list), max_size=4), max_size=3) | st.none()
rows = st.fixed_dictionaries(
    {
        "bounding_box": st.lists(st.floats(0, 1), min_size=4, max_size=4) | st.none(),
        "rotation": st.floats(0, 360) | st.none(),
        "points": shapes,
    }
)


def table(found: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(found, schema=pa.schema([LABELS.field(name) for name in NAMES]))


def rounded(value: Any) -> Any:
    """What a tool that keeps three digits gives back."""
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return value if value is None or value != value else round(value, 3)


@given(st.lists(rows, min_size=1, max_size=5))
def test_what_comes_back_as_it_was_sent_has_our_bits(ours):
    sent = [{name: rounded(row[name]) for name in NAMES} for row in ours]
    found = keep_unchanged(table(sent), table(sent), table(ours), np.ones(len(ours), bool))
    assert repr(found.to_pylist()) == repr(table(ours).to_pylist())  # repr: NaN equals itself


@given(st.lists(rows, min_size=1, max_size=5), st.data())
def test_what_was_changed_is_taken_and_the_rest_keeps_its_bits(ours, data):
    sent = [{name: rounded(row[name]) for name in NAMES} for row in ours]
    where = np.array(data.draw(st.lists(st.booleans(), min_size=len(ours), max_size=len(ours))))
    theirs, expected = [], []
    for row, back, wanted in zip(ours, sent, where, strict=True):
        box, kept = back["bounding_box"], row["bounding_box"]
        if box is not None:
            box, kept = [box[0] + 0.25, *box[1:]], [box[0] + 0.25, *kept[1:]]
        theirs.append({**back, "bounding_box": box})
        expected.append({**row, "bounding_box": kept} if wanted else theirs[-1])
    found = keep_unchanged(table(theirs), table(sent), table(ours), where)
    assert repr(found.to_pylist()) == repr(table(expected).to_pylist())


def test_one_point_of_many_changes_no_other():
    ours = [[[n / 7, n / 11] for n in range(1000)], [[0.5, 0.5]]]
    sent = [[[x * 640 / 640 + 1e-16, y] for x, y in part] for part in ours]
    theirs = [[list(point) for point in part] for part in sent]
    theirs[0][17] = [0.25, 0.75]
    sides = (table([{"bounding_box": None, "rotation": None, "points": side}]) for side in (theirs, sent, ours))
    (found,) = keep_unchanged(*sides, np.ones(1, bool))["points"].to_pylist()
    assert [n for n, (a, b) in enumerate(zip(found[0], ours[0], strict=True)) if a != b] == [17]
    assert found[0][17] == [0.25, 0.75]


def test_a_shape_of_other_points_is_taken_as_it_is():
    ours, theirs = [[[0.1, 0.1], [0.2, 0.2]]], [[[0.1, 0.1], [0.15, 0.15], [0.2, 0.2]]]
    sides = (table([{"bounding_box": None, "rotation": None, "points": side}]) for side in (theirs, ours, ours))
    assert keep_unchanged(*sides, np.ones(1, bool))["points"].to_pylist() == [theirs]
