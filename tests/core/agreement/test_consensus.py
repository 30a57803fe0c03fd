"""A consensus: what several annotators say together, and what they do not agree about."""

from __future__ import annotations

from itertools import permutations
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annobridge import Consensus
from annobridge.core import attributes
from annobridge.core.agreement.agreed import Agreed, sentences
from annobridge.core.agreement.consensus import agree
from annobridge.core.agreement.given import Given
from annobridge.core.arrays import as_array, first_rows, row_keys, set_columns
from annobridge.core.compare import equal_rows
from annobridge.core.geometry import decode_rle, encode_rle, mask_box
from annobridge.core.labels import COMPONENTS, REMOTE, conform
from annobridge.exceptions import InvalidOption
from annobridge.testing.annotators import SETTINGS, Noise, Scene, decided, score
from annobridge.testing.strategies import tables

from .answers import NO_SIZES, answer, box, remote

NAMES = ("alice", "bob", "carol", "dave", "eve")


def consensus(*answers: Given, base: pa.Table | None = None, **options: Any) -> Agreed:
    single = ("weather", "count")
    return agree(answers, REMOTE.empty_table() if base is None else base, single, Consensus(**options), NO_SIZES)


def boxes(found: Agreed) -> list[list[float]]:
    return found.labels["bounding_box"].to_pylist()


def disputed(found: Agreed) -> list[tuple[str, str]]:
    return [(row["component"], row["reason"]) for row in found.disputed.to_pylist()]


class TestShapes:
    def test_each_edge_is_the_median(self) -> None:
        found = consensus(
            answer("alice", box(0.1, 0.1)), answer("bob", box(0.12, 0.1)), answer("carol", box(0.1, 0.14, 0.25))
        )
        # left: 0.1 0.1 0.12; top: 0.1 0.1 0.14; right: 0.3 0.32 0.35; bottom: 0.3 0.3 0.34
        assert boxes(found)[0] == pytest.approx([0.1, 0.1, 0.22, 0.2])

    def test_weights_pull_the_mean(self) -> None:
        answers = answer("alice", box(0.1, 0.1)), answer("bob", box(0.14, 0.1))
        found = consensus(*answers, geometry="weighted", classes="weighted", weights={"alice": 3})
        assert boxes(found)[0] == pytest.approx([0.11, 0.1, 0.2, 0.2])

    def test_the_medoid_is_one_of_the_answers(self) -> None:
        given_boxes = [box(0.1, 0.1), box(0.12, 0.11), box(0.15, 0.1)]
        found = consensus(*(answer(n, b) for n, b in zip(NAMES, given_boxes, strict=False)), geometry="medoid")
        assert boxes(found) == [given_boxes[1]["bounding_box"]]

    def test_two_equal_boxes_of_three_come_back_to_the_last_bit(self) -> None:
        odd = [0.1, 0.2, 0.30000000000000004, 0.7 / 3]
        found = consensus(
            answer("alice", {"bounding_box": odd}),
            answer("bob", {"bounding_box": odd}),
            answer("carol", box(0.12, 0.2, 0.3, 0.23)),
        )
        assert boxes(found) == [odd]

    def test_pixels_of_masks_are_voted_on(self) -> None:
        pixels = np.zeros((3, 20, 20), bool)
        pixels[0, 2:12, 2:12] = pixels[1, 3:13, 2:12] = pixels[2, 2:12, 3:13] = True
        rows = [{"kind": "mask", "mask": dict(encode_rle(mask)), "bounding_box": [0, 0, 1, 1]} for mask in pixels]
        found = consensus(*(answer(name, row) for name, row in zip(NAMES, rows, strict=False)))
        merged = decode_rle(found.labels["mask"][0].as_py())
        assert (merged == (pixels.sum(axis=0) >= 2)).all()
        assert boxes(found)[0] == mask_box(encode_rle(merged))

    def test_points_are_merged_one_by_one_and_missing_ones_by_majority(self) -> None:
        nan = float("nan")
        points = [[[0.1, 0.1], [0.5, 0.5]], [[0.12, 0.1], [nan, nan]], [[0.14, 0.13], [nan, nan]]]
        rows = [
            {"kind": "keypoints", "points": [p], "closed": False, "filled": False, "visibility": [2, 2]} for p in points
        ]
        found = consensus(*(answer(name, row) for name, row in zip(NAMES, rows, strict=False)), iou=0.1)
        (merged,) = found.labels["points"][0].as_py()
        assert merged[0] == pytest.approx([0.12, 0.1])
        assert np.isnan(merged[1]).all()

    def test_a_polygon_is_that_of_the_medoid(self) -> None:
        rings = [[[0.1, 0.1], [0.4 + d, 0.1], [0.4, 0.4]] for d in (0, 0.02, 0.04)]
        rows = [{"kind": "polygon", "points": [ring], "closed": True, "filled": True} for ring in rings]
        found = consensus(*(answer(name, row) for name, row in zip(NAMES, rows, strict=False)))
        assert found.labels["points"].to_pylist() == [[rings[1]]]

    def test_turned_boxes_of_one_place_and_other_angles_are_not_alike(self) -> None:
        sizes = pa.table(
            {"sample_id": ["s1"], "width": pa.array([100], pa.int32()), "height": pa.array([100], pa.int32())}
        )
        flat = {"bounding_box": [0.2, 0.45, 0.6, 0.1]}
        answers = [answer("alice", flat | {"rotation": 0.0}), answer("bob", flat | {"rotation": 90.0})]
        assert agree(answers, REMOTE.empty_table(), (), Consensus(quorum=0.6), sizes).disputed.num_rows == 2
        answers[1] = answer("bob", flat | {"rotation": 2.0})
        assert agree(answers, REMOTE.empty_table(), (), Consensus(quorum=0.6), sizes).disputed.num_rows == 0


