"""Snapshots: what was there is read exactly, whatever happens later; nothing is written through one; killed, all or nothing."""

from __future__ import annotations

import io
import shutil
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests import children
from tests.bridge.conftest import Bridge, fill
from tests.generated import examples
from tests.history import wrecks
from tests.history.conftest import NOTHING, content, table, versions

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.store import table_versions

BOX = [0.1, 0.1, 0.2, 0.2]


def test_a_snapshot_says_what_it_has(ds):
    made = ds.snapshot("v1", note="before the second round")
    assert (made.name, made.note, made.samples) == ("v1", "before the second round", 4)
    assert made.labels == {"lanes": 4, "objects": 8, "speed": 4, "weather": 4}
    assert made.versions == {"labels": versions(ds)[-1], "samples": versions(ds, "samples")[-1]}
    assert made.unprotected is None
    assert ds.list_snapshots() == [made] == ab.load_dataset(ds.uri).list_snapshots()
    assert repr(made).endswith("4 samples (4 lanes, 8 objects, 4 speed, 4 weather): before the second round")
    assert made.to_dict()["created"] == made.created.isoformat()


def test_it_is_read_as_it_was(bridge):
    ds = bridge.ds
    before = content(ds)
    ds.snapshot("v1")
    bridge.annotate()
    bridge.hands.set("car1", label="person")
    bridge.load()
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    ds.delete_labels(field="weather")
    ds.delete_samples(["s3"])
    ds.add_samples([ab.Sample("new.jpg", sample_id="new", place="here", objects=[ab.Detection("car", BOX)])])
    old = ds.at("v1")
    assert content(old) == before
    assert "place" not in old.samples().schema.names
    assert (len(old), len(ds)) == (4, 4)
    assert old.label_fields() == ["lanes", "objects", "speed", "weather"]
    assert (old.count_labels(), old.count_labels("weather")) == (20, 4)
    assert old.match("number = 3").sample_ids() == ["s3"]
    assert old.match_labels("objects", "label = 'bus'").sample_ids() == []
    assert old.sort_by("number", reverse=True).limit(1).sample_ids() == ["s3"]
    assert repr(old) == f"Dataset({ds.uri!r}).at('v1'): 4 samples"
    assert repr(old.limit(1)) == f"View({ds.uri!r}).at('v1').limit(count=1): 1 samples"
    assert old.list_annotation_runs() == ["r"]  # the ledger is read as it is now
    assert old.load_annotation_view("r").sample_ids() == [f"s{n}" for n in range(4)]
    assert [row["sample_id"] for row in old.nested("objects").to_pylist()] == [f"s{n}" for n in range(4)]


def test_media_are_read(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(tmp_path / "a.png", sample_id="a", width=8, height=6, things=ab.Detection("car", BOX))])
    ds.snapshot("v1")
    ds.delete_samples("a")
    report = ds.at("v1").export(tmp_path / "out", "voc", progress=False)
    assert (report.samples, report.labels) == (1, 1)
    assert list((tmp_path / "out").rglob("*.png"))


edits = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.sampled_from(["car", "bus"])),
        st.tuples(st.just("delete"), st.integers(0, 5), st.none()),
        st.tuples(st.just("add"), st.integers(0, 2), st.sampled_from(["car", "bus"])),
        st.tuples(st.just("sample"), st.none(), st.none()),
        st.tuples(st.just("drop"), st.integers(0, 5), st.none()),
        st.tuples(st.just("compact"), st.none(), st.none()),
        st.tuples(st.just("clean"), st.none(), st.none()),
    ),
    max_size=6,
)


