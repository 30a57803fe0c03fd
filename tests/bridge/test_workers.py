"""Processes of this machine: the result is the same as with one, and an error leaves what an error of one leaves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lance
import pytest
from tests.doubles import busy_backend, file_backend

import annobridge as ab
from annobridge.bridge import written
from annobridge.jobs import execution
from annobridge.store.baseline import Baseline

TASKS = 8
FOUR_TASKS_A_JOB = 20


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch):
    monkeypatch.setenv(busy_backend.VARIABLE, busy_backend.NAME)
    monkeypatch.setattr(execution, "LABELS_AT_ONCE", FOUR_TASKS_A_JOB)


class World:
    """A dataset and its tool."""

    def __init__(self, root: Path) -> None:
        self.root, self.tool = root, root / "tool"
        self.tool.mkdir(parents=True)
        self.ds = ab.create_dataset(root / "ds")
        self.ds.add_samples(
            ab.Sample(
                f"img{i:02}.jpg",
                sample_id=f"s{i:02}",
                objects=[ab.Detection("car", [j / 20, 0.1, 0.1, 0.1], label_id=f"car{i:02}-{j}") for j in range(5)],
            )
            for i in range(2 * TASKS)
        )

    def annotate(self, **options):
        options = {"backend": "busy", "folder": str(self.tool), "task_size": 2, "progress": False} | options
        return self.ds.annotate("r", label_schema="objects", **options)

    def load(self, **options):
        results = self.ds.load_annotation_results("r", folder=str(self.tool))
        return results.load(**{"labels_per_job": FOUR_TASKS_A_JOB, "progress": False} | options)

    def rows(self, table):
        found = lance.dataset(str(self.root / "ds" / f"{table}.lance")).to_table()
        names = [n for n in found.column_names if n not in ("time", "run_id", "task", "remote_id", "state")]
        return sorted(map(str, found.select(names).to_pylist()))

    def ordered(self):
        """The labels by their row ids, which are part of them."""
        found = lance.dataset(str(self.root / "ds/labels.lance")).to_table(
            ["label_id", "bounding_box", "rev"], with_row_id=True
        )
        return found.sort_by("_rowid").to_pylist()


def work(row):
    number = int(row["label_id"][3:5]) * 5 + int(row["label_id"][-1])
    if number % 7 == 0:
        return []
    return [row | {"bounding_box": [0.5, 0.5, 0.25, 0.25]}] if number % 5 == 0 else [row]


def test_several_processes_give_what_one_gives(tmp_path):
    here, several = World(tmp_path / "one"), World(tmp_path / "several")
    for world, workers in ((here, 1), (several, 3)):
        world.annotate(workers=workers)
        assert busy_backend.tasks(world.tool, busy_backend.UPLOADS)[0].startswith("r-")
        file_backend.edit(world.tool, work)
        assert (report := world.load(workers=workers)).edited
        assert report.added == 0
    assert busy_backend.processes(here.tool, busy_backend.UPLOADS) == {str(os.getpid())}
    for log in (busy_backend.UPLOADS, busy_backend.DOWNLOADS):
        used = busy_backend.processes(several.tool, log)
        assert len(used) > 1
        assert len(busy_backend.tasks(several.tool, log)) == TASKS
    for table in ("labels", "annotation_baseline", "annotation_changes"):
        assert several.rows(table) == here.rows(table)
    several.ds.undo_annotations("r")
    assert several.ds.count_labels() == 5 * 2 * TASKS


def test_several_processes_write_what_one_writes(tmp_path, monkeypatch):
    """The rows have the same row ids, so they are in the same order among the labels of their sample."""
    monkeypatch.setattr(written, "_ROWS_PER_CALL", 3)
    here, several = World(tmp_path / "one"), World(tmp_path / "several")
    calls = []
    monkeypatch.setattr(written, "_write", lambda *given, write=written._write: (calls.append(given), write(*given))[1])
    for world, workers in ((here, 1), (several, 2)):
        calls.clear()
        world.annotate(workers=1)
        file_backend.edit(world.tool, work)
        world.load(workers=workers)
    changes = lance.dataset(f"{several.root}/ds/annotation_changes.lance")
    assert len(changes.get_fragments()) > len(calls) > 0  # others have written some
    assert several.ordered() == here.ordered()
    for table in ("annotation_baseline", "annotation_changes"):
        assert several.rows(table) == here.rows(table)


def test_no_more_processes_send_than_the_tool_takes_tasks_at_once(tmp_path, monkeypatch):
    """The tool of one task at a time is asked by this process, whatever ``workers`` says."""
    monkeypatch.setenv("ANNOBRIDGE_FOLDER_CONFIG_CLS", "tests.doubles.file_backend.FolderConfig")
    world = World(tmp_path)
    assert file_backend.FolderBackend.capabilities.parallel_uploads == 1
    asked = []
    monkeypatch.setattr(
        file_backend.FolderBackend, "upload", lambda self, task, upload=file_backend.FolderBackend.upload: (
            asked.append(task.name), upload(self, task)
        )[1],
    )  # fmt: skip
    world.annotate(backend="folder", workers=4)
    assert len(asked) == TASKS


def test_an_error_in_one_process_leaves_the_rest_for_a_resume(tmp_path):
    world = World(tmp_path)
    (world.tool / busy_backend.FAILS).write_text("-00005")
    with pytest.raises(ab.Unreachable, match=r"does not answer.*resume_annotation\('r'\) sends the rest"):
        world.annotate(workers=3)
    assert world.ds.get_annotation_info("r")["state"] == "sending"
    (world.tool / busy_backend.FAILS).unlink()
    world.ds.resume_annotation("r")
    assert world.load(workers=3).version is None  # nobody has edited anything
    assert len(list(world.tool.glob("*.arrow"))) == TASKS  # none twice


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_while_the_baseline_is_stored_is_told_and_resumed(tmp_path, workers, monkeypatch):
    world = World(tmp_path)

    def fail(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Baseline, "add", fail)
        with pytest.raises(OSError, match="No space left"):
            world.annotate(workers=workers)
    assert world.ds.get_annotation_info("r")["state"] == "sending"
    world.ds.resume_annotation("r")
    assert world.load(workers=workers).version is None
    assert len(list(world.tool.glob("*.arrow"))) == TASKS  # none twice


def test_samples_that_the_tool_refuses_are_left_out(tmp_path):
    world = World(tmp_path)
    (world.tool / busy_backend.REFUSES).write_text("s09")
    with pytest.warns(ab.RefusedTaskWarning, match="refused 1 of 16 samples"):
        world.annotate(workers=3, on_rejected="skip")
    assert world.load(workers=3).version is None
    assert world.ds.count_labels() == 5 * 2 * TASKS


def test_a_process_that_ends_in_a_load(tmp_path):
    world = World(tmp_path)
    world.annotate(workers=1)
    file_backend.edit(world.tool, work)
    before = world.rows("labels")
    (world.tool / busy_backend.SURVIVES).write_text(str(os.getpid()))
    with pytest.raises(
        ab.ExecutorError,
        match=r"ended by the system.*use fewer workers\. Nothing was loaded; load_annotations\('r'\) tries again",
    ):
        world.load(workers=3)
    assert world.rows("labels") == before
    (world.tool / busy_backend.SURVIVES).unlink()
    assert world.load(workers=3).edited


@pytest.mark.parametrize("workers", [0, -1, True, 1.5])
def test_a_number_of_workers_that_is_none(tmp_path, workers):
    world = World(tmp_path)
    with pytest.raises(ab.InvalidOption, match=r"is not a number of workers; give 1 or more"):
        world.annotate(workers=workers)
    assert world.ds.list_annotation_runs() == []
    assert not list(world.tool.iterdir())
    shutil.rmtree(world.tool)
