"""The past of a label: who did what in which version; its rows replay to the label as it is, also where versions are gone."""

from __future__ import annotations

import json
import shutil
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bridge.conftest import Bridge, fill
from tests.generated import examples
from tests.history.conftest import NOTHING, content, versions

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.rows import attributes
from annobridge.history.label_history import HISTORY

BOX = [0.1, 0.1, 0.2, 0.2]
SET_HERE = ("sample_id", "field", "confidence", "tags", "label", "value", "bounding_box", "index", "points", "closed", "filled",
            "visibility", "kind", "frame_number", "rotation", "keyframe")  # fmt: skip


def past(ds: ab.Dataset, label_id: str) -> list[dict[str, Any]]:
    rows = ds.history(label_id)
    assert rows.schema == HISTORY
    return rows.to_pylist()


def brief(ds: ab.Dataset, label_id: str) -> list[tuple[Any, ...]]:
    return [(r["action"], r["run"], r["load"], r["components"]) for r in past(ds, label_id)]


def replayed(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What the rows of a history make of nothing."""
    state: dict[str, Any] | None = None
    for row in rows:
        after = None if row["after"] is None else json.loads(row["after"])
        if after is None or row["before"] is None or state is None:
            state = after
        else:
            state = {name: value for name, value in {**state, **after}.items() if value is not None}
    return state


def as_it_is(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """A label of the dataset in the form of a history."""
    if row is None:
        return None
    found = {name: row[name] for name in SET_HERE if row[name] is not None}
    if "value" in found:
        found["value"] = json.loads(found["value"])
    return found | {f"attributes.{a['name']}": json.loads(a["value"]) for a in row["attributes"] or ()}


def test_what_was_done_by_hand(ds):
    made = versions(ds)[-1]
    ds.set_labels([{"label_id": "car0", "label": "bus", "attributes": attributes({"color": "blue", "note": "keep"})}])
    ds.set_labels([{"label_id": "car0", "bounding_box": BOX, "tags": ["x"], "sample_id": "s3"}])
    ds.delete_labels(["car0", "car1"])
    rows = past(ds, "car0")
    assert [(r["version"], r["action"], r["components"]) for r in rows] == [
        (made, "add", ["existence"]),
        (made + 1, "edit", ["label", "attributes.color", "attributes.occluded"]),
        (made + 2, "edit", ["spatial", "sample_id", "tags"]),
        (made + 3, "delete", ["existence"]),
    ]
    assert (rows[1]["before"], rows[1]["after"]) == (
        '{"label":"car","attributes.color":"red","attributes.occluded":false}',
        '{"label":"bus","attributes.color":"blue","attributes.occluded":null}',
    )
    assert rows[0]["before"] is None
    assert json.loads(rows[0]["after"])["attributes.note"] == "keep"
    assert rows[3]["after"] is None
    assert json.loads(rows[3]["before"])["label"] == "bus"
    assert all(r["by"] is r["run"] is r["load"] is r["note"] is None for r in rows)
    assert all(abs(datetime.now(UTC) - r["time"]).total_seconds() < 60 for r in rows)
    assert [r["action"] for r in past(ds, "car1")] == ["add", "delete"]
    assert [r["action"] for r in past(ds, "car2")] == ["add"]


def test_what_a_run_did(bridge):
    ds, before = bridge.ds, bridge.labels()
    bridge.annotate()
    time = datetime(2026, 5, 4, tzinfo=UTC)
    bridge.hands.set("car0", label="person", annotator="ada", time=time)
    bridge.hands.delete("car1")
    bridge.hands.add("s2", annotator="bob")
    bridge.load()
    (new,) = (row["label_id"] for row in bridge.new(before))
    ds.set_labels([{"label_id": "car0", "confidence": 0.25}])
    assert [(r["action"], r["by"], r["run"], r["load"], r["components"]) for r in past(ds, "car0")] == [
        ("add", None, None, None, ["existence"]),
        ("edit", "ada", "r", 1, ["label"]),
        ("edit", None, None, None, ["confidence"]),
    ]
    assert brief(ds, "car1")[1:] == [("delete", "r", 1, ["existence"])]
    assert [(r["action"], r["by"], r["run"], r["load"]) for r in past(ds, new)] == [("add", "bob", "r", 1)]
    ds.undo_annotations("r")
    assert brief(ds, "car0")[3:] == [("undo", "r", 1, ["label"])]
    assert past(ds, "car0")[3]["after"] == '{"label":"car"}'
    assert brief(ds, "car1")[2:] == [("undo", "r", 1, ["existence"])]
    assert brief(ds, new)[1:] == [("undo", "r", 1, ["existence"])]
    ds.rename_annotation_run("r", "renamed")
    assert brief(ds, "car1")[1:] == [("delete", "renamed", 1, ["existence"]), ("undo", "renamed", 1, ["existence"])]


def test_an_undo_that_changed_nothing_did_not_make_the_version_before_it(bridge):
    bridge.annotate()
    bridge.hands.set("car0", label="person")
    bridge.load()
    bridge.ds.set_labels([{"label_id": "car0", "label": "bus"}])
    assert bridge.ds.undo_annotations("r").version is None
    assert brief(bridge.ds, "car0")[1:] == [("edit", "r", 1, ["label"]), ("edit", None, None, ["label"])]


def test_a_run_that_was_forgotten_is_still_named(bridge):
    bridge.annotate()
    bridge.hands.set("car0", label="person", annotator="ada")
    bridge.load()
    bridge.ds.delete_annotation_run("r")
    row = past(bridge.ds, "car0")[1]
    assert (row["action"], row["by"], row["run"], row["load"]) == ("edit", "ada", "r", None)


def test_compaction_is_no_change(ds):
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    before = past(ds, "car0")
    ds.optimize()
    assert past(ds, "car0") == before


def test_missing_points_are_no_change(ds):
    points = [(0.1, 0.1), (float("nan"), float("nan"))]
    ds.add_labels("points", {"s0": [ab.Keypoint("p", points, label_id=i) for i in ("a", "b")]})
    ds.delete_labels(["b"])  # of the same file
    ds.set_labels([{"label_id": "a", "visibility": [1, 0]}])
    assert [(r["action"], r["components"]) for r in past(ds, "a")] == [("add", ["existence"]), ("edit", ["spatial"])]
    assert past(ds, "a")[1]["after"] == '{"visibility":[1,0]}'


def test_an_edit_that_changed_nothing_is_left_out(ds):
    ds.set_labels([{"label_id": "car0", "label": "car"}])
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    assert brief(ds, "car0")[1:] == [("edit", None, None, ["label"])]


def test_from_a_snapshot_it_is_the_same(ds):
    ds.snapshot("v1")
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    assert past(ds.at("v1"), "car0") == past(ds, "car0")


def test_an_unknown_id(ds):
    with pytest.raises(
        ab.StoreError, match=r'^No version of the dataset that is left has a label "it\'s"; ids are in the column'
    ):
        ds.history("it's")


@pytest.mark.parametrize("label_id", [None, 7, ["car0"]])
def test_what_is_no_id(ds, label_id):
    with pytest.raises(ab.InvalidOption, match=r"^label_id=.* is not a text; give the id of a label"):
        ds.history(label_id)


def test_restored_by_another_program(ds):
    table = ds.stores.database.table("labels")
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    table.restore()
    assert [(r["action"], r["after"]) for r in past(ds, "car0")[1:]] == [
        ("edit", '{"label":"bus"}'),
        ("edit", '{"label":"car"}'),
    ]


# --- versions that were cleaned away ---------------------------------------------------------------------------------


def test_edits_by_hand_are_one(ds):
    made = versions(ds)[-1]
    ds.snapshot("v1")
    for label in ("bus", "truck"):
        ds.set_labels([{"label_id": "car0", "label": label}])
    ds.set_labels([{"label_id": "man0", "label": "child"}])
    ds.delete_labels(["car1"])
    ds.add_labels("objects", {"s0": [ab.Detection("car", BOX, label_id="new")]})
    added = versions(ds)[-1]
    ds.set_labels([{"label_id": "man1", "label": "child"}])
    ds.optimize(NOTHING)
    left = versions(ds)
    assert left[0] == made
    gone = f"versions {made + 1} to {left[1] - 1} were cleaned away"
    row = past(ds, "car0")[1]
    assert (row["version"], row["time"], row["action"], row["before"], row["after"]) == (
        made + 2, None, "edit", '{"label":"car"}', '{"label":"truck"}'
    )  # fmt: skip
    assert row["note"] == f"{gone}, so this may be several changes, made up to this version"
    assert past(ds, "man0")[1]["version"] == made + 3
    row = past(ds, "car1")[1]
    assert (row["version"], row["action"], row["after"]) == (left[1], "delete", None)
    row = past(ds, "new")[0]
    assert (row["version"], row["action"], row["note"]) == (added, "add", None)


def test_loads_are_known_from_the_ledger(bridge):
    ds = bridge.ds
    bridge.annotate()
    bridge.hands.set("car0", label="person", annotator="ada")
    bridge.hands.set("man1", label="car")
    bridge.hands.delete("car1")
    new = bridge.hands.add("s2")
    first = bridge.load().version
    added = next(i for i, row in bridge.labels().items() if row["run"] == "r" and i not in ("car0", "man1"))
    ds.set_labels([{"label_id": "man1", "confidence": 0.125}])
    bridge.hands.set("car0", label="car")
    bridge.hands.delete(new)
    second = bridge.load().version
    ds.set_labels([{"label_id": "man3", "confidence": 0.125}])
    ds.optimize(NOTHING)
    assert first not in versions(ds)
    assert [(r["version"], *b) for r, b in zip(past(ds, "car0"), brief(ds, "car0"), strict=True)] == [
        (past(ds, "car0")[0]["version"], "add", None, None, ["existence"]),
        (first, "edit", "r", 1, ["label"]),
        (second, "edit", "r", 2, ["label"]),
    ]
    assert [r["after"] for r in past(ds, "car0")[1:]] == ['{"label":"person"}', '{"label":"car"}']
    assert [r["note"] is None for r in past(ds, "car0")] == [False, False, True]
    assert brief(ds, "car1")[1:] == [("delete", "r", 1, ["existence"])]
    assert past(ds, "car1")[1]["note"] is None
    assert brief(ds, "man1")[1:] == [("edit", "r", 1, ["label", "confidence"])]
    assert "so later changes may be in it" in past(ds, "man1")[1]["note"]
    assert brief(ds, added) == [("add", "r", 1, ["existence"]), ("delete", "r", 2, ["existence"])]
    for label_id in ("car0", "car1", "man1", "man3", added):
        assert replayed(past(ds, label_id)) == as_it_is(bridge.labels().get(label_id))


@pytest.mark.parametrize("label", ["car0", "man3"])
def test_an_undo_that_changed_nothing_made_no_version_that_was_cleaned_away(bridge, label):
    """Neither that of another run's load, nor one that was made by hand."""
    ds = bridge.ds
    schema = {"objects": {"type": "detections", "classes": ["car", "person", "bus"]}}
    bridge.annotate("b", schema=schema)
    other = Bridge(bridge.path, ds, f"{bridge.url}a")
    other.annotate("a", schema=schema)
    other.hands.set("car0", label="person")
    other.load("a")
    if label == "car0":
        bridge.hands.set("car0", label="bus")
        bridge.load("b")
    else:
        ds.set_labels([{"label_id": "car0", "label": "bus"}, {"label_id": "man3", "label": "bus"}])
        ds.delete_labels(["man3"])
        ds.add_labels("objects", {"s3": [ab.Detection("bus", BOX, label_id="man3")]})
    undone = versions(ds)[-1]
    assert ds.undo_annotations("a").version is None
    ds.set_labels([{"label_id": label, "confidence": 0.25}])
    ds.optimize(NOTHING)
    assert undone not in versions(ds)
    rows = past(ds, label)
    wanted = [("add", None), ("edit", "a"), ("edit", "b")] if label == "car0" else [("add", None)]
    assert [(r["action"], r["run"]) for r in rows] == wanted
    if label == "car0":
        assert rows[0]["version"] < rows[1]["version"] < rows[2]["version"] == undone
    SERVERS.pop(other.url)


def test_deleted_and_forgotten_by_clean_up(ds):
    ds.delete_labels(["car0"])
    ds.set_labels([{"label_id": "man0", "label": "child"}])
    ds.optimize(NOTHING)
    with pytest.raises(ab.StoreError, match="clean-up has removed the versions that had it"):
        ds.history("car0")


verbs = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["set", "tool"]), st.sampled_from(["car0", "man0"]), st.sampled_from(["car", "person"])
        ),
        st.tuples(st.sampled_from(["move", "erase", "drop"]), st.sampled_from(["car0", "man0"]), st.none()),
        st.tuples(st.sampled_from(["load", "load", "undo", "snapshot", "clean", "compact"]), st.none(), st.none()),
    ),
    max_size=12,
)


