"""Differences: applied to the earlier version, they give the later one; what is equal is not read; the tables of a plan."""

from __future__ import annotations

import shutil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples
from tests.history.conftest import content, table

import annobridge as ab
from annobridge.core.labels import LABELS
from annobridge.core.review.changes import CHANGES
from annobridge.core.rows import attributes
from annobridge.history import difference
from annobridge.store import label_versions

BOX = [0.1, 0.1, 0.2, 0.2]
BY_WHOM = ("run", "tool", "annotator", "time", "rev")


def plain(ds: ab.View) -> dict[str, dict[str, Any]]:
    """The labels by id, without what a difference does not look at."""
    return {i: {n: repr(v) for n, v in row.items() if n not in BY_WHOM} for i, row in content(ds)[1].items()}


def applied(labels: dict[str, Any], found: ab.Difference) -> dict[str, Any]:
    """The labels of the earlier version with the changes."""
    after = dict(labels)
    for row in found.to_arrow().filter(pc.equal(found.to_arrow()["action"], "delete")).to_pylist():
        del after[row["label_id"]]
    for row in found.writes().select(LABELS.names).to_pylist():
        after[row["label_id"]] = {n: repr(v) for n, v in row.items() if n not in BY_WHOM}
    return after


rows = st.fixed_dictionaries(
    {
        "sample_id": st.sampled_from(["s0", "s1", "s2"]),
        "field": st.sampled_from(["f", "g"]),
        "label": st.sampled_from(["car", "bus"]),
        "bounding_box": st.sampled_from([BOX, [0.5, 0.5, 0.25, 0.25]]),
        "confidence": st.sampled_from([None, 0.5, 0.75]),
        "tags": st.sampled_from([None, [], ["x"]]),
        "index": st.sampled_from([None, 1]),
        "attributes": st.sampled_from([[], attributes({"a": 1}), attributes({"a": "1", "b": True})]),
    }
)
states = st.dictionaries(st.sampled_from("abcdef"), rows, max_size=6)


def bring_to(ds: ab.Dataset, state: dict[str, Any]) -> None:
    """Change the labels of a dataset to those of a state, which may edit, add and delete each of them."""
    here = {row["label_id"] for row in table(ds).to_table(columns=["label_id"]).to_pylist()}
    ds.delete_labels(sorted(here - state.keys()))
    if both := [{"label_id": i, **state[i]} for i in sorted(here & state.keys())]:
        ds.set_labels(both)
    if new := [{"label_id": i, "kind": "box", "rev": 1, **state[i]} for i in sorted(state.keys() - here)]:
        ds.stores.database.append("labels", pa.Table.from_pylist(new, LABELS))


