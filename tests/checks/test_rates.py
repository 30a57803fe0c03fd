"""Values of attributes whose rate jumps."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from annobridge.checks import Evidence
from annobridge.checks.rates import attribute_jump
from annobridge.core.rows import attributes


def value(text: str, before: int, after: int) -> dict[str, Any]:
    return {"field": "objects", "name": "occluded", "value": text, "before": before, "after": after}


def classes(before: int, after: int) -> list[dict[str, Any]]:
    return [{"field": "objects", "label": "car", "in_dataset": before, "before": before, "after": after}]


def edit(change_id: str, ours: str | None, theirs: str | None, **columns: Any) -> dict[str, Any]:
    return {"change_id": change_id, "field": "objects", "kind": "edit", "component": "attributes.occluded",
            "ours": ours, "theirs": theirs, **columns}  # fmt: skip


def test_a_jump_is_told_with_the_changes_that_make_it() -> None:
    label = {"sample_id": "s", "field": "objects", "kind": "box", "label": "car", "rev": 0}
    evidence = Evidence.of(
        changes=[
            edit("e1", "false", "true"), edit("e2", "true", "false"), edit("e3", None, '"x"'),
            edit("e4", "false", "true", field="others"),
            {"change_id": "a1", "kind": "add", "component": "existence", "label_id": "n1"},
            {"change_id": "a2", "kind": "add", "component": "existence", "label_id": "n2"},
        ],
        classes=classes(100, 100), attributes=[value("true", 10, 40), value("false", 90, 60)],
        after=[
            {**label, "label_id": "n1", "attributes": attributes({"occluded": True})},
            {**label, "label_id": "n2", "attributes": attributes({"occluded": False})},
        ],
    )  # fmt: skip
    first, second = attribute_jump(evidence)
    assert first.sentence == (
        "occluded = true would be on 40 % of the labels of 'objects' that have the attribute; now it is on 10 %."
    )
    assert (first.change_ids.to_pylist(), first.count, first.level) == (["e1", "e2", "a1"], 30, "warning")
    assert second.change_ids.to_pylist() == ["e1", "e2", "a2"]
    assert not list(attribute_jump(evidence, limit=0.31))
    assert not list(attribute_jump(evidence, at_least=101))


def test_the_first_values_of_a_new_attribute_are_not_told() -> None:
    evidence = Evidence.of(classes=classes(100, 100), attributes=[value("true", 0, 80), value("false", 0, 20)])
    assert not list(attribute_jump(evidence))


def test_an_attribute_that_labels_lose_is_told() -> None:
    evidence = Evidence.of(
        changes=[edit("e1", "true", None), edit("e2", "true", "false")],
        classes=classes(100, 100), attributes=[value("true", 90, 30)],
    )  # fmt: skip
    (found,) = attribute_jump(evidence)
    assert found.sentence == "The attribute 'occluded' would be on 30 % of the labels of 'objects'; now it is on 90 %."
    assert (found.change_ids.to_pylist(), found.count) == (["e1"], 60)


def test_an_attribute_that_goes_with_its_labels_is_not_lost() -> None:
    assert not list(attribute_jump(Evidence.of(classes=classes(50, 0), attributes=[value("true", 50, 0)]), limit=1.0))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=4), st.floats(0.01, 0.99))
def test_the_law_of_rates(counts: list[tuple[int, int]], limit: float) -> None:
    had, has = (sum(pair[n] for pair in counts) for n in (0, 1))
    rows = [value(str(n), *pair) for n, pair in enumerate(counts)]
    evidence = Evidence.of(classes=classes(had, has), attributes=rows)  # all labels have the attribute, so none lose it
    told = {finding.sentence.split()[2] for finding in attribute_jump(evidence, limit=limit, at_least=1) if has}
    expected = {str(n) for n, (b, a) in enumerate(counts) if had and has and abs(a / has - b / had) > limit}
    assert told == expected
