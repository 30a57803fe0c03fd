"""Processes killed at every step of annotate and load, and two that load at once: before or after, nothing between."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
from tests import children
from tests.bridge import wrecks as child
from tests.doubles import file_backend

import annobridge as ab
from annobridge.core import ids
from annobridge.store import lease as leases
from annobridge.store import runs as ledger

# Where a child is killed: class or module, function, which call of it, before or after.
LOAD = [
    ("annobridge.store.runs:Runs.begin_load", 1, "before"),
    ("annobridge.store.runs:Runs.begin_load", 1, "after"),
    ("annobridge.store.written_rows:WrittenRows.append", 1, "after"),
    ("annobridge.store.written_rows:WrittenRows.append", 2, "after"),  # the changes
    ("lance.fragment:write_fragments", 1, "after"),
    ("annobridge.store.labels:change_of_rows", 1, "after"),  # right before the commit
    ("annobridge.store.labels:Labels.commit_written", 1, "after"),
    ("annobridge.store.runs:Runs.end_load", 1, "after"),
]
ANNOTATE = [
    ("annobridge.store.runs:Runs.reserve", 1, "before"),
    ("annobridge.store.commits:Commits.commit_fenced", 1, "after"),
    ("annobridge.store.runs:Runs.add_tasks", 1, "after"),
    ("tests.doubles.file_backend:FolderBackend.upload", 2, "before"),
    ("tests.doubles.file_backend:FolderBackend.upload", 2, "after"),
    ("annobridge.store.baseline:Baseline.add", 1, "before"),
    ("annobridge.store.baseline:Baseline.add", 1, "after"),
    ("annobridge.store.runs:Runs.add_receipts", 1, "after"),
    ("annobridge.store.runs:Runs.update", 1, "after"),
]
UNDO = [
    ("annobridge.store.labels:change_of_rows", 1, "after"),
    ("annobridge.store.labels:Labels.commit_written", 1, "after"),
]
VERBS = {"load": LOAD, "annotate": ANNOTATE, "undo": UNDO}
POINTS = {
    f"{verb}, {when} {what.split(':')[1]} #{nth}": (verb, what, nth, when)
    for verb, points in VERBS.items()
    for what, nth, when in points
}


def labels(ds: ab.Dataset) -> dict[str, dict[str, Any]]:
    rows = ds.labels().to_pylist()
    found = {r["label_id"]: {n: v for n, v in r.items() if n not in ("rev", "time")} for r in rows}
    assert len(found) == len(rows), "two labels have one id"
    return found


def version(folder: Path) -> int:
    return int(lance.dataset(str(folder / "labels.lance")).version)


def work(row: dict[str, Any]) -> list[dict[str, Any]]:
    """An edit, a deletion and an addition in every image."""
    if row["label"] == "car":
        return [{**row, "bounding_box": [0.0, 0.0, 0.5, 0.5]}]
    return [] if row["sample_id"] == "s0" else [row, {**row, "remote_id": row["remote_id"] + "+", "index": 7}]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Datasets and servers in each state: plain, sent, worked on, loaded."""
    patch = pytest.MonkeyPatch()
    patch.setenv(file_backend.VARIABLE, file_backend.NAME)
    root = tmp_path_factory.mktemp("crash")
    ds = ab.create_dataset(root / "plain")
    ds.add_samples(
        ab.Sample(f"{i}.jpg", sample_id=f"s{i}", objects=[
            ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id=f"car{i}"),
            ab.Detection("person", [0.5, 0.5, 0.2, 0.2], label_id=f"man{i}"),
        ])
        for i in range(6)
    )  # fmt: skip
    (root / "server-plain").mkdir()
    copy(root, "plain", "worked")
    ab.load_dataset(root / "worked").annotate(
        "r", label_schema="objects", backend="folder", folder=str(root / "server-worked"), task_size=2
    )
    file_backend.edit(root / "server-worked", work)
    copy(root, "worked", "loaded")
    loaded = ab.load_dataset(root / "loaded")
    report = loaded.load_annotations("r", folder=str(root / "server-loaded"))
    assert (report.added, report.edited, report.deleted) == (5, 6, 1)
    yield root
    patch.undo()


def copy(root: Path, state: str, name: str) -> None:
    shutil.copytree(root / state, root / name)
    shutil.copytree(root / f"server-{state}", root / f"server-{name}")


def wreck(root: Path, name: str) -> Path:
    """A dataset that a process left behind which was killed at a point."""
    verb, what, nth, when = POINTS[name]
    folder = root / f"wreck{sorted(POINTS).index(name)}"
    copy(root, {"annotate": "plain", "load": "worked", "undo": "loaded"}[verb], folder.name)
    done = children.call(child.run, folder, root / f"server-{folder.name}", verb, what, nth, when)
    assert done.kind == "killed", f"{name}: {done}"
    return folder