@examples(20)
@given(first=states, second=states, groups=st.sampled_from([1, 20_000]), dropped=st.sampled_from([None, "s1"]))
def test_applied_to_the_earlier_version_it_gives_the_later_one(tmp_path_factory, first, second, groups, dropped):
    folder = tmp_path_factory.mktemp("law")
    ds = ab.create_dataset(folder / "ds")
    ds.add_samples([ab.Sample(f"{n}.jpg", sample_id=f"s{n}") for n in range(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference, "_GROUP", groups)
        bring_to(ds, first)
        ds.snapshot("a")
        bring_to(ds, second)
        if dropped:
            ds.stores.samples.delete([dropped])  # its labels stay, as a process leaves them that is killed in between
        ds.snapshot("b")
        before, after = plain(ds.at("a")), plain(ds.at("b"))
        found, back = ds.diff("a", "b"), ds.diff("b", "a")
    assert applied(before, found) == after
    assert applied(after, back) == before
    assert bool(found) == (before != after or dropped is not None)
    assert found.added == back.deleted == len(after.keys() - before.keys())
    assert found.deleted == back.added == len(before.keys() - after.keys())
    differ = {i for i in before.keys() & after.keys() if before[i] != after[i]}
    assert found.edited == back.edited == len(differ)
    changes = found.changes
    assert changes.schema == CHANGES
    assert set(changes["label_id"].to_pylist()) == differ | (before.keys() ^ after.keys())
    assert changes["base"].to_pylist().count(None) <= changes.num_rows
    assert set(found.samples_deleted["sample_id"].to_pylist()) == ({dropped} if dropped else set())
    shutil.rmtree(folder)


def test_the_tables_of_a_plan(ds):
    ds.snapshot("v1")
    ds.set_labels([
        {"label_id": "car0", "label": "person", "bounding_box": [0.1, 0.1, 0.3, 0.4]},
        {"label_id": "car1", "attributes": attributes({"color": "blue", "note": "keep"}), "confidence": 0.5},
        {"label_id": "man2", "sample_id": "s3", "field": "people"},
        {"label_id": "speed0", "value": "70"},
    ])  # fmt: skip
    ds.delete_labels(["sun2"])
    ds.add_labels("weather", {"s2": ab.Classification("rain", label_id="new")})
    found = ds.diff("v1")
    assert (found.before, found.after, found.added, found.edited, found.deleted, found.total) == (
        "v1",
        "now",
        1,
        4,
        1,
        6,
    )
    assert found.counts == {
        "objects": {"add": 0, "edit": 3, "delete": 0},
        "speed": {"add": 0, "edit": 1, "delete": 0},
        "weather": {"add": 1, "edit": 0, "delete": 1},
    }
    values = {(r["label_id"], r["component"]): (r["base"], r["theirs"]) for r in found.changes.to_pylist()}
    assert {key: value for key, value in values.items() if key[1] != "existence"} == {
        ("car0", "label"): ('"car"', '"person"'),
        ("car0", "spatial"): (
            '{"kind":"box","bounding_box":[0.1,0.1,0.3,0.3333333333333333]}',
            '{"kind":"box","bounding_box":[0.1,0.1,0.3,0.4]}',
        ),
        ("car1", "attributes.color"): ('"red"', '"blue"'),
        ("car1", "attributes.occluded"): ("false", None),
        ("car1", "confidence"): ("0.9", "0.5"),
        ("man2", "sample_id"): ('"s2"', '"s3"'),
        ("man2", "field"): ('"objects"', '"people"'),
        ("speed0", "label"): ("50", "70"),
    }
    assert values["sun2", "existence"][1] is None
    assert values["new", "existence"][0] is None
    kinds = [(r["kind"], r["group"]) for r in found.changes.to_pylist()]
    assert kinds[0] == ("delete", "deletion")
    assert {"class change", "small move", "attribute change", "addition"} <= {group for _, group in kinds}
    for name in ("task", "ours", "proposal", "why", "choices", "bound_to"):
        assert found.changes[name].null_count == found.changes.num_rows
    moved = found.changes.filter(pc.equal(found.changes["component"], "spatial"))
    assert moved["iou"].to_pylist() == [pytest.approx(1 / 3 / 0.4)]
    assert {"field": "objects", "before": "car", "after": "person", "labels": 1} in found.class_pairs().to_pylist()
    assert found.by_sample().num_rows == 3
    assert [row["action"] for row in found.changed().to_pylist()] == ["delete", *["edit"] * 4, "add"]
    assert pa.table(found).column_names == ["label_id", "sample_id", "field", "action", "label"]
    assert repr(found).splitlines() == [
        "'v1' to 'now': +1 ~4 -1, samples: +0 ~0 -0",
        "  objects: +0 ~3 -0", "  speed: +0 ~1 -0", "  weather: +1 ~0 -1",
    ]  # fmt: skip
    shown = found._repr_html_()
    assert "<td>weather</td><td>1</td><td>0</td><td>1</td>" in shown
    assert "0 samples added, 0 changed, 0 deleted" in shown
    assert "<td>person</td>" in shown
    assert found.to_dict()["samples"] == {"added": 0, "changed": 0, "deleted": 0}
    found.close()


def test_samples_that_come_and_go(ds):
    ds.snapshot("v1")
    ds.delete_samples(["s1"])
    ds.add_samples([ab.Sample("new.jpg", sample_id="new", place="here")])
    ds.snapshot("v2")
    found = ds.diff("v1", "v2")
    assert [row["sample_id"] for row in found.samples_deleted.to_pylist()] == ["s1"]
    assert [(row["sample_id"], row["place"]) for row in found.samples_added.to_pylist()] == [("new", "here")]
    assert (found.added, found.edited, found.deleted) == (0, 0, 5)
    assert bool(ds.diff("v2", "v1"))
    assert repr(ds.diff("v2", "v1")).startswith("'v2' to 'v1': +5 ~0 -0, samples: +1 ~0 -1")


def test_samples_that_changed(ds):
    ds.snapshot("v1")
    row = ds.select("s1").samples().to_pylist()[0]
    ds.delete_samples(["s1"])
    assert row["number"] is not None
    ds.add_samples(
        [ab.Sample("moved.jpg", sample_id="s1", width=row["width"], height=row["height"], number=row["number"])]
    )
    ds.snapshot("v2")
    ds.add_samples([ab.Sample("new.jpg", sample_id="new", place="here")])  # a new column, null in all others
    found = ds.diff("v1", "v2")
    assert found
    assert found.to_dict()["samples"] == {"added": 0, "changed": 1, "deleted": 0}
    assert [row["sample_id"] for row in found.samples_changed.to_pylist()] == ["s1"]
    assert found.samples_changed["filepath"].to_pylist()[0].endswith("moved.jpg")
    assert "samples: +0 ~1 -0" in repr(found)
    assert not ds.diff("v2", "v2")
    assert ds.diff("v2").to_dict()["samples"] == {"added": 1, "changed": 0, "deleted": 0}
    ds.snapshot("v3")
    table(ds, "samples").update({"tags": "['checked']"}, where="sample_id = 'new'")
    found = ds.diff("v3")
    assert (bool(found), found.total, found.samples_changed["tags"].to_pylist()) == (True, 0, [["checked"]])


def test_it_stays_what_it_was_found_to_be(ds):
    ds.snapshot("v1")
    ds.set_labels([{"label_id": "car0", "bounding_box": BOX}])
    found = ds.diff("v1")
    ds.delete_samples(["s0"])
    assert found.changes["label_id"].to_pylist() == ["car0"]
    assert found.samples_deleted.num_rows == 0


def test_by_whom_does_not_count(ds):
    ds.snapshot("v1")
    ds.set_labels([{"label_id": "car0", "annotator": "ada"}, {"label_id": "car1", "label": "car"}])
    assert not ds.diff("v1")
    assert ds.diff("v1").changes.num_rows == 0


def test_what_both_have_is_not_read(ds, monkeypatch):
    ds.snapshot("v1")
    ds.add_labels("objects", {"s0": [ab.Detection("car", BOX, label_id="new")]})
    read = []
    plain_scan = label_versions._scan
    monkeypatch.setattr(
        label_versions, "_scan", lambda *a: (read.append(batch.num_rows) or batch for batch in plain_scan(*a))
    )
    assert ds.diff("v1").added == 1
    assert sum(read) == 1
    read.clear()
    assert not ds.diff("v1", "v1")
    assert not ds.diff("now", "now")
    assert read == []


def test_compaction_changes_nothing(ds):
    ds.set_labels([{"label_id": "car0", "label": "person"}])
    ds.snapshot("v1")
    ds.optimize()
    assert not ds.diff("v1")