class TestVotes:
    def test_most_decide_about_the_class_and_each_attribute(self) -> None:
        found = consensus(
            answer("alice", box(0.1, 0.1, label="car", attributes={"colour": "red", "parked": True})),
            answer("bob", box(0.1, 0.1, label="car", attributes={"colour": "blue", "parked": True})),
            answer("carol", box(0.1, 0.1, label="bus", attributes={"colour": "blue"})),
            answer("dave", box(0.1, 0.1, label="car", attributes={"colour": "blue"})),
        )
        row = found.labels.to_pylist()[0]
        assert row["label"] == "car"
        assert {a["name"]: a["value"] for a in row["attributes"]} == {"colour": '"blue"', "parked": "true"}
        assert row["confidence"] == 0.75
        assert row["annotator"] == "alice, bob, carol, dave"

    def test_ties_about_attributes_are_counted(self) -> None:
        answers = [
            answer("alice", box(0.1, 0.1, label="car", attributes={"colour": "red", "doors": 4, "parked": True})),
            answer("bob", box(0.1, 0.1, label="car", attributes={"colour": "blue", "parked": True})),
        ]
        found = consensus(*answers)
        values = {a["name"]: a["value"] for a in found.labels["attributes"].to_pylist()[0]}
        assert (values, found.counts["attributes"]) == ({"colour": '"blue"', "doors": "4", "parked": "true"}, 2)
        assert sentences(found.counts) == [
            "2 attributes have another value, or none, in as many answers; the first value by the alphabet was taken."
        ]
        found = consensus(*answers, base=remote(box(0.1, 0.1, label="car", attributes={"colour": "red"})))
        values = {a["name"]: a["value"] for a in found.labels["attributes"].to_pylist()[0]}
        assert (values, found.counts["attributes"]) == ({"colour": '"red"', "parked": "true"}, 0)

    def test_frames_of_a_track_that_lack_the_class_that_wins_keep_their_attributes(self) -> None:
        def track(frames: int, label: str) -> list[dict[str, Any]]:
            one = box(0.1, 0.1, label=label, attributes={"colour": "red"}, index=0)
            return [one | {"frame_number": n, "remote_id": f"t{n}"} for n in range(1, frames + 1)]

        other = box(0.6, 0.6, remote_id="other", attributes={"colour": "yellow"})
        found = consensus(
            answer("alice", *track(2, "car"), other), answer("bob", *track(2, "car"), other),
            answer("carol", *track(3, "bus"), other), base=remote(*track(3, "car"), other), quorum=0.3,
        )  # fmt: skip
        rows = {row["remote_id"]: row for row in found.labels.to_pylist()}
        assert [(rows[f"t{n}"]["label"], rows[f"t{n}"]["attributes"][0]["value"]) for n in (1, 2, 3)] == [
            ("car", '"red"')
        ] * 3

    def test_all_decide_about_attributes_while_the_class_is_open(self) -> None:
        given_by = {"alice": ("bus", "blue"), "bob": ("van", "green"), "carol": ("zep", "green")}
        answers = [
            answer(name, box(0.1, 0.1, label=label, attributes={"colour": colour}))
            for name, (label, colour) in given_by.items()
        ]
        assert consensus(*answers).labels["attributes"].to_pylist()[0][0]["value"] == '"green"'

    def test_weights_decide(self) -> None:
        answers = [answer(n, box(0.1, 0.1, label=c)) for n, c in zip(NAMES, ("car", "bus", "bus"), strict=False)]
        assert consensus(*answers).labels["label"].to_pylist() == ["bus"]
        found = consensus(*answers, classes="weighted", weights={"alice": 5})
        assert found.labels["label"].to_pylist() == ["car"]

    def test_a_tie_is_left_for_a_decision_unless_one_side_is_what_was_sent(self) -> None:
        answers = answer("alice", box(0.1, 0.1, label="car")), answer("bob", box(0.1, 0.1, label="bus"))
        assert disputed(consensus(*answers)) == [
            ("existence", "annotators differ about the class: car (alice), bus (bob)")
        ]
        base = remote(box(0.1, 0.1, label="car"))
        found = consensus(*answers, base=base)
        assert (found.labels["label"].to_pylist(), disputed(found)) == (["car"], [])
        base = remote(box(0.1, 0.1, label="van"))
        assert [component for component, _ in disputed(consensus(*answers, base=base))] == ["label"]

    def test_a_class_of_the_image_is_one_vote_and_several_are_one_each(self) -> None:
        one = {"kind": "classification", "field": "weather"}
        found = consensus(*(answer(n, one | {"label": c}) for n, c in zip(NAMES, ("sun", "rain", "sun"), strict=False)))
        assert found.labels["label"].to_pylist() == ["sun"]
        several = {"kind": "classification", "field": "tags"}
        rows = [[several | {"label": c} for c in classes] for classes in (("a", "b"), ("b",), ("b", "c"))]
        found = consensus(*(answer(n, *r) for n, r in zip(NAMES, rows, strict=False)))
        assert sorted(found.labels["label"].to_pylist()) == ["a", "b", "c"]
        assert [reason for _, reason in disputed(found)] == ["1 of 3 annotators have it"] * 2

    def test_a_scalar_is_the_value_that_most_gave(self) -> None:
        row = {"kind": "scalar", "field": "count", "label": None}
        found = consensus(*(answer(n, row | {"value": v}) for n, v in zip(NAMES, ("7", "8", "7"), strict=False)))
        assert found.labels.select(["label", "value"]).to_pylist() == [{"label": None, "value": "7"}]


