"""Imports with several processes, or on a cluster: the dataset and the report are those of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lance
import pytest
from PIL import Image
from tests.bridge import clusters
from tests.command_line import run

import annobridge as ab
from annobridge.exceptions import ConfigError, ExecutorError, InvalidSource
from annobridge.formats.common import look
from annobridge.formats.metadata.reading import line_blocks
from annobridge.jobs import spread

COUNT = 60
NAMES = [f"img{n:03}.png" for n in range(COUNT)]


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "_AT_ONCE", 3)
    monkeypatch.setattr(line_blocks, "_BYTES", 500)
    monkeypatch.setattr(spread, "JOBS_PER_PROCESS", 1)


def photos(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for n, name in enumerate(NAMES):
        Image.new("L", (40 + n, 50), n).save(folder / name)
    return folder


def lines(root: Path, make: Callable[[int], Mapping[str, Any]]) -> Path:
    photos(root)
    (root / "metadata.jsonl").write_text("".join(json.dumps(make(n)) + "\n" for n in range(COUNT)))
    return root


def file_name(n: int) -> dict[str, Any]:
    objects = {"bbox": [[1, 2, 10 + n % 7, 20]] * (n % 4), "categories": ["car"] * (n % 4)}
    return {"file_name": NAMES[n], "objects": objects} | ({"weather": "fog"} if n == 40 else {})


def quickstart(n: int) -> dict[str, Any]:
    return {"image": NAMES[n], "objects": {"bboxes": [[0.1, 0.2, 0.3, 0.4]], "category": ["bus"], "score": [n / 60]}}


def pixano_08(n: int) -> dict[str, Any]:
    box = {"kind": "bbox", "coords": [0.1, 0.2, 0.3, 0.4], "format": "xywh", "is_normalized": True}
    entities = [{"id": f"e{n}", "attrs": {"category": "cat"}, "annotations": [box, {"kind": "relation"}]}]
    return {"id": f"r{n}", "views": {"image": NAMES[n]}, "entities": entities, "attrs": {"n": n}}


def coco(root: Path) -> Path:
    photos(root / "images")
    boxes = [
        {"id": n, "image_id": n, "category_id": n % 3, "bbox": [30, 2, 20 + n, 8], "area": 80, "iscrowd": 0}
        for n in range(COUNT)
    ]
    document = {
        "images": [{"id": n, "file_name": name, "width": 40 + n, "height": 50} for n, name in enumerate(NAMES)],
        "annotations": boxes,
        "categories": [{"id": n, "name": f"class {n}"} for n in range(2)],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(document))
    return root


def yolo(root: Path) -> Path:
    photos(root / "images" / "train")
    (root / "labels" / "train").mkdir(parents=True)
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nnames: {0: car, 1: bus}\n")
    for n, name in enumerate(NAMES):
        text = f"{n % 3} 0.5 0.5 0.2 0.1\n" * (n % 4)
        (root / "labels" / "train" / name.replace(".png", ".txt")).write_text(text)
    return root


SOURCES: dict[str, Callable[[Path], Path]] = {
    "file_name": lambda root: lines(root, file_name),
    "quickstart": lambda root: lines(root, quickstart),
    "pixano-0.8": lambda root: lines(root, pixano_08),
    "folder": photos,
    "coco": coco,
    "yolo": yolo,
}


def content(uri: Path) -> dict[str, list[str]]:
    """All rows in their order, with their row ids, but for what is new with each import."""
    found = {}
    for name in ("labels", "samples", "annotation_files"):
        rows = lance.dataset(str(uri / f"{name}.lance")).scanner(with_row_id=True).to_table()
        found[name] = list(map(str, rows.to_pylist())) if name != "labels" else _without_ids(rows.to_pylist())
    return found


def _without_ids(labels: list[dict[str, Any]]) -> list[str]:
    return [
        str(row if str(row["label_id"]).startswith("e") and len(row["label_id"]) < 5 else row | {"label_id": ""})
        for row in labels
    ]


def told(report: ab.ImportReport) -> dict[str, Any]:
    return report.to_dict() | {"dataset": ""}


@pytest.mark.parametrize("name", SOURCES)
def test_two_processes_import_what_one_does(tmp_path, name) -> None:
    source = SOURCES[name](tmp_path / "source")
    one, two = (ab.import_dataset(source, tmp_path / f"ds{n}", workers=n, progress=False) for n in (1, 2))
    assert told(one) == told(two)
    assert one.samples == COUNT
    assert content(tmp_path / "ds1") == content(tmp_path / "ds2")


@pytest.mark.parametrize("name", ["file_name", "coco"])
def test_what_is_added_is_the_same_too(tmp_path, name) -> None:
    source = SOURCES[name](tmp_path / "source")
    reports = []
    for n in (1, 2):
        ds = ab.create_dataset(tmp_path / f"ds{n}")
        ds.add_samples([ab.Sample(str(next(source.rglob(NAMES[at]))), sample_id=f"s{at}") for at in (3, 17)])
        reports.append(ab.import_dataset(source, ds.uri, mode="add", workers=n, progress=False))
    assert told(reports[0]) == told(reports[1])
    assert reports[0].known == 2
    assert content(tmp_path / "ds1") == content(tmp_path / "ds2")


def test_the_first_error_of_the_source_is_raised(tmp_path) -> None:
    def wrong(n: int) -> dict[str, Any]:
        return {
            "file_name": "missing.png" if n in (31, 55) else NAMES[n],
            "objects": {"bbox": [[1, 2]] if n == 50 else []},
        }

    source = lines(tmp_path / "source", wrong)
    for workers in (1, 2):
        with pytest.raises(
            InvalidSource, match=r"metadata\.jsonl:32 names the image 'missing\.png', which does not exist"
        ):
            ab.import_dataset(source, tmp_path / "ds", workers=workers, progress=False)
        assert not (tmp_path / "ds").exists()


def test_what_workers_run_does_not_load_lance() -> None:
    """It takes as long to load as some thousand files to open."""
    modules = ("jobs.calls", "formats.metadata.reading.ahead", "formats.common.look", "formats.common.number_lines")
    code = "import sys; " + "".join(f"import annobridge.{name}; " for name in modules) + "print('lance' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.fixture(scope="module")
def dask() -> Iterator[dict[str, Any]]:
    pytest.importorskip("distributed", reason="the extra annobridge[dask] is not installed")
    with clusters.dask_cluster(2) as address:
        yield {"executor": "dask", "executor_address": address}


@pytest.mark.parametrize("name", ["file_name", "coco"])
def test_a_cluster_imports_what_one_process_does(tmp_path, dask, name) -> None:
    source = SOURCES[name](tmp_path / "source")
    here = ab.import_dataset(source, tmp_path / "ds1", workers=1, progress=False)
    there = ab.import_dataset(source, tmp_path / "ds2", progress=False, **dask)
    assert told(here) == told(there)
    assert content(tmp_path / "ds1") == content(tmp_path / "ds2")


def test_a_worker_of_a_cluster_that_is_killed_costs_time_only(tmp_path, dask, monkeypatch) -> None:
    source, killed = SOURCES["file_name"](tmp_path / "source"), tmp_path / "killed"
    monkeypatch.setattr(spread, "_where_seen", _Killing(killed))
    report = ab.import_dataset(source, tmp_path / "ds2", progress=False, **dask)
    assert killed.exists()
    assert told(report) == told(ab.import_dataset(source, tmp_path / "ds1", workers=1, progress=False))
    assert content(tmp_path / "ds1") == content(tmp_path / "ds2")


class _Killing:
    """Ends the first worker that is asked."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self, places: Any, function: Any, shared: Any, job: Any) -> Any:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return function(shared, job)


