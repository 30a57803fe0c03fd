"""Which load a staging folder is of, and when it goes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import annobridge as ab
from annobridge.store import load_staging
from annobridge.store.lease import Leases
from annobridge.store.load_staging import LoadStaging
from annobridge.store.table_versions import tags

TABLES = ("labels", "annotation_baseline")


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return ab.create_dataset(tmp_path / "ds")


def enter(ds: ab.Dataset, content: str = "c", run_id: str = "run") -> LoadStaging:
    versions = {name: int(ds.stores.database.table(name).version) for name in TABLES}
    return LoadStaging(ds.stores.database, run_id, 1, content, versions, {})


def folders(ds: ab.Dataset) -> list[str]:
    return sorted(path.name for path in Path(ds.uri, "_staging").glob("*"))


def tagged(ds: ab.Dataset) -> list[str]:
    return sorted(tag for name in TABLES for tag in tags(ds.stores.database, name))


def test_it_goes_with_its_tags_and_its_lease(ds) -> None:
    staging = enter(ds)
    assert folders(ds) == [staging.folder.name]
    assert tagged(ds) == [f"annobridge.load.{staging.folder.name}"] * 2
    staging.remove()
    staging.remove()
    assert (folders(ds), tagged(ds), Leases(ds.stores.database).all()) == ([], [], {})
    assert not Path(ds.uri, "_staging").exists()


def test_one_that_was_left_is_used_by_a_load_that_would_plan_the_same(ds) -> None:
    first = enter(ds)
    first.folder.write("job-0.json", b"{}")
    first.leave()
    first.remove()  # as when it is collected later
    for table in TABLES:  # as if its process had ended before they were set
        ds.stores.database.table(table).tags.delete(f"annobridge.load.{first.folder.name}")
    second = enter(ds)
    assert second.folder.name == first.folder.name
    assert sorted(second.files) == ["job-0.json", "load.json"]
    assert second.time == first.time
    assert len(tagged(ds)) == 2
    second.remove()
    assert (folders(ds), tagged(ds)) == ([], [])


def test_one_that_is_in_use_is_left_alone(ds, monkeypatch) -> None:
    first = enter(ds)
    monkeypatch.setattr(load_staging, "KEPT", timedelta(0))
    second = enter(ds)
    assert folders(ds) == sorted([first.folder.name, second.folder.name])
    second.remove()
    assert folders(ds) == [first.folder.name]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"content": "c"}', b'{"content": "c", "time": "soon"}'])
def test_one_that_is_damaged_is_replaced(ds, text) -> None:
    first = enter(ds)
    first.folder.write("load.json", text)
    first.leave()
    second = enter(ds)
    assert folders(ds) == [second.folder.name] != [first.folder.name]
    assert set(tagged(ds)) == {f"annobridge.load.{second.folder.name}"}
    assert second.files == ()


def test_one_of_another_run_stays_for_a_while(ds, monkeypatch) -> None:
    first = enter(ds)
    first.leave()
    enter(ds, run_id="other").remove()
    assert folders(ds) == [first.folder.name]
    monkeypatch.setattr(load_staging, "KEPT", timedelta(0))
    enter(ds, run_id="other").remove()
    assert (folders(ds), tagged(ds)) == ([], [])


def test_an_error_leaves_no_lease(ds) -> None:
    with pytest.raises(
        ab.StalePlan, match="^The version 99 of the table 'labels', on which this load is planned, was cleaned"
    ):
        LoadStaging(ds.stores.database, "run", 1, "c", {"labels": 99}, {})
    assert Leases(ds.stores.database).all() == {}
    enter(ds, "other").remove()  # and the next load of the run removes the rest
    assert folders(ds) == []