class TestQuorum:
    def test_what_too_few_have_is_disputed_and_nothing_is_dropped(self) -> None:
        found = consensus(answer("alice", box(0.1, 0.1)), answer("bob"), answer("carol"))
        assert boxes(found) == [[0.1, 0.1, 0.2, 0.2]]
        assert disputed(found) == [("existence", "1 of 3 annotators have it")]

    def test_a_label_that_too_few_kept_is_left_out_and_its_deletion_disputed(self) -> None:
        base = remote(box(0.1, 0.1))
        found = consensus(answer("alice", box(0.1, 0.1)), answer("bob"), answer("carol"), base=base)
        assert (found.labels.num_rows, disputed(found)) == (0, [("existence", "1 of 3 annotators have it")])
        found = consensus(answer("alice"), answer("bob"), base=base)
        assert (found.labels.num_rows, found.disputed.num_rows) == (0, 0)  # nobody has it: it is deleted

    def test_of_a_field_that_is_copied_it_is_there_to_be_accepted(self) -> None:
        base = remote(box(0.1, 0.1))
        answers = answer("alice", box(0.1, 0.1)), answer("bob"), answer("carol")
        found = agree(answers, base, (), Consensus(), NO_SIZES, copied=["objects"])
        assert (found.labels.num_rows, found.disputed.num_rows) == (1, 1)

    def test_what_a_load_has_brought_stays_until_nobody_has_it(self) -> None:
        answers = answer("alice", box(0.1, 0.1)), answer("bob"), answer("carol")
        accepted = consensus(*answers).labels
        again = consensus(*answers, base=accepted)
        assert (again.labels["remote_id"].to_pylist(), again.disputed.num_rows) == (
            accepted["remote_id"].to_pylist(),
            0,
        )

    @pytest.mark.parametrize(("quorum", "taken"), [(0.3, 1), (0.5, 1), (0.66, 1), (0.67, 0), (1, 0)])
    def test_it_is_a_share_of_those_who_saw_the_image(self, quorum: float, taken: int) -> None:
        answers = (
            answer("alice", box(0.1, 0.1)),
            answer("bob", box(0.1, 0.1)),
            answer("carol"),
            answer("dave", samples=("s2",)),
        )
        assert consensus(*answers, quorum=quorum).disputed.num_rows == 1 - taken

    def test_one_annotator_alone_is_told(self) -> None:
        found = consensus(answer("alice", box(0.1, 0.1)), answer("bob", samples=("s2",)))
        assert found.counts["alone"] == 2
        assert (found.labels.num_rows, found.disputed.num_rows) == (1, 0)
        assert sorted(found.samples.to_pylist()) == ["s1", "s2"]