class Fatal:
    """An executor whose process is killed at some call."""

    def __init__(self, at: int) -> None:
        self._processes, self._left = ProcessPoolExecutor(1, get_context("spawn")), at

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        self._left -= 1
        if self._left:
            return self._processes.submit(function, *arguments)
        return self._processes.submit(os.abort)


@pytest.mark.parametrize("at", [3, 12])
def test_an_executor_that_dies_imports_nothing(tmp_path, at) -> None:
    source = SOURCES["file_name"](tmp_path / "source")
    with pytest.raises(ExecutorError) as caught:
        ab.import_dataset(source, tmp_path / "ds", executor=Fatal(at), progress=False)
    assert str(caught.value) == (
        "The executor Fatal ended before the work was done (BrokenProcessPool). Start it again. Nothing was imported."
    )
    assert not (tmp_path / "ds").exists()


def test_workers_that_do_not_see_the_source(tmp_path) -> None:
    source = SOURCES["folder"](tmp_path / "source")

    class Elsewhere:
        def __init__(self) -> None:
            self._threads = ThreadPoolExecutor(1)

        def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
            if source.exists():
                source.rename(tmp_path / "elsewhere")
            return self._threads.submit(function, *arguments)

    with pytest.raises(ExecutorError) as caught:
        ab.import_dataset(source, tmp_path / "ds", executor=Elsewhere(), progress=False)
    assert f"does not see {str(source)!r}; workers need the source at the same path" in str(caught.value)
    assert str(caught.value).endswith("Nothing was imported.")
    assert not (tmp_path / "ds").exists()


def test_images_that_a_worker_cannot_read_are_read_here(tmp_path) -> None:
    source = SOURCES["folder"](tmp_path / "source")

    class Blind:
        """Sees the folder, and none of its files, as where a disk is not mounted."""

        def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
            source.rename(tmp_path / "aside")
            source.mkdir()
            future: Future[Any] = Future()
            future.set_result(function(*arguments))
            source.rmdir()
            (tmp_path / "aside").rename(source)
            return future

    ab.import_dataset(source, tmp_path / "ds1", workers=1, progress=False)
    assert ab.import_dataset(source, tmp_path / "ds2", executor=Blind(), progress=False).samples == COUNT
    assert content(tmp_path / "ds1") == content(tmp_path / "ds2")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"workers": 0}, "workers=0 (argument) is not a number of workers; give 1 or more."),
        ({"executor": "dusk"}, "There is no executor 'dusk' (argument); did you mean 'dask'?"),
        (
            {"executor_address": "x:1"},
            "executor_address='x:1' is the address of a cluster, which executor='local' does not take",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_read(tmp_path, given, sentence) -> None:
    with pytest.raises(ConfigError) as caught:
        ab.import_dataset(SOURCES["folder"](tmp_path / "source"), tmp_path / "ds", **given)
    assert sentence in str(caught.value)
    assert not (tmp_path / "ds").exists()


def test_the_command_has_the_options(tmp_path) -> None:
    source = SOURCES["file_name"](tmp_path / "source")
    done = run("import", str(source), str(tmp_path / "ds"), "--executor", "local", "--workers", "2")
    assert (done.exit_code, "60 samples" in done.output) == (0, True)
    refused = run("import", str(source), str(tmp_path / "ds2"), "--workers", "0")
    assert refused.exit_code != 0
    assert "workers=0 (argument) is not a number of workers" in refused.output
    assert not (tmp_path / "ds2").exists()
