"""The benchmarks that make the table, with the sizes of a quick run (a few minutes in all) and of a full one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Benchmark(NamedTuple):
    """A script of this folder.

    Attributes:
        name: its name on the command line.
        title: what it does.
        script: its file.
        quick: its arguments in a quick run.
        full: its arguments in a full run.
        peers: the option that takes a peer's Python, by peer.
    """

    name: str
    title: str
    script: str
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    peers: Mapping[str, str] = MappingProxyType({})


BENCHMARKS = (
    Benchmark(
        "echo",
        "boxes are sent to a tool that costs next to nothing, edited by a rule, and loaded",
        "bridge_echo.py",
        ("--images", "1000", "10000", "--most", "1000"),
        ("--images", "1000", "10000", "100000", "--most", "10000"),
        {"fiftyone": "--fiftyone"},
    ),
    Benchmark(
        "small",
        "a run of many small tasks, and runs of six labels",
        "small_runs.py",
        ("--tasks", "100"),
        ("--tasks", "1000"),
    ),
    Benchmark(
        "imports",
        "metadata.jsonl in three dialects, with sizes read from the headers of images",
        "import_metadata.py",
        ("--images", "10000"),
        ("--images", "100000"),
    ),
    Benchmark(
        "formats",
        "COCO, CVAT XML and YOLO are read and written",
        "formats.py",
        ("--images", "2000", "--kinds", "boxes"),
        ("--images", "20000"),
        {"datumaro": "--datumaro"},
    ),
    Benchmark(
        "commit",
        "two ways to commit a load",
        "commit.py",
        ("--labels", "100000"),
        ("--labels", "1000000"),
    ),
    Benchmark(
        "datagym",
        "DataGym's files are written and read, offline",
        "datagym_batches.py",
        ("--images", "2000"),
        ("--images", "10000"),
    ),
    Benchmark(
        "cvat",
        "labels of mixed types go through a double of CVAT, and nobody edits them",
        "cvat_round_trip.py",
        ("--images", "500"),
        ("--images", "10000"),
    ),
    Benchmark(
        "blobs",
        "a thousand images of an attached table of blobs are annotated",
        "attached_blobs.py",
        ("--images", "10000"),
        ("--images", "100000"),
    ),
    Benchmark(
        "consensus",
        "the answers of simulated annotators become one",
        "consensus.py",
        ("--images", "200", "--large", "1000"),
        ("--images", "1000", "--large", "10000"),
        {"datumaro": "--datumaro"},
    ),
)