class TestTracks:
    def rows(self, *frames: int, index: int = 1, x: float = 0.1) -> list[dict[str, Any]]:
        return [
            box(x, 0.1, field="frames.objects", frame_number=f, index=index, remote_id=f"{index}-{f}") for f in frames
        ]

    def test_tracks_are_one_by_their_frames_and_keep_the_frames_of_the_quorum(self) -> None:
        found = consensus(
            answer("alice", *self.rows(1, 2, 3, 4)),
            answer("bob", *self.rows(1, 2, 3, index=7)),
            answer("carol", *self.rows(2, 3, 4, 5, index=3)),
        )
        assert found.labels["frame_number"].to_pylist() == [1, 2, 3, 4]
        assert len(set(found.labels["index"].to_pylist())) == 1
        assert (found.counts["frames"], found.disputed.num_rows) == (1, 0)

    def test_new_tracks_of_one_number_get_different_ones(self) -> None:
        pairs = [self.rows(1, 2) + self.rows(1, 2, index=2, x=0.7), self.rows(1, 2, index=2) + self.rows(1, 2, x=0.7)]
        found = consensus(*(answer(n, *rows) for n, rows in zip(NAMES, pairs, strict=False)))
        numbers = {(row["bounding_box"][0], row["index"]) for row in found.labels.to_pylist()}
        assert len(numbers) == 2
        assert len({index for _, index in numbers}) == 2

    def test_tracks_that_share_few_frames_are_two(self) -> None:
        found = consensus(answer("alice", *self.rows(1, 2, 3)), answer("bob", *self.rows(3, 4, 5)), quorum=0.6)
        assert found.disputed.num_rows == 6


@given(
    tables(),
    st.integers(1, 4),
    st.sampled_from(["median", "medoid", "weighted"]),
    st.sampled_from(["vote", "weighted"]),
    st.booleans(),
)
@settings(deadline=None)
def test_identical_answers_come_back_bit_by_bit(
    table: pa.Table, people: int, geometry: str, classes: str, was_sent: bool
) -> None:
    rows = set_columns(conform(table, REMOTE, remote_id=""), remote_id=table["label_id"])
    if not was_sent:
        rows = _that_differ(rows)
    answers = [Given(name, rows, pa.array(["sample1", "sample2"])) for name in NAMES[:people]]
    weights = {"alice": 2.5, "bob": 0.3} if "weighted" in (geometry, classes) else {}
    options = Consensus(geometry=geometry, classes=classes, weights=weights)
    base = rows if was_sent else REMOTE.empty_table()
    found = agree(answers, base, ("a_classification", "a_scalar"), options, NO_SIZES)
    assert found.disputed.num_rows == 0
    names = [n for c in COMPONENTS.values() for n in c if n != "index"] + ["sample_id", "field", "kind", "tags"]
    key = ["sample_id", "field", "label_id"] if was_sent else ["sample_id", "field", "label", "value"]
    orders = [t.sort_by([(name, "ascending") for name in key]) for t in (found.labels, rows)]
    for name in names:
        assert equal_rows(as_array(orders[0][name]), as_array(orders[1][name])).all(), name
    for name in attributes.names(rows["attributes"]):
        assert attributes.values(orders[0]["attributes"], name).equals(attributes.values(orders[1]["attributes"], name))
    if was_sent:
        assert orders[0]["label_id"].equals(orders[1]["label_id"])


