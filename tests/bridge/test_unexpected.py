"""Labels outside the schema: a strange type, a strange class, an unknown attribute, a strange value; in every mode."""

from __future__ import annotations

import io
import sys
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab

OUT = ["ignore", "return"]
SQUARE = [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]]


def strange(hands: Any, case: str) -> str:
    """Do something unexpected; the id of the label it was done to, on either side."""
    match case:
        case "type, new":
            return hands.add("s0", field="objects", kind="polygon", points=SQUARE)
        case "type, no field":
            return hands.add("s0", field=None, kind="polygon", points=SQUARE)
        case "type, known":
            hands.set("car0", kind="polygon", points=SQUARE, bounding_box=None)
            return "car0"
        case "class, known":
            hands.set("car0", label="tank")
            return "car0"
        case "class, new":
            return hands.add("s0", label="tank", attributes={"color": "blue"})
        case "class, none":
            hands.set("car0", label=None)
            return "car0"
        case "class, empty":
            return hands.add("s0", label="", attributes={"color": "blue"})
        case "attribute, known":
            hands.set("car0", attributes={"mood": "good"})
            return "car0"
        case "attribute, new":
            return hands.add("s0", attributes={"mood": "good", "color": "blue"})
        case "value, known":
            hands.set("car0", attributes={"color": "pink"})
            return "car0"
        case "value, new":
            return hands.add("s0", attributes={"color": "pink", "occluded": True})
        case "value of another type":
            hands.set("car0", attributes={"occluded": "yes"})
            return "car0"
    raise AssertionError(case)


CASES = {
    "type, new": "not of the field's type (detections)",
    "type, no field": "no field of the schema has this type",
    "type, known": "not of the field's type (detections)",
    "class, known": "class not in the schema",
    "class, new": "class not in the schema",
    "class, none": "the label has no class",
    "class, empty": "the label has no class",
    "attribute, known": "attribute not in the schema",
    "attribute, new": "attribute not in the schema",
    "value, known": "value not in the schema",
    "value, new": "value not in the schema",
    "value of another type": "value not in the schema",
}


@pytest.mark.parametrize("case", CASES)
def test_prompt_off_a_terminal_is_an_error_that_names_the_choices(sent, case):
    strange(sent.hands, case)
    sent.hands.set("man1", label="car")  # expected work waits too
    before = sent.versions()
    with pytest.raises(ab.UnexpectedLabels) as caught:
        sent.load()
    for words in ("1 unexpected", f"1 × {CASES[case]}", "'keep'", "'ignore'", "'return'", "a dictionary", "a callable"):
        assert words in str(caught.value)
    assert sent.versions() == before
    plan = sent.plan()  # looking is allowed
    assert plan.unexpected["reason"].to_pylist() == [CASES[case]]
    with pytest.raises(ab.UnexpectedLabels):
        plan.apply()
    assert sent.versions() == before


@pytest.mark.parametrize("case", CASES)
def test_left_out(sent, case):
    mode = OUT[list(CASES).index(case) % 2]  # the two differ in nothing that is written
    before = sent.labels()
    which = strange(sent.hands, case)
    report = sent.load(unexpected=mode)
    assert report.unexpected["reason"].to_pylist() == [CASES[case]]
    assert len(report.dropped) == 1
    if case in ("attribute, new", "value, new"):  # the label itself is fine
        (new,) = sent.new(before)
        assert sent.values(new["label_id"]) == ({"color": '"blue"'} if case[0] == "a" else {"occluded": "true"})
        assert report.added == 1
    else:
        assert report.total == 0
        assert sent.labels() == before
    assert which
    again = sent.again_is_nothing(unexpected=mode)
    assert again.unexpected["reason"].to_pylist() == [CASES[case]]


def test_what_is_expected_of_a_label_is_taken_though_the_rest_is_not(sent):
    sent.hands.set("car0", bounding_box=[0.0, 0.0, 0.5, 0.5], attributes={"color": "pink", "occluded": True})
    report = sent.load(unexpected="ignore")
    assert sent.label("car0")["bounding_box"] == [0.0, 0.0, 0.5, 0.5]
    assert sent.values("car0") == {"color": '"red"', "occluded": "true", "note": '"keep"'}
    assert report.unexpected["reason"].to_pylist() == ["value not in the schema"]
    sent.again_is_nothing(unexpected="ignore")


@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("type")])
def test_keep_takes_strange_classes_and_values_where_they_are(sent, case):
    before = sent.labels()
    which = strange(sent.hands, case)
    report = sent.load(unexpected="keep")
    assert report.total == 1
    row = sent.label("car0") if which == "car0" else sent.new(before)[0]
    assert row["field"] == "objects"
    values = sent.values(row["label_id"])
    classes = {"class, known": "tank", "class, new": "tank", "class, none": None, "class, empty": ""}
    assert row["label"] == classes.get(case, "car")
    assert (values.get("mood") == '"good"') == case.startswith("attribute")
    assert (values.get("color") == '"pink"') == (case in ("value, known", "value, new"))
    assert (len(report.unexpected), len(report.dropped)) == (1, 0)  # told, though it was taken
    sent.again_is_nothing(unexpected="keep")


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("type")])
@pytest.mark.parametrize(
    ("mode", "field"),
    [
        ("keep", "polygons"),
        ({"polygons": "shapes"}, "shapes"),
        (lambda rows: ["shapes"] * len(rows), "shapes"),
    ],
)
def test_a_strange_type_goes_to_another_field_whole(sent, case, mode, field):
    before = sent.labels()
    strange(sent.hands, case)
    report = sent.load(unexpected=mode)
    (new,) = sent.new(before)
    assert (new["field"], new["kind"], new["points"], new["bounding_box"]) == (field, "polygon", SQUARE, None)
    assert (report.added, report.edited, report.deleted) == (1, 0, int(case == "type, known"))
    assert ("car0" in sent.labels()) == (case != "type, known")
    assert all(r["bounding_box"] for r in sent.labels("objects").values())
    sent.again_is_nothing(unexpected=mode)
    sent.ds.undo_annotations("r")
    assert {i: {**r, "rev": 0} for i, r in sent.labels().items()} == {i: {**r, "rev": 0} for i, r in before.items()}