@pytest.mark.parametrize("name", [n for n in POINTS if n.startswith("load")])
def test_killed_in_load(root, name):
    folder = wreck(root, name)
    before, after = labels(ab.load_dataset(root / "plain")), labels(ab.load_dataset(root / "loaded"))
    ds = ab.load_dataset(folder)
    found = labels(ds)
    committed = "Labels.commit" in name or "Runs.end_load" in name
    assert same(found, after if committed else before)
    assert version(folder) == version(root / "plain") + committed
    plan = ds.plan_annotations("r")  # the next look settles the ledger
    assert (plan.added, plan.edited, plan.deleted) == ((0, 0, 0) if committed else (5, 6, 1))
    ds.load_annotations("r")
    assert same(labels(ds), after)
    assert version(folder) == version(root / "plain") + 1
    states = [load["state"] for load in ds.get_annotation_info("r")["loads"]]
    assert [s for s in states if s != "aborted"] == ["applied"]
    assert ds.load_annotations("r").version is None
    ds.undo_annotations("r")
    assert same(labels(ds), before)


@pytest.mark.parametrize("name", [n for n in POINTS if n.startswith("annotate")])
def test_killed_in_annotate(root, name):
    folder = wreck(root, name)
    server = folder.with_name(f"server-{folder.name}")
    ds = ab.load_dataset(folder)
    assert same(labels(ds), labels(ab.load_dataset(root / "plain")))
    if "before Runs.reserve" in name:  # it never happened, and the key is free
        assert ds.list_annotation_runs() == []
        ds.annotate("r", label_schema="objects", backend="folder", folder=str(server), task_size=2)
    elif "Commits.commit_fenced" in name:
        with pytest.raises(ab.RunIncomplete, match=r"resume_annotation\('r'\).*abort_annotation\('r'\)"):
            ds.load_annotations("r")
        with pytest.raises(ab.RunError, match="abort it, and annotate again"):
            ds.resume_annotation("r")
        ds.abort_annotation("r")
        ds.annotate("r", label_schema="objects", backend="folder", folder=str(server), task_size=2)
    else:
        if "Runs.update" not in name:
            with pytest.raises(ab.RunIncomplete, match=r"stopped after \d of 3 tasks"):
                ds.load_annotations("r")
        ds.resume_annotation("r")
    there = [row["label_id"] for path in server.glob("*.arrow") for row in file_backend.read(path)[0].to_pylist()]
    assert sorted(there) == sorted(labels(ds))  # once each, and no orphan
    assert ds.load_annotations("r").version is None
    file_backend.edit(server, work)
    report = ds.load_annotations("r")
    assert (report.added, report.edited, report.deleted) == (5, 6, 1)


@pytest.mark.parametrize(
    ("what", "nth", "there"),
    [("tests.doubles.file_backend:FolderBackend.upload", 2, 2), ("annobridge.store.runs:Runs.add_receipts", 1, 3)],
)
def test_killed_in_annotate_and_aborted(root, what, nth, there):
    """An answer that nobody wrote down, and one that somebody did: both tasks are removed."""
    copy(root, "plain", name := f"aborted-{what[-6:]}")
    server = root / f"server-{name}"
    assert children.call(child.run, root / name, server, "annotate", what, nth, "after").kind == "killed"
    assert len(list(server.glob("*.arrow"))) == there
    ds = ab.load_dataset(root / name)
    ds.abort_annotation("r")
    assert not list(server.iterdir())
    assert ds.list_annotation_runs() == []


