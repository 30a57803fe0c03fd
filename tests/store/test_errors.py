"""Disks that are full, places that are read-only, files that are damaged: sentences, and what can be read is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import pytest

import annobridge as ab
from annobridge.store.runs import Runs

BOX = [0.1, 0.1, 0.2, 0.2]
FULL = "LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28), /home/runner/x.rs:1:2"
DENIED = "LanceError(IO): Generic LocalFileSystem error: Permission denied (os error 13), /home/runner/x.rs:1:2"
SAID = {
    FULL: "the disk is full. Nothing of this step was written; make room, and repeat",
    DENIED: "it is read-only here",
}
SCHEMA = {"objects": {"type": "detections", "classes": ["car", "bus", "loaded", "r"]}}
VERBS: dict[str, Callable[[ab.Dataset, str], Any]] = {
    "annotate": lambda ds, url: ds.annotate("new", label_schema=SCHEMA, backend="memory", url=url),
    "load": lambda ds, url: ds.load_annotations("r"),
    "undo": lambda ds, url: ds.undo_annotations("loaded"),
    "add_labels": lambda ds, url: ds.add_labels("objects", [{"sample_id": "s0", "label": "car", "bounding_box": BOX}]),
    "set_labels": lambda ds, url: ds.set_labels([{"label_id": "a", "label": "bus"}]),
    "delete_labels": lambda ds, url: ds.delete_labels(["a"]),
    "add_samples": lambda ds, url: ds.add_samples([ab.Sample("b.jpg", objects=[ab.Detection("car", BOX)])]),
    "delete_samples": lambda ds, url: ds.delete_samples(["s0"]),
    "rename": lambda ds, url: ds.rename_annotation_run("r", "q"),
    "forget": lambda ds, url: ds.delete_annotation_run("r"),
}


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """A run with an edit to load, and one that was loaded."""
    import pyarrow as pa

    from annobridge.backend.memory import SERVERS

    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample("a.jpg", sample_id="s0", objects=[ab.Detection("car", BOX, label_id="a")])])
    for key in ("loaded", "r"):
        url = f"memory://errors-{tmp_path}-{key}"
        ds.annotate(key, label_schema=SCHEMA, backend="memory", url=url)
        labels = SERVERS[url].labels
        for task, rows in labels.items():
            labels[task] = pa.Table.from_pylist([{**r, "label": key} for r in rows.to_pylist()], rows.schema)
    ds.load_annotations("loaded")
    return ds


def everything(ds: ab.Dataset) -> Any:
    return (ds.samples().to_pylist(), ds.labels().to_pylist(), ds.list_annotation_runs(),
            [ds.get_annotation_info(key)["loads"] for key in ds.list_annotation_runs()])  # fmt: skip


def break_writes(patch: pytest.MonkeyPatch, text: str) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(text)

    patch.setattr(lance.LanceDataset, "commit", staticmethod(broken))
    patch.setattr(lance.LanceDataset, "delete", broken)
    patch.setattr(lance, "write_dataset", broken)
    patch.setattr(lance.fragment, "write_fragments", broken)
    patch.setattr(lance.LanceDataset, "merge_insert", broken)


@pytest.mark.parametrize("text", SAID, ids=["full", "read-only"])
@pytest.mark.parametrize("verb", VERBS)
def test_what_cannot_be_written_is_said_and_repeated(ds, monkeypatch, tmp_path, verb, text):
    before = everything(ds)
    with monkeypatch.context() as patch:
        break_writes(patch, text)
        with pytest.raises(ab.StoreError, match=SAID[text]) as caught:
            VERBS[verb](ds, f"memory://errors-{tmp_path}-new")
        assert "/home/" not in str(caught.value)
        assert everything(ds) == before
    VERBS[verb](ds, f"memory://errors-{tmp_path}-new")


def test_what_only_reads_needs_not_write_when_a_load_was_interrupted(ds, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "end_load", die)
        patch.setattr(Runs, "abandon_load", lambda *_: None)
        with pytest.raises(Killed):
            ds.load_annotations("r")
    with monkeypatch.context() as patch:
        break_writes(patch, DENIED)
        assert [load["state"] for load in ds.get_annotation_info("r")["loads"]] == ["applied"]
        assert ds.plan_annotations("r").total == 0
        assert len(ds.load_annotation_view("r")) == 1
    assert [load["state"] for load in ds.get_annotation_info("r")["loads"]] == ["applied"]


def test_damaged_files_are_called_damaged(ds):
    for path in Path(ds.uri, "labels.lance", "data").iterdir():
        path.unlink()
    with pytest.raises(
        ab.StoreError, match="The table 'labels' of .* cannot be read: .* missing or damaged; restore them"
    ):
        ds.labels("objects").to_pylist()
    with pytest.raises(ab.StoreError, match="missing or damaged"):
        ds.labels("objects", "label = 'car'").to_pylist()


def test_a_manifest_that_is_gone(ds):
    import shutil

    shutil.rmtree(Path(ds.uri, "labels.lance", "_versions"))
    with pytest.raises(ab.StoreError, match="The table 'labels' of .* cannot be opened"):
        ds.count_labels()


def test_a_filter_that_is_wrong_is_still_the_filter(ds):
    with pytest.raises(ab.StoreError, match="The filter .*lable.* cannot be run on labels"):
        ds.labels("objects", "lable = 'car'").to_pylist()


@pytest.mark.parametrize(
    ("column", "value"),
    [("loads", "'{'"), ("loads", """'[{"of": "the future"}]'"""), ("label_schema", "'[]'"), ("options", "''")],
)
def test_an_entry_of_the_ledger_that_cannot_be_read_concerns_its_run_alone(ds, column, value):
    lance.dataset(f"{ds.uri}/annotation_runs.lance").update({column: value}, where="anno_key = 'loaded'")
    ds = ab.load_dataset(ds.uri)
    assert ds.list_annotation_runs() == ["loaded", "r"]
    for call in (ds.get_annotation_info, ds.plan_annotations, ds.undo_annotations, ds.resume_annotation):
        with pytest.raises(
            ab.RunError, match="The entry of the run 'loaded' in the ledger cannot be read .* forget the run with"
        ):
            call("loaded")
    assert ds.load_annotations("r").edited == 1
    ds.delete_annotation_run("loaded")
    assert ds.list_annotation_runs() == ["r"]
