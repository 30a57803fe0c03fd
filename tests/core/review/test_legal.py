"""Which verdicts fit which changes, and which values can be stored."""

from __future__ import annotations

import pyarrow as pa
import pytest

from annobridge.core.review.legal import choices, fitting, problems
from annobridge.core.schema import LabelSchema

SCHEMA = LabelSchema.from_dict(
    {"f": {"type": "detections", "classes": ["car", "bus"], "attributes": {"colour": {"type": "select", "values": ["red"]},
                                                                           "note": {"type": "text"}}}}
)  # fmt: skip
KINDS = ["add", "delete", "edit", "add/add", "edit/edit", "edit/delete", "delete/edit"]


def problem(kind: str, component: str, verdict: str, value: str | None = None) -> str | None:
    row = {"change_id": ["c"], "kind": [kind], "component": [component], "field": ["f"]}
    return problems(pa.table(row), pa.array([verdict]), pa.array([value], pa.string()), SCHEMA)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("component", ["existence", "label", "spatial", "attributes.colour"])
def test_every_choice_is_legal_and_so_is_open(kind: str, component: str) -> None:
    values = {"label": '"bus"', "attributes.colour": '"red"'}
    for verdict in [*choices(kind, component), "open"]:
        assert problem(kind, component, verdict, values.get(component)) is None


def test_accept_and_refuse_say_who_wins_a_conflict_and_the_other_way_round() -> None:
    found = fitting(
        pa.array(["accept", "refuse", "theirs", "ours", "base", None]),
        pa.array(["edit/edit", "delete/edit", "add", "delete", "edit", "edit"]),
    )
    assert found.to_pylist() == ["theirs", "ours", "accept", "refuse", "refuse", None]


def test_a_verdict_that_does_not_fit_is_told_with_those_that_do() -> None:
    assert problem("edit/edit", "spatial", "both") == (
        "The verdict 'both' does not fit the change c (edit/edit of spatial); give base | ours | theirs."
    )


@pytest.mark.parametrize(
    ("component", "value", "says"),
    [("label", '"van"', "is not a class of the schema; it has car, bus."), ("label", "7", "is not a class; write it in quotes."),
     ("label", "bus", "is not JSON; write a text in quotes"), ("attributes.colour", '"green"', "it has to be one of 'red'."),
     ("label", None, "is not JSON"), ("attributes.note", "NaN", "is not JSON"), ("attributes.note", "[-Infinity]", "is not JSON"),
     ("attributes.note", "[" * 50_000, "is not JSON"), ("attributes.note", "9" * 5000, "is not JSON"),
     ("attributes.note", "[" * 200 + "]" * 200, "are nested more than 100 deep; flatten them."),
     ("attributes.note", '"\\ud83d"', "has half of a character")],
)  # fmt: skip
def test_a_value_that_cannot_be_stored_is_told(component: str, value: str | None, says: str) -> None:
    assert says in (problem("edit", component, "value", value) or "")


def test_a_free_attribute_takes_any_value() -> None:
    assert problem("edit", "attributes.note", "value", '"anything"') is None


def test_a_long_value_is_told_in_short() -> None:
    assert len(problem("edit", "attributes.note", "value", "x" * 20_000) or "") < 500