def test_a_strange_type_in_its_new_field_can_be_edited_and_deleted(sent):
    before = sent.labels()
    remote = strange(sent.hands, "type, new")
    sent.load(unexpected="keep")
    (new,) = sent.new(before)
    sent.hands.set(remote, label="person")
    assert sent.load(unexpected="keep").edited == 1
    assert sent.label(new["label_id"])["label"] == "person"
    sent.hands.delete(remote)
    assert sent.load(unexpected="keep").deleted == 1
    assert sent.labels() == before


def test_kept_once_and_ignored_later_is_not_deleted(sent):
    before = sent.labels()
    strange(sent.hands, "type, new")
    strange(sent.hands, "class, new")
    sent.load(unexpected="keep")
    assert len(sent.new(before)) == 2
    report = sent.load(unexpected="ignore")
    assert report.deleted == 0
    assert len(sent.new(before)) == 2


def test_a_mapping_leaves_out_the_types_that_it_does_not_name(sent):
    before = sent.labels()
    strange(sent.hands, "type, new")
    report = sent.load(unexpected={"keypoints": "shapes"})
    assert report.total == 0
    assert len(report.unexpected) == 1
    assert sent.labels() == before


def test_a_mapping_takes_a_new_label_of_a_strange_class_to_its_field(sent):
    before = sent.labels()
    strange(sent.hands, "class, new")
    sent.load(unexpected={"detections": "others"})
    (new,) = sent.new(before)
    assert (new["field"], new["label"]) == ("others", "tank")
    sent.again_is_nothing(unexpected={"detections": "others"})


def test_a_callable_sees_the_rows_and_decides_for_each(sent):
    before = sent.labels()
    sent.hands.add("s0", label="tank")
    sent.hands.add("s0", label="boat")
    seen: list[pa.Table] = []

    def choose(rows: pa.Table) -> list[str | None]:
        seen.append(rows)
        return ["vehicles" if name == "tank" else None for name in rows["label"].to_pylist()]

    sent.load(unexpected=choose)
    assert sorted(seen[0]["label"].to_pylist()) == ["boat", "tank"]
    assert [(r["field"], r["label"]) for r in sent.new(before)] == [("vehicles", "tank")]


def test_a_callable_that_answers_too_little_is_told_so(sent):
    strange(sent.hands, "class, new")
    before = sent.versions()
    with pytest.raises(ab.AnnobridgeError, match="unexpected"):
        sent.load(unexpected=lambda rows: [])
    assert sent.versions() == before


def test_return_gives_the_labels_as_the_tool_has_them(sent):
    strange(sent.hands, "type, new")
    report = sent.load(unexpected="return")
    (row,) = report.unexpected.to_pylist()
    assert (row["kind"], row["points"], row["sample_id"]) == ("polygon", SQUARE, "s0")


def test_an_unknown_mode_is_refused_with_the_modes(sent):
    before = sent.versions()
    with pytest.raises(
        ab.InvalidOption, match="unexpected='kepe' is not known; give one of 'keep', 'ignore', 'return', 'prompt'"
    ):
        sent.load(unexpected="kepe")
    with pytest.raises(ab.InvalidOption, match="conflicts='mine' is not known; give one of 'theirs', 'ours', 'fail'"):
        sent.load(conflicts="mine")
    assert sent.versions() == before


@pytest.mark.parametrize(("answer", "kept"), [("keep", True), ("ignore", False), ("", False)])
def test_prompt_on_a_terminal_asks(sent, monkeypatch, answer, kept):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    strange(sent.hands, "class, known")
    monkeypatch.setattr(sys, "stdin", Terminal(answer + "\n"))
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    sent.load()
    assert (sent.label("car0")["label"] == "tank") == kept


@pytest.mark.parametrize("mode", OUT)
def test_nothing_unexpected_needs_no_answer(sent, mode):
    sent.hands.set("man0", label="car")
    assert sent.load().edited == 1
    sent.again_is_nothing(unexpected=mode)


def test_a_strange_class_that_was_sent_so_is_not_unexpected(bridge):
    bridge.ds.set_labels([{"label_id": "car0", "attributes": [{"name": "color", "type": "str", "value": '"pink"'}]}])
    bridge.annotate()
    bridge.hands.set("car0", bounding_box=[0.0, 0.0, 0.5, 0.5])
    report = bridge.load()  # no prompt: 'pink' is ours, and nobody set it in the tool
    assert report.edited == 1
    assert bridge.values("car0")["color"] == '"pink"'