def change(ds: ab.Dataset, verb: str, n: Any, label: Any) -> None:
    """One edit of a dataset, as it is drawn by ``edits``; of the n-th label or sample there is."""
    labels, samples = sorted(content(ds)[1]), sorted(content(ds)[0])
    if verb == "set" and labels:
        ds.set_labels([{"label_id": labels[n % len(labels)], "label": label}])
    elif verb == "delete" and labels:
        ds.delete_labels([labels[n % len(labels)]])
    elif verb == "add" and samples:
        ds.add_labels("f", {samples[n % len(samples)]: [ab.Detection(label, BOX)]})
    elif verb == "sample":
        ds.add_samples([ab.Sample(f"{uuid.uuid4()}.jpg", f=[ab.Detection("car", BOX)])])
    elif verb == "drop" and samples:
        ds.delete_samples([samples[n % len(samples)]])
    elif verb in ("compact", "clean"):
        ds.optimize(NOTHING if verb == "clean" else None)


@examples(10)
@given(first=edits, second=edits)
def test_after_any_edits_each_snapshot_is_what_was_there(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("law")
    ds = ab.create_dataset(folder / "ds")
    ds.add_samples([ab.Sample(f"{n}.jpg", sample_id=f"s{n}", f=[ab.Detection("car", BOX)]) for n in range(2)])
    then = {}
    for name, verbs in (("v0", ()), ("v1", first), ("v2", second)):
        for verb in verbs:
            change(ds, *verb)
        ds.snapshot(name)
        then[name] = content(ds)
    for verb in [*first, ("clean", None, None)]:
        change(ds, *verb)
    for name, was in then.items():
        assert content(ds.at(name)) == was
    shutil.rmtree(folder)


# --- refused ---------------------------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[ab.Dataset], Any]] = {
    "add_samples": lambda ds: ds.add_samples([ab.Sample("x.jpg")]),
    "add_samples, a table": lambda ds: ds.add_samples(pa.table({"filepath": ["x.jpg"]})),
    "delete_samples": lambda ds: ds.delete_samples("s0"),
    "add_labels": lambda ds: ds.add_labels("objects", {"s0": [ab.Detection("car", BOX)]}),
    "adopt_labels": lambda ds: ds.adopt_labels("number", "numbers"),
    "set_labels": lambda ds: ds.set_labels([{"label_id": "car0", "label": "bus"}]),
    "delete_labels": lambda ds: ds.delete_labels(["car0"]),
    "annotate": lambda ds: ds.annotate("q", label_schema="objects", backend="memory"),
    "annotate, a view": lambda ds: ds.limit(1).annotate("q", label_schema="objects", backend="memory"),
    "plan_annotations": lambda ds: ds.plan_annotations("r"),
    "load_annotations": lambda ds: ds.load_annotations("r"),
    "load_annotation_results": lambda ds: ds.load_annotation_results("r"),
    "undo_annotations": lambda ds: ds.undo_annotations("r"),
    "resume_annotation": lambda ds: ds.resume_annotation("r"),
    "abort_annotation": lambda ds: ds.abort_annotation("r"),
    "rename_annotation_run": lambda ds: ds.rename_annotation_run("r", "q"),
    "delete_annotation_run": lambda ds: ds.delete_annotation_run("r"),
    "extend_annotation": lambda ds: ds.extend_annotation("r", ds.limit(1)),
    "adopt_annotation": lambda ds: ds.adopt_annotation("q", backend="memory", project="p"),
    "plan_push": lambda ds: ds.plan_push("r"),
    "push_annotations": lambda ds: ds.push_annotations("r"),
    "protect": lambda ds: ds.protect("objects"),
    "optimize": lambda ds: ds.optimize(),
    "snapshot": lambda ds: ds.snapshot("v2"),
    "delete_snapshot": lambda ds: ds.delete_snapshot("v1"),
}