@pytest.mark.parametrize("name", [n for n in POINTS if n.startswith("undo")])
def test_killed_in_undo(root, name):
    folder = wreck(root, name)
    ds = ab.load_dataset(folder)
    before, after = labels(ab.load_dataset(root / "plain")), labels(ab.load_dataset(root / "loaded"))
    undone = "Labels.commit" in name
    assert same(labels(ds), before if undone else after)
    assert ds.get_annotation_info("r")["loads"][-1]["state"] == ("undone" if undone else "applied")
    if undone:
        with pytest.raises(ab.RunError, match="no load to undo"):
            ds.undo_annotations("r")
    else:
        ds.undo_annotations("r")
    assert same(labels(ds), before)
    ds.load_annotations("r", folder=str(folder.with_name(f"server-{folder.name}")))
    assert same(labels(ds), after)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equal, less the random ids of the tool, of which ids here are derived, and who wrote it."""

    def plain(found: dict[str, Any]) -> list[str]:
        drop = ("label_id", "run", "tool")
        return sorted(repr({n: v for n, v in r.items() if n not in drop}) for r in found.values())

    return plain(a) == plain(b)


def test_two_processes_that_load_one_run_at_once(root, tmp_path):
    rounds = 5
    for n in range(rounds):
        shutil.copytree(root / "worked", tmp_path / f"ds{n}")
    racers = [children.start(child.load_at_once, tmp_path, me, rounds) for me in ("a", "b")]
    for racer in racers:
        racer.go()
    done = [racer.outcome(children.DEADLINE) for racer in racers]
    assert [d.kind for d in done] == ["done", "done"], done
    after = labels(ab.load_dataset(root / "loaded"))
    for n in range(rounds):
        said = [d.value[n] for d in done]
        assert said.count("loaded") == 1, said
        assert set(said) <= {"loaded", "nothing", "RunBusy", "StalePlan"}
        ds = ab.load_dataset(tmp_path / f"ds{n}")
        assert same(labels(ds), after)
        assert version(tmp_path / f"ds{n}") == version(root / "plain") + 1
        assert ds.load_annotations("r").version is None


# Loads that meet. What happens between two steps is put there by a patch, so each order is a test of its own.


@pytest.fixture
def meeting(monkeypatch) -> Callable[[str, Callable[[], Any]], None]:
    """Have something happen once, right before a function's first call."""

    def arrange(what: str, happen: Callable[[], Any]) -> None:
        path, name = what.rsplit(".", 1)
        module, _, owner = path.partition(":")
        holder = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
        plain, static, left = getattr(holder, name), isinstance(vars(holder)[name], staticmethod), [happen]

        def first(*arguments: Any, **options: Any) -> Any:
            if left:
                left.pop()()
            return plain(*arguments, **options)

        monkeypatch.setattr(holder, name, staticmethod(first) if static else first)

    return arrange


def elsewhere(monkeypatch: pytest.MonkeyPatch, sent: Any, call: str) -> Any:
    """What another machine gets, after a long time."""
    with monkeypatch.context() as patch:
        patch.setattr(leases, "current_process", lambda: "elsewhere|boot|namespace|1|1")
        patch.setattr(leases.Lease, "valid", property(lambda _: False))  # it was not renewed for long
        return getattr(ab.load_dataset(sent.path), call)("r")


def states(ds: ab.Dataset) -> list[str]:
    return [load["state"] for load in ds.get_annotation_info("r")["loads"]]


def test_a_load_taken_for_dead_does_not_commit_any_more_and_is_planned_anew(sent, meeting, monkeypatch):
    sent.hands.set("car0", label="person")
    seen: list[list[str]] = []
    meeting(
        "annobridge.store.labels:Labels.commit_written",
        lambda: seen.append([one["state"] for one in elsewhere(monkeypatch, sent, "get_annotation_info")["loads"]]),
    )
    plan = sent.plan()
    with pytest.raises(ab.StalePlan, match="another process took it for dead.*plan again"):
        plan.apply()
    assert seen == [["aborted"]]
    assert sent.label("car0")["label"] == "car"
    assert sent.load().edited == 1
    assert states(sent.ds) == ["aborted", "applied"]
    sent.again_is_nothing()


@pytest.mark.parametrize("verb", ["load", "undo"])
def test_a_load_taken_for_dead_in_its_very_commit_is_fenced_off(sent, meeting, monkeypatch, verb):
    """The announcement stood when the loader looked; the commit that follows at once does not pass the fence."""
    sent.hands.set("car0", label="person")
    sent.hands.add("s0")
    sent.hands.add("s1")
    if verb == "undo":
        sent.load()
    before = sent.labels()
    call = sent.load if verb == "load" else lambda: sent.ds.undo_annotations("r")
    meeting("annobridge.store.labels.change_of_rows", lambda: elsewhere(monkeypatch, sent, "get_annotation_info"))
    if verb == "load":
        assert call().added == 2  # planned anew
        assert states(sent.ds) == ["aborted", "applied"]
    else:
        with pytest.raises(ab.StalePlan, match="took it for dead"):
            call()
        assert sent.labels() == before
        assert states(sent.ds) == ["applied"]
        call()
        assert states(sent.ds) == ["undone"]
    assert len(sent.labels()) == (22 if verb == "load" else 20)


