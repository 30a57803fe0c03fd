"""Tables: what goes in comes out, at every level of nesting; the user's columns; places."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples
from tests.stored import store

import annobridge as ab
from annobridge.core.labels import KINDS, LABELS
from annobridge.store import commits, table_versions
from annobridge.store.tables import Database, in_list, quote
from annobridge.testing import strategies as some

IDS = [f"s{n}" for n in range(3)]


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(f"{i}.jpg", sample_id=i) for i in IDS])
    return ds


def rows(ds: ab.Dataset) -> list[dict[str, Any]]:
    return sorted(ds.labels().to_pylist(), key=lambda r: r["label_id"])


@examples(15)
@given(data=st.data())
def test_every_kind_comes_out_as_it_went_in(ds, data):
    ds.delete_labels(where="true")
    made = data.draw(st.lists(some.labels(), min_size=1, max_size=8))
    given_rows = [{**label.row(), "sample_id": IDS[n % 3], "label_id": f"{n:04}"} for n, label in enumerate(made)]
    assert ds.add_labels("f", given_rows) == len(made)
    expected = pa.Table.from_pylist([{**r, "field": "f", "rev": 1} for r in given_rows], LABELS).to_pylist()
    assert repr(rows(ds)) == repr(expected)


@pytest.mark.parametrize("way", ["arrow", "objects", "dictionaries", "set_labels"])
def test_nulls_at_every_level(ds, way):
    """Null columns, empty lists and lists without attributes stay what they are, and are told apart."""
    nan = float("nan")
    table = pa.table(
        {
            "label_id": ["k", "l", "m", "n"],
            "sample_id": ["s0"] * 4,
            "kind": ["keypoints", "keypoints", "classification", "classification"],
            "label": ["x", None, "y", "z"],
            "points": pa.array([[[[0.5, 0.5], [nan, nan]]], [[[0.0, 1.0]]], None, None], LABELS.field("points").type),
            "visibility": pa.array([[2, 0], None, None, None], pa.list_(pa.int8())),
            "attributes": pa.array(
                [[], None, [{"name": "a", "type": "json", "value": "null"}], []], LABELS.field("attributes").type
            ),
            "tags": pa.array([[], None, ["t"], None], pa.list_(pa.string())),
        }
    )
    if way == "arrow":
        ds.add_labels("f", table)
    elif way == "dictionaries":
        ds.add_labels("f", [{k: v for k, v in r.items() if v is not None} for r in table.to_pylist()])
    elif way == "objects":
        own = [n for n in table.column_names if n not in ("kind", "label_id", "sample_id")]
        made = table.to_pylist()
        ds.add_labels("f", [ab.Label(r["kind"], {n: r[n] for n in own}, r["label_id"], r["sample_id"]) for r in made])
    else:
        ds.add_labels("f", table.select(["label_id", "sample_id", "kind", "points", "label"]))
        ds.set_labels(table.select(["label_id", "attributes", "tags", "visibility"]))
    found = rows(ds)
    for column in table.column_names:
        assert repr([r[column] for r in found]) == repr(table[column].to_pylist()), column


def test_masks_and_boxes_keep_their_bits(ds):
    pixels = np.zeros((7, 5), bool)
    pixels[2:4, 1:3] = True
    box = [0.1, 0.1 + 0.2, 1 / 3, 5e-324 + 0.25]
    ds.add_labels("f", {"s0": [ab.Detection("a", box, label_id="b"), ab.Detection("a", mask=pixels, label_id="m")]})
    b, m = rows(ds)
    assert b["bounding_box"] == box
    assert m["mask"] == ab.Detection("a", mask=pixels).columns["mask"]


def test_every_kind_has_a_row_and_all_survive_compaction(ds):
    made = [{"sample_id": "s0", "label_id": k, **_least(k)} for k in KINDS]
    for row in made:
        ds.add_labels("f", [row])
    before = rows(ds)
    ds.optimize()
    assert repr(rows(ds)) == repr(before)
    assert [r["kind"] for r in before] == sorted(KINDS)


def _least(kind: str) -> dict[str, Any]:
    line = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]
    mask = ab.Detection("x", mask=np.ones((2, 2))).columns["mask"]
    columns: dict[str, Any] = {"kind": kind, "label": "x"}
    if kind in ("box", "ellipse"):
        columns["bounding_box"] = [0, 0, 1, 1]
    elif kind in ("mask", "segmentation"):
        columns["mask"] = mask
    elif kind in ("scalar", "message"):
        columns["value"] = "1"
    elif kind != "classification":
        columns["points"] = line
    return columns


def test_columns_of_the_users_own(ds):
    ds.add_samples([ab.Sample("x.jpg", sample_id="x", place="Paris", score=0.5, days=[1, 2])])
    ds.add_samples(pa.table({"sample_id": ["y"], "filepath": ["y.jpg"], "score": [1.5], "more": [{"a": 1}]}))
    found = {r["sample_id"]: r for r in ds.samples().to_pylist()}
    assert (found["x"]["place"], found["x"]["score"], found["x"]["days"], found["x"]["more"]) == (
        "Paris",
        0.5,
        [1, 2],
        None,
    )
    assert (found["y"]["place"], found["y"]["score"], found["y"]["more"]) == (None, 1.5, {"a": 1})
    assert found["s0"]["place"] is None
    assert ds.match("score > 1").sample_ids() == ["y"]
    assert ds.samples(["place"]).to_arrow().column_names == ["place"]


def test_samples_asked_by_a_column_that_is_not_there(ds):
    with pytest.raises(ab.AnnobridgeError, match="plce"):
        ds.samples(["plce"])


def test_rows_are_taken_by_others_as_they_are(ds):
    ds.add_labels("f", [{"sample_id": "s0", "label": "x"}])
    assert pa.table(ds.labels()).num_rows == 1
    assert pa.RecordBatchReader.from_stream(ds.samples()).read_all().num_rows == 3
    assert ds.labels("f", "false").to_arrow().num_rows == 0
    assert ds.labels([]).to_arrow().num_rows == 0


@given(text=st.text(max_size=12).filter(lambda t: "\x00" not in t))
def test_quotes_are_quoted(text):
    assert quote(text)[1:-1].replace("''", "'") == text
    assert in_list("a", [text]) == f"a IN ({quote(text)})"


@pytest.mark.parametrize("name", ["o'brien", "a'' OR true --", "ключ", "a\nb", '"', "%"])
def test_ids_of_any_text_are_found_and_deleted_alone(ds, name):
    ds.add_samples([ab.Sample("q.jpg", sample_id=name)])
    ds.add_labels(
        "f",
        [{"sample_id": name, "label_id": name, "label": "x"}, {"sample_id": "s0", "label_id": "other", "label": "x"}],
    )
    ds.set_labels([{"label_id": name, "label": "y"}])
    assert [r["label"] for r in ds.labels(where=f"label_id = {quote(name)}").to_pylist()] == ["y"]
    assert ds.select([name]).sample_ids() == [name]
    assert ds.delete_labels([name]) == 1
    assert [r["label_id"] for r in rows(ds)] == ["other"]


def test_fields_of_any_text_are_found(ds):
    store(ds, [{"sample_id": "s0", "field": "it's", "kind": "classification", "label": "x"}])
    assert ds.labels("it's").to_arrow().num_rows == 1
    assert ds.label_fields() == ["it's"]
    assert ds.match_labels("it's", "label = 'x'").sample_ids() == ["s0"]


def test_a_database_is_listed_and_opened(ds, tmp_path):
    assert ab.list_datasets(tmp_path) == ["ds"]
    assert Database.open(str(tmp_path / "ds")).uri == str(tmp_path / "ds")
    with pytest.raises(ab.StoreError, match="There is no folder"):
        ab.list_datasets(tmp_path / "no")


def test_appends_of_many_batches_are_one_version(ds):
    version = ds.stores.labels.version()
    part = pa.record_batch({"sample_id": ["s0"] * 10, "label": ["x"] * 10})
    ds.add_labels("f", pa.Table.from_batches([part] * 20))
    assert ds.stores.labels.version() == version + 1
    assert ds.count_labels() == 200
    ids = [r["label_id"] for r in rows(ds)]
    assert len(set(ids)) == 200


def test_a_table_that_stays_open_is_never_out_of_date(tmp_path: Path) -> None:
    """Another process commits, one replaces the dataset by another with as many versions, and a writer has its own copy."""
    uri = str(tmp_path / "ds")
    ds = ab.create_dataset(uri)
    db = Database.open(uri)
    before, copy = db.table("samples"), db.table("samples")
    ds.add_samples([ab.Sample("a.jpg", sample_id="a")])
    assert (before.count_rows(), db.table("samples").count_rows()) == (0, 1)
    after = db.table("samples")
    copy.delete("true")
    db.delete("samples", "true")
    assert (after.count_rows(), db.table("samples").count_rows()) == (1, 0)
    for name in ("b", "c"):
        new = ab.create_dataset(tmp_path / name)
        new.add_samples([ab.Sample("a.jpg", sample_id=name)])
        new.stores.database.delete("samples", "false")
        (tmp_path / "ds").rename(tmp_path / f"replaced by {name}")
        (tmp_path / name).rename(tmp_path / "ds")
        assert db.read("samples")["sample_id"].to_pylist() == [name]
    (tmp_path / "ds").rename(tmp_path / "gone")
    with pytest.raises(ab.StoreError, match="cannot be opened"):
        db.table("samples")


def test_row_ids_are_not_those_of_a_table_that_was_replaced(tmp_path: Path) -> None:
    """Both tables have as many versions and fragments, and their rows have other row ids."""
    for name, edited in (("ds", "a"), ("other", "c")):
        ds = ab.create_dataset(tmp_path / name)
        ds.add_samples([ab.Sample("s.jpg", sample_id="s")])
        ds.add_labels("f", [{"sample_id": "s", "label_id": i, "label": "x"} for i in "abc"])
        ds.set_labels([{"label_id": edited, "label": "y"}])
    uri = str(tmp_path / "ds")
    db = Database.open(uri)
    version = db.table("labels").version
    before = addresses(db, version)
    (tmp_path / "ds").rename(tmp_path / "replaced")
    (tmp_path / "other").rename(tmp_path / "ds")
    assert addresses(db, version) == addresses(db, None) == addresses(Database.open(uri), None) != before


def test_a_dataset_can_be_pickled(ds):
    ds.add_labels("f", [{"sample_id": "s0", "label": "x"}])
    ds.snapshot("then")
    for each in (ds, ds.match("sample_id = 's0'"), ds.at("then")):
        each.count_labels()
        for copied in (pickle.loads(pickle.dumps(each)), copy.deepcopy(each)):
            assert copied.count_labels() == 1


def test_files_stay_small_when_the_dataset_is_optimized(ds, monkeypatch):
    monkeypatch.setattr(commits, "FILE_ROWS", 8)
    monkeypatch.setattr(table_versions, "FILE_ROWS", 8)
    ds.add_labels("f", [{"sample_id": "s0", "label": "x"}] * 20)
    ds.add_labels("f", [{"sample_id": "s0", "label": "x"}] * 4)
    ds.optimize()
    assert [f.count_rows() for f in ds.stores.database.table("labels").get_fragments()] == [8, 8, 8]


def addresses(db: Database, version: int | None) -> list[dict[str, Any]]:
    """Id, address and row id of each label."""
    batches = db.scan("labels", ["label_id"], version=version, address=True)
    return sorted(pa.Table.from_batches(batches).to_pylist(), key=lambda row: row["label_id"])
