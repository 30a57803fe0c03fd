"""A dataset that version 0.1 wrote, with three runs: one loaded, one to be loaded, and one that two processes sent at once."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import lance
import pytest
from tests.doubles import file_backend

import annobridge as ab

ARCHIVE = Path(__file__).parents[1] / "golden" / "dataset_0_1.tar.gz"


@pytest.fixture
def ds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ab.Dataset:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)  # the runs remember their servers by relative paths
    monkeypatch.setenv(file_backend.VARIABLE, file_backend.NAME)
    lance.dataset("ds/annotation_runs.lance").update(
        {"backend": "'folder'"}
    )  # "files" is a backend of annobridge by now
    return ab.load_dataset("ds")


def rows(ds: ab.Dataset) -> dict[str, dict[str, Any]]:
    return {row["label_id"]: row for row in ds.labels().to_pylist()}


def test_it_opens_and_its_runs_are_described(ds):
    assert (len(ds), ds.count_labels()) == (4, 7)
    assert ds.list_annotation_runs() == ["loaded", "pending", "sending"]
    assert [load["state"] for load in ds.get_annotation_info("loaded")["loads"]] == ["applied"]
    assert ds.plan_annotations("loaded").total == 0
    assert not [f for f in ds.doctor().findings if f.name != "baselines"]


def test_its_load_is_undone_and_loaded_again(ds):
    loaded = rows(ds)
    undone = ds.undo_annotations("loaded")
    assert undone.counts == {"add": 0, "edit": 4, "delete": 1}
    now = rows(ds)
    assert len(now) == 8
    assert all(now[f"car{n}"]["bounding_box"] == [0.1, 0.1, 0.2, 0.2] for n in range(4))
    assert all(a["name"] == "note" for n in range(4) for a in now[f"car{n}"]["attributes"])
    assert ds.load_annotations("loaded").total == 5
    assert {i: r["bounding_box"] for i, r in rows(ds).items()} == {i: r["bounding_box"] for i, r in loaded.items()}


def test_its_pending_work_is_loaded(ds):
    ds.set_labels([{"label_id": "car0", "tags": ["seen"]}])
    report = ds.load_annotations("pending")
    assert (report.added, report.edited, report.deleted) == (0, 4, 0)
    assert rows(ds)["car0"]["label"] == "person"
    assert rows(ds)["car0"]["tags"] == ["seen"]
    assert ds.load_annotations("pending").version is None
    ds.undo_annotations("pending")
    assert rows(ds)["car0"]["label"] == "car"


def test_a_run_that_was_sent_twice_deletes_nothing_and_is_repaired(ds):
    assert [f.name for f in ds.doctor().findings] == ["baselines"]
    plan = ds.plan_annotations("sending")
    assert plan.total == 0
    assert "recorded 7 labels twice; each counts once" in plan.notes[0]
    before = rows(ds)
    assert ds.load_annotations("sending").total == 0
    assert rows(ds) == before
    assert ds.doctor(repair=True).ok
    assert not ds.doctor().findings
    assert ds.plan_annotations("sending").notes == ()


def test_it_goes_on_as_a_dataset_of_today(ds):
    ds.add_samples([ab.Sample("new.jpg", sample_id="new", objects=[ab.Detection("car", [0.1, 0.1, 0.2, 0.2])])])
    Path("server/next").mkdir()
    ds.annotate("next", label_schema="objects", backend="folder", folder="server/next", task_size=2)
    file_backend.edit(Path("server/next"), lambda row: [{**row, "label": "person"}])
    assert ds.load_annotations("next").edited == 5
    ds.rename_annotation_run("next", "later")
    ds.delete_samples(["new"])
    assert (len(ds), ds.count_labels()) == (4, 7)
