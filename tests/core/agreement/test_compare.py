"""Counts of agreement, against counts by hand, and for any order of annotators and parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from annobridge.core.agreement.compare import BETWEEN, CLASS, Compared, compare
from annobridge.core.agreement.given import Given
from annobridge.testing.annotators import Noise, Scene

from .answers import NO_SIZES, answer, box

ALICE = answer(
    "alice",
    box(0.1, 0.1, label="car", attributes={"colour": "red"}),
    box(0.6, 0.6, label="bus"),
    box(0.1, 0.6, label="car"),
    samples=("s1", "s2"),
)
BOB = answer(
    "bob",
    box(0.12, 0.1, label="car", attributes={"colour": "blue"}),
    box(0.6, 0.6, label="van"),
    samples=("s1", "s2"),
)


def matches(found: Compared) -> Counter[tuple[str, str, str | None, str | None]]:
    names = ("left", "right", "left_class", "right_class")
    return Counter({tuple(row[n] for n in names): row["count"] for row in found.matches.to_pylist()})  # type: ignore[misc]


def test_objects_are_matched_and_counted_by_both_classes() -> None:
    found = compare([ALICE, BOB], 0.5, (), NO_SIZES)
    assert matches(found) == {
        ("alice", "bob", "car", "car"): 1,
        ("alice", "bob", "bus", "van"): 1,
        ("alice", "bob", "car", None): 1,
    }
    iou = (0.18 * 0.2) / (2 * 0.04 - 0.18 * 0.2)
    same = found.matches.filter(pc.equal(found.matches["left_class"], found.matches["right_class"]))
    np.testing.assert_allclose(same["iou"].to_numpy(), [iou])


def test_attributes_are_those_of_labels_that_agree() -> None:
    (row,) = compare([ALICE, BOB], 0.5, (), NO_SIZES).values.to_pylist()
    assert (row["attribute"], row["left_value"], row["right_value"], row["count"]) == ("colour", '"red"', '"blue"', 1)


def test_images_say_how_far_people_disagree() -> None:
    images = {row["sample_id"]: row for row in compare([ALICE, BOB], 0.5, (), NO_SIZES).images.to_pylist()}
    assert images["s1"] == {"sample_id": "s1", "annotators": 2, "labels": 5, "disagreement": 1 - 2 / 5}
    assert images["s2"]["disagreement"] == 0  # nobody has anything there


def test_images_that_only_one_saw_count_for_nobody() -> None:
    carol = answer("carol", box(0.1, 0.1, sample_id="s3"), samples=("s3",))
    found = compare([ALICE, carol], 0.5, (), NO_SIZES)
    assert not matches(found)
    assert {row["sample_id"]: row["disagreement"] for row in found.images.to_pylist()} == {
        "s1": None,
        "s2": None,
        "s3": None,
    }
    assert sorted(row["answers"] for row in found.units.to_pylist()) == ['"red"', "bus", "car"]  # one answer each


def test_a_pair_that_left_its_images_empty_is_a_row() -> None:
    (row,) = compare([answer("bob"), answer("alice")], 0.5, (), NO_SIZES).matches.to_pylist()
    assert (row["left"], row["right"], row["left_class"], row["right_class"], row["count"]) == (
        "alice",
        "bob",
        None,
        None,
        0,
    )


def test_units_are_what_each_says_about_an_object() -> None:
    carol = answer("carol", box(0.1, 0.1, label="car"), samples=("s1",))
    found = compare([BOB, carol, ALICE], 0.5, (), NO_SIZES)
    units = {
        tuple(row["answers"].split(BETWEEN)): row["count"]
        for row in found.units.to_pylist()
        if row["component"] == CLASS
    }
    assert units == {("car", "car", "car"): 1, ("bus", "van", ""): 1, ("car", "", ""): 1}
    colours = [row["answers"].split(BETWEEN) for row in found.units.to_pylist() if row["component"] == "colour"]
    assert colours == [['"red"', '"blue"', ""]]


def test_a_separator_in_a_class_separates_nothing() -> None:
    odd = answer("bob", box(0.1, 0.1, label=f"50%{BETWEEN}car"), samples=("s1",))
    same = answer("alice", box(0.1, 0.1, label="50%1fcar"), samples=("s1",))
    (unit,) = compare([odd, same], 0.5, (), NO_SIZES).units.to_pylist()
    assert unit["answers"].split(BETWEEN) == ["50%251fcar", "50%25%1fcar"]


def test_against_a_reference_the_others_are_on_the_left() -> None:
    carol = answer("carol", samples=("s1",))
    found = compare([ALICE, BOB, carol], 0.5, (), NO_SIZES, reference="alice")
    assert {(left, right) for left, right, _, _ in matches(found)} == {("bob", "alice"), ("carol", "alice")}


@given(st.integers(0, 10_000), st.integers(2, 4), st.permutations(range(4)))
@settings(deadline=None, max_examples=30)
def test_neither_the_order_nor_the_parts_change_the_counts(seed: int, people: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    scene = Scene.random(4, 4, rng)
    given_ = [scene.seen_by(Noise(0.2, 0.2, 0.1, 0.3), rng).given(f"p{n}", 4) for n in range(people)]
    whole = compare(given_, 0.5, (), NO_SIZES)
    halves = [["image_000000", "image_000002"], ["image_000001", "image_000003"]]
    parts = Compared.of([compare([_of(one, ids) for one in given_], 0.5, (), NO_SIZES) for ids in halves])
    shuffled = compare([given_[n] for n in order if n < people], 0.5, (), NO_SIZES)
    for other in (parts, shuffled):
        for name in ("matches", "values", "units", "images"):
            mine, theirs = (_sorted(getattr(side, name)) for side in (whole, other))
            numbers = [n for n in mine.column_names if pa.types.is_floating(mine.schema.field(n).type)]
            assert mine.drop_columns(numbers).equals(theirs.drop_columns(numbers)), name
            for number in numbers:
                np.testing.assert_allclose(mine[number].to_numpy(), theirs[number].to_numpy(), atol=1e-9)


def _of(one: Given, ids: list[str]) -> Given:
    inside = pc.is_in(one.labels["sample_id"], value_set=pa.array(ids))
    return Given(one.annotator, one.labels.filter(inside), pa.array(ids))


def _sorted(table: pa.Table) -> pa.Table:
    keys = [(f.name, "ascending") for f in table.schema if pa.types.is_string(f.type)]
    return table.sort_by(keys)
