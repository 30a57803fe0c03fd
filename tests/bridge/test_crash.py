"""Processes killed at every step of annotate and load, and two that load at once: before or after, nothing between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lance
import pytest
from tests.doubles import file_backend

import annobridge as ab
from annobridge.core import ids

ROOT = Path(__file__).parents[2]
RUNNING = 3  # children at once

# Where a child is killed: class or module, function, which call of it, before or after.
LOAD = [
    ("annobridge.store.runs:Runs.begin", 1, "before"),
    ("annobridge.store.runs:Runs.begin", 1, "after"),
    ("annobridge.store.baseline:Baseline.put_loaded", 1, "after"),
    ("annobridge.store.tables:Database.append", 2, "after"),  # the changes
    ("lance.fragment:write_fragments", 1, "after"),
    ("lance:LanceDataset.commit", 1, "before"),
    ("lance:LanceDataset.commit", 1, "after"),
    ("annobridge.store.runs:Runs.end", 1, "after"),
]
ANNOTATE = [
    ("annobridge.store.runs:Runs.reserve", 1, "before"),
    ("annobridge.store.runs:Runs.reserve", 1, "after"),
    ("annobridge.store.runs:Runs.add_tasks", 1, "after"),
    ("tests.doubles.file_backend:FilesBackend.upload", 2, "before"),
    ("tests.doubles.file_backend:FilesBackend.upload", 2, "after"),
    ("annobridge.store.baseline:Baseline.put_sent", 2, "after"),
    ("annobridge.store.runs:Runs.add_receipt", 2, "after"),
    ("annobridge.store.runs:Runs.update", 1, "after"),
]
UNDO = [("lance:LanceDataset.commit", 1, "before"), ("lance:LanceDataset.commit", 1, "after")]
VERBS = {"load": LOAD, "annotate": ANNOTATE, "undo": UNDO}
POINTS = {
    f"{verb}, {when} {what.split(':')[1]} #{nth}": (verb, what, nth, when)
    for verb, points in VERBS.items()
    for what, nth, when in points
}

CHILD = textwrap.dedent(
    """
    import functools, importlib, os, signal, sys
    import lance, lance.fragment
    import annobridge as ab

    folder, server, verb, what, nth, when = sys.argv[1:]
    module, _, path = what.partition(":")
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    plain, static = getattr(owner, name), isinstance(vars(owner).get(name), staticmethod)
    calls = 0

    @functools.wraps(plain)
    def deadly(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(nth) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*args, **kwargs)
        if calls == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, staticmethod(deadly) if static else deadly)
    ds = ab.load_dataset(folder)
    if verb == "annotate":
        ds.annotate("r", label_schema="objects", backend="files", folder=server, task_size=2)
    elif verb == "load":
        ds.load_annotations("r")
    else:
        ds.undo_annotations("r")
    """
)

RACE = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    import annobridge as ab

    root, me, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for n in range(rounds):
        ds = ab.load_dataset(root / f"ds{n}")
        (root / f"ready{n}-{me}").touch()
        while len(list(root.glob(f"ready{n}-*"))) < 2:
            time.sleep(0.0005)
        try:
            report = ds.load_annotations("r")
            print(n, "loaded" if report.version else "nothing", flush=True)
        except (ab.RunBusy, ab.StalePlan) as e:
            print(n, type(e).__name__, flush=True)
    """
)


def child(script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, file_backend.VARIABLE: file_backend.NAME, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


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
        "r", label_schema="objects", backend="files", folder=str(root / "server-worked"), task_size=2
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


@pytest.fixture(scope="module")
def wrecks(root: Path) -> dict[str, Path]:
    """One dataset for each point, with a child killed there."""

    def wreck(name: str) -> tuple[str, Path]:
        verb, what, nth, when = POINTS[name]
        folder = root / f"wreck{sorted(POINTS).index(name)}"
        copy(root, {"load": "worked", "annotate": "plain", "undo": "loaded"}[verb], folder.name)
        done = child(CHILD, folder, folder.with_name(f"server-{folder.name}"), verb, what, nth, when)
        assert done.returncode == -9, f"{name}: not killed\n{done.stderr}"
        return name, folder

    with ThreadPoolExecutor(RUNNING) as pool:
        return dict(pool.map(wreck, POINTS))


@pytest.mark.parametrize("name", [n for n in POINTS if n.startswith("load")])
def test_killed_in_load(wrecks, root, name):
    folder = wrecks[name]
    before, after = labels(ab.load_dataset(root / "plain")), labels(ab.load_dataset(root / "loaded"))
    ds = ab.load_dataset(folder)
    found = labels(ds)
    committed = "after LanceDataset.commit" in name or "Runs.end" in name
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
def test_killed_in_annotate(wrecks, root, name):
    folder = wrecks[name]
    server = folder.with_name(f"server-{folder.name}")
    ds = ab.load_dataset(folder)
    assert same(labels(ds), labels(ab.load_dataset(root / "plain")))
    if "before Runs.reserve" in name:  # it never happened, and the key is free
        assert ds.list_annotation_runs() == []
        ds.annotate("r", label_schema="objects", backend="files", folder=str(server), task_size=2)
    elif "after Runs.reserve" in name:
        with pytest.raises(ab.RunIncomplete, match=r"resume_annotation\('r'\).*abort_annotation\('r'\)"):
            ds.load_annotations("r")
        with pytest.raises(ab.RunError, match="abort it, and annotate again"):
            ds.resume_annotation("r")
        ds.abort_annotation("r")
        ds.annotate("r", label_schema="objects", backend="files", folder=str(server), task_size=2)
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
    "what", ["tests.doubles.file_backend:FilesBackend.upload", "annobridge.store.runs:Runs.add_receipt"]
)
def test_killed_in_annotate_and_aborted(root, what):
    """An answer that nobody wrote down, and one that somebody did: both tasks are removed."""
    copy(root, "plain", name := f"aborted-{what[-6:]}")
    server = root / f"server-{name}"
    assert child(CHILD, root / name, server, "annotate", what, 2, "after").returncode == -9
    assert len(list(server.glob("*.arrow"))) == 2
    ds = ab.load_dataset(root / name)
    ds.abort_annotation("r")
    assert not list(server.iterdir())
    assert ds.list_annotation_runs() == []


@pytest.mark.parametrize("name", [n for n in POINTS if n.startswith("undo")])
def test_killed_in_undo(wrecks, root, name):
    folder = wrecks[name]
    ds = ab.load_dataset(folder)
    before, after = labels(ab.load_dataset(root / "plain")), labels(ab.load_dataset(root / "loaded"))
    undone = "after" in name
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
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda me: child(RACE, tmp_path, me, rounds), ("a", "b")))
    assert [d.returncode for d in done] == [0, 0], "\n".join(d.stderr for d in done)
    after = labels(ab.load_dataset(root / "loaded"))
    for n in range(rounds):
        said = [line.split()[1] for d in done for line in d.stdout.splitlines() if line.startswith(f"{n} ")]
        assert said.count("loaded") == 1, said
        assert set(said) <= {"loaded", "nothing", "RunBusy", "StalePlan"}
        ds = ab.load_dataset(tmp_path / f"ds{n}")
        assert same(labels(ds), after)
        assert version(tmp_path / f"ds{n}") == version(root / "plain") + 1
        assert ds.load_annotations("r").version is None


def test_ids_derive_alike_in_every_process():
    run = "00000000-0000-0000-0000-000000000007"
    code = f"from annobridge.core import ids; print(ids.derive({run!r}, ['m1'])[0])"
    assert child(code).stdout.strip() == ids.derive(run, ["m1"])[0].as_py()