def _that_differ(rows: pa.Table) -> pa.Table:
    """One label of each field and sample, so that nobody takes one for another: they have no ids in common."""
    return rows.take(first_rows(row_keys(rows, ["sample_id", "field"])))


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(deadline=None, max_examples=30)
def test_the_order_of_the_annotators_changes_nothing(seed: int, people: int) -> None:

    rng = np.random.default_rng(seed)
    scene = Scene.random(3, 4, rng)
    answers = [scene.seen_by(Noise(0.2, 0.2, 0.1, 0.3), rng).given(name, 3) for name in NAMES[:people]]
    expected = consensus(*answers)
    for order in list(permutations(answers))[:: max(1, people)]:
        found = consensus(*order)
        assert found.labels.equals(expected.labels)
        assert found.disputed.equals(expected.disputed)


@pytest.mark.parametrize("people", [3, 5])
@pytest.mark.parametrize("name", SETTINGS)
def test_it_beats_the_best_annotator(name: str, people: int) -> None:

    rng = np.random.default_rng(7)
    images = 100
    scene = Scene.random(images, 8, rng)
    truth = scene.given("truth", images)
    answers = [scene.seen_by(SETTINGS[name], rng).given(who, images) for who in NAMES[:people]]
    found = consensus(*answers)
    scores = {one.annotator: score(one, truth) for one in (*answers, decided(found))}
    best = [max(scores[who][n] for who in NAMES[:people]) for n in (0, 1)]
    assert scores["consensus"].f1 > best[0]
    assert scores["consensus"].mean_iou > best[1]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("quorum", 0, "quorum=0 is not a share of the annotators; give a number above 0 and up to 1."),
        ("quorum", 1.5, "quorum=1.5 is not a share of the annotators; give a number above 0 and up to 1."),
        ("quorum", True, "quorum=True is not a share of the annotators; give a number above 0 and up to 1."),
        ("iou", 0, "iou=0 is not an intersection over union; give a number above 0 and up to 1."),
        ("geometry", "mean", "geometry='mean' is not known; give one of 'median', 'medoid', 'weighted'."),
        ("classes", "all", "classes='all' is not known; give one of 'vote', 'weighted'."),
        ("weights", [1], "weights=[1] is no dictionary of annotator to weight; give one."),
    ],
)
def test_wrong_options_are_refused(option: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidOption) as error:
        Consensus(**{option: value})
    assert str(error.value) == message


@pytest.mark.parametrize("weight", [0, -1, "much", True, float("inf"), float("nan")])
def test_wrong_weights_are_refused(weight: Any) -> None:
    with pytest.raises(InvalidOption) as error:
        Consensus(classes="weighted", weights={"bob": weight})
    assert str(error.value) == f"The weight {weight!r} of 'bob' is not a number above 0; correct it."


def test_weights_that_count_for_nothing_are_refused() -> None:
    with pytest.raises(InvalidOption) as error:
        Consensus(weights={"bob": 2})
    assert str(error.value).startswith("The weights count for nothing, as neither the classes nor the geometry are")


def test_weights_of_the_shape_alone() -> None:
    answers = answer("alice", box(0.1, 0.1, label="car")), answer("bob", box(0.14, 0.1, label="car"))
    found = consensus(*answers, geometry="weighted", weights={"alice": 3})
    assert boxes(found)[0] == pytest.approx([0.11, 0.1, 0.2, 0.2])
    assert found.labels["confidence"].to_pylist() == [1.0]


def test_what_all_have_drawn_twice_is_left() -> None:
    found = consensus(
        answer("alice", box(0.1, 0.1), box(0.105, 0.1)),
        answer("bob", box(0.1, 0.1), box(0.1, 0.105)),
        answer("carol", box(0.1, 0.1)),
    )
    assert disputed(found) == [("existence", "its 2 annotators, of 3, have another one in its place")]
    assert set(found.disputed["remote_id"].to_pylist()) < set(found.labels["remote_id"].to_pylist())
    assert found.labels.num_rows == 2
    two = consensus(*(answer(name, box(0.1, 0.1), box(0.105, 0.1)) for name in NAMES[:3]))  # all see two
    assert (two.labels.num_rows, two.disputed.num_rows) == (2, 0)


