"""Paths inside the folder of a dataset are stored relative to it, and read as they were."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import quote, unquote

import lance
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs.storage import S3

import annobridge as ab
from annobridge.store.media_paths import MediaPaths
from annobridge.store.tables import Database

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6).filter(
    lambda part: part not in (".", "..")
)
PLACES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
ROOTS = st.one_of(PLACES.map(lambda p: f"/{p}"), PLACES.map(lambda p: f"s3://{re.sub('[:?#]', '_', p)}"))


def translated(paths: MediaPaths, *places: str | None) -> list[str | None]:
    found: list[str | None] = paths.stored(pa.array(places, pa.string())).to_pylist()
    return found


def whole(paths: MediaPaths, *stored: str | None) -> list[str | None]:
    found: list[str | None] = paths.whole(pa.array(stored, pa.string())).to_pylist()
    return found


@given(ROOTS, PLACES)
def test_what_is_inside_is_relative_and_comes_back(root: str, inner: str) -> None:
    paths = MediaPaths(Database(root))
    (stored,) = translated(paths, f"{root}/{inner.replace('%', '%25') if '://' in root else inner}")
    assert stored == f"dataset://{inner}"
    assert whole(paths, stored) == [f"{root}/{inner.replace('%', '%25') if '://' in root else inner}"]
    assert translated(paths, stored) == [stored]


@given(ROOTS, ROOTS, PLACES, st.booleans())
def test_a_folder_moves_with_what_is_inside(old: str, new: str, inner: str, is_slash: bool) -> None:
    here, there = (inner.replace("%", "%25") if "://" in root else inner for root in (old, new))
    stored = translated(MediaPaths(Database(old + "/" * is_slash)), f"{old}/{here}")
    assert whole(MediaPaths(Database(new)), *stored) == [f"{new}/{there}"]


@given(ROOTS, st.one_of(PLACES, PLACES.map(lambda p: f"/{p}"), PLACES.map(lambda p: f"https://{p}"), st.none()))
def test_everything_that_is_elsewhere_stays(root: str, place: str | None) -> None:
    paths = MediaPaths(Database(root))
    if place is None or not place.startswith((f"{root}/", "dataset://")):
        assert translated(paths, place) == [place]
        assert whole(paths, place) == [place]


@pytest.mark.parametrize(
    "place",
    ["/data/ds2/a.png", "/data/ds", "/data/ds.png", "/data/ds/../a.png", "/data/ds/a/../../b.png", "C:\\data\\ds\\a.png",
     "file:///data/ds2/a.png", "media/a.png", "s3://data/ds/a.png", "", None],
)  # fmt: skip
def test_only_whole_components_count_and_nothing_leads_out(place: str | None) -> None:
    assert translated(MediaPaths(Database("/data/ds")), place) == [place]


def test_paths_by_a_link_and_from_the_current_folder_are_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    for uri in ("alias", "real", str(tmp_path / "alias")):
        paths = MediaPaths(Database(uri))
        given = [f"{tmp_path}/real/a.png", f"{uri}/a.png", str(tmp_path / uri / "a.png")]
        assert translated(paths, *given) == ["dataset://a.png"] * 3
        assert whole(paths, "dataset://a.png") == [str(tmp_path / uri / "a.png")]


def test_other_spellings_of_a_path_are_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ds/media/cam").mkdir(parents=True)
    (tmp_path / "ds/link").symlink_to(tmp_path)
    paths = MediaPaths(Database(str(tmp_path / "ds")))
    monkeypatch.chdir(tmp_path)
    given = [
        *("./ds/media/a b.png", "ds/media/a b.png", "ds/media/cam/../a b.png", "ds//media/a b.png"),
        *(f"{tmp_path}//ds/media/a b.png", f"/{tmp_path}/ds/./media/a b.png", (tmp_path / "ds/media/a b.png").as_uri()),
    ]
    assert translated(paths, *given) == ["dataset://media/a b.png"] * len(given)
    for folder, place in (("ds", "media/a.png"), ("ds/media", "a.png"), ("ds/media/cam", "../a.png")):
        monkeypatch.chdir(tmp_path / folder)
        assert translated(paths, place, None, "https://host//a.png") == [
            "dataset://media/a.png",
            None,
            "https://host//a.png",
        ]
    for outside in ("../../../a.png", f"{tmp_path}/ds/../a.png", f"{tmp_path}/ds/link/../a.png"):
        assert translated(paths, outside) == [outside]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("split = 'filepath'", "split = 'filepath'"),
        ("filepath = 'it''s filepath'", "X = 'it''s filepath'"),
        ("FilePath LIKE '%.png' AND `filepath` IS NOT NULL", "X LIKE '%.png' AND X IS NOT NULL"),
        ("my_filepath = filepath2 OR meta.filepath = '' OR \"filepath\" = ''",
         "my_filepath = filepath2 OR meta.filepath = '' OR \"filepath\" = ''"),
    ],
)  # fmt: skip
def test_expressions(sql: str, expected: str) -> None:
    whole = "replace(`filepath`, 'dataset://', '/data/d''s/')"
    assert MediaPaths(Database("/data/d's")).expression(sql) == expected.replace("X", whole)


def dataset(folder: Path, *places: str | Path) -> ab.Dataset:
    ds = ab.create_dataset(folder)
    ds.add_samples([ab.Sample(place, width=4, height=3) for place in places])
    return ds


def files(view: ab.View) -> list[str]:
    return [row["filepath"] for row in view.samples(["filepath"]).to_pylist()]


def stored(ds: ab.Dataset) -> list[str]:
    found: list[str] = lance.dataset(f"{ds.uri}/samples.lance").to_table()["filepath"].to_pylist()
    return found


def test_a_dataset_is_moved_with_its_media(tmp_path: Path) -> None:
    ds = dataset(tmp_path / "a.lancedb", tmp_path / "a.lancedb/media/0.png", tmp_path / "1.png")
    assert stored(ds) == ["dataset://media/0.png", str(tmp_path / "1.png")]
    shutil.move(tmp_path / "a.lancedb", tmp_path / "b.lancedb")
    moved = ab.load_dataset(tmp_path / "b.lancedb")
    assert files(moved) == [str(tmp_path / "b.lancedb/media/0.png"), str(tmp_path / "1.png")]


def test_conditions_see_whole_paths(tmp_path: Path) -> None:
    root = tmp_path / "o'a.lancedb"
    ds = dataset(root, root / "media/0.png", root / "media/1.png", tmp_path / "2.png")
    quoted = str(root).replace("'", "''")
    assert len(ds.match(f"filepath = '{quoted}/media/0.png'")) == 1
    assert len(ds.match(f"starts_with(filepath, '{quoted}/')")) == 2
    assert files(ds.sort_by("filepath", reverse=True)) == sorted(files(ds), reverse=True)
    assert files(ds.sort_by("length(filepath)"))[0] == str(tmp_path / "2.png")


def test_a_condition_that_fails_is_told_as_it_was_given(tmp_path: Path) -> None:
    ds = dataset(tmp_path / "a.lancedb", tmp_path / "0.png")
    with pytest.raises(
        ab.StoreError,
        match=r"The filter \"\(filepath = nonsense\( 'x'\)\" cannot be run .* WHERE \(filepath = nonsense",
    ):
        len(ds.match("filepath = nonsense( 'x'"))
    with pytest.raises(ab.StoreError, match=r"The expression 'nonsense\(filepath\)' cannot be run"):
        ds.sort_by("nonsense(filepath)").sample_ids()


@pytest.mark.parametrize("old", [True, False])
def test_one_file_is_one_sample_in_either_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    monkeypatch.chdir(tmp_path)
    place = str(tmp_path / "a.lancedb/media/0.png")
    ds = dataset(tmp_path / "a.lancedb", place)
    if old:  # as earlier versions stored it
        ds.stores.database.table("samples").update({"filepath": f"'{place}'"})
        assert stored(ds) == [place]
    for again in (place, "dataset://media/0.png", "a.lancedb/media/0.png"):
        with pytest.raises(ab.InvalidLabels, match="The dataset has a sample of the file '.*/media/0.png' already"):
            ds.add_samples([ab.Sample(again)])
    with pytest.raises(ab.InvalidLabels, match="Two of the new samples have one filepath, '.*/media/1.png'"):
        ds.add_samples([ab.Sample(tmp_path / "a.lancedb/media/1.png"), ab.Sample("dataset://media/1.png")])
    assert len(ds) == 1


def test_an_import_into_a_staged_database_knows_where_it_will_be(tmp_path: Path) -> None:
    samples = pa.table({"filepath": [str(tmp_path / "a.lancedb/media/0.png"), str(tmp_path / "1.png")]})
    ds = ab.Dataset.from_arrow(tmp_path / "a.lancedb", samples)
    assert stored(ds) == ["dataset://media/0.png", str(tmp_path / "1.png")]


def test_in_an_object_store(s3: S3, tmp_path: Path) -> None:
    uri = s3.uri(tmp_path / "a.lancedb")
    ds = ab.create_dataset(uri, s3.options)
    ds.add_samples(pa.table({"filepath": [f"{uri}/media/0.png"]}))
    s3.copy(uri, s3.uri(tmp_path / "b.lancedb"))
    moved = ab.load_dataset(s3.uri(tmp_path / "b.lancedb"), s3.options)
    assert moved.first()["filepath"] == f"{moved.uri}/media/0.png"


@pytest.mark.parametrize("name", ["a b.png", "ä#1.png", "50%25.png", "100%.png"])
def test_a_dataset_is_copied_between_a_disk_and_an_object_store(tmp_path: Path, name: str) -> None:
    disk, store = MediaPaths(Database(str(tmp_path / "ds"))), MediaPaths(Database("s3://bucket/ds"))
    (inside,) = translated(disk, str(tmp_path / "ds/media" / name))
    (uri,) = whole(store, inside)
    assert translated(store, uri) == [inside] == [f"dataset://media/{name}"]
    assert unquote(uri or "") == f"s3://bucket/ds/media/{name}"
    assert translated(store, f"s3://bucket/ds/media/{quote(name)}") == [inside]