@pytest.fixture
def loaded(bridge: Bridge) -> Bridge:
    """A snapshot ``v1``, then a run that was loaded once."""
    bridge.ds.snapshot("v1")
    bridge.annotate()
    bridge.hands.set("car1", label="person")
    bridge.load()
    return bridge


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", WRITES)
def test_nothing_is_written_through_a_snapshot(loaded, verb):
    old = loaded.ds.at("v1")
    before, server = files(loaded.path), dict(SERVERS[loaded.url].labels)
    with pytest.raises(ab.StoreError) as error:
        WRITES[verb](old)
    uri = loaded.ds.uri
    assert str(error.value) == (
        f"The dataset {uri!r} as of the snapshot 'v1' is read-only, and nothing was written or sent; use the dataset itself, as "
        f"load_dataset({uri!r}) opens it."
    )
    assert files(loaded.path) == before
    assert SERVERS[loaded.url].labels == server


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v1", "There is a snapshot 'v1' already, and it stays as it is; give another name"),
        ("V1", "There is a snapshot 'v1' already, and it stays as it is; give another name"),
        ("now", "No snapshot can be named 'now', which stands for the dataset as it is; give another."),
        ("Now", "No snapshot can be named 'Now'"),
        ("", "The name '' is not one of a snapshot; use letters, digits, and single"),
        ("a b", "The name 'a b' is not one of a snapshot"),
        ("a/b", "The name 'a/b' is not one of a snapshot"),
        ("a..b", "The name 'a..b' is not one of a snapshot"),
        ("a.", "The name 'a.' is not one of a snapshot"),
        ("-a", "The name '-a' is not one of a snapshot"),
        ("a.lock", "The name 'a.lock' is not one of a snapshot"),
        ("été", "The name 'été' is not one of a snapshot"),
        ("a" * 101, "is not one of a snapshot"),
        (None, "The name None is not one of a snapshot"),
    ],
)
def test_a_name_that_cannot_be_used_changes_nothing(ds, name, message):
    ds.snapshot("v1")
    before, tags = ds.list_snapshots(), table(ds).tags.list()
    with pytest.raises((ab.StoreError, ab.InvalidOption), match=r"(?s)^.*" + message.replace("(", r"\(")):
        ds.snapshot(name)
    assert ds.list_snapshots() == before
    assert table(ds).tags.list() == tags


@given(name=st.from_regex(r"[A-Za-z0-9]([._-]?[A-Za-z0-9]){0,8}", fullmatch=True))
@examples(20)
def test_lance_takes_every_name_that_is_allowed(tmp_path_factory, name):
    ds = ab.create_dataset(tmp_path_factory.mktemp("names") / "ds")
    try:
        ds.snapshot(name)
    except ab.InvalidOption:
        assert name.lower() == "now" or name.endswith(".lock")
    else:
        assert len(ds.at(name)) == 0


@pytest.mark.parametrize("call", [lambda ds: ds.at("v2"), lambda ds: ds.diff("v2"), lambda ds: ds.diff("v1", "v2")])
def test_an_unknown_name(ds, call):
    ds.snapshot("v1")
    with pytest.raises(ab.StoreError, match=r"^There is no snapshot 'v2'; there is 'v1'\.$"):
        call(ds)
    with pytest.raises(ab.StoreError, match=r"^There is no snapshot 'v1_'; did you mean 'v1'\?$"):
        ds.delete_snapshot("v1_")


def test_a_dataset_without_snapshots_says_so(ds):
    assert ds.list_snapshots() == []
    with pytest.raises(ab.StoreError, match=r"^There is no snapshot 'v1'; there is none\.$"):
        ds.at("v1")


def test_a_version_that_another_program_cleaned_away(ds):
    made = ds.snapshot("v1")
    ds.delete_labels(["car0"])
    labels = table(ds)
    labels.tags.delete("annobridge.snapshot.v1")
    labels.cleanup_old_versions(timedelta(0), error_if_tagged_old_versions=False)
    message = f"^The snapshot 'v1' needs version {made.versions['labels']} of the table 'labels', which cannot be opened; another"
    for call in (lambda: ds.at("v1"), lambda: ds.diff("v1"), lambda: ds.diff("now", "v1")):
        with pytest.raises(ab.StoreError, match=message):
            call()
    ds.delete_snapshot("v1")
    assert ds.list_snapshots() == []
    ds.snapshot("v1")
    assert content(ds.at("v1")) == content(ds)