class TestPlaces:
    """A label that was sent, and that annotators moved to different places."""

    BASE = (0.1, 0.1)
    FAR = ((0.7, 0.7), (0.1, 0.7))

    def at(self, *places: tuple[float, float]) -> Agreed:
        given_boxes = zip(NAMES, places, strict=False)
        return consensus(*(answer(name, box(*place)) for name, place in given_boxes), base=remote(box(*self.BASE)))

    def test_no_place_is_made_up_that_nobody_has_drawn(self) -> None:
        found = self.at(self.FAR[0], self.BASE, self.FAR[1])
        assert boxes(found) == [[*self.FAR[0], 0.2, 0.2]]
        assert disputed(found) == [("spatial", "annotators have it in different places")]
        assert found.counts["places"] == 1

    def test_that_of_most_is_taken(self) -> None:
        found = self.at(self.FAR[0], (0.71, 0.7), self.BASE)
        assert boxes(found) == [pytest.approx([0.705, 0.7, 0.2, 0.2])]
        assert (disputed(found), found.counts["places"]) == ([], 1)

    def test_of_two_neither_is(self) -> None:
        assert disputed(self.at(self.FAR[0], self.BASE)) == [("spatial", "annotators have it in different places")]

    def test_the_copy_of_such_a_label_is_left_for_a_decision(self) -> None:
        answers = [answer(name, box(*place)) for name, place in zip(NAMES, (*self.FAR, self.BASE), strict=False)]
        found = agree(answers, remote(box(*self.BASE)), (), Consensus(), NO_SIZES, ["objects"])
        assert {component for component, _ in disputed(found)} == {"existence", "spatial"}

    def test_another_kind_of_shape_is_another_label(self) -> None:
        ring = {"kind": "polygon", "points": [[[0.1, 0.1], [0.3, 0.1], [0.3, 0.3]]], "closed": True, "filled": True}
        answers = answer("alice", box(0.1, 0.1)), answer("bob", ring), answer("carol", box(0.1, 0.1))
        found = consensus(*answers, base=remote(box(0.1, 0.1)))
        assert found.labels["kind"].to_pylist() == ["box", "polygon"]
        assert disputed(found) == [("existence", "1 of 3 annotators have it")]


def test_the_copy_of_a_label_whose_class_has_a_tie_is_left_for_a_decision() -> None:
    answers = answer("alice", box(0.1, 0.1, label="van")), answer("bob", box(0.1, 0.1, label="bus"))
    found = agree(answers, remote(box(0.1, 0.1)), (), Consensus(), NO_SIZES, ["objects"])
    assert {component for component, _ in disputed(found)} == {"existence", "label"}


def test_a_label_of_one_person_does_not_take_the_place_of_one_that_was_accepted() -> None:
    place = (0.2, 0.4, 0.35, 0.2)
    answers = (
        answer("alice", box(0.21, 0.4, 0.36, 0.2), box(0.205, 0.4, 0.345, 0.2)),
        answer("bob", box(*place, label="bus")),
        answer("carol", box(*place)),
    )
    first = consensus(*answers)
    kept = np.isin(first.labels["remote_id"].to_pylist(), first.disputed["remote_id"].to_pylist(), invert=True)
    base = first.labels.filter(pa.array(kept))
    # In the baseline its ids are of the dataset, as after a load.
    base = set_columns(base, label_id=base["remote_id"])
    again = consensus(*answers, base=base)
    assert again.disputed["remote_id"].to_pylist() == first.disputed["remote_id"].to_pylist()
    assert again.labels["remote_id"].to_pylist() == first.labels["remote_id"].to_pylist()


def test_the_id_of_a_new_label_does_not_depend_on_whose_shape_is_the_middle() -> None:
    def ids(x: float) -> list[str]:
        found = consensus(answer("alice", box(0.1, 0.1)), answer("bob", box(0.12, 0.1)), answer("carol", box(x, 0.1)))
        return list(found.labels["remote_id"].to_pylist())

    assert ids(0.14) == ids(0.05) == ["consensus/alice/0"]


def test_below_the_quorum_a_label_stays_as_a_load_has_brought_it() -> None:
    base = remote(box(0.1, 0.1, label="bus", remote_id="consensus/alice/0", label_id="x"))
    nothing = [answer(name) for name in ("alice", "bob")]
    found = consensus(*nothing, answer("carol", box(0.12, 0.1, label="van", label_id="x", remote_id="7")), base=base)
    assert found.labels["label"].to_pylist() == ["bus"]
    assert boxes(found) == [[0.1, 0.1, 0.2, 0.2]]
    assert found.labels["confidence"].to_pylist() == [pytest.approx(1 / 3)]


