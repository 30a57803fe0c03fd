"""Values held against the schema: choices and their types, checklists, attributes of some classes only, what is no JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app

BUS = {"classes": ["bus"], "attributes": {"color": {"type": "select", "values": ["red", "blue"]}}}
VAN = {
    "classes": ["van"],
    "attributes": {
        "color": {"type": "select", "values": ["white"]},
        "sides": {"type": "list", "values": ["l", "r", 1]},
    },
}
CLASSES = {"objects": {"type": "detections", "classes": ["car", "person", BUS, VAN], "attributes": False}}


def raw(**values: str) -> list[dict[str, str]]:
    """Attributes whose values are texts as the tool writes them."""
    return [{"name": name, "type": "json", "value": text} for name, text in values.items()]


def unexpected(report: Any) -> list[tuple[str, str, str]]:
    return [(r["component"], r["theirs"], r["reason"]) for r in report.unexpected.to_pylist()]


STRANGE = "value not in the schema"
ELSEWHERE = "attribute not in the schema of this class"


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"label": "bus", "attributes": {"color": "blue"}}, []),
        ({"label": "van", "attributes": {"color": "white", "sides": ["r", 1]}}, []),
        ({"label": "van", "attributes": {"sides": []}}, []),
        ({"label": "car"}, []),
        ({"label": "bus", "attributes": {"color": "white"}}, [("attributes.color", '"white"', STRANGE)]),
        ({"label": "van", "attributes": {"color": "blue"}}, [("attributes.color", '"blue"', STRANGE)]),
        ({"label": "van", "attributes": {"sides": ["l", "l"]}}, [("attributes.sides", '["l", "l"]', STRANGE)]),
        ({"label": "van", "attributes": {"sides": [True]}}, [("attributes.sides", "[true]", STRANGE)]),
        ({"label": "van", "attributes": {"sides": "l"}}, [("attributes.sides", '"l"', STRANGE)]),
        ({"label": "car", "attributes": {"color": "blue"}}, [("attributes.color", '"blue"', ELSEWHERE)]),
        ({"label": "bus", "attributes": {"sides": ["l"]}}, [("attributes.sides", '["l"]', ELSEWHERE)]),
        ({"label": "bus", "attributes": {"mood": "x"}}, [("attributes.mood", '"x"', "attribute not in the schema")]),
    ],
)
def test_a_new_label_is_held_against_its_own_class(bridge, columns, found):
    bridge.annotate(schema=CLASSES)
    before = bridge.labels()
    bridge.hands.add("s0", **columns)
    report = bridge.load(unexpected="return")
    assert (unexpected(report), report.added) == (found, 1)
    (new,) = bridge.new(before)
    kept = {} if found else {name: json.dumps(value) for name, value in columns.get("attributes", {}).items()}
    assert bridge.values(new["label_id"]) == kept


def test_a_class_edit_is_held_against_the_new_class(bridge):
    bridge.ds.set_labels([{"label_id": "car0", "label": "bus"}])  # with color "red", which is not a van's
    bridge.annotate(schema=CLASSES)
    bridge.hands.set("car0", label="van")
    report = bridge.load()
    assert (report.edited, unexpected(report)) == (1, [])  # the color did not change
    bridge.hands.set("car0", attributes={"color": "blue"})
    assert unexpected(bridge.load(unexpected="ignore")) == [("attributes.color", '"blue"', STRANGE)]
    bridge.hands.set("car0", attributes={"color": "white"})
    assert unexpected(bridge.load()) == []
    assert (bridge.label("car0")["label"], bridge.values("car0")["color"]) == ("van", '"white"')


@pytest.mark.parametrize(
    ("classes", "good", "bad"),
    [([5, 6], ["5", "6.0"], ["true", '"5"', "7"]), ([True, False], ["true"], ["1", '"true"']), (["1"], ['"1"'], ["1"])],
)
def test_the_choices_of_a_scalar_have_types(bridge, classes, good, bad):
    bridge.annotate(schema={"grade": {"type": "scalar", "classes": classes}})
    before = bridge.labels()
    for number, value in enumerate(good + bad):
        bridge.hands.add(f"s{number % 4}" if number < 4 else "s0", label=None, field=None, kind="scalar", value=value)
    report = bridge.load(unexpected="return")
    assert [r["theirs"] for r in report.unexpected.to_pylist()] == bad
    assert sorted(row["value"] for row in bridge.new(before)) == sorted(good)


@pytest.mark.parametrize("mode", ["prompt", "keep", "ignore", "return"])
def test_a_value_that_is_no_json_is_refused_by_itself(sent, mode):
    before = sent.labels()
    sent.hands.set("car0", label="person", attributes=[*raw(color="not json"), *raw(occluded="true")])
    sent.hands.add("s1", attributes=raw(color="NaN"))
    sent.hands.set("man1", label="car")
    report = sent.load(unexpected=mode)
    assert report.unexpected.num_rows == 0
    assert sorted((r["field"], r["component"], r["theirs"], r["reason"]) for r in report.refused.to_pylist()) == [
        ("objects", "attributes.color", "NaN", "the value of the attribute 'color' is not JSON text: NaN"),
        ("objects", "attributes.color", "not json", "the value of the attribute 'color' is not JSON text: not json"),
    ]
    assert (report.edited, report.added) == (2, 1)
    assert (sent.label("car0")["label"], sent.label("man1")["label"]) == ("person", "car")
    assert sent.values("car0") == {"color": '"red"', "occluded": "true", "note": '"keep"'}
    (new,) = sent.new(before)
    assert sent.values(new["label_id"]) == {}


def test_a_scalar_that_is_no_json_is_refused(bridge):
    bridge.annotate(schema={"speed": {"type": "scalar"}, "grade": {"type": "scalar", "classes": [1]}})
    before = bridge.labels()
    bridge.hands.set("speed0", value="fast")
    bridge.hands.set("speed1", value="12")
    bridge.hands.add("s0", label=None, field="grade", kind="scalar", value="{")
    report = bridge.load()
    assert [(r["component"], r["reason"]) for r in report.refused.to_pylist()] == [
        ("label", "the value is not JSON text: fast"),
        ("label", "the value is not JSON text: {"),
    ]
    assert (report.edited, report.added) == (1, 0)
    assert bridge.label("speed0") == before["speed0"]
    assert bridge.label("speed1")["value"] == "12"


def test_what_is_unexpected_is_named_wherever_it_is_told(sent):
    sent.hands.set("car0", attributes={"color": "pink"})
    sent.hands.set("car1", label="tank", attributes={"color": "pink"})
    sent.hands.add("s0", field="objects", kind="polygon", points=[[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]])
    with pytest.raises(ab.UnexpectedLabels) as caught:
        sent.load()
    assert '2 × value not in the schema: attributes.color = "pink"' in str(caught.value)
    assert "1 × class not in the schema: tank" in str(caught.value)
    assert "1 × not of the field's type (detections): polygons" in str(caught.value)
    shown = CliRunner().invoke(app, ["plan", "r", "-d", sent.ds.uri]).output
    assert all(word in shown for word in ("attributes.color", '"pink"', "tank", "polygons"))
    data = json.loads(CliRunner().invoke(app, ["plan", "r", "-d", sent.ds.uri, "--json"]).stdout)
    assert sorted((f["component"], f["theirs"], f["label"]) for f in data["findings"]["unexpected"]) == [
        ("attributes.color", '"pink"', "car"),
        ("attributes.color", '"pink"', "tank"),
        ("label", "tank", "tank"),
        ("type", "polygons", "car"),
    ]


def test_many_values_are_told_in_part(sent):
    for number in range(6):
        sent.hands.add("s0", attributes={"color": f"c{number}"})
    with pytest.raises(ab.UnexpectedLabels) as caught:
        sent.load()
    text = str(caught.value)
    assert '6 × value not in the schema: attributes.color = "c' in text
    assert text.count("attributes.color") == 3
    assert ", …" in text
