"""Protected fields: no way of loading goes around the review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bridge.conftest import Bridge

import annobridge as ab


def test_a_saved_plan_needs_decisions_too(sent: Bridge, tmp_path: Path) -> None:
    sent.hands.delete("man0")
    sent.ds.protect("obj*")
    sent.plan().save(tmp_path / "plan")
    with pytest.raises(ab.ReviewRequired, match="1 of 'objects'"):
        ab.load_plan(tmp_path / "plan").apply()
    assert "man0" in sent.labels()


def test_a_plan_that_was_made_before_the_protection_is_stale(sent: Bridge) -> None:
    sent.hands.delete("man0")
    plan = sent.plan()
    sent.ds.protect("objects")
    with pytest.raises(
        ab.StalePlan, match="Which fields are protected was changed since this plan was made; plan again"
    ):
        plan.apply()
    with pytest.raises(ab.ReviewRequired, match="1 of 'objects'"):
        plan.load()
    assert "man0" in sent.labels()


@pytest.mark.parametrize("choice", ["keep", {"polygons": "polygons"}, lambda rows: ["polygons"] * rows.num_rows])
def test_unexpected_labels_do_not_go_into_a_protected_field(sent: Bridge, choice: str | Callable[..., Any]) -> None:
    sent.hands.add("s0", kind="polygon", field=None)
    sent.ds.protect("poly*")
    with pytest.raises(ab.ReviewRequired, match="1 of 'polygons'"):
        sent.load(unexpected=choice)
    sent.ds.protect("poly*", review=None)
    assert sent.load(unexpected=choice).added == 1


@pytest.mark.parametrize("destination", [None, {"objects": "checked"}])
def test_a_label_that_was_moved_into_a_protected_field_is_protected(sent: Bridge, destination: Any) -> None:
    sent.ds.protect("truth")
    sent.ds.set_labels([{"label_id": "car0", "field": "truth"}])
    sent.hands.set("car0", label="person")
    with pytest.raises(ab.ReviewRequired, match="1 of 'truth'"):
        sent.load(dest_field=destination)
    plan = sent.plan(dest_field=destination)
    assert plan.decide("field = 'truth'", "refuse") == 1
    plan.apply()
    assert sent.label("car0")["label"] == "car"


def test_an_error_while_reading_what_is_recorded_stops_the_load(sent: Bridge) -> None:
    sent.hands.delete("man0")
    plan = sent.plan()
    plan.decide(verdict="refuse")
    plan.apply()
    for file in (sent.path / "annotation_decisions.lance" / "data").iterdir():
        file.write_bytes(b"junk")
    with pytest.raises(ab.StoreError, match="annotation_decisions"):
        ab.load_dataset(sent.path).load_annotations("r")
    assert "man0" in sent.labels()
