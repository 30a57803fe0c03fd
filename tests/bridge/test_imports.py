"""Import and export: as a whole or not at all, in all modes; killed anywhere, the dataset is as before or goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests import children
from tests.bridge import wrecks

import annobridge as ab
from annobridge.ingest.importer import Importer
from annobridge.io.import_dataset import MODES
from annobridge.spill.streams import Streams
from annobridge.store.labels import Labels
from annobridge.store.samples import Samples


def write(folder: Path, count: int = 3, text: str | None = None) -> Path:
    """A folder of images with two boxes each, as Hugging Face has them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for n in range(count):
        Image.new("RGB", (40, 20), (n, *folder.name.encode()[-2:])).save(folder / f"{n}.png")
        objects = {"bbox": [[4, 2, 8, 4], [0, 0, 40, 20]], "categories": ["car", "bus"]}
        lines.append(json.dumps({"file_name": f"{n}.png", "objects": objects, "place": "ab"[n % 2]}))
    (folder / "metadata.jsonl").write_text(text if text is not None else "\n".join(lines))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in")


def everything(folder: Path) -> dict[str, bytes]:
    """All files but those of the leases, which an import takes and releases."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and "annotation_leases.lance" not in p.parts)
    return {str(p): p.read_bytes() for p in files}


def content(ds: ab.Dataset) -> tuple[list[str], int]:
    return sorted(Path(r["filepath"]).name for r in ds.samples().to_pylist()), ds.count_labels()


def test_create(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = ab.import_dataset(source, tmp_path / "ds", tags=["new"], progress=lambda *at: seen.append(at))
    assert (report.format, report.samples, report.labels, report.known) == ("folder", 3, {"objects": 6}, 0)
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)
    ds = ab.load_dataset(tmp_path / "ds")
    rows = ds.samples().to_pylist()
    assert {(r["width"], r["height"], r["media_type"]) for r in rows} == {(40, 20, "image")}
    assert [r["tags"] for r in rows] == [["new"]] * 3
    assert ds.match("place = 'b'").count_labels() == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "in"], "nothing is left beside it"
    with pytest.raises(ab.DatasetExists, match="There is something at .*mode='add' or mode='overwrite'"):
        ab.import_dataset(source, tmp_path / "ds")


def test_overwrite_takes_the_place_of_a_dataset_and_of_nothing_else(source: Path, tmp_path: Path) -> None:
    ab.import_dataset(source, tmp_path / "ds")
    report = ab.import_dataset(write(tmp_path / "other", 1), tmp_path / "ds", mode="overwrite")
    assert content(report.dataset) == (["0.png"], 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "in", "other"]
    before = everything(source)
    with pytest.raises(ab.DatasetNotFound):
        ab.import_dataset(tmp_path / "other", source, mode="overwrite")
    assert everything(source) == before
    (tmp_path / "ds" / "notes.txt").write_text("mine")
    with pytest.raises(ab.StoreError, match=r"holds 'notes.txt' beside the dataset, which overwriting would delete"):
        ab.import_dataset(source, tmp_path / "ds", mode="overwrite")
    assert content(ab.load_dataset(tmp_path / "ds")) == (["0.png"], 2)


def test_a_dataset_with_snapshots_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    ds = ab.import_dataset(source, tmp_path / "ds").dataset
    ds.snapshot("v1")
    before = everything(tmp_path / "ds")
    message = r"^The dataset '.*ds' has snapshots, which overwriting would delete: 'v1'\. .* delete_snapshot\('v1'\), or import"
    with pytest.raises(ab.StoreError, match=message):
        ab.import_dataset(source, tmp_path / "ds", mode="overwrite")
    assert everything(tmp_path / "ds") == before
    ds.delete_snapshot("v1")

    def snapshot_first(done: int, _: int) -> None:
        if done and not ds.list_snapshots():
            ds.snapshot("v2")

    with pytest.raises(ab.StoreError, match="which overwriting would delete: 'v2'"):
        ab.import_dataset(source, tmp_path / "ds", mode="overwrite", progress=snapshot_first)
    assert [s.name for s in ab.load_dataset(tmp_path / "ds").list_snapshots()] == ["v2"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "in"]
    ds.delete_snapshot("v2")
    assert ab.import_dataset(source, tmp_path / "ds", mode="overwrite").samples == 3


def test_add_keeps_what_is_there(source: Path, tmp_path: Path) -> None:
    ds = ab.import_dataset(source, tmp_path / "ds").dataset
    kept = ds.labels().to_pylist()
    ds.delete_labels(label_ids=[r["label_id"] for r in ds.match("place = 'b'").labels().to_pylist()])
    write(source, 5)
    report = ab.import_dataset(source, tmp_path / "ds", mode="add", tags=["more"])
    assert (report.samples, report.known, report.labels, report.kept) == (2, 3, {"objects": 6}, {"objects": 4})
    assert content(ds) == ([f"{n}.png" for n in range(5)], 10)
    assert len([r for r in ds.labels().to_pylist() if r in kept]) == 4
    assert len(ds.match_tags("more")) == 2
    again = ab.import_dataset(source, tmp_path / "ds", mode="add")
    assert (again.samples, again.known, again.labels, again.kept) == (0, 5, {}, {"objects": 10})


def test_labels_for_samples_that_are_there_under_other_ids(source: Path, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(source / "1.png", sample_id="mine")])
    report = ab.import_dataset(source, tmp_path / "ds", mode="add")
    assert (report.samples, report.known, report.labels) == (2, 1, {"objects": 6})
    assert len(ds.select("mine").labels().to_pylist()) == 2


@pytest.mark.parametrize("mode", MODES)
def test_strict_imports_all_or_nothing(source: Path, tmp_path: Path, mode: str) -> None:
    ds = ab.import_dataset(source, tmp_path / "ds", strict=True).dataset
    (source / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    place = tmp_path / ("new" if mode == "create" else "ds")
    before = everything(tmp_path / "ds")
    with pytest.raises(ab.InvalidSource, match=r"Nothing was imported: strict=True was given, .*photo\.heic") as caught:
        ab.import_dataset(source, place, mode=mode, strict=True)
    assert ("6 labels of field 'objects' are of samples that have labels there already." in str(caught.value)) == (
        mode == "add"
    )
    assert content(ds) == (["0.png", "1.png", "2.png"], 6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "in"]
    if mode != "add":
        assert everything(tmp_path / "ds") == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "replace"}, "mode='replace' is not known; give 'create', 'overwrite', 'add'"),
        ({"format": "fiftytwo"}, "There is no format 'fiftytwo'; did you mean 'fiftyone'?"),
        ({"clases": ["a"]}, "has no option 'clases'; did you mean 'classes'?"),
        ({"coordinates": "pixel"}, "coordinates"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_made(
    source: Path, tmp_path: Path, arguments: Any, words: str
) -> None:
    with pytest.raises(ab.InvalidOption) as caught:
        ab.import_dataset(source, tmp_path / "ds", **arguments)
    assert words in str(caught.value)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize("mode", MODES)
def test_a_bad_source_changes_nothing(source: Path, tmp_path: Path, mode: str) -> None:
    if mode != "create":
        ab.import_dataset(source, tmp_path / "ds")
    bad = write(
        tmp_path / "bad", 2, '{"file_name": "0.png"}\n{"file_name": "1.png", "objects": {"bbox": [[0, 0, 9]]}}\n'
    )
    before = everything(tmp_path)
    with pytest.raises(ab.InvalidSource, match=r"metadata\.jsonl:2"):
        ab.import_dataset(bad, tmp_path / "ds", mode=mode)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", [(Streams, "add"), (Labels, "write")])
def test_the_disk_is_full(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, where: Any) -> None:
    if mode != "create":
        ab.import_dataset(write(tmp_path / "old", 1), tmp_path / "ds")
    before = everything(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(*where, full)
        with pytest.raises(ab.StoreError, match="The disk is full, so nothing was imported; make room there"):
            ab.import_dataset(source, tmp_path / "ds", mode=mode)
    assert everything(tmp_path) == before
    assert ab.import_dataset(source, tmp_path / "ds", mode=mode).samples == 3


KILLED = {
    "samples": ("annobridge.store.samples:Samples.append", 1),
    "labels": ("annobridge.store.labels:Labels.commit", 1),
    "move": ("annobridge.store.staging:_move", 1),
    "between": ("annobridge.store.staging:Path.rename", 2),
}


@pytest.mark.parametrize(
    ("mode", "where"),
    [("create", "labels"), ("create", "samples"), ("create", "move"), ("overwrite", "labels"), ("overwrite", "between"),
     ("add", "labels"), ("add", "samples")],
)  # fmt: skip
def test_killed_in_the_middle_and_repeated(source: Path, tmp_path: Path, mode: str, where: str) -> None:
    if mode != "create":
        ab.import_dataset(write(tmp_path / "old", 1), tmp_path / "ds")
    done = children.call(wrecks.import_dataset, source, tmp_path / "ds", mode, *KILLED[where])
    assert done.kind == "killed", done
    old = ["0.png"] if mode != "create" else []
    if where == "between":
        with pytest.raises(
            ab.DatasetNotFound, match=r"An import that was to replace it was interrupted.*\.ds\.replaced-"
        ):
            ab.load_dataset(tmp_path / "ds")
    elif mode == "create":
        assert not (tmp_path / "ds").exists()
    else:
        view = ab.load_dataset(tmp_path / "ds").limit(9)
        assert (len(view), view.count_labels()) == (1, 2), "as before"
    report = ab.import_dataset(source, tmp_path / "ds", mode=mode)
    new = [f"{n}.png" for n in range(3)]
    assert content(report.dataset) == (sorted(new + old) if mode == "add" else new, 6 + 2 * (mode == "add"))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["ds", "in", *(["old"] if mode != "create" else [])])


def test_labels_whose_samples_did_not_come_are_no_part_of_the_dataset(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    with monkeypatch.context() as patched:
        patched.setattr(Samples, "append", lambda *_: (_ for _ in ()).throw(OSError(28, os.strerror(28))))
        with pytest.raises(ab.StoreError, match="The disk is full"):
            ab.import_dataset(source, tmp_path / "ds", mode="add")
    assert (len(ds), ds.count_labels(), ds.label_fields()) == (0, 0, [])
    assert [finding.name for finding in ds.doctor().findings] == ["labels without a sample"]
    assert ab.import_dataset(source, tmp_path / "ds", mode="add").labels == {"objects": 6}
    assert not ds.doctor().findings
    assert content(ds) == (["0.png", "1.png", "2.png"], 6)


def test_export_is_a_new_folder_or_nothing(source: Path, tmp_path: Path) -> None:
    ds = ab.import_dataset(source, tmp_path / "ds").dataset
    report = ab.export_metadata(ds.match("place = 'a'"), tmp_path / "out", "file_name")
    assert (report.samples, report.labels) == (2, 4)
    again = ab.import_dataset(tmp_path / "out", tmp_path / "ds2")
    assert (again.samples, again.labels) == (2, {"objects": 4})
    with pytest.raises(ab.StoreError, match="There is something at .*; give a new folder"):
        ab.export_metadata(ds, tmp_path / "out", "file_name")
    ds.add_labels("lines", {ds.first()["sample_id"]: [ab.Polyline("lane", [[(0, 0), (1, 1)]])]})
    with pytest.raises(ab.Unsupported):
        ab.export_metadata(ds, tmp_path / "out2", "file_name")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "ds2", "in", "out"]


def test_what_came_meanwhile_stays(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Importer.read

    def meanwhile(self: Importer, *args: Any) -> None:
        ab.create_dataset(tmp_path / "ds").add_samples([ab.Sample("mine.png", sample_id="mine")])
        read(self, *args)

    monkeypatch.setattr(Importer, "read", meanwhile)
    with pytest.raises(ab.DatasetExists, match="while this import ran; it stays, and nothing was imported"):
        ab.import_dataset(source, tmp_path / "ds")
    assert ab.load_dataset(tmp_path / "ds").sample_ids() == ["mine"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "in"]


def test_one_import_at_a_time_adds_to_a_dataset(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ab.create_dataset(tmp_path / "ds")
    read, refused = Importer.read, list[str]()

    def twice(self: Importer, *args: Any) -> None:
        if not refused:
            refused.append("")
            with pytest.raises(ab.StoreError) as caught:
                ab.import_dataset(source, tmp_path / "ds", mode="add")
            refused[0] = str(caught.value)
        read(self, *args)

    monkeypatch.setattr(Importer, "read", twice)
    assert ab.import_dataset(source, tmp_path / "ds", mode="add").samples == 3
    assert "is being imported into by process" in refused[0]
    assert content(ab.load_dataset(tmp_path / "ds")) == (["0.png", "1.png", "2.png"], 6)


def test_links_and_odd_names_of_places(source: Path, tmp_path: Path) -> None:
    (tmp_path / "real [1]").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real [1]")
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    ab.import_dataset(source, tmp_path / "link")
    ab.import_dataset(source, tmp_path / "link", mode="overwrite")
    assert (tmp_path / "link").is_symlink()
    assert len(ab.load_dataset(tmp_path / "real [1]")) == 3
    ab.import_dataset(source, tmp_path / "dangling")
    assert len(ab.load_dataset(tmp_path / "new")) == 3
    (tmp_path / "real [1]").rename(tmp_path / ".real [1].replaced-elsewhere-1-2")
    with pytest.raises(ab.DatasetNotFound, match="An import that was to replace it was interrupted"):
        ab.load_dataset(tmp_path / "real [1]")


@pytest.mark.parametrize("tags", ["abc", [3]])
def test_tags_are_texts(source: Path, tmp_path: Path, tags: Any) -> None:
    with pytest.raises(ab.InvalidOption, match="is not a list of texts; give one, as"):
        ab.import_dataset(source, tmp_path / "ds", tags=tags)
