"""Columns that users add to the labels table: rows keep them through every change, or the change is refused before it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.labels import REMOTE
from annobridge.exceptions import StoreError

BOX = [0.1, 0.1, 0.2, 0.2]


def table(ds: ab.Dataset) -> lance.LanceDataset:
    return lance.dataset(f"{ds.uri}/labels.lance")


def own(ds: ab.Dataset) -> dict[str, tuple[Any, Any]]:
    rows = table(ds).to_table(columns=["label_id", "note", "score"]).to_pylist()
    return {row["label_id"]: (row["note"], row["score"]) for row in rows}


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Labels a, b, c, d; a note and a list of scores on each."""
    ds = ab.create_dataset(tmp_path / "ds")
    labels = [ab.Detection("car", BOX, label_id=name) for name in "abcd"]
    ds.add_samples([ab.Sample("x.jpg", sample_id="s", width=9, height=9, objects=labels)])
    table(ds).add_columns({"note": "concat('about ', label_id)"})
    table(ds).add_columns({"score": "make_array(1.5, 2.5)"})
    table(ds).alter_columns({"path": "score", "nullable": True})
    return ab.load_dataset(ds.uri)


@pytest.fixture
def whole(ds: ab.Dataset) -> dict[str, tuple[Any, Any]]:
    found = own(ds)
    assert found["a"] == ("about a", [1.5, 2.5])
    return found


def annotate(ds: ab.Dataset, **options: Any) -> Any:
    url = f"memory://own-{ds.uri}"
    ds.annotate("r", label_field="objects", classes=["car", "bus"], backend="memory", url=url, **options)
    return SERVERS[url]


def edit(server: Any, change: Any) -> None:
    for task, rows in server.labels.items():
        server.labels[task] = pa.Table.from_pylist([new for r in rows.to_pylist() for new in change(r)], REMOTE)


def test_edits_keep_them(ds, whole):
    ds.set_labels([{"label_id": "b", "label": "bus"}, {"label_id": "a", "tags": ["x"]}])
    assert own(ds) == whole
    ds.delete_labels(["c"])
    ds.optimize()
    assert own(ds) == {name: value for name, value in whole.items() if name != "c"}


def test_a_load_and_its_undo_keep_them_deleted_labels_included(ds, whole):
    server = annotate(ds)
    edit(server, lambda row: [] if row["label_id"] == "d" else [{**row, "label": "bus"}])
    new = {**dict.fromkeys(REMOTE.names), "sample_id": "s", "field": "objects", "kind": "box", "label": "car",
           "bounding_box": BOX, "attributes": [], "remote_id": "new"}  # fmt: skip
    task = next(iter(server.labels))
    server.labels[task] = pa.concat_tables([server.labels[task], pa.Table.from_pylist([new], REMOTE)])
    report = ds.load_annotations("r")
    assert (report.added, report.edited, report.deleted) == (1, 3, 1)
    found = own(ds)
    assert {name: found[name] for name in "abc"} == {name: whole[name] for name in "abc"}
    assert [value for name, value in found.items() if name not in whole] == [(None, None)]
    ds.undo_annotations("r")
    assert own(ds) == whole


def test_an_undo_says_what_it_cannot_bring_back(ds, whole):
    edit(annotate(ds), lambda row: [] if row["label_id"] == "d" else [row])
    ds.load_annotations("r")
    table(ds).cleanup_old_versions(older_than=timedelta(0))
    kept = ds.undo_annotations("r").kept.to_pylist()
    assert [(row["label_id"], row["component"]) for row in kept] == [("d", "own columns")]
    assert "the label is back, but the version of the labels table" in kept[0]["reason"]
    assert own(ds) == {**whole, "d": (None, None)}


def test_a_column_that_came_between_plan_and_commit_makes_the_plan_stale(ds):
    edit(annotate(ds), lambda row: [{**row, "label": "bus"}])
    plan = ds.plan_annotations("r")
    table(ds).add_columns({"late": "label_id"})
    with pytest.raises(ab.StalePlan, match="The columns of the labels table were changed by others meanwhile"):
        plan.apply()
    assert ds.load_annotations("r").edited == 4
    assert {row["late"] for row in table(ds).to_table(columns=["late"]).to_pylist()} == set("abcd")


class TestNotNull:
    @pytest.fixture
    def full(self, tmp_path: Path) -> ab.Dataset:
        """A dataset whose labels have a column that may not be null."""
        ds = ab.create_dataset(tmp_path / "full")
        ds.add_samples([ab.Sample("x.jpg", sample_id="s", width=9, height=9, objects=[ab.Detection("car", BOX)])])
        table(ds).add_columns(pa.schema([pa.field("must", pa.string())]))
        table(ds).update({"must": "'yes'"})
        table(ds).alter_columns({"path": "must", "nullable": False})
        return ab.load_dataset(ds.uri)

    def test_what_would_add_labels_is_refused_before_anything_is_sent_or_written(self, full):
        server, before = None, table(full).version
        rows = [{"sample_id": "s", "label": "car", "bounding_box": BOX}]
        new = [ab.Sample("y.jpg", objects=[ab.Detection("car", BOX)])]
        for call in (lambda: annotate(full), lambda: full.add_labels("objects", rows), lambda: full.add_samples(new)):
            with pytest.raises(StoreError, match=r"has the column 'must', .* make it nullable: table.alter_columns"):
                server = call()
        assert server is None
        assert full.list_annotation_runs() == []
        assert len(full) == 1
        assert [r["must"] for r in table(full).to_table(columns=["must"]).to_pylist()] == ["yes"]
        assert table(full).version <= before + 2  # the lease of add_samples, and no row

    def test_edits_go_on_as_the_cure_does(self, full):
        (label,) = full.labels().to_pylist()
        full.set_labels([{"label_id": label["label_id"], "label": "bus"}])
        assert table(full).to_table(columns=["must", "label"]).to_pylist() == [{"must": "yes", "label": "bus"}]
        table(full).alter_columns({"path": "must", "nullable": True})
        annotate(full)
        assert full.add_labels("objects", [{"sample_id": "s", "label": "car", "bounding_box": BOX}]) == 1


@pytest.mark.parametrize("column", ["concat('blue', '')", "nullif('blue', anno_key)"])
def test_runs_keep_them(ds, column):
    """The first column may not be null."""
    server = annotate(ds)
    runs = lance.dataset(f"{ds.uri}/annotation_runs.lance")
    runs.add_columns({"team": column})
    edit(server, lambda row: [row | {"label": "bus"}])
    assert ds.load_annotations("r").edited == 4
    ds.rename_annotation_run("r", "again")
    assert lance.dataset(runs.uri).to_table(["anno_key", "team"]).to_pylist() == [{"anno_key": "again", "team": "blue"}]
