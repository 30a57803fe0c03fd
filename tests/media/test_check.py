"""Files that are missing, or are not as they were recorded."""

from __future__ import annotations

import io
import json
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from proofs.storage import BUCKET, S3
from tests.file_servers import WebServer
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app
from annobridge.store.file_records import Fingerprints
from annobridge.store.object_files import ObjectFile
from annobridge.store.samples import Samples


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def dataset(folder: Path, count: int = 4) -> ab.Dataset:
    (folder / "photos").mkdir(parents=True)
    for n in range(count):
        (folder / f"photos/{n}.png").write_bytes(bytes([n]) * 9000)
    ds = ab.create_dataset(folder / "ds")
    ds.add_samples([ab.Sample(folder / f"photos/{n}.png", sample_id=f"s{n}") for n in range(count)])
    return ds


def versions(ds: ab.Dataset) -> dict[str, int]:
    database = ds.stores.database
    return {name: database.table(name).version for name in database.table_names()}


def test_a_dataset_whose_files_are_as_they_were_has_no_problem(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    before = versions(ds)
    done: list[tuple[int, int]] = []
    report = ds.check_media(content=True, progress=lambda n, total: done.append((n, total)))
    assert (report.ok, report.checked, report.counts, report.unrecorded, report.problems.num_rows) == (
        True,
        4,
        {},
        0,
        0,
    )
    assert done[-1] == (4, 4)
    assert versions(ds) == before
    assert repr(report) == "4 files checked: nothing is missing."


def test_each_problem_is_found(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    photos = tmp_path / "photos"
    (photos / "0.png").unlink()
    (photos / "1.png").write_bytes(b"other")
    (photos / "2.png").write_bytes(bytes([7]) * 9000)
    (photos / "3.png").unlink()
    (photos / "3.png").mkdir()
    report = ds.check_media()
    assert report.counts == {"missing": 1, "size": 1, "unreadable": 1}
    report = ds.check_media(content=True)
    assert not report.ok
    rows = {row["sample_id"]: row for row in report.problems.to_pylist()}
    assert {name: row["problem"] for name, row in rows.items()} == {
        "s0": "missing", "s1": "size", "s2": "content", "s3": "unreadable",
    }  # fmt: skip
    assert (rows["s1"]["recorded_size"], rows["s1"]["size"]) == (9000, 5)
    assert rows["s3"]["why"] == "it is no file"
    assert f"missing: {str(photos / '0.png')!r} of sample 's0'" in repr(report)


def test_samples_without_a_record_are_counted_and_can_be_recorded(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    shutil.rmtree(tmp_path / "ds/annotation_files.lance")
    (tmp_path / "photos/0.png").unlink()
    report = ds.check_media()
    assert (report.counts, report.unrecorded, report.recorded) == ({"missing": 1}, 3, 0)
    assert "check_media(record=True)" in repr(report)
    assert ds.check_media(record=True).recorded == 3
    report = ds.check_media(record=True)
    assert (report.unrecorded, report.recorded) == (0, 0)
    (tmp_path / "photos/1.png").write_bytes(bytes([8]) * 9000)
    assert ds.check_media(content=True).counts == {"content": 1, "missing": 1}


def test_changed_files_are_accepted_once_told(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "photos/1.png").write_bytes(b"other")
    assert ds.check_media(record=True).counts == {"size": 1}
    assert ds.check_media(accept=True).counts == {"size": 1}
    assert ds.check_media(content=True).ok


def test_arrow_tables_are_added_without_opening_files(tmp_path: Path) -> None:
    ds = dataset(tmp_path, 1)
    ds.add_samples(pa.table({"filepath": [str(tmp_path / "photos/0.png/none")]}))
    assert ds.check_media().counts == {"missing": 1}
    assert ds.stores.database.count("annotation_files") == 1


def test_files_elsewhere_are_asked_about_and_not_downloaded(tmp_path: Path, web: WebServer) -> None:
    web.files = {"/a.png": b"12345", "/b.png": b"1"}
    ds = ab.create_dataset(tmp_path / "ds")
    secret = "sig=s3cret"
    ds.add_samples(pa.table({"filepath": [f"{web.url}/{name}.png?{secret}" for name in ("a", "b", "none")]}))
    report = ds.check_media(record=True)
    assert (report.counts, report.recorded) == ({"missing": 1}, 2)
    web.files["/b.png"] = b"longer"
    assert ds.check_media(content=True).counts == {"missing": 1, "size": 1}
    assert {method for method, _ in web.requests} == {"HEAD"}
    web.status = 500
    report = ds.check_media()
    assert report.counts == {"unreadable": 3}
    assert report.problems["why"][0].as_py() == "the server answers 500"
    assert "s3cret" not in repr(report) + json.dumps(report.to_dict())


def test_in_an_object_store_with_the_options_of_the_dataset(tmp_path: Path, s3: S3) -> None:
    ObjectFile(f"s3://{BUCKET}/check/a.png", s3.options).create(io.BytesIO(b"12345"))
    ds = ab.create_dataset(s3.uri(tmp_path / "ds"), s3.options)
    ds.add_samples(pa.table({"filepath": [f"s3://{BUCKET}/check/{name}.png" for name in ("a", "none")]}))
    report = ds.check_media(record=True)
    assert (report.counts, report.recorded) == ({"missing": 1}, 1)
    assert ds.check_media().counts == {"missing": 1}


def test_media_inside_a_table_have_no_files(tmp_path: Path) -> None:
    import lancedb
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (4, 3)).save(stream, "PNG")
    lancedb.connect(tmp_path / "own").create_table("images", pa.table({"id": ["a"], "image": [stream.getvalue()]}))
    report = ab.attach(tmp_path / "own", dataset=tmp_path / "ds").check_media()
    assert (report.ok, report.checked) == (True, 0)


def test_memory_is_bounded(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples(pa.table({"filepath": [f"{tmp_path}/{'x' * 100}/{n}.png" for n in range(40_000)]}))
    tracemalloc.start()
    report = ds.check_media()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.counts == {"missing": 40_000}
    assert peak < 25 << 20


def test_on_the_command_line(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    run = CliRunner().invoke
    assert run(app, ["media", ds.uri, "--check"]).exit_code == 0
    (tmp_path / "photos/0.png").unlink()
    found = run(app, ["media", ds.uri, "--check", "--json"])
    assert found.exit_code == 1
    data = json.loads(found.stdout)
    assert (data["counts"], data["problems"][0]["sample_id"]) == ({"missing": 1}, "s0")
    shown = run(app, ["media", ds.uri, "--check"])
    assert shown.exit_code == 1
    assert "4 files checked: 1 missing." in shown.stdout
    shutil.rmtree(tmp_path / "ds/annotation_files.lance")
    assert "`annobridge media --check --record`" in run(app, ["media", ds.uri, "--check"]).stdout


@pytest.mark.parametrize("options", [[], ["--check", "--repoint", "a=b"], ["--repoint", "a"]])
def test_the_command_line_wants_one_verb(tmp_path: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["media", dataset(tmp_path).uri, *options])
    assert result.exit_code in (2, 64)
    assert "--repoint" in result.stderr


def test_a_sample_without_a_path_is_told(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "none")
    ds.add_samples(pa.table({"sample_id": ["a"], "filepath": pa.array([None], pa.string())}))
    report = ds.check_media()
    assert repr(report) == "1 file checked: 1 missing.\n  missing: the filepath of sample 'a'"
    assert report.to_dict()["problems"][0]["filepath"] is None


@pytest.mark.parametrize(("owner", "name"), [(Samples, "append"), (Fingerprints, "delete")])
def test_records_that_a_killed_process_left_do_not_count_for_new_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for file, size in (("small", 10), ("large", 9000)):
        (tmp_path / f"{file}.png").write_bytes(b"x" * size)
    ds = ab.create_dataset(tmp_path / "made")
    sample = ab.Sample(tmp_path / "small.png", sample_id="x")
    if owner is Fingerprints:
        ds.add_samples([sample])
    monkeypatch.setattr(owner, name, killed)
    with pytest.raises(KeyboardInterrupt):
        ds.delete_samples(["x"]) if owner is Fingerprints else ds.add_samples([sample])
    monkeypatch.undo()
    assert (len(ds), ds.stores.database.count("annotation_files")) == (0, 1)
    ds.add_samples(pa.table({"sample_id": ["x"], "filepath": [str(tmp_path / "large.png")]}))
    assert (ds.check_media().ok, ds.check_media().unrecorded) == (True, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.png")
    ds = ab.create_dataset(tmp_path / "pipe")
    ds.add_samples([ab.Sample(tmp_path / "p.png")])
    assert ds.check_media(content=True).problems.to_pylist()[0]["why"] == "it is no file"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--check", "--force"], "--force belongs to --repoint"),
        (["--check", "--missing", "keep"], "--missing belongs to --repoint"),
        (["--repoint", "/a=/b", "--content"], "--content belongs to --check"),
        (["--repoint", "/a=/b", "--record"], "--record belongs to --check"),
        (["--repoint", "/a=/b", "--accept"], "--accept belongs to --check"),
    ],
)
def test_options_of_the_other_verb_are_refused(tmp_path: Path, options: list[str], match: str) -> None:
    result = CliRunner().invoke(app, ["media", dataset(tmp_path).uri, *options])
    assert result.exit_code in (2, 64)
    assert match in " ".join(result.stderr.split())
