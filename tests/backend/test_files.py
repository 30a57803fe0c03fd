"""The files backend beside its contract: where files go, what is refused before one is written, and files that were moved."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pytest
from PIL import Image

import annobridge as ab
from annobridge.backend import Receipt, Task
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.core.schema import LabelSchema
from annobridge.formats.common.archive import Archive
from annobridge.formats.media import of
from annobridge_files import FilesBackend
from annobridge_files.config import FilesConfig


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Two images of one name in two folders, each with a car and a bus."""
    for folder in ("a", "b"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        Image.new("RGB", (100, 80)).save(tmp_path / "images" / folder / "im 1.png")
    ds = ab.import_dataset(tmp_path / "images", tmp_path / "data.lancedb").dataset
    for n, sample_id in enumerate(ds.sample_ids()):
        ds.add_labels("objects", [
            {"label_id": f"car{n}", "sample_id": sample_id, "kind": "box", "label": "car", "bounding_box": [0.1, 0.1, 0.2, 0.2],
             "attributes": attributes({"colour": "red"})},
            {"label_id": f"bus{n}", "sample_id": sample_id, "kind": "box", "label": "bus", "bounding_box": [0.5, 0.5, 1 / 3, 0.3]},
        ])  # fmt: skip
    return ds


def send(ds: ab.Dataset, path: Path, **options: object) -> ab.AnnotationResults:
    return ds.annotate("run", label_field="objects", backend="files", path=str(path), progress=False, **options)


def edit_coco(folder: Path) -> None:
    """Delete a car and move a bus a little, in each image."""
    file = folder / "annotations" / "instances_default.json"
    data = json.loads(file.read_text())
    cars = {c["id"] for c in data["categories"] if c["name"] == "car"}
    data["annotations"] = [a for a in data["annotations"] if a["category_id"] not in cars]
    for annotation in data["annotations"]:
        annotation["bbox"][0] += 4
    file.write_text(json.dumps(data))


def test_a_folder_has_images_labels_and_a_readme(ds: ab.Dataset, tmp_path: Path) -> None:
    results = send(ds, tmp_path / "work")
    names = sorted(p.relative_to(tmp_path / "work").as_posix() for p in (tmp_path / "work").rglob("*") if p.is_file())
    assert names == ["README.md", "annotations/instances_default.json", "images/000001_im 1.png", "images/im 1.png"]
    assert f"Task: {results.receipts()[0].task}" in (tmp_path / "work" / "README.md").read_text()
    assert results.status()["tasks"][results.receipts()[0].task]["state"] == "written"
    report = ds.load_annotations("run")
    assert (report.total, report.version) == (0, None)


def test_edits_are_loaded_and_the_exact_numbers_of_the_rest_are_kept(ds: ab.Dataset, tmp_path: Path) -> None:
    before = ds.labels("objects").to_arrow().to_pylist()
    send(ds, tmp_path / "work")
    edit_coco(tmp_path / "work")
    report = ds.load_annotations("run")
    assert (report.added, report.edited, report.deleted) == (0, 2, 2)
    boxes = {row["label_id"]: row["bounding_box"] for row in ds.labels("objects").to_arrow().to_pylist()}
    assert boxes["bus0"] == pytest.approx([0.54, 0.5, 1 / 3, 0.3])
    assert boxes["bus0"][2:] == [1 / 3, 0.3]
    ds.undo_annotations("run")
    without = ("rev", "run", "tool", "time")
    after = ds.labels("objects").to_arrow().to_pylist()
    assert [
        {k: v for k, v in row.items() if k not in without} for row in sorted(after, key=lambda r: r["label_id"])
    ] == [{k: v for k, v in row.items() if k not in without} for row in sorted(before, key=lambda r: r["label_id"])]


def test_a_zip_for_each_task(ds: ab.Dataset, tmp_path: Path) -> None:
    results = send(ds, tmp_path / "work.zip", format="cvat", task_size=1, media="none")
    assert sorted(p.name for p in tmp_path.glob("*.zip")) == ["work-2.zip", "work.zip"]
    with zipfile.ZipFile(tmp_path / "work.zip") as archive:
        assert sorted(archive.namelist()) == ["README.md", "annotations.xml"]
    assert ds.load_annotations("run").total == 0
    results.cleanup()
    assert not list(tmp_path.glob("*.zip"))
    with pytest.raises(ab.exceptions.Gone, match="is on the server any more"):
        ds.load_annotations("run")


def test_images_are_linked(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work", media="link")
    assert all(p.is_symlink() for p in (tmp_path / "work" / "images").iterdir())
    assert ds.load_annotations("run").total == 0


def test_the_files_may_be_moved(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    shutil.move(tmp_path / "work", tmp_path / "moved")
    with pytest.raises(ab.exceptions.Gone):
        ds.load_annotations("run")
    edit_coco(tmp_path / "moved")
    assert ds.load_annotations("run", path=tmp_path / "moved").deleted == 2


def test_labels_in_another_format_are_an_answer_too(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    copy = ab.import_dataset(tmp_path / "work", tmp_path / "copy.lancedb").dataset
    copy.delete_labels([i for i, c in zip(*copy.labels("detections").to_arrow().select(["label_id", "label"]).to_pydict().values(),
                                          strict=True) if c == "car"])  # fmt: skip
    copy.export(tmp_path / "voc", "voc")
    report = ds.load_annotations("run", path=tmp_path / "voc", format="voc")
    assert (report.added, report.edited, report.deleted) == (0, 0, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "nope"}, ab.exceptions.ConfigError, "There is no format 'nope'"),
        ({"format": "folder"}, ab.exceptions.ConfigError, "cannot be written and read back"),
        ({"format": "imagenet"}, ab.exceptions.Unsupported, "cannot label detections"),
        ({"format": "kitti", "attributes": ["colour"]}, ab.exceptions.Unsupported, "no place for the attributes colour"),
        ({"media": "move"}, ab.exceptions.ConfigError, "media"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_a_file_is_written(ds, tmp_path, options, error, message):  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        send(ds, tmp_path / "work", **options)
    assert not (tmp_path / "work").exists()
    assert ds.list_annotation_runs() == []


def test_a_folder_in_use_is_refused(ds: ab.Dataset, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.txt").write_text("keep")
    with pytest.raises(ab.exceptions.InvalidLabels, match="There is something else at path="):
        send(ds, tmp_path / "work")
    assert ds.list_annotation_runs() == []
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["mine.txt"]


def test_files_of_another_task_are_not_loaded_and_not_deleted(ds: ab.Dataset, tmp_path: Path) -> None:
    results = send(ds, tmp_path / "work")
    ds.annotate("other", label_field="objects", backend="files", path=str(tmp_path / "other"), progress=False)
    with pytest.raises(ab.exceptions.InvalidSource, match="has the files of the task 'other-"):
        ds.load_annotations("run", path=tmp_path / "other")
    shutil.rmtree(tmp_path / "work")
    shutil.move(tmp_path / "other", tmp_path / "work")
    results.cleanup()
    assert (tmp_path / "work" / "README.md").exists()


def test_what_a_format_lacks_stays_as_it_was_sent(ds: ab.Dataset, tmp_path: Path) -> None:
    with pytest.warns(ab.exceptions.UnsentWarning, match="colour"):
        send(ds, tmp_path / "work", format="yolo", attributes=False)
    labels = next((tmp_path / "work" / "labels").glob("im 1.txt"))
    labels.write_text(labels.read_text().replace("\n", "\n", 1))
    assert ds.load_annotations("run").total == 0
    rows = {row["label_id"]: row["attributes"] for row in ds.labels("objects").to_arrow().to_pylist()}
    assert rows["car0"] == attributes({"colour": "red"})


def test_a_broken_file_is_named_and_nothing_changes(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    before = ds.labels("objects").to_arrow()
    (tmp_path / "work" / "annotations" / "instances_default.json").write_text('{"images": [')
    with pytest.raises(ab.exceptions.InvalidSource, match="instances_default.json"):
        ds.load_annotations("run")
    assert ds.labels("objects").to_arrow().equals(before)


def test_no_label_is_deleted_because_it_could_not_be_read(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    file = tmp_path / "work" / "annotations" / "instances_default.json"
    data = json.loads(file.read_text())
    data["annotations"][0]["bbox"] = [1, 2]
    del data["annotations"][1]
    file.write_text(json.dumps(data))
    report = ds.load_annotations("run")
    assert report.total == 0
    assert any("1 annotations were left out" in note for note in report.notes)
    assert any("2 labels that were sent are not among those that could be read" in note for note in report.notes)


@pytest.fixture
def mixed(ds: ab.Dataset) -> ab.Dataset:
    """With polygons, keypoints and two boxes more on the first image."""
    first = ds.sample_ids()[0]
    ring = [[0.1, 0.6], [0.3, 0.6], [0.2, 0.9]]
    ds.add_labels(
        "shapes",
        [{"sample_id": first, "kind": "polygon", "label": "person", "points": [ring], "closed": True, "filled": True}],
    )
    ds.add_labels(
        "points",
        [{"sample_id": first, "kind": "keypoints", "label": "face", "points": [ring], "visibility": [2, 2, 1]}],
    )
    ds.add_labels(
        "turned",
        [{"sample_id": first, "kind": "box", "label": "bus", "bounding_box": [0.4, 0.1, 0.3, 0.1], "rotation": 30.0}],
    )
    return ds


@pytest.mark.filterwarnings("ignore::annobridge.UnsentWarning")
@pytest.mark.parametrize(
    "format_name", ["coco", "cvat", "yolo", "voc", "labelme", "datumaro", "kitti", "vggface2", "open-images"]
)
@pytest.mark.parametrize(
    "fields", [["objects", "shapes"], ["objects", "points"], ["objects", "turned"], ["shapes", "points"]]
)
def test_nothing_changes_if_nobody_changed_anything(mixed, tmp_path, format_name, fields):  # type: ignore[no-untyped-def]
    """Whatever the format makes of labels of several kinds: what was written as something else stays, or was not sent."""
    options = {"backend": "files", "format": format_name, "path": str(tmp_path / "work"), "attributes": False}
    try:
        mixed.annotate("run", label_schema=fields, progress=False, **options)
    except (ab.Unsupported, ab.InvalidLabels):
        pytest.skip("the format has no such labels")
    report = mixed.load_annotations("run", unexpected="ignore")
    assert (report.total, len(report.unexpected), len(report.conflicts)) == (0, 0, 0)


def test_a_label_that_was_made_in_the_files_can_be_moved_and_deleted_there(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    file = tmp_path / "work" / "annotations" / "instances_default.json"
    data = json.loads(file.read_text())
    new = {**data["annotations"][0], "id": 99, "bbox": [60.0, 5.0, 30.0, 20.0]}
    file.write_text(json.dumps({**data, "annotations": [*data["annotations"], new]}))
    assert ds.load_annotations("run").added == 1
    assert ds.load_annotations("run").version is None
    moved = {**new, "bbox": [63.0, 5.0, 30.0, 20.0]}
    file.write_text(json.dumps({**data, "annotations": [*data["annotations"], moved]}))
    report = ds.load_annotations("run")
    assert (report.edited, len(report.conflicts)) == (1, 0)
    file.write_text(json.dumps(data))
    assert ds.load_annotations("run").deleted == 1


def test_a_cleanup_leaves_what_people_put_beside_the_files(ds: ab.Dataset, tmp_path: Path) -> None:
    results = send(ds, tmp_path / "work")
    (tmp_path / "work" / "notes.txt").write_text("mine")
    results.cleanup()
    assert [path.name for path in (tmp_path / "work").rglob("*")] == ["notes.txt"]


def test_a_path_that_does_not_exist_is_named(ds: ab.Dataset, tmp_path: Path) -> None:
    send(ds, tmp_path / "work")
    with pytest.raises(ab.StoreError, match="no file or folder .*nowhere"):
        ds.load_annotations("run", path=tmp_path / "nowhere")


def at(results: ab.AnnotationResults, path: Path) -> tuple[FilesBackend, Receipt]:
    """The backend and the receipt of a run of one task whose files are there."""
    (receipt,) = map(results.with_baseline, results.receipts())
    return FilesBackend(FilesConfig(path=str(path))), receipt


@pytest.mark.parametrize("name", ["work", "work.zip"])
def test_samples_that_came_back_are_reviewed(ds: ab.Dataset, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    backend, receipt = at(send(ds, place), place)
    first, second = receipt.state["samples"]
    before = {"reviewed": False, "state": "written", "by": None, "time": None}
    assert backend.download(receipt).reviewed.to_pylist() == [{"sample_id": s, **before} for s in (first, second)]
    written = backend.status(receipt)
    assert (written.state, written.reviewed) == ("written", 0)
    folder = place
    if name.endswith(".zip"):
        folder = tmp_path / "unpacked"
        shutil.unpack_archive(place, folder)
    file = folder / "annotations" / "instances_default.json"
    data = json.loads(file.read_text())
    image = next(i["id"] for i in data["images"] if "000001" in i["file_name"])
    data["images"] = [i for i in data["images"] if i["id"] != image]
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] != image]
    file.write_text(json.dumps(data))
    if name.endswith(".zip"):
        place.unlink()
        shutil.make_archive(str(tmp_path / "work"), "zip", folder)
    changed = (file if place.is_dir() else place).stat().st_mtime_ns
    time = datetime.fromtimestamp(changed // 10**9, UTC).replace(microsecond=changed % 10**9 // 1000)
    found = {row["sample_id"]: row for row in backend.download(receipt).reviewed.to_pylist()}
    assert {(row["by"], row["time"]) for row in found.values()} == {(None, time)}
    assert (found[first]["reviewed"], found[first]["state"]) == (True, "in the file")
    assert (found[second]["reviewed"], found[second]["state"]) == (False, "not in the file")
    now = backend.status(receipt)
    assert (now.state, now.reviewed) == ("changed", 1)
    assert now.mark != written.mark


def test_files_that_were_moved_as_they_were_written_are_not_reviewed(ds: ab.Dataset, tmp_path: Path) -> None:
    results = send(ds, tmp_path / "work")
    shutil.move(tmp_path / "work", tmp_path / "moved")
    backend, receipt = at(results, tmp_path / "moved")
    assert pc.unique(backend.download(receipt).reviewed["state"]).to_pylist() == ["written"]


@pytest.mark.parametrize("name", ["work", "work.zip"])
def test_an_upload_that_is_repeated_knows_whether_people_were_at_the_files(
    ds: ab.Dataset, tmp_path: Path, name: str
) -> None:
    backend, receipt = at(send(ds, tmp_path / name), tmp_path / name)
    samples = ds.samples().to_arrow().select(SAMPLES.names)
    schema = LabelSchema.from_dict(receipt.state["schema"])
    task = Task(receipt.task, schema, samples, ds.labels("objects").to_arrow().select(LABELS.names), of(samples, None))
    with Archive(tmp_path / name) as archive:
        task = replace(task, title=archive.read("README.md").decode().partition(": 2 images")[0])
    assert backend.upload(task).state["written"] == receipt.state["written"]
    if name == "work":
        edit_coco(tmp_path / name)
    else:
        shutil.unpack_archive(tmp_path / name, tmp_path / "unpacked")
        edit_coco(tmp_path / "unpacked")
        shutil.make_archive(str(tmp_path / "work"), "zip", tmp_path / "unpacked")
    assert backend.upload(task).state["written"] == ""


def test_a_file_that_is_being_saved_is_not_counted(ds: ab.Dataset, tmp_path: Path) -> None:
    backend, receipt = at(send(ds, tmp_path / "work"), tmp_path / "work")
    (tmp_path / "work" / "annotations" / "instances_default.json").write_text('{"images": [')
    status = backend.status(receipt)
    assert (status.state, status.reviewed) == ("changed", None)
