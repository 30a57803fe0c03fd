"""Values that people choose in a review: of classes, scalars and attributes, also in destinations; and what cannot be stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bridge.conftest import SCHEMA, Bridge

import annobridge as ab

ATTRIBUTES: dict[str, Any] = {
    "occluded": {"type": "checkbox"},
    "count": {"type": "number"},
    "parts": {"type": "list", "values": ["door", "wheel"]},
}


def test_values_of_scalars_and_classes_are_chosen_in_one_load(bridge: Bridge) -> None:
    bridge.annotate(schema=SCHEMA | {"speed": {"type": "scalar"}})
    bridge.hands.set("car0", label="person")
    bridge.hands.set("speed0", value="99")
    bridge.hands.set("speed1", value="99")
    plan = bridge.plan()
    plan.decide("field = 'objects'", "value", value="car")
    plan.decide("label_id = 'speed0'", "value", value=77)
    plan.decide("label_id = 'speed1'", "value", value="fast")
    plan.apply()
    assert (bridge.label("car0")["label"], bridge.label("car0")["value"]) == ("car", None)
    assert (bridge.label("speed0")["label"], bridge.label("speed0")["value"]) == (None, "77")
    assert bridge.label("speed1")["value"] == '"fast"'


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("field = 'speed'", [1], "is not the value of a scalar"),
        ("field = 'speed'", None, "is not the value of a scalar"),
        ("component = 'label' AND field = 'objects'", " ", "is not a class; write it in quotes"),
        ("component = 'attributes.occluded'", "banana", "it has to be of the type checkbox"),
        ("component = 'attributes.count'", "3", "it has to be of the type number"),
        ("component = 'attributes.count'", None, "is no value of an attribute"),
        ("component = 'attributes.parts'", "door", "it has to be a list of 'door', 'wheel', each once at most"),
        ("component = 'attributes.count'", "\ud83d", "cannot be stored; give a text"),
        ("component = 'attributes.count'", b"3", r"value=b'3' cannot be stored; give a text, a number, True or False"),
    ],
)
def test_a_value_of_another_type_is_refused(bridge: Bridge, where: str, value: Any, says: str) -> None:
    objects = {"type": "detections", "classes": ["car", "person"], "attributes": ATTRIBUTES}
    bridge.annotate(schema={"objects": objects, "speed": {"type": "scalar"}})
    bridge.hands.set("car0", label="person", attributes={"occluded": True, "count": 3, "parts": ["door"]})
    bridge.hands.set("speed0", value="99")
    plan = bridge.plan()
    with pytest.raises(ab.InvalidOption, match=says):
        plan.decide(where, "value", value=value)
    assert plan.decisions.num_rows == 0
    assert plan.decide("component = 'attributes.parts'", "value", value=["wheel"]) == 1
    assert plan.decide("component = 'attributes.count'", "value", value=np.int64(4)) == 1
    plan.apply()
    assert (bridge.values("car0")["parts"], bridge.values("car0")["count"]) == ('["wheel"]', "4")


def test_a_value_has_to_fit_the_field_that_a_destination_comes_from(bridge: Bridge) -> None:
    bridge.annotate()
    bridge.load(dest_field={"objects": "checked"})
    bridge.hands.set("car1", label="person", attributes={"color": "blue"})
    plan = bridge.plan(dest_field={"objects": "checked"})
    for component, value, says in [
        ("label", 5, "is not a class"),
        ("label", "lorry", "is not a class of the schema; it has car, person"),
        ("attributes.color", "purple", "it has to be one of 'red', 'blue'"),
    ]:
        with pytest.raises(ab.InvalidOption, match=says):
            plan.decide(f"component = '{component}'", "value", value=value)
    plan.decide("component = 'label'", "value", value="car")
    plan.apply()
    assert [row["label"] for row in bridge.ds.labels("checked").to_pylist()].count("car") == 4


def test_arguments_of_other_types_are_told(bridge: Bridge) -> None:
    bridge.annotate()
    bridge.hands.delete("man0")
    plan = bridge.plan()
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"verdict": 1}, ab.InvalidOption, "verdict=1 is not a text"),
        ({"verdict": None}, ab.InvalidOption, "verdict=None is not a text"),
        ({"note": 5}, ab.InvalidOption, "note=5 is not a text"),
        ({"by": 5}, ab.InvalidOption, "by=5 is not a text"),
        ({"where": 3}, ab.StoreError, "The condition '3' cannot be run"),
        ({"where": ab.MergePlan}, ab.StoreError, "cannot be run"),
    ]
    for given, error, says in wrong:
        with pytest.raises(error, match=says):
            plan.decide(**given)
    assert plan.decisions.num_rows == 0
