"""The one commit of the labels: atomic, compare-and-set on ``rev``, whoever else writes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import lance
import lancedb
import pyarrow as pa
import pytest
from lance.commit import CommitConflictError

import annobridge as ab
from annobridge.core.labels import LABELS
from annobridge.store import labels as module
from annobridge.store.commits import MAX_ATTEMPTS


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Two samples, twenty labels in two fragments."""
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample("a.jpg", sample_id="a"), ab.Sample("b.jpg", sample_id="b")])
    for s in "ab":
        ds.add_labels(
            "f", [{"sample_id": s, "label_id": f"{s}{n}", "kind": "classification", "label": "x"} for n in range(10)]
        )
    return ds


def raw(ds: ab.Dataset) -> lance.LanceDataset:
    return lance.dataset(f"{ds.uri}/labels.lance")


def rows(ds: ab.Dataset) -> dict[str, dict[str, Any]]:
    found = ds.labels().to_pylist()
    assert len({r["label_id"] for r in found}) == len(found)
    return {r["label_id"]: r for r in found}


def before(ds: ab.Dataset, *ids: str) -> tuple[int, pa.Table, pa.Table]:
    """The version now, the rows to replace, and what they become."""
    labels = ds.stores.labels
    version = labels.version()
    found = labels.get_by_ids(pa.array(ids, pa.string()), version)
    new = found.select(LABELS.names)
    new = new.set_column(LABELS.get_field_index("label"), LABELS.field("label"), pa.array(["new"] * len(ids)))
    new = new.set_column(LABELS.get_field_index("rev"), LABELS.field("rev"), pa.compute.add(new["rev"], 1))
    return version, found.select(module.ROW_KEYS.names), new


def commit(ds: ab.Dataset, version: int, old: pa.Table, new: pa.Table, added: pa.Table | None = None) -> int:
    labels = ds.stores.labels
    fragments = labels.write(added.to_batches()) if added is not None else ()
    return labels.commit(version, old, new.to_batches(), fragments)


def test_replace_delete_and_add_are_one_version(ds):
    version, old, new = before(ds, "a1", "b2", "a3")
    added = new.slice(0, 1).set_column(0, LABELS.field("label_id"), pa.array(["c"]))
    assert commit(ds, version, old, new.slice(0, 2), added) == version + 1
    now = rows(ds)
    assert {i for i, r in now.items() if r["label"] == "new"} == {*new["label_id"].to_pylist()[:2], "c"}
    assert len(now) == 20
    assert raw(ds).version == version + 1


def test_files_that_a_clean_up_removed_before_the_commit_are_not_published(ds):
    version, old, new = before(ds, "a1", "a2")
    fragments = ds.stores.labels.write(new.set_column(0, LABELS.field("label_id"), pa.array(["c", "d"])).to_batches())
    name = fragments[0].files[0].path
    (Path(ds.uri) / "labels.lance/data" / name).unlink()
    then = rows(ds)
    with pytest.raises(ab.StoreError) as caught:
        ds.stores.labels.commit(version, old, (), fragments)
    assert str(caught.value) == (
        f"Of the data files written for the table 'labels' of {ds.uri!r}, 1 of 1 are gone, as {name}: a clean-up has removed what "
        "was not committed yet. Nothing was published; repeat the call, and let clean-ups spare files that are younger than the "
        "longest load."
    )
    assert (raw(ds).version, rows(ds)) == (version, then)


def test_a_commit_whose_answer_is_lost_is_found_by_its_token(ds, monkeypatch):
    plain = lance.LanceDataset.commit

    def lost(*arguments, **options):
        plain(*arguments, **options)
        raise OSError("connection reset")

    version, old, new = before(ds, "a1")
    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(lost))
    assert commit(ds, version, old, new) == version + 1
    assert (raw(ds).version, rows(ds)["a1"]["label"]) == (version + 1, "new")