def test_a_record_that_cannot_be_read_can_be_deleted(ds):
    ds.snapshot("v1")
    ds.stores.snapshots._entries.put("v1", "{}")
    for call in (lambda: ds.at("v1"), ds.list_snapshots):
        with pytest.raises(
            ab.StoreError, match=r"record of the snapshot 'v1' cannot be read .*delete_snapshot\('v1'\)"
        ):
            call()
    ds.delete_snapshot("v1")
    assert ds.list_snapshots() == []


def test_other_programs_cannot_clean_it_away(ds):
    ds.snapshot("v1")
    before = content(ds)
    ds.delete_labels(["car0"])
    with pytest.raises(OSError, match="tagged version"):
        table(ds).cleanup_old_versions(timedelta(0))
    table(ds).cleanup_old_versions(timedelta(0), error_if_tagged_old_versions=False)
    assert content(ds.at("v1")) == before


def test_while_samples_are_added_there_is_no_snapshot(ds, monkeypatch):
    monkeypatch.setattr("annobridge.history.snapshots.WAIT", 0.0)
    with (
        ds.stores.changing_samples("is being imported into"),
        pytest.raises(
            ab.StoreError, match="is being imported into by process .*; wait until that has ended, and try again"
        ),
    ):
        ds.snapshot("v1")
    assert ds.list_snapshots() == []
    assert table(ds).tags.list() == {}


def test_now_is_the_dataset_as_it_is_at_this_moment(ds):
    before, then = content(ds), ds.at("now")
    assert content(then) == before
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    assert content(then) == before
    with pytest.raises(ab.StoreError, match=r"as of the moment when it was opened with 'now' is read-only"):
        then.delete_samples("s0")
    late = ds.at("now")
    ds.delete_labels(["car0"])
    ds.optimize(NOTHING)
    with pytest.raises(
        ab.StoreError, match=r"^Version \d+ of the table 'labels', which was .* Open the dataset again\.$"
    ):
        late.count_labels()


def test_samples_that_change_all_the_time_have_no_moment(ds, monkeypatch):
    plain = ds.stores.database.table

    def after_a_commit(name: str, version: int | None = None) -> Any:
        if name == "labels":
            lance.dataset(f"{ds.uri}/samples.lance").update({"number": "number"})
        return plain(name, version)

    monkeypatch.setattr(ds.stores.database, "table", after_a_commit)
    with pytest.raises(ab.StalePlan, match=r"^The samples table was changed by others in each of \d+ attempts"):
        table_versions.of_one_moment(ds.stores.database, ["labels", "samples"])


# --- attached tables -------------------------------------------------------------------------------------------------


def attached(folder: Path) -> ab.Dataset:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(stream, "PNG")
    rows = pa.table({"id": ["a", "b"], "image": [stream.getvalue()] * 2})
    lance.write_dataset(rows, str(folder / "mine" / "images.lance"))
    ds = ab.attach(folder / "mine")
    ds.add_labels("f", {"a": [ab.Detection("car", BOX, label_id="x")]})
    return ds


def test_the_table_of_a_user_gets_no_tag(tmp_path):
    ds = attached(tmp_path)
    made = ds.snapshot("v1")
    mine = lance.dataset(str(tmp_path / "mine" / "images.lance"))
    assert made.unprotected == "images"
    assert made.versions["samples"] == mine.version
    assert mine.tags.list() == {}
    assert not (tmp_path / "mine" / "images.lance" / "_refs").exists()
    assert list(table(ds, "annotation_sizes").tags.list()) == list(table(ds).tags.list()) == ["annobridge.snapshot.v1"]
    before = content(ds)
    mine.delete("id = 'b'")
    ds.delete_labels(["x"])
    assert (len(ds), len(ds.at("v1"))) == (1, 2)
    assert content(ds.at("v1")) == before
    diff = ds.diff("v1")
    assert diff.to_dict()["samples"] == {"added": 0, "changed": 0, "deleted": 1}
    assert diff.samples_deleted["sample_id"].to_pylist() == ["b"]
    with ds.at("v1").stores.samples.media(ds.at("v1").samples().to_arrow()).open("b") as image:
        assert image.read(4) == b"\x89PNG"


