"""Which label of the baseline is each label of a file: laws, and a model that tries all assignments."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from annobridge.core import similarity
from annobridge.core.labels import REMOTE
from annobridge.core.merge.assignment import BY_ID, BY_PLACE, NEW, OTHER_CLASS, SAME_CLASS, assign
from annobridge.core.merge.track_numbers import numbers_as_sent
from annobridge.core.rows import attributes

LOOSE = pa.schema([f.with_nullable(True) for f in REMOTE])
samples = st.sampled_from(["a", "b"])
frames = st.sampled_from([None, 1, 2])
classes = st.sampled_from(["car", "bus"])
kinds = st.sampled_from(["box", "box", "polygon", "classification"])
places = st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.6])


@st.composite
def labels(draw: st.DrawFn, kind: st.SearchStrategy[str] = kinds, **fixed: Any) -> dict[str, Any]:
    row = {"sample_id": draw(samples), "frame_number": draw(frames), "kind": draw(kind), "label": draw(classes),
           "index": draw(st.sampled_from([None, None, 1]))}  # fmt: skip
    x, y = draw(places), draw(places)
    if row["kind"] == "box":
        row["bounding_box"] = [x, y, 0.2, 0.2]
    if row["kind"] == "polygon":
        row["points"] = [[[x, y], [x + 0.2, y], [x + 0.1, y + 0.2]]]
    return {**row, **fixed}


def table(rows: list[dict[str, Any]], ids: bool = False) -> pa.Table:
    given = [{"label_id": f"l{n}" if ids else None, "remote_id": f"m{n}", **row} for n, row in enumerate(rows)]
    return pa.Table.from_pylist(given, LOOSE)


def box(x: float, label: str = "car", **more: Any) -> dict[str, Any]:
    return {"sample_id": "a", "kind": "box", "label": label, "bounding_box": [x, 0.1, 0.2, 0.2], **more}


@given(st.lists(labels(), max_size=8), st.randoms())
def test_labels_that_are_only_in_another_order_are_all_found(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    found = assign(table(rows, ids=True), table([rows[n] for n in order]))
    assert sorted(found.rows.tolist()) == list(range(len(rows)))
    assert [rows[n] for n in found.rows] == [rows[n] for n in order]  # equal ones may change places
    assert set(found.how) <= {BY_PLACE}


@given(st.lists(labels(), max_size=8), st.lists(labels(), max_size=8))
def test_each_label_is_found_once_and_on_its_own_image(rows, theirs):
    found = assign(table(rows, ids=True), table(theirs))
    taken = found.rows[found.rows >= 0].tolist()
    assert len(taken) == len(set(taken))
    for row, their in zip(found.rows.tolist(), theirs, strict=True):
        if row >= 0:
            assert [rows[row][c] for c in ("sample_id", "frame_number", "kind")] == [
                their[c] for c in ("sample_id", "frame_number", "kind")
            ]
    assert ((found.rows >= 0) == (found.how != NEW)).all()
    again = assign(table(rows, ids=True), table(theirs))
    assert (again.rows == found.rows).all()  # the same each time
    assert (again.is_ambiguous == found.is_ambiguous).all()


def gains(rows: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> np.ndarray:
    """What each pair adds to the sum; 0 for pairs that cannot be one label."""
    sides = [similarity.extents(table(side)) for side in (rows, theirs)]
    gain = np.zeros((len(rows), len(theirs)))
    for i, a in enumerate(rows):
        for j, b in enumerate(theirs):
            overlap = similarity.overlaps(sides[0][i : i + 1], sides[1][j : j + 1])[0]
            same = a["label"] == b["label"]
            if overlap >= (SAME_CLASS if same else OTHER_CLASS):
                gain[i, j] = 1 + overlap - 0.25 * (not same) + 0.002
    return gain


one_image = labels(st.just("box"), sample_id="a", frame_number=None, index=None)


@settings(max_examples=60)
@given(st.lists(one_image, max_size=5), st.lists(one_image, max_size=5))
def test_no_other_assignment_has_a_larger_sum(rows, theirs):
    found = assign(table(rows, ids=True), table(theirs))
    gain = gains(rows, theirs)
    total = sum(gain[row, n] for n, row in enumerate(found.rows.tolist()) if row >= 0)
    assert all(gain[row, n] > 0 for n, row in enumerate(found.rows.tolist()) if row >= 0)
    few, many = sorted(gain.shape)
    wide = gain if gain.shape[0] == few else gain.T
    best = max((sum(wide[n, at] for n, at in enumerate(order)) for order in permutations(range(many), few)), default=0)
    assert total >= best - 1e-9


@given(st.lists(labels(), min_size=1, max_size=6, unique_by=repr), st.randoms())
def test_ids_win(rows, random):
    """Whatever the shapes say, a label with a known id on its sample is that label."""
    theirs = [
        {**row, "label_id": f"l{n}", "label": "bus", "bounding_box": [0.9, 0.9, 0.05, 0.05]}
        for n, row in enumerate(rows)
    ]
    random.shuffle(theirs)
    found = assign(table(rows, ids=True), table(theirs))
    assert [f"l{row}" for row in found.rows] == [row["label_id"] for row in theirs]
    assert set(found.how) == {BY_ID}
    assert not found.is_ambiguous.any()


def test_an_id_is_that_of_a_label_on_its_own_sample_and_once():
    base = table([box(0.1), box(0.6)], ids=True)
    theirs = table([box(0.1, label_id="l0"), box(0.3, label_id="l0"), box(0.6, label_id="x"),
                    box(0.1, label_id="l1", sample_id="b")])  # fmt: skip
    found = assign(base, theirs)
    assert found.rows.tolist() == [0, -1, 1, -1]
    assert found.how.tolist() == [BY_ID, NEW, BY_PLACE, NEW]


def test_how_far_a_label_may_have_moved():
    base = table([box(0.1)], ids=True)
    moved = {"half": 0.1 + 0.2 / 3 - 1e-9, "more": 0.1 + 0.2 / 3 + 1e-3}
    assert assign(base, table([box(moved["half"])])).rows.tolist() == [0]
    assert assign(base, table([box(moved["more"])])).rows.tolist() == [-1]
    assert assign(base, table([box(0.12, "bus")])).rows.tolist() == [0]
    assert assign(base, table([box(0.15, "bus")])).rows.tolist() == [-1]


def on_frames(*tracks: tuple[int, list[float]]) -> list[dict[str, Any]]:
    """Boxes of tracks on the frames 1, 2, …"""
    return [box(x, frame_number=n + 1, index=index) for index, places in tracks for n, x in enumerate(places)]


def test_a_label_that_moved_far_is_known_by_its_track_whose_number_may_be_another_one():
    base = table(on_frames((1, [0.0, 0.0, 0.0]), (2, [0.6, 0.6, 0.6])), ids=True)
    same = assign(base, table(on_frames((1, [0.0, 0.0, 0.3]), (2, [0.6, 0.6, 0.6]))))
    assert same.rows.tolist() == [0, 1, 2, 3, 4, 5]
    anew = table(on_frames((2, [0.0, 0.0, 0.3]), (1, [0.6, 0.6, 0.6])))
    found = assign(base, anew)
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert numbers_as_sent(base, anew, found.rows).to_pylist() == [1, 1, 1, 2, 2, 2]
    assert assign(table([box(0.0, index=3)], ids=True), table([box(0.8, index=3)])).rows.tolist() == [
        -1
    ]  # by nothing else


def test_new_tracks_get_numbers_that_are_free():
    base = table(on_frames((1, [0.0, 0.0]), (2, [0.6, 0.6]), (5, [0.3])), ids=True)
    theirs = table(on_frames((7, [0.0, 0.0]), (1, [0.6, 0.6]), (2, [0.8])))
    found = assign(base, theirs)
    assert found.rows.tolist() == [0, 1, 2, 3, -1]
    assert numbers_as_sent(base, theirs, found.rows).to_pylist() == [1, 1, 2, 2, 6]


def test_numbers_that_most_labels_kept_are_those_of_the_dataset():
    base = table(on_frames((1, [0.0, 0.0, 0.0])), ids=True)
    theirs = table([*on_frames((1, [0.0, 0.0])), box(0.0, frame_number=3, index=9)])
    found = assign(base, theirs)
    assert numbers_as_sent(base, theirs, found.rows).to_pylist() == [1, 1, 9]  # an edit
    places = ((1, "a"), (2, "a"), (1, "b"))
    images = table([box(0.1, index=n, sample_id=s) for n, s in places], ids=True)
    told = table([box(0.1, index=3 - n, sample_id=s) for n, s in places])  # tracks go across images
    assert numbers_as_sent(images, told, np.array([0, 1, 2])).to_pylist() == [1, 2, 1]
    assert numbers_as_sent(images, told, np.array([0, 1, -1])).to_pylist() == [2, 1, 2]  # two labels tell nothing


def test_labels_that_fit_several_are_told():
    base = table([box(0.1), box(0.12)], ids=True)
    found = assign(base, table([box(0.11), box(0.6)]))
    assert found.is_ambiguous.tolist() == [True, False]
    found = assign(base, table([box(0.1), box(0.12)]))
    assert found.rows.tolist() == [0, 1]


def test_equal_shapes_are_told_apart_by_their_attributes():
    values = [attributes({"color": color}) for color in ("red", "blue", "green")]
    base = table([box(0.1, attributes=v) for v in values], ids=True)
    found = assign(base, table([box(0.1, attributes=v) for v in reversed(values)]))
    assert found.rows.tolist() == [2, 1, 0]
    assert found.is_ambiguous.all()


def test_shapes_in_one_place_are_told_apart_by_their_form():
    """Two polygons with the same extents."""
    upper = [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]]
    lower = [[[0.1, 0.1], [0.5, 0.5], [0.1, 0.5]]]
    one = {"sample_id": "a", "kind": "polygon", "label": "car"}
    base = table([{**one, "points": upper}, {**one, "points": lower}], ids=True)
    found = assign(base, table([{**one, "points": lower}, {**one, "points": upper}]))
    assert found.rows.tolist() == [1, 0]
    assert not found.is_ambiguous.any()


def test_classes_of_images_are_found_by_their_class():
    one = {"sample_id": "a", "kind": "classification"}
    base = table([{**one, "label": "sun"}, {**one, "label": "rain"}], ids=True)
    found = assign(base, table([{**one, "label": "rain"}, {**one, "label": "fog"}, {**one, "label": "sun"}]))
    assert found.rows.tolist() == [1, -1, 0]


def test_labels_without_shapes_and_empty_sides():
    nothing = table([])
    assert assign(nothing, nothing).rows.tolist() == []
    assert assign(table([box(0.1)], ids=True), nothing).rows.tolist() == []
    assert assign(nothing, table([box(0.1)])).rows.tolist() == [-1]
    shapeless = {"sample_id": "a", "kind": "polygon", "label": "car", "index": 1}
    assert assign(table([shapeless] * 2, ids=True), table([shapeless] * 2)).rows.tolist() == [-1, -1]


def test_many_labels_in_one_place_are_compared_some_at_a_time(monkeypatch):
    rows = [box(0.1 + n / 1000, "car" if n % 2 else "bus") for n in range(40)]
    base, theirs = table(rows, ids=True), table(rows[::-1])
    whole = assign(base, theirs)
    monkeypatch.setattr("annobridge.core.best_pairs._PAIRS", 7)
    assert (assign(base, theirs).rows == whole.rows).all()
    assert whole.rows.tolist() == list(range(40))[::-1]