def do(bridge: Bridge, verb: str, which: str, label: str) -> None:
    here = which in bridge.labels()
    there = any(row["label_id"] == which for row in bridge.hands.rows())
    if verb == "set" and here:
        bridge.ds.set_labels([{"label_id": which, "label": label}])
    elif verb == "move" and here:
        bridge.ds.set_labels([{"label_id": which, "bounding_box": BOX, "sample_id": "s1"}])
    elif verb == "drop" and here:
        bridge.ds.delete_labels([which])
    elif verb == "tool" and there:
        bridge.hands.set(which, label=label, annotator="ada")
    elif verb == "erase" and there:
        bridge.hands.delete(which)
    elif verb == "load":
        bridge.load(force=True)
    elif verb == "undo" and any(load["state"] == "applied" for load in bridge.ds.get_annotation_info("r")["loads"]):
        bridge.ds.undo_annotations("r")
    elif verb == "snapshot":
        bridge.ds.snapshot(f"v{len(bridge.ds.list_snapshots())}")
    elif verb in ("clean", "compact"):
        bridge.ds.optimize(NOTHING if verb == "clean" else None)


@examples(15)
@given(steps=verbs)
def test_the_rows_replay_to_the_label_as_it_is(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("replay")
    ds = ab.create_dataset(folder / "ds")
    fill(ds)
    bridge = Bridge(folder / "ds", ds, f"memory://{uuid.uuid4()}")
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["car", "person"]}})
    cleaned = False
    for step in steps:
        do(bridge, *step)
        cleaned |= step[0] == "clean"
        now = content(ds)[1]
        for label_id in ("car0", "man0", "car3"):
            if label_id in now or not cleaned:
                rows = past(ds, label_id)
                assert replayed(rows) == as_it_is(now.get(label_id))
                assert [r["version"] for r in rows] == sorted(r["version"] for r in rows)
                if not cleaned:
                    assert all(r["note"] is None and r["time"] is not None for r in rows)
    SERVERS.pop(bridge.url)
    shutil.rmtree(folder)
