"""What was refused, as sentences."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.refusal import message, what_was_refused


def change(component: str, kind: str = "edit", **columns: Any) -> dict[str, Any]:
    return {"component": component, "kind": kind, "label": "car", "shape": "box", **columns}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (change("label", class_from="car", class_to="bus"), "class car → bus"),
        (change("label", class_from=None, class_to="bus"), "class unknown → bus"),
        (change("label", label=None, base="7", theirs='"007"'), "value 7 → 007"),
        (
            change("label", label="question", shape="message", class_from="question", class_to="question"),
            "new words of the question (message)",
        ),
        (change("label", label=None, shape="scalar", base="true", theirs="null"), "value true → no value"),
        (change("existence", "add"), "new car (box)"),
        (change("existence", "delete"), "deletion of the car (box)"),
        (change("existence", "delete/edit"), "deletion of the car (box)"),
        (change("existence", "add/add"), "new car (box)"),
        (change("existence", "delete", label=None, shape=None), "deletion of the label"),
        (change("spatial", shift=12.4), "new place or outline of the car (box), moved by 12 pixels"),
        (change("spatial", shift=0.4), "new place or outline of the car (box)"),
        (change("spatial", "edit/edit", shift=None), "new place or outline of the car (box)"),
        (change("index", base="3", theirs="5"), "track or position of the car (box): 3 → 5"),
        (change("attributes.color", base='"red"', theirs='"blue"'), "color of the car: red → blue"),
        (change("attributes.color", base='"red"', theirs=None), "color of the car: red → no value"),
        (change("attributes.parts", base="[1, 2]", theirs='{"ä": 1}'), 'parts of the car: [1, 2] → {"ä": 1}'),
        (change("attributes.a.b", base="not JSON", theirs="1"), "a.b of the car: not JSON → 1"),
    ],
)
def test_each_kind_of_change_has_its_words(row: dict[str, Any], expected: str) -> None:
    assert what_was_refused(row) == expected


def test_long_values_are_cut() -> None:
    found = what_was_refused(change("attributes.text", base=f'"{"x" * 500}"', theirs='"y"'))
    assert found == f"text of the car: {'x' * 79}… → y"


def test_the_message_has_the_note_and_the_reviewer() -> None:
    row = change("label", class_from="car", class_to="bus")
    assert message(row, "Look at the plate", "alice") == "Refused: class car → bus. “Look at the plate” (alice)"
    assert message(row, None, "alice") == "Refused: class car → bus. (alice)"
    assert message(row, " two\n lines ", None) == "Refused: class car → bus. “two lines”"
    assert message(row, "  ", "") == "Refused: class car → bus."


@given(st.text(), st.text(), st.sampled_from(["existence", "label", "spatial", "index", "attributes.x"]))
def test_any_text_makes_one_sentence(note: str, value: str, component: str) -> None:
    found = message(change(component, base=value, theirs=value), note, "bob")
    assert found.startswith("Refused: ")
    assert found.endswith("(bob)")
