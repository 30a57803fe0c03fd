"""Paths of media that have moved: rewritten in one version after the files were checked, or not at all."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs.storage import BUCKET, S3
from tests.bridge import wrecks
from tests.children import call
from tests.file_servers import WebServer
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app
from annobridge.store.object_files import ObjectFile


def dataset(folder: Path, count: int = 4) -> ab.Dataset:
    """Samples of the folder ``a``, and one of ``ab``, with labels."""
    for name in ("a", "ab"):
        (folder / name).mkdir(parents=True)
    places = [folder / f"a/{n}.png" for n in range(count)] + [folder / "ab/0.png"]
    for n, place in enumerate(places):
        place.write_bytes(bytes([n]) * 9000)
    ds = ab.create_dataset(folder / "ds")
    ds.add_samples(
        [
            ab.Sample(place, sample_id=f"s{n}", objects=[ab.Detection("car", [0.1, 0.1, 0.2, 0.2])], width=4, height=3)
            for n, place in enumerate(places)
        ]
    )
    return ds


def files(ds: ab.Dataset) -> list[str]:
    return [row["filepath"] for row in ds.samples(["filepath"]).to_pylist()]


def state(ds: ab.Dataset) -> dict[str, Any]:
    database = ab.load_dataset(ds.uri).stores.database
    return {name: database.table(name).to_table().to_pylist() for name in database.table_names()}


def refused(ds: ab.Dataset, error: type[Exception], match: str, *prefixes: Any, **options: Any) -> None:
    before = state(ds)
    with pytest.raises(error, match=match):
        ds.repoint(*prefixes, **options)
    assert state(ds) == before


def test_whole_components_are_replaced_in_one_version_and_rows_keep_their_order(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    before, version = state(ds), ds.stores.samples.version()
    (tmp_path / "a").rename(tmp_path / "new")
    report = ds.repoint(tmp_path / "a", tmp_path / "new")
    assert (report.moved, report.missing, report.changed, report.unchecked) == (4, 0, 0, 0)
    assert files(ds) == [str(tmp_path / f"new/{n}.png") for n in range(4)] + [str(tmp_path / "ab/0.png")]
    assert ds.stores.samples.version() == version + 1
    after = state(ds)
    for row in (*before["samples"], *after["samples"]):
        del row["filepath"]
    assert after == before
    assert ds.check_media(content=True).ok


def test_a_second_time_changes_nothing_and_says_so(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "new")
    ds.repoint(tmp_path / "a", tmp_path / "new")
    before = state(ds)
    report = ds.repoint(tmp_path / "a", tmp_path / "new")
    assert (report.moved, state(ds)) == (0, before)
    assert repr(report) == (
        f"4 paths begin with {str(tmp_path / 'new')!r} already, and none is left to change: it seems to be done. "
        "Nothing was changed."
    )


def test_into_a_folder_below_and_a_second_time(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "x")
    (tmp_path / "a").mkdir()
    (tmp_path / "x").rename(tmp_path / "a/b")
    assert ds.repoint(tmp_path / "a", tmp_path / "a/b").moved == 4
    before = state(ds)
    report = ds.repoint(tmp_path / "a", tmp_path / "a/b")
    assert (report.moved, state(ds)) == (0, before)
    assert "it seems to be done" in repr(report)


def test_other_samples_at_the_new_place_do_not_make_missing_files_a_repoint_that_is_done(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "new").mkdir()
    for n in range(10, 14):  # as many as would move
        (tmp_path / f"new/{n}.png").write_bytes(bytes([n]) * 9000)
    ds.add_samples([ab.Sample(tmp_path / f"new/{n}.png") for n in range(10, 14)])
    refused(ds, ab.InvalidMedia, "4 of 4 files are not at the new place", tmp_path / "a", tmp_path / "new")
    report = ds.repoint(tmp_path / "a", tmp_path / "new", missing="keep")
    assert (report.moved, report.missing, report.notes) == (0, 4, ())


def test_of_a_folder_below_only_the_same_samples_are_done(tmp_path: Path) -> None:
    ds = dataset(tmp_path, 2)
    (tmp_path / "a/b").mkdir()
    (tmp_path / "a/b/9.png").write_bytes(b"x" * 9000)
    ds.add_samples([ab.Sample(tmp_path / "a/b/9.png")])
    refused(ds, ab.InvalidMedia, "3 of 3 files are not at the new place", tmp_path / "a", tmp_path / "a/b")


def test_and_back(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    before = state(ds)
    (tmp_path / "a").rename(tmp_path / "new")
    ds.repoint(tmp_path / "a", tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "a")
    ds.repoint(tmp_path / "new", tmp_path / "a")
    assert state(ds) == before


def test_a_prefix_that_matches_nothing(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    match = rf"No path of the dataset begins with '/nowhere'; they are as '{tmp_path}/a/0.png'. Nothing was changed"
    refused(ds, ab.StoreError, match, "/nowhere", "/else")
    refused(ds, ab.StoreError, "No path of the dataset begins with", tmp_path / "a/0", "/else")
    refused(
        ab.create_dataset(tmp_path / "empty"), ab.StoreError, "begins with '/nowhere'. Nothing", "/nowhere", "/else"
    )


def test_missing_files_are_told_or_keep_their_paths(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    shutil.copytree(tmp_path / "a", tmp_path / "new")
    (tmp_path / "new/1.png").unlink()
    (tmp_path / "new/2.png").unlink()
    told = "2 of 4 files are not at the new place, and nothing was changed; .* missing='keep':"
    match = f"{told}\\n  - '{tmp_path}/new/1.png'\\n  - .*/2"
    refused(ds, ab.InvalidMedia, match, tmp_path / "a", tmp_path / "new")
    report = ds.repoint(tmp_path / "a", tmp_path / "new", missing="keep")
    assert (report.moved, report.missing) == (2, 2)
    assert [Path(place).parent.name for place in files(ds)] == ["new", "a", "a", "new", "ab"]


def test_only_some_of_many_missing_files_are_told(tmp_path: Path) -> None:
    ds = dataset(tmp_path, 30)
    with pytest.raises(ab.InvalidMedia) as found:
        ds.repoint(tmp_path / "a", tmp_path / "new")
    assert "30 of 30 files" in str(found.value)
    assert str(found.value).endswith("… and 10 more")


@pytest.mark.parametrize("content", [b"short", bytes([9]) * 9000])
def test_other_content_at_the_new_place_is_refused_unless_it_is_wanted(tmp_path: Path, content: bytes) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "new")
    for n in (1, 3):
        (tmp_path / f"new/{n}.png").write_bytes(content)
    match = (
        "2 of 4 files at the new place have other content than was recorded, the first "
        f"'{tmp_path}/new/1.png'. Nothing was changed; .* force=True"
    )
    refused(ds, ab.InvalidMedia, match, tmp_path / "a", tmp_path / "new")
    report = ds.repoint(tmp_path / "a", tmp_path / "new", force=True)
    assert (report.moved, report.changed) == (4, 2)
    assert ds.check_media(content=True).ok


def test_without_a_record_the_files_at_the_old_place_are_compared(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    shutil.rmtree(tmp_path / "ds/annotation_files.lance")
    shutil.copytree(tmp_path / "a", tmp_path / "new")
    (tmp_path / "new/1.png").write_bytes(b"other")
    refused(ds, ab.InvalidMedia, "1 of 4 files at the new place have other content", tmp_path / "a", tmp_path / "new")
    shutil.rmtree(tmp_path / "a")
    report = ds.repoint(tmp_path / "a", tmp_path / "new")
    assert (report.moved, report.unchecked) == (4, 4)
    assert "check_media(record=True)" in repr(report)


@pytest.mark.parametrize("chunked", [False, True])
def test_files_of_servers_are_not_compared_by_content_and_that_is_told(tmp_path: Path, chunked: bool) -> None:
    ds = dataset(tmp_path)
    with WebServer({f"/h/{n}.png": bytes([9]) * 9000 for n in range(4)}, chunked=chunked) as server:
        report = ds.repoint(tmp_path / "a", f"{server.url}/h")
        assert (report.moved, report.changed, report.unchecked) == (4, 0, 4)
        assert "The content of 4 files was not compared with what was there before" in repr(report)
        checked = ds.check_media(content=True)
    assert (checked.ok, checked.uncompared, checked.to_dict()["uncompared"]) == (True, 4, 4)
    assert "The content of 4 files was not compared: files on servers are not downloaded" in repr(checked)


def test_no_message_has_a_login_or_a_signature(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    with WebServer({f"/h/{n}.png": bytes([n]) * 9000 for n in range(4)}) as server:
        url = f"{server.url.replace('//', '//me:word@')}/h"
        report = ds.repoint(tmp_path / "a", url)
        assert files(ds)[0] == f"{url}/0.png"
        again = ds.repoint(tmp_path / "a", url)
    signed = f"{url}/0.png?sig=word"
    ds.add_samples([ab.Sample(signed)])
    told = [repr(report), repr(report.to_dict()), repr(again)]
    for act in (
        lambda: ds.add_samples([ab.Sample(signed)]),
        lambda: ds.add_samples([ab.Sample(f"{url}/7.png"), ab.Sample(f"{url}/7.png")]),
        lambda: ds.repoint("https://me:word@x.invalid", "https://me:word@y.invalid"),
        lambda: ds.repoint("https://me:word@x.invalid", "https://me:word@x.invalid"),
    ):
        with pytest.raises(ab.AnnobridgeError) as found:
            act()
        told.append(str(found.value))
    assert all(text and "word" not in text for text in told), told


def test_a_new_path_that_is_that_of_another_sample(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    shutil.copytree(tmp_path / "a", tmp_path / "new")
    ds.add_samples([ab.Sample(tmp_path / "new/2.png", sample_id="twin")])
    match = f"Another sample has the file '{tmp_path}/new/2.png' already, .* Nothing was changed"
    refused(ds, ab.StoreError, match, tmp_path / "a", tmp_path / "new")


@pytest.mark.parametrize(
    ("prefixes", "options", "match"),
    [
        (("", "/new"), {}, "A prefix of paths is empty"),
        (("/old", " "), {}, "A prefix of paths is empty"),
        (("/old", "/old"), {}, "both '/old'"),
        (("/old", "/old/"), {}, "both '/old'"),
        (("/old", "/new"), {"missing": "drop"}, "missing='drop' is not known; give 'refuse' or 'keep'"),
    ],
)
def test_bad_arguments(tmp_path: Path, prefixes: tuple[str, str], options: dict[str, str], match: str) -> None:
    refused(dataset(tmp_path), ab.InvalidOption, match, *prefixes, **options)


def test_an_attached_table_is_never_written(tmp_path: Path) -> None:
    import lancedb

    (tmp_path / "0.png").write_bytes(b"x")
    lancedb.connect(tmp_path / "own").create_table(
        "images", pa.table({"id": ["a"], "image": [str(tmp_path / "0.png")]})
    )
    ds = ab.attach(tmp_path / "own", dataset=tmp_path / "ds")
    refused(ds, ab.StoreError, "which annobridge never changes", tmp_path, "/new")


def test_while_another_process_adds_samples(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    with (
        ds.stores.changing_samples("is being imported into"),
        pytest.raises(ab.StoreError, match="is being imported into"),
    ):
        ab.load_dataset(ds.uri).repoint(tmp_path / "a", tmp_path / "new")


def test_samples_that_others_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "new")
    plain = type(ds.stores.samples).replace_paths

    def late(samples: Any, version: int, replaced: Callable[..., Any]) -> Any:
        ds.stores.database.table("samples").update({"filepath": "'/elsewhere'"}, where="sample_id = 's1'")
        return plain(samples, version, replaced)

    monkeypatch.setattr(type(ds.stores.samples), "replace_paths", late)
    with pytest.raises(ab.StalePlan, match="changed by another process meanwhile; nothing was written"):
        ds.repoint(tmp_path / "a", tmp_path / "new")
    assert str(tmp_path / "a/0.png") in files(ds)


def test_paths_of_windows_and_uris(tmp_path: Path, s3: S3) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples(pa.table({"filepath": [r"C:\photos\cam\0.png", "c:/Photos/1.png", r"C:\photos2\2.png", None]}))
    (tmp_path / "photos/cam").mkdir(parents=True)
    for name in ("cam/0.png", "1.png"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    assert ds.repoint("C:\\photos", tmp_path / "photos").moved == 2
    assert files(ds) == [str(tmp_path / "photos/cam/0.png"), str(tmp_path / "photos/1.png"), r"C:\photos2\2.png", None]
    for name in ("cam/0.png", "1.png"):
        ObjectFile(f"s3://{BUCKET}/repoint/{name}", s3.options).create(io.BytesIO(b"x"))
    ds.stores.database.storage_options = s3.options
    report = ds.repoint(tmp_path / "photos", f"s3://{BUCKET}/repoint/")
    assert report.moved == 2
    assert files(ds)[:2] == [f"s3://{BUCKET}/repoint/cam/0.png", f"s3://{BUCKET}/repoint/1.png"]


def test_into_the_folder_of_the_dataset_paths_become_relative_and_are_left_alone_then(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "ds/media")
    assert ds.repoint(tmp_path / "a", tmp_path / "ds/media").moved == 4
    stored = ds.stores.database.read("samples")["filepath"].to_pylist()
    assert stored[:4] == [f"dataset://media/{n}.png" for n in range(4)]
    for inside in (tmp_path / "ds", tmp_path / "ds/media"):
        match = rf"The paths that begin with '{inside}' \(4\) are inside the dataset's folder, and relative to it"
        refused(ds, ab.StoreError, match, inside, "/new")


def test_a_second_time_where_the_dataset_is_below_the_old_prefix(tmp_path: Path) -> None:
    ds = dataset(tmp_path / "data")
    (tmp_path / "data/ds/0.png").write_bytes(b"x")
    ds.add_samples([ab.Sample(tmp_path / "data/ds/0.png")])
    (tmp_path / "new").mkdir()
    for name in ("a", "ab"):
        (tmp_path / "data" / name).rename(tmp_path / "new" / name)
    assert ds.repoint(tmp_path / "data", tmp_path / "new").moved == 5
    assert "it seems to be done" in repr(ds.repoint(tmp_path / "data", tmp_path / "new"))


def test_two_spellings_of_a_path_of_windows_are_not_made_two_samples_of_one_file(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples(pa.table({"filepath": ["C:\\Photos\\0.png", "c:/photos/0.png"]}))
    match = f"Two samples have the file that would be '{tmp_path}/photos/0.png', in two spellings. Nothing was changed"
    refused(ds, ab.StoreError, match, "C:\\photos", tmp_path / "photos")


@pytest.mark.parametrize("name", ["a b#1.png", "ä%20.png"])
def test_names_are_escaped_in_uris_and_not_in_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / name).write_bytes(b"x" * 9000)
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(tmp_path / "photos" / name)])
    assert ds.repoint(tmp_path / "photos", (tmp_path / "photos").as_uri()).changed == 0
    assert files(ds) == [(tmp_path / "photos" / name).as_uri()]
    assert ds.repoint((tmp_path / "photos").as_uri(), tmp_path / "photos").moved == 1
    assert files(ds) == [str(tmp_path / "photos" / name)]


def test_a_new_prefix_from_the_current_folder_is_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    ds.repoint(tmp_path / "a", "new")
    assert files(ds)[0] == str(tmp_path / "new/0.png")


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.integers(1, 5))
def test_the_rest_of_the_table_stays(
    tmp_path_factory: pytest.TempPathFactory, moved: set[int], deleted: set[int], step: int
) -> None:
    folder = tmp_path_factory.mktemp("ds")
    (folder / "new").mkdir()
    ds = ab.create_dataset(folder / "ds")
    names = [f"{'old' if n in moved else 'other'}/{n}.png" for n in range(12)]
    for at in range(0, 12, step):  # fragments of several sizes
        rows = range(at, min(at + step, 12))
        ds.add_samples(pa.table({"filepath": [f"{folder}/{names[n]}" for n in rows], "n": list(rows)}))
    if deleted:
        ds.delete_samples([row["sample_id"] for row in ds.samples().to_pylist() if row["n"] in deleted])
    for n in moved:
        (folder / f"new/{n}.png").write_bytes(b"x")
    expected = [
        {**row, "filepath": row["filepath"].replace(f"{folder}/old/", f"{folder}/new/")}
        for row in ds.samples().to_pylist()
    ]
    if moved - deleted:
        assert ds.repoint(folder / "old", folder / "new").moved == len(moved - deleted)
    assert ds.samples().to_pylist() == expected
    assert ds.match(f"starts_with(filepath, '{folder}/new/')").sample_ids() == [
        row["sample_id"] for row in expected if "/new/" in row["filepath"]
    ]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("what", "done"),
    [
        ("annobridge.media.repoint:_require_free", False),
        ("lance.fragment:LanceFragment.update_columns", False),
        ("annobridge.store.samples:Samples.replace_paths", True),
    ],
)
def test_a_process_that_is_killed_leaves_the_dataset_as_before_or_after(
    tmp_path: Path, what: str, done: bool, when: str
) -> None:
    ds = dataset(tmp_path)
    before = files(ds)
    (tmp_path / "a").rename(tmp_path / "new")
    assert call(wrecks.repoint, tmp_path / "ds", tmp_path / "a", tmp_path / "new", what, 1, when).kind == "killed"
    after = [place.replace(f"{tmp_path}/a/", f"{tmp_path}/new/") for place in before]
    assert files(ab.load_dataset(ds.uri)) == (after if done and when == "after" else before)
    ab.load_dataset(ds.uri).repoint(tmp_path / "a", tmp_path / "new")
    assert files(ab.load_dataset(ds.uri)) == after
    assert ds.check_media(content=True).ok


def test_killed_before_the_new_records_no_file_is_taken_for_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    ds = dataset(tmp_path)
    (tmp_path / "a").rename(tmp_path / "new")
    (tmp_path / "new/1.png").write_bytes(b"edited")
    monkeypatch.setattr(type(ds.stores.fingerprints), "record", killed)
    with pytest.raises(KeyboardInterrupt):
        ds.repoint(tmp_path / "a", tmp_path / "new", force=True)
    monkeypatch.undo()
    checked = ab.load_dataset(ds.uri).check_media(content=True)
    assert (checked.ok, checked.unrecorded) == (True, 1)


def test_on_the_command_line(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    run = CliRunner().invoke
    arguments = ["media", ds.uri, "--repoint", f"{tmp_path}/a={tmp_path}/new"]
    failed = run(app, arguments)
    assert failed.exit_code == 1
    (tmp_path / "a").rename(tmp_path / "new")
    found = run(app, [*arguments, "--json"])
    assert (found.exit_code, json.loads(found.stdout)["moved"]) == (0, 4)
    again = run(app, arguments)
    assert again.exit_code == 0
    assert "it seems to be done" in " ".join(again.stdout.split())