def test_its_version_may_be_cleaned_away(tmp_path):
    ds = attached(tmp_path)
    ds.snapshot("v1")
    mine = lance.dataset(str(tmp_path / "mine" / "images.lance"))
    mine.delete("id = 'b'")
    mine.cleanup_old_versions(timedelta(0))
    with pytest.raises(
        ab.StoreError, match="^The snapshot 'v1' needs version 1 of the table 'samples', which cannot be opened"
    ):
        ds.at("v1")


# --- killed ----------------------------------------------------------------------------------------------------------

SNAPSHOT = [
    ("annobridge.store.snapshots:Snapshots.protect", 1, "before"),
    ("annobridge.store.snapshots:set_tag", 1, "after"),
    ("annobridge.store.snapshots:set_tag", 2, "after"),
    ("annobridge.store.snapshots:Snapshots.record", 1, "before"),
    ("annobridge.store.snapshots:Snapshots.record", 1, "after"),
]
DELETE = [
    ("annobridge.store.config_entries:ConfigEntries.put", 1, "before"),
    ("annobridge.store.config_entries:ConfigEntries.put", 1, "after"),
    ("annobridge.store.snapshots:remove_tag", 1, "after"),
]


@pytest.mark.parametrize(("what", "nth", "when"), SNAPSHOT)
def test_killed_while_it_is_made(ds, what, nth, when):
    assert children.call(wrecks.run, Path(ds.uri), "snapshot", what, nth, when).kind == "killed"
    ds = ab.load_dataset(ds.uri)
    ds.delete_labels(["car0"])  # tags that were left are moved
    if (what, when) == ("annobridge.store.snapshots:Snapshots.record", "after"):
        assert ds.at("v1").count_labels() == 20
        ds.delete_snapshot("v1")
    assert ds.list_snapshots() == []
    ds.snapshot("v1")
    assert content(ds.at("v1")) == content(ds)
    assert table(ds).tags.list()["annobridge.snapshot.v1"]["version"] == versions(ds)[-1]


@pytest.mark.parametrize(("what", "nth", "when"), DELETE)
def test_killed_while_it_is_deleted(ds, what, nth, when):
    ds.snapshot("v1")
    assert children.call(wrecks.run, Path(ds.uri), "delete", what, nth, when).kind == "killed"
    ds = ab.load_dataset(ds.uri)
    if when == "before":
        assert content(ds.at("v1")) == content(ds)
        ds.delete_snapshot("v1")
    assert ds.list_snapshots() == []
    ds.optimize(NOTHING)  # removes tags that were left
    assert table(ds).tags.list() == table(ds, "samples").tags.list() == {}


def test_a_dataset_of_version_0_1_gets_the_table_that_snapshots_need(tmp_path):
    ds = ab.create_dataset(tmp_path / "ds")
    fill(ds)
    shutil.rmtree(tmp_path / "ds" / "annotation_leases.lance")
    old = ab.load_dataset(tmp_path / "ds")
    assert old.list_snapshots() == []
    old.snapshot("v1")
    assert old.at("v1").count_labels() == 20


def test_a_table_of_a_user_that_was_made_anew_is_not_taken_for_that_of_the_snapshot(tmp_path):
    ds = attached(tmp_path)
    ds.snapshot("v1")
    place = tmp_path / "mine" / "images.lance"
    rows = lance.dataset(str(place)).to_table()
    shutil.copytree(place, tmp_path / "copy")
    shutil.rmtree(place)
    lance.write_dataset(rows, str(place))
    message = (
        r"^The table 'images' was replaced by another after the snapshot 'v1' was taken, .*delete_snapshot\('v1'\)\.$"
    )
    for call in (lambda: ds.at("v1"), lambda: ds.diff("v1"), lambda: ds.diff("now", "v1")):
        with pytest.raises(ab.StoreError, match=message):
            call()
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "copy", place)
    assert len(ds.at("v1")) == 2