def test_all_rows_of_a_fragment_and_of_the_table_can_go(ds):
    assert ds.delete_labels(where="sample_id = 'a'") == 10
    assert ds.delete_labels(field="f") == 10
    assert rows(ds) == {}
    ds.add_labels("f", [{"sample_id": "a", "label": "x"}])
    assert len(rows(ds)) == 1


@pytest.mark.parametrize("bumps", [True, False])
@pytest.mark.parametrize("through", ["merge_insert", "update", "lancedb"])
def test_a_strangers_write_of_a_touched_row_makes_the_plan_stale(ds, bumps, through):
    version, old, new = before(ds, "a1", "b2")
    rev = 2 if bumps else 1
    match through:
        case "merge_insert":
            row = raw(ds).to_table(filter="label_id = 'a1'").to_pylist()[0] | {"label": "theirs", "rev": rev}
            table = pa.Table.from_pylist([row], LABELS)
            raw(ds).merge_insert("label_id").when_matched_update_all().execute(table)
        case "update":
            raw(ds).update({"label": "'theirs'", "rev": str(rev)}, where="label_id = 'a1'")
        case "lancedb":
            table = lancedb.connect(ds.uri).open_table("labels")
            table.update(where="label_id = 'a1'", values={"label": "theirs", "rev": rev})
    after = raw(ds).version
    with pytest.raises(ab.StalePlan, match="changed by somebody else meanwhile; plan again"):
        commit(ds, version, old, new)
    assert raw(ds).version == after
    assert rows(ds)["a1"]["label"] == "theirs"
    assert rows(ds)["b2"]["label"] == "x"


def test_a_strangers_write_of_other_rows_is_kept_and_the_commit_is_redone(ds):
    version, old, new = before(ds, "a1")
    raw(ds).update({"label": "'theirs'"}, where="label_id = 'a2'")  # the same fragment
    raw(ds).delete("label_id = 'a3'")
    ds.add_labels("g", [{"sample_id": "a", "label_id": "mine", "label": "y"}])
    latest = raw(ds).version
    assert commit(ds, version, old, new) == latest + 1
    now = rows(ds)
    assert (now["a1"]["label"], now["a2"]["label"]) == ("new", "theirs")
    assert "a3" not in now
    assert "mine" in now


def test_compaction_between_plan_and_commit_does_no_harm(ds):
    version, old, new = before(ds, "a1", "b9")
    ds.delete_labels(["a2"])
    ds.optimize()
    commit(ds, version, old, new)
    now = rows(ds)
    assert {i for i, r in now.items() if r["label"] == "new"} == {"a1", "b9"}
    assert len(now) == 19


def test_a_row_deleted_meanwhile_makes_the_plan_stale(ds):
    version, old, new = before(ds, "a1", "b2")
    raw(ds).delete("label_id = 'b2'")
    with pytest.raises(ab.StalePlan):
        commit(ds, version, old, new)
    assert rows(ds)["a1"]["label"] == "x"


def test_everything_deleted_meanwhile_makes_the_plan_stale(ds):
    version, old, new = before(ds, "a1")
    raw(ds).delete("true")
    with pytest.raises(ab.StalePlan):
        commit(ds, version, old, new)


@pytest.mark.parametrize("times", [1, 3])
def test_a_conflict_in_the_very_commit_is_redone(ds, monkeypatch, times):
    version, old, new = before(ds, "a1")
    plain, calls = lance.LanceDataset.commit, []

    def late(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) <= times:  # somebody is faster, each time, in the same fragment
            raw(ds).update({"label": "'theirs'"}, where=f"label_id = 'a{len(calls) + 1}'")
        return plain(*args, **kwargs)

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(late))
    commit(ds, version, old, new)
    now = rows(ds)
    assert len(calls) == times + 1
    assert now["a1"]["label"] == "new"
    assert {i for i, r in now.items() if r["label"] == "theirs"} == {f"a{n + 2}" for n in range(times)}


