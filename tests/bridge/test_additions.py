"""Samples and their labels come and go together: stopped anywhere, raced by others, repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.exceptions import InvalidLabels, StoreError
from annobridge.store.commits import Commits
from annobridge.store.labels import Labels
from annobridge.store.samples import Samples

BOX = [0.1, 0.1, 0.2, 0.2]


class Stopped(BaseException):
    """The process ends here."""


def given(count: int = 5, ids: bool = False, **labels: Any) -> list[ab.Sample]:
    return [
        ab.Sample(
            f"/x/{n}.jpg", width=64, height=48, **({"sample_id": f"s{n}"} if ids else {}),
            **(labels or {"boxes": [ab.Detection("car", BOX)], "day": ab.Classification("day")}),
        )
        for n in range(count)
    ]  # fmt: skip


def state(ds: ab.Dataset) -> tuple[int, dict[str, int], list[str]]:
    ds = ab.load_dataset(ds.uri)
    return len(ds), {f: ds.count_labels(f) for f in ds.label_fields()}, [r["label"] for r in ds.labels().to_pylist()]


BEFORE: tuple[int, dict[str, int]] = (0, {})
AFTER = (5, {"boxes": 5, "day": 5})
STEPS: list[tuple[type, str, str]] = [
    (Labels, "write", "after"), (Labels, "commit", "before"), (Labels, "commit", "after"), (Samples, "append", "before"),
    (Commits, "commit_fenced", "before"), (Samples, "append", "after"),
]  # fmt: skip


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a call that ends at a step, as if the process were killed there."""

    def run(call: Callable[[], Any], owner: type, name: str, when: str) -> None:
        plain = getattr(owner, name)

        def deadly(*args: Any, **kwargs: Any) -> Any:
            if when == "after":
                plain(*args, **kwargs)
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, deadly)
            with pytest.raises(Stopped):
                call()

    return run


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return ab.create_dataset(tmp_path / "ds")


@pytest.mark.parametrize("ids", [False, True], ids=["files", "ids"])
@pytest.mark.parametrize(("owner", "name", "when"), STEPS)
def test_stopped_while_adding_and_repeated(ds, stop, owner, name, when, ids):
    stop(lambda: ds.add_samples(given(ids=ids)), owner, name, when)
    found = state(ds)[:2]
    assert found in (BEFORE, AFTER)
    assert ds.labels().to_arrow().num_rows == sum(found[1].values())
    if found == AFTER:  # it was only not heard of
        with pytest.raises(InvalidLabels, match="The dataset has a sample (of the file )?'.*' already"):
            ds.add_samples(given(ids=ids))
    else:
        ds.add_samples(given(ids=ids))
    assert state(ds)[:2] == AFTER
    assert len({r["label_id"] for r in ds.labels().to_pylist()}) == 10


def test_given_label_ids_of_a_stopped_addition_are_free(ds, stop):
    samples = given(1, ids=True, boxes=[ab.Detection("car", BOX, label_id="a")])
    stop(lambda: ds.add_samples(samples), Samples, "append", "before")
    ds.add_samples([ab.Sample("/x/other.jpg", boxes=[ab.Detection("bus", BOX, label_id="a")])])
    assert state(ds) == (1, {"boxes": 1}, ["bus"])
    ds.add_samples(given(1, ids=True, boxes=[ab.Detection("car", BOX, label_id="b")]))
    assert state(ds) == (2, {"boxes": 2}, ["bus", "car"])


def test_stopped_while_deleting_and_repeated(ds, stop):
    ds.add_samples(given(ids=True))
    stop(lambda: ds.delete_samples(["s0", "s1"]), Samples, "delete", "before")
    assert state(ds)[:2] == AFTER
    stop(lambda: ds.delete_samples(["s0", "s1"]), Samples, "delete", "after")
    assert state(ds)[:2] == (3, {"boxes": 3, "day": 3})
    ds.add_samples(given(1, ids=True, boxes=[ab.Detection("new", BOX)]))
    assert [r["label"] for r in ds.labels().to_pylist() if r["sample_id"] == "s0"] == [
        "new"
    ]  # the old do not come back
    assert len(ds) == 4


def test_labels_without_a_sample_are_in_nothing_that_is_read_or_sent(bridge, stop):
    stop(lambda: bridge.ds.delete_samples("s1"), Samples, "delete", "after")
    ds = ab.load_dataset(bridge.path)
    gone = {"car1", "man1", "sun1", "lane1", "speed1"}
    assert not gone & {r["label_id"] for r in ds.labels().to_pylist()}
    assert ds.count_labels("objects") == 6
    assert ds.match_labels("objects", "label = 'car'").sample_ids() == ["s0", "s2", "s3"]
    assert [len(row["objects"]) for row in ds.nested(["objects"]).to_pylist()] == [2, 2, 2]
    bridge.annotate()
    assert not gone & {row["label_id"] for row in bridge.hands.rows()}
    assert bridge.load().total == 0