class TestNumbers:
    def test_only_tracks_are_numbered_anew(self) -> None:
        turns = [
            {"kind": "message", "field": "talk", "label": role, "value": text, "index": n}
            for n, (role, text) in enumerate((("user", "a"), ("assistant", "b"), ("user", "c")))
        ]
        found = consensus(*(answer(name, *turns) for name in NAMES[:3]))
        assert sorted(found.labels["index"].to_pylist()) == [0, 1, 2]
        of_boxes = [box(0.1, 0.1, index=7), box(0.6, 0.6, index=7)]
        found = consensus(*(answer(name, *of_boxes) for name in NAMES[:2]))
        assert found.labels["index"].to_pylist() == [7, 7]

    def test_tracks_keep_their_numbers_in_each_field(self) -> None:
        rows = [
            box(0.1 + 0.4 * track, 0.1, frame_number=frame, index=track, field=field)
            for field in ("frames.a", "frames.b")
            for track in (0, 1)
            for frame in (1, 2)
        ]
        found = consensus(*(answer(name, *rows) for name in NAMES[:3]))
        assert sorted(found.labels["index"].to_pylist()) == [0] * 4 + [1] * 4

    def test_a_track_of_two_that_were_joined_has_one_number(self) -> None:
        sent = [box(0.1, 0.1, frame_number=frame, index=int(frame > 4)) for frame in range(1, 9)]
        joined = [{**row, "index": 0} for row in sent]
        found = consensus(answer("alice", *joined), answer("bob", *joined), answer("carol", *sent), base=remote(*sent))
        taken = [row for row in found.labels.to_pylist() if not row["remote_id"].startswith("consensus")]
        assert [row["index"] for row in taken] == [0] * 8


def test_weights_of_the_votes_do_not_weigh_pixels() -> None:
    pixels = np.zeros((3, 20, 20), bool)
    pixels[0, 2:12, 2:12] = pixels[1, 3:13, 2:12] = pixels[2, 3:13, 2:12] = True
    rows = [{"kind": "mask", "mask": dict(encode_rle(mask)), "bounding_box": [0, 0, 1, 1]} for mask in pixels]
    found = consensus(
        *(answer(name, row) for name, row in zip(NAMES, rows, strict=False)), classes="weighted", weights={"alice": 9}
    )
    assert (decode_rle(found.labels["mask"][0].as_py()) == pixels[1]).all()


def test_the_box_of_an_equal_mask_stays() -> None:
    pixels = np.zeros((20, 20), bool)
    pixels[2:12, 2:12] = True
    row = {"kind": "mask", "mask": dict(encode_rle(pixels)), "bounding_box": [0.05, 0.05, 0.9, 0.9]}
    found = consensus(*(answer(name, row) for name in NAMES[:3]))
    assert boxes(found) == [row["bounding_box"]]


def test_visibility_goes_with_the_points() -> None:
    nan = float("nan")
    shapes = [
        ([[0.1, 0.1], [0.5, 0.5]], [2, 2]),
        ([[0.1, 0.1], [nan, nan]], [1, 0]),
        ([[0.1, 0.1], [0.5, 0.5]], [1, 2]),
    ]
    rows = [
        {"kind": "keypoints", "points": [points], "closed": False, "filled": False, "visibility": visibility}
        for points, visibility in shapes
    ]
    for given_rows, expected in ((rows, [1, 2]), ([rows[1], rows[1], rows[0]], [1, 0])):
        answers = (answer(name, row) for name, row in zip(NAMES, given_rows, strict=False))
        found = consensus(*answers, iou=0.1)
        assert found.labels["visibility"].to_pylist() == [expected]


def test_weights_are_by_name_and_of_any_mapping() -> None:
    with pytest.raises(InvalidOption) as error:
        Consensus(classes="weighted", weights={1: 2.0})  # type: ignore[dict-item]
    assert str(error.value) == "The annotator 1 of weights= is no name; give a text."
    assert Consensus(classes="weighted", weights=MappingProxyType({"alice": 2.0})).weights == {"alice": 2.0}