def test_a_conflict_in_the_very_commit_on_the_same_row_is_stale(ds, monkeypatch):
    version, old, new = before(ds, "a1")
    plain, calls = lance.LanceDataset.commit, []

    def late(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raw(ds).update({"label": "'theirs'"}, where="label_id = 'a1'")
        return plain(*args, **kwargs)

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(late))
    with pytest.raises(ab.StalePlan):
        commit(ds, version, old, new)
    assert rows(ds)["a1"]["label"] == "theirs"


def test_endless_conflicts_end_in_a_sentence(ds, monkeypatch):
    version, old, new = before(ds, "a1")

    def never(*_: Any, **__: Any) -> Any:
        raise CommitConflictError("somebody was faster")

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(never))
    with pytest.raises(ab.StalePlan, match=f"in each of {MAX_ATTEMPTS} attempts; try again"):
        commit(ds, version, old, new)


def test_writers_in_threads_lose_no_update(ds):
    """Each adds one to a number, many times, redoing what was stale: the sum tells."""
    ds.set_labels([{"label_id": "a1", "confidence": 0.0}])
    faults: list[BaseException] = []

    def count() -> None:
        mine = ab.load_dataset(ds.uri)
        done = 0
        while done < 5:
            row = mine.labels(where="label_id = 'a1'").to_pylist()[0]
            try:
                mine.set_labels([{"label_id": "a1", "confidence": row["confidence"] + 1 / 64, "rev": row["rev"]}])
                done += 1
            except ab.StalePlan:
                continue
            except BaseException as e:
                faults.append(e)
                raise

    threads = [threading.Thread(target=count) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not faults
    row = rows(ds)["a1"]
    assert row["confidence"] == 15 / 64
    assert row["rev"] == 17


def test_the_token_of_a_commit_is_found_in_the_log(ds):
    labels = ds.stores.labels
    version, old, new = before(ds, "a1")
    made = labels.commit(version, old, new.to_batches(), token="token7")
    raw(ds).update({"label": "'later'"}, where="label_id = 'b1'")
    assert labels.find_commit("token7", version) == made
    assert labels.find_commit("token8", version) is None


def test_the_log_may_have_been_cleaned(ds):
    """Somebody keeps the dataset small: a load that died long ago is still settled, and nothing breaks."""
    from datetime import timedelta

    labels = ds.stores.labels
    version = labels.version()
    for n in range(3):
        raw(ds).update({"label": f"'{n}'"}, where="label_id = 'b1'")
    raw(ds).cleanup_old_versions(older_than=timedelta(0))
    assert labels.find_commit("nothing", version) is None


def test_untouched_rows_keep_their_bits(ds):
    ds.add_labels(
        "g", [{"sample_id": "a", "label_id": "box", "bounding_box": [0.1, 0.2, 1 / 3, 0.1 + 0.2], "label": None}]
    )
    was = rows(ds)["box"]
    version, old, new = before(ds, "a1")
    commit(ds, version, old, new)
    assert rows(ds)["box"] == was


def test_files_have_the_columns_that_hold_something(ds):
    """A batch with a value in a further column begins a file; what is read is what was written."""
    some = [
        {"label_id": f"n{n}", "sample_id": "a", "field": "f", "kind": "classification", "label": "x", "rev": 1, **more}
        for n, more in enumerate([{}, {}, {"tags": []}, {"confidence": 0.5}, {}, {"tags": ["t"], "confidence": 1.0}])
    ]
    batches = [pa.RecordBatch.from_pylist([row], LABELS) for row in some]
    fragments = ds.stores.labels.write(batches)
    assert [fragment.physical_rows for fragment in fragments] == [2, 1, 3]
    columns = [len(fragment.files[0].fields) for fragment in fragments]
    assert columns[0] < columns[1] < columns[2] < len(LABELS)
    version = ds.stores.labels.version()
    ds.stores.labels.commit(version, None, (), fragments)
    found = raw(ds).to_table(LABELS.names, filter="label_id LIKE 'n%'").sort_by("label_id")
    assert found.cast(LABELS).equals(pa.Table.from_batches(batches))