def at_once(ds: ab.Dataset, act: Callable[[ab.Dataset, int], Any], times: int = 3) -> list[str]:
    barrier, said = threading.Barrier(times), []

    def go(number: int) -> None:
        mine = ab.load_dataset(ds.uri)
        barrier.wait()
        try:
            act(mine, number)
            said.append("done")
        except ab.AnnobridgeError as error:
            said.append(type(error).__name__)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == times
    return said


@pytest.mark.parametrize("attempt", range(3))
def test_of_equal_new_samples_given_at_once_one_is_added(ds, attempt):
    assert at_once(ds, lambda mine, n: mine.add_samples(given(ids=True))).count("done") == 1
    assert state(ds)[:2] == AFTER


def test_of_equal_files_given_at_once_one_is_added(ds):
    assert at_once(ds, lambda mine, n: mine.add_samples(given())).count("done") == 1
    assert state(ds)[:2] == AFTER


def test_different_samples_given_at_once_are_all_added(ds):
    def act(mine: ab.Dataset, n: int) -> None:
        mine.add_samples([ab.Sample(f"/{n}/{k}.jpg", boxes=[ab.Detection("car", BOX)]) for k in range(4)])

    assert at_once(ds, act) == ["done"] * 3
    assert state(ds)[:2] == (12, {"boxes": 12})


@pytest.mark.parametrize("attempt", range(3))
def test_of_equal_new_labels_given_at_once_one_is_added(ds, attempt):
    ds.add_samples(given(2, ids=True, boxes=[]))
    rows = [{"sample_id": "s0", "label_id": f"a{n}", "label": "car", "bounding_box": BOX} for n in range(5)]
    said = at_once(ds, lambda mine, n: mine.add_labels("boxes", rows))
    assert said.count("done") == 1
    assert set(said) <= {"done", "StalePlan", "InvalidLabels"}
    assert ds.count_labels() == 5


def test_two_runs_renamed_to_one_key_at_once(bridge):
    for key in "abc":
        bridge.annotate(key)
    said = at_once(bridge.ds, lambda mine, n: mine.rename_annotation_run("abc"[n], "same"))
    assert said.count("done") == 1
    assert set(said) <= {"done", "RunExists", "RunBusy"}
    keys = bridge.ds.list_annotation_runs()
    assert len(keys) == len(set(keys)) == 3
    assert "same" in keys
    for key in keys:
        assert bridge.ds.get_annotation_info(key)["anno_key"] == key


def test_a_rename_and_an_annotate_to_one_key_at_once(bridge):
    bridge.annotate("a")
    said = at_once(
        bridge.ds,
        lambda mine, n: (
            mine.rename_annotation_run("a", "same")
            if n
            else mine.annotate("same", label_schema="objects", backend="memory", url=bridge.url)
        ),
        2,
    )
    assert "done" in said
    keys = bridge.ds.list_annotation_runs()
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("table", [False, True], ids=["samples", "table"])
def test_a_file_that_is_there_needs_an_id_to_come_twice(ds, table):
    ds.add_samples([ab.Sample("/x/0.jpg", sample_id="first")])
    before = ds.stores.samples.version()
    new: Any = pa.table({"filepath": ["/x/0.jpg"]}) if table else [ab.Sample("/x/0.jpg")]
    cure = "leave it out, or give it a sample_id of its own to have the file twice"
    with pytest.raises(InvalidLabels, match=f"The dataset has a sample of the file '/x/0.jpg' already; {cure}"):
        ds.add_samples(new)
    with pytest.raises(InvalidLabels, match="Two of the new samples have one filepath, '/x/1.jpg'"):
        ds.add_samples([ab.Sample("/x/1.jpg"), ab.Sample("/x/1.jpg")])
    assert ds.stores.samples.version() == before
    ds.add_samples([ab.Sample("/x/0.jpg", sample_id="second")])
    assert ds.sample_ids() == ["first", "second"]


def test_a_long_import_does_not_let_others_add_samples(ds, monkeypatch):

    from annobridge.ingest import add

    monkeypatch.setattr(add, "WAIT", 0.2)
    with ds.stores.changing_samples("is being imported into"):
        for call in (lambda: ds.add_samples(given(1)), lambda: ds.add_samples(pa.table({"filepath": ["/x/0.jpg"]}))):
            with pytest.raises(StoreError, match="The dataset '.*' is being imported into by process .*; wait until"):
                call()
    assert state(ds)[:2] == BEFORE