def test_a_commit_that_was_quicker_than_the_fence_is_found(sent, meeting, monkeypatch):
    """A load is disowned, and its commit comes all the same: the one who disowned it finds it, and it counts."""
    sent.hands.set("car0", label="person")
    loader = threading.Event(), threading.Event()
    plain_alone = ledger.Runs.is_only_load

    def alone(self: Any, run: Any, load: Any) -> bool:
        stands = plain_alone(self, run, load)
        loader[0].set()
        loader[1].wait(20)
        return stands

    def committed() -> None:
        loader[1].set()
        thread.join(20)

    monkeypatch.setattr(ledger.Runs, "is_only_load", alone)
    meeting("annobridge.store.labels:Labels.fence", committed)
    thread = threading.Thread(target=sent.load)
    thread.start()
    loader[0].wait(20)
    info = elsewhere(monkeypatch, sent, "get_annotation_info")
    assert [one["state"] for one in info["loads"]] == ["applied"]
    assert sent.label("car0")["label"] == "person"
    assert states(sent.ds) == ["applied"]
    sent.again_is_nothing()
    sent.ds.undo_annotations("r")
    assert sent.label("car0")["label"] == "car"


def test_who_disowned_a_load_and_died_is_succeeded(sent, meeting, monkeypatch):
    sent.hands.set("car0", label="person")
    commits: list[str] = []

    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    def disown() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ledger.Runs, "_commit_of", lambda *_: commits.append("looked"))
            with pytest.raises(Died):
                elsewhere(patch, sent, "get_annotation_info")

    meeting("annobridge.store.labels:Labels.fence", die)
    meeting("annobridge.store.labels:Labels.commit_written", disown)
    assert sent.load().edited == 1
    assert states(sent.ds) == ["aborted", "applied"]


def test_a_run_that_is_being_loaded_is_described_and_not_worked_on(sent, meeting):
    sent.hands.set("car0", label="person")
    seen: list[Any] = []

    def look() -> None:
        ds = ab.load_dataset(sent.path)
        seen.append([one["state"] for one in ds.get_annotation_info("r")["loads"]])
        seen.append(ds.list_annotation_runs())
        seen.append(ds.load_annotation_results("r").status()["state"])
        for work in (ds.load_annotations, ds.undo_annotations, ds.delete_annotation_run):
            with pytest.raises(ab.RunBusy, match="is being loaded by"):
                work("r")

    meeting("annobridge.store.labels.change_of_rows", look)
    assert sent.load().edited == 1
    assert seen == [["applying"], ["r"], "sent"]


def test_a_run_renamed_while_it_is_loaded_is_loaded(sent, meeting):
    sent.hands.set("car0", label="person")

    def rename() -> None:
        runs = sent.ds.stores.runs
        runs.update(runs.get_settled("r"), anno_key="better")

    meeting("annobridge.store.labels.change_of_rows", rename)
    assert sent.plan().apply().edited == 1
    assert [one["edit"] for one in sent.ds.get_annotation_info("better")["loads"]] == [1]


@pytest.mark.parametrize("undo", [False, True])
def test_two_runs_that_put_back_one_label_at_once_put_it_back_once(sent, meeting, undo):
    """Lance lets two commits of new rows pass each other; the fence of the later announced does not."""
    sent.annotate("second")
    if undo:
        sent.hands_of("r").delete("car0")
        sent.load("r")
    else:
        sent.ds.delete_labels(["car0"])
        sent.hands_of("r").set("car0", label="person")
    sent.hands_of("second").set("car0", bounding_box=[0.0, 0.0, 0.5, 0.5])
    meeting("annobridge.store.labels.change_of_rows", lambda: ab.load_dataset(sent.path).load_annotations("second"))
    if undo:
        with pytest.raises(ab.StalePlan, match="'car0' was added by somebody else meanwhile"):
            sent.ds.undo_annotations("r")
        sent.ds.undo_annotations("r")
    else:
        sent.load("r")
    assert sent.label("car0")["bounding_box"] == [0.0, 0.0, 0.5, 0.5]  # and no other of that id
    assert sent.label("car0")["label"] == ("car" if undo else "person")


def test_loads_of_many_runs_at_once_all_come_through(sent):
    keys = ["r", "b", "c"]
    for key in keys[1:]:
        sent.annotate(key)
    sent.ds.delete_labels(field="objects")
    for key in keys:
        for n in range(4):
            sent.hands_of(key).set(f"car{n}", label="person")
            sent.hands_of(key).add(f"s{n}")

    def load(key: str) -> int:
        ds = ab.load_dataset(sent.path)
        for _ in range(5):
            with contextlib.suppress(ab.StalePlan):
                return ds.load_annotations(key).added
        raise AssertionError("never quiet")

    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(load, keys))
    assert sum(added) == 16  # twelve new ones, and four put back once
    assert len(sent.labels("objects")) == 16


def test_ids_derive_alike_in_every_process():
    run = "00000000-0000-0000-0000-000000000007"
    assert children.call(ids.derive, run, pa.array(["m1"])).value == ids.derive(run, pa.array(["m1"]))
