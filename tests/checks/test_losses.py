"""Deletions, and classes that vanish: what is told, and what is not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from annobridge.checks import Evidence
from annobridge.checks.losses import share_of_deletions, vanishing_class


def deletion(n: int, label: str = "car", kind: str = "delete") -> dict[str, Any]:
    return {"change_id": f"{label}{n}", "field": "objects", "label": label, "class_from": label, "kind": kind,
            "component": "existence"}  # fmt: skip


def classes(label: str | None, in_dataset: int, before: int, after: int) -> dict[str, Any]:
    return {"field": "objects", "label": label, "in_dataset": in_dataset, "before": before, "after": after}


def test_too_many_deletions_of_a_class_are_told_with_figures() -> None:
    changes = [*(deletion(n) for n in range(7)), *(deletion(n, "bus") for n in range(5))]
    evidence = Evidence.of(changes=changes, classes=[classes("car", 900, 200, 193), classes("bus", 999, 999, 994)])
    (found,) = share_of_deletions(evidence)
    assert found.sentence == "7 labels 'car' of 'objects' would be deleted, 3.5 % of 200; up to 2 % may be."
    assert found.change_ids.to_pylist() == [f"car{n}" for n in range(7)]
    assert found.level == "error"


def test_the_limit_and_the_least_count_can_be_set() -> None:
    evidence = Evidence.of(changes=[deletion(n) for n in range(4)], classes=[classes("car", 50, 50, 46)])
    assert not list(share_of_deletions(evidence))
    assert len(list(share_of_deletions(evidence, at_least=4))) == 1
    assert not list(share_of_deletions(evidence, at_least=4, limit=0.08))  # exactly as many as may be


def test_a_deletion_of_what_was_edited_here_counts_and_other_changes_do_not() -> None:
    changes = [deletion(1), deletion(2, kind="delete/edit"), deletion(3, kind="edit"), deletion(4, kind="edit/delete")]
    (found,) = share_of_deletions(Evidence.of(changes=changes, classes=[classes("car", 9, 9, 7)]), at_least=1)
    assert found.change_ids.to_pylist() == ["car1", "car2"]


def test_labels_without_a_class_are_counted_by_their_field() -> None:
    changes = [deletion(n) | {"field": "speed", "label": None} for n in range(5)]
    rows = [{"field": "speed", "label": None, "in_dataset": 10, "before": 10, "after": 5}]
    (found,) = share_of_deletions(Evidence.of(changes=changes, classes=rows))
    assert found.sentence.startswith("5 labels of 'speed' would be deleted, 50 % of 10;")


@given(st.integers(0, 12), st.integers(1, 40), st.floats(0, 1), st.integers(0, 8))
def test_the_law_of_the_share(count: int, more: int, limit: float, at_least: int) -> None:
    evidence = Evidence.of(
        changes=[deletion(n) for n in range(count)], classes=[classes("car", count + more, count + more, more)]
    )
    told = bool(list(share_of_deletions(evidence, limit=limit, at_least=at_least)))
    assert told == (count > 0 and count >= at_least and count > limit * (count + more))


def test_a_class_that_vanishes_is_told_with_the_changes_that_take_it() -> None:
    edit = {"change_id": "e", "field": "objects", "label": "truck", "class_from": "bus", "class_to": "truck",
            "kind": "edit", "component": "label"}  # fmt: skip
    moved = edit | {"change_id": "m", "component": "spatial"}
    evidence = Evidence.of(
        changes=[deletion(1, "bus"), edit, moved], classes=[classes("bus", 2, 2, 0), classes("truck", 0, 0, 1)]
    )
    (found,) = vanishing_class(evidence)
    assert found.sentence == (
        "The class 'bus' of 'objects' would vanish: it has 2 labels of 'objects', and none after the load."
    )
    assert (found.change_ids.to_pylist(), found.count, found.level) == (["bus1", "e"], 2, "error")
    assert not list(vanishing_class(evidence, at_least=3))


def test_a_class_that_others_of_the_dataset_have_does_not_vanish() -> None:
    assert not list(vanishing_class(Evidence.of(classes=[classes("bus", 3, 2, 0), classes(None, 1, 1, 0)])))
