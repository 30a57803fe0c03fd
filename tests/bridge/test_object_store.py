"""Datasets in an object store: every verb, interrupted and at once, and stores that fail in the middle."""

from __future__ import annotations

import io
import json
import re
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
from PIL import Image
from proofs.storage import BUCKET, S3
from tests import children
from tests.bridge import wrecks as child
from tests.command_line import data
from tests.doubles import file_backend
from tests.file_servers import environment

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.store.commits import Commits, Fragments
from annobridge.store.object_files import ObjectFile

EXPIRED, VALID = "s3cr3t-expired-token", "s3cr3t-valid-token"
BOX = [0.1, 0.1, 0.2, 0.2]
COMMIT = r"/labels\.lance/_versions/"


@pytest.fixture(autouse=True)
def _folder_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(file_backend.VARIABLE, file_backend.NAME)


@pytest.fixture
def place(s3: S3, tmp_path: Path) -> str:
    return s3.uri(tmp_path / "ds.lancedb")


def photos(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for n in range(count):
        Image.new("RGB", (64, 48), (40 * n, 0, 0)).save(folder / f"{n}.png")
    return folder


def filled(s3: S3, place: str) -> ab.Dataset:
    """Four samples with a car and a person each."""
    ds = ab.create_dataset(place, s3.options)
    ds.add_samples(
        ab.Sample(f"{n}.jpg", sample_id=f"s{n}", objects=[
            ab.Detection("car", BOX, label_id=f"car{n}"), ab.Detection("person", BOX, label_id=f"man{n}"),
        ])
        for n in range(4)
    )  # fmt: skip
    return ds


def send(ds: ab.Dataset, server: Path, key: str = "r") -> Path:
    """Send the dataset to a folder, two images in a task."""
    server.mkdir(exist_ok=True)
    ds.annotate(key, label_schema="objects", backend="folder", folder=str(server), task_size=2)
    return server


def moved(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "bounding_box": [0.0, 0.0, 0.5, 0.5]}


def work(row: dict[str, Any]) -> list[dict[str, Any]]:
    """An edit, a deletion and an addition."""
    if row["label"] == "car":
        return [moved(row)]
    return [] if row["sample_id"] == "s0" else [row, {**row, "remote_id": f"{row['remote_id']}+"}]


@pytest.fixture
def worked(s3: S3, place: str, tmp_path: Path) -> ab.Dataset:
    """A dataset with a run in which people have worked: four edits, a deletion, three additions."""
    ds = filled(s3, place)
    file_backend.edit(send(ds, tmp_path / "server"), work)
    return ds


def with_token(s3: S3, place: str, token: str) -> ab.Dataset:
    return ab.load_dataset(place, {**(s3.options or {}), "aws_session_token": token})


def labels(ds: ab.Dataset) -> dict[str, Any]:
    """The labels by id, or by the place of an addition; fails if two are the same."""
    names = {f"car{n}" for n in range(4)} | {f"man{n}" for n in range(4)}
    rows = ds.labels().to_pylist()
    found = {
        row["label_id"] if row["label_id"] in names else f"new in {row['sample_id']}": (
            row["label"],
            row["bounding_box"],
        )
        for row in rows
    }
    assert len(found) == len(rows), "a label is there twice"
    return found


def version(s3: S3, ds: ab.Dataset) -> int:
    return int(lance.dataset(f"{ds.uri}/labels.lance", storage_options=s3.options).version)


def counts(report: ab.LoadReport | ab.MergePlan) -> tuple[int, int, int]:
    return report.added, report.edited, report.deleted


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_the_whole_way(s3: S3, place: str, tmp_path: Path) -> None:
    report = ab.import_dataset(photos(tmp_path / "photos"), place, storage_options=s3.options)
    ds = report.dataset
    assert report.samples == 4
    ds.add_labels("objects", {sample: [ab.Detection("car", BOX)] for sample in ds.sample_ids()})
    server = send(ds, tmp_path / "server")
    file_backend.edit(server, lambda row: [moved(row)])
    before = version(s3, ds)
    assert counts(ds.plan_annotations("r")) == (0, 4, 0)
    assert version(s3, ds) == before
    assert counts(ds.load_annotations("r")) == (0, 4, 0)
    assert version(s3, ds) == before + 1
    assert ds.load_annotations("r").version is None
    ds.undo_annotations("r")
    assert {row["bounding_box"][2] for row in ds.labels().to_pylist()} == {BOX[2]}
    ds.snapshot("v1")
    again = ab.import_dataset(tmp_path / "photos", place, mode="add", storage_options=s3.options)
    assert (again.samples, again.known) == (0, 4)
    assert ds.optimize().not_compacted == ()
    assert ds.doctor().ok
    with pytest.raises(ab.DatasetExists, match="There is a dataset at"):
        ab.import_dataset(tmp_path / "photos", place, storage_options=s3.options)
    with pytest.raises(ab.StoreError, match="A dataset can be overwritten on a local disk only; delete"):
        ab.import_dataset(tmp_path / "photos", place, mode="overwrite", storage_options=s3.options)
    assert len(ab.load_dataset(place, s3.options)) == 4


def test_by_commands_with_options_of_the_environment(
    s3: S3, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(s3, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data("import", str(photos(tmp_path / "photos")), place)["samples"] == 4
    server = tmp_path / "server"
    server.mkdir()
    sent = (
        "--backend",
        "folder",
        "-o",
        f"folder={server}",
        "--classes",
        "car",
        "--field",
        "objects",
        "--type",
        "detections",
    )
    data("annotate", "r", place, *sent)
    assert data("plan", "r", place)["added"] == 0
    assert data("load", "r", place)["added"] == 0
    assert data("runs", place)[0]["anno_key"] == "r"


def test_a_table_is_attached(s3: S3, place: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    rows = pa.table({"id": ["a", "b"], "image": pa.array([stream.getvalue()] * 2, pa.large_binary())})
    lance.write_dataset(rows, f"{place}/images.lance", storage_options=s3.options)
    ds = ab.attach(place, storage_options=s3.options)
    ds.add_labels("objects", {"a": [ab.Detection("car", BOX)]})
    ds.annotate("r", label_schema="objects", backend="memory", url=f"memory://{place}")
    assert ds.load_annotations("r").version is None
    assert ab.attach(place, storage_options=s3.options).sample_ids() == ["a", "b"]
    SERVERS.pop(f"memory://{place}")


def test_media_in_the_store_are_read_with_the_options_of_the_dataset(s3: S3, place: str, tmp_path: Path) -> None:
    ds = ab.create_dataset(place, s3.options)
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    uris = [f"s3://{BUCKET}/elsewhere/0.png", f"{place}/media/1.png"]
    for uri in uris:
        ObjectFile(uri, s3.options).create(io.BytesIO(stream.getvalue()))
    ds.add_samples(pa.table({"sample_id": ["s0", "s1"], "filepath": uris}))
    ds.add_labels("objects", {"s0": [ab.Detection("car", BOX)], "s1": [ab.Detection("car", BOX)]})
    assert ds.stores.database.read("samples")["filepath"].to_pylist() == [uris[0], "dataset://media/1.png"]
    assert ds.check_media(content=True).ok
    ds.export(tmp_path / "out", "yolo")
    assert [path.read_bytes() for path in (tmp_path / "out").rglob("*.png")] == [stream.getvalue()] * 2


def test_an_interrupted_annotate_is_resumed(
    s3: S3, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = filled(s3, place)
    upload, calls = file_backend.FolderBackend.upload, []

    def stopping(self: file_backend.FolderBackend, task: ab.Task) -> Any:
        calls.append(task.name)
        if len(calls) == 2:
            raise ab.Unreachable("The tool does not answer.")
        return upload(self, task)

    monkeypatch.setattr(file_backend.FolderBackend, "upload", stopping)
    with pytest.raises(ab.Unreachable):
        send(ds, tmp_path / "server")
    assert ds.get_annotation_info("r")["state"] == "sending"
    assert ab.load_dataset(place, s3.options).resume_annotation("r").run.state == "sent"
    assert len(list((tmp_path / "server").iterdir())) == 2
    assert ds.load_annotations("r").version is None


def test_an_import_that_is_killed_is_repeated(s3: S3, place: str, tmp_path: Path) -> None:
    source = photos(tmp_path / "photos")
    lines = [{"file_name": f"{n}.png", "objects": {"bbox": [[8, 8, 16, 16]], "category": ["car"]}} for n in range(4)]
    (source / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = children.call(child.import_to_store, source, place, s3.options, "annobridge.store.samples:Samples.append", 1)
    assert done.kind == "killed", done
    assert len(ab.load_dataset(place, s3.options)) == 0
    report = ab.import_dataset(source, place, storage_options=s3.options)
    assert (report.samples, report.labels, report.dataset.count_labels()) == (4, {"objects": 4}, 4)
    assert report.dataset.doctor().ok


def test_two_processes_load_two_runs_at_once(s3: S3, place: str, tmp_path: Path) -> None:
    ds = filled(s3, place)
    for key, label in (("a", "car"), ("b", "person")):
        server = send(ds, tmp_path / key, key)
        file_backend.edit(server, lambda row, label=label: [moved(row) if row["label"] == label else row])
    both = [children.start(child.load_from_store, place, s3.options, key) for key in "ab"]
    for process in both:
        process.go()
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(lambda process: process.outcome(children.DEADLINE), both))
    assert [outcome.kind for outcome in outcomes] == ["done", "done"], outcomes
    assert {row["bounding_box"][2] for row in ds.labels().to_pylist()} == {0.5}
    assert len(labels(ds)) == 8
    assert [ds.load_annotations(key).version for key in "ab"] == [None, None]


def test_a_lease_of_another_machine_is_respected_until_it_expires(s3: S3, worked: ab.Dataset) -> None:
    with worked.stores.runs.hold(worked.stores.runs.get_settled("r"), "is being loaded"):
        other = children.call(child.load_from_store, worked.uri, s3.options, "r")
    assert other.kind == "refused"
    assert "The run 'r' is being loaded by process" in other.text
    assert counts(worked.load_annotations("r")) == (3, 4, 1)


# --- stores that fail in the middle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("when", ["the baseline", "the rows", "the commit", "the ledger after it"])
def test_a_token_that_expires_in_a_load(s3: S3, worked: ab.Dataset, when: str, status: int) -> None:
    before = labels(worked)
    path = {
        "the baseline": r"/annotation_baseline\.lance/data/",
        "the rows": r"/labels\.lance/data/",
        "the commit": COMMIT,
        "the ledger after it": COMMIT,
    }[when]
    fault = {"status": status, "code": "ExpiredToken", "token": EXPIRED, "served": when == "the ledger after it"}
    s3.behave(faults=[{**fault, "methods": ["PUT"], "path": path, "then": True}])
    with pytest.raises(ab.StoreError) as caught:
        with_token(s3, worked.uri, EXPIRED).load_annotations("r")
    assert re.search(r"The table '\w+' of 's3://.*' cannot be \w+: the (credentials|store)", str(caught.value))
    assert "get new ones, and repeat" in str(caught.value)
    text = "".join(traceback.format_exception(caught.value))
    assert EXPIRED not in text
    assert "<Error>" not in text
    now = with_token(s3, worked.uri, VALID)
    report = now.load_annotations("r")
    if when == "the ledger after it":
        assert report.version is None
    else:
        assert counts(report) == (3, 4, 1)
    after = labels(now)
    assert (len(after), after.keys() - before.keys()) == (10, {f"new in s{n}" for n in (1, 2, 3)})
    assert [load["state"] for load in now.get_annotation_info("r")["loads"]].count("applied") == 1
    assert now.load_annotations("r").version is None


def test_data_files_that_a_clean_up_removed_are_not_published(
    s3: S3, worked: ab.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Commits.write_fragments

    def cleaned(self: Commits, *arguments: Any) -> Fragments:
        written = plain(self, *arguments)
        if self.name == "labels" and written:
            s3.remove(f"{worked.uri.removeprefix(f's3://{BUCKET}/')}/labels.lance/data/{written[0].files[0].path}")
        return written

    before, then = labels(worked), version(s3, worked)
    with monkeypatch.context() as patch:
        patch.setattr(Commits, "write_fragments", cleaned)
        with pytest.raises(
            ab.StoreError, match=r"written for the table 'labels' of 's3://.*are gone, as .*\.lance: a clean-up"
        ):
            worked.load_annotations("r")
    assert (labels(worked), version(s3, worked)) == (before, then)
    assert counts(worked.load_annotations("r")) == (3, 4, 1)


FAULTS: dict[str, dict[str, Any]] = {
    "a conflict with nobody": {"status": 409, "code": "ConditionalRequestConflict", "times": 1},
    "a lost answer": {"status": 500, "code": "InternalError", "times": 1, "served": True},
    "a store that is busy": {"status": 503, "code": "SlowDown", "times": 2},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", ["load", "add_labels"])
def test_a_commit_survives(s3: S3, worked: ab.Dataset, fault: str, verb: str) -> None:
    verbs: dict[str, Callable[[], Any]] = {
        "load": lambda: worked.load_annotations("r"),
        "add_labels": lambda: worked.add_labels("more", {f"s{n}": [ab.Detection("bus", BOX)] for n in range(4)}),
    }
    s3.behave(faults=[{**FAULTS[fault], "methods": ["PUT"], "path": COMMIT}])
    verbs[verb]()
    assert any(status == FAULTS[fault]["status"] for *_, status in s3.requests())
    assert worked.count_labels() == {"load": 10, "add_labels": 12}[verb]


@pytest.mark.parametrize("sign", "?#")
def test_a_uri_that_lance_would_cut_is_refused(s3: S3, place: str, sign: str) -> None:
    uri = f"{place}{sign}1"
    for call in (ab.create_dataset, ab.load_dataset):
        with pytest.raises(
            ab.StoreError, match=rf"The URI of '.*' has '\{sign}', which ends its path; choose a place without"
        ):
            call(uri, s3.options)
    assert s3.keys(place) == []
