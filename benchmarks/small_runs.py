"""What a task and a run cost beside their labels: 1,000 tasks of 100 labels, and runs of six labels.

    python benchmarks/small_runs.py [--tasks 1000] [--runs 20]

The many tasks go to the echo tool, of which one label in five comes back changed. Six labels go to the echo tool, and to the memory
backend, where one of them is moved; each run is measured, and the median is reported.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

import pyarrow as pa

import annobridge as ab
import bridge_echo
import echo_store
import measure
from annobridge.backend.memory import SERVERS
from echo_backend import TOOL_SECONDS

PER_IMAGE, IMAGES_OF_A_TASK = 10, 10
SIX = 6
URL = "memory://small"
FIELD: dict[str, Any] = {
    "label_field": "ground_truth", "label_type": "detections", "classes": echo_store.CLASSES, "attributes": False,
}  # fmt: skip


def many_tasks(folder: Path, tasks: int) -> None:
    """Report what it takes to send and load a run of many small tasks."""
    images = tasks * IMAGES_OF_A_TASK
    bridge_echo.build(folder, images, PER_IMAGE)
    dataset = ab.load_dataset(folder)
    for stage, call in (
        ("annotate", lambda: dataset.annotate("run", **FIELD, **echo(folder, PER_IMAGE), task_size=IMAGES_OF_A_TASK)),
        ("load", lambda: dataset.load_annotations("run", unexpected="ignore")),
    ):
        TOOL_SECONDS.clear()
        figures: dict[str, Any] = {}
        with measure.phase(stage, figures):
            call()
        tool = sum(TOOL_SECONDS.values())
        note = f"{1000 * (figures[stage]['cpu_s'] - tool) / tasks:.1f} ms per task, without the tool"
        labels = images * PER_IMAGE
        measure.report(f"{tasks:,} tasks of 100 labels: {stage}", figures[stage], labels, tool_s=tool, note=note)
    assert dataset.count_labels("ground_truth") == echo_store.expected("edit", images, PER_IMAGE)["labels"]


def now() -> tuple[float, float, float]:
    """Seconds: CPU of the process, wall, and CPU of this thread."""
    return process_time(), perf_counter(), thread_time()


def six_labels(folder: Path, runs: int, options: dict[str, Any], edit: Callable[[], None], name: str) -> None:
    """Report what it takes to send and load six labels, in the median of several runs."""
    bridge_echo.build(folder, 1, SIX)
    dataset = ab.load_dataset(folder)
    found: list[list[float]] = []  # seconds of each run, by the clocks of ``now``
    figures: dict[str, Any] = {}
    with measure.phase(name, figures):
        for number in range(runs):
            key = f"run{number}"
            start = now()
            dataset.annotate(key, **FIELD, **options)
            sent = now()
            edit()
            edited = now()
            report = dataset.load_annotations(key, unexpected="ignore")
            end = now()
            found.append([b - a + d - c for a, b, c, d in zip(start, sent, edited, end, strict=True)])
            assert report.total, report
            dataset.undo_annotations(key)
            dataset.delete_annotation_run(key)
    cpu, wall, thread = (round(statistics.median(seconds), 4) for seconds in zip(*found, strict=True))
    figures[name] |= {"cpu_s": cpu, "wall_s": wall}
    note = f"{1000 * cpu:.0f} ms CPU, of which this thread {1000 * thread:.0f}"
    measure.report(f"six labels annotated and loaded: {name}", figures[name], SIX, note=note)


def echo(folder: Path, per_image: int) -> dict[str, Any]:
    """Options of ``annotate`` for the echo tool."""
    return {"backend": "echo", "folder": str(folder), "mode": "edit", "per_image": per_image}


def move_one() -> None:
    """Move the first label of each task on the memory backend's server."""
    server = SERVERS[URL]
    for task, table in server.labels.items():
        rows = table.to_pylist()
        rows[0]["bounding_box"][0] += 0.01
        server.labels[task] = pa.Table.from_pylist(rows, table.schema)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=20, help="of six labels")
    given = parser.parse_args()
    ab.annotation_config.backends["echo"] = {"config_cls": "echo_backend.EchoConfig"}
    with tempfile.TemporaryDirectory() as folder:
        many_tasks(Path(folder) / "many", given.tasks)
        options = echo(Path(folder), SIX)
        six_labels(Path(folder) / "echo", given.runs, options, lambda: None, "echo tool")
        six_labels(Path(folder) / "memory", given.runs, {"backend": "memory", "url": URL}, move_one, "memory backend")


if __name__ == "__main__":
    main()
