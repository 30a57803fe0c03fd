"""A small dataset, a tool in memory, and hands that work in it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import SERVERS, MemoryServer
from annobridge.core import rows
from annobridge.core.labels import REMOTE

TABLES = ("samples", "labels", "annotation_runs", "annotation_tasks", "annotation_receipts", "annotation_baseline",
          "annotation_changes")  # fmt: skip
OBJECTS = {
    "type": "detections",
    "classes": ["car", "person"],
    "attributes": {
        "color": {"type": "select", "values": ["red", "blue"]},
        "occluded": {"type": "checkbox", "default": False},
    },
}
SCHEMA: dict[str, Any] = {
    "objects": OBJECTS,
    "weather": {"type": "classification", "classes": ["sun", "rain"]},
    "lanes": {"type": "polylines", "classes": ["lane"]},
}


def fill(ds: ab.Dataset) -> None:
    """Four images; in each: a red car and a person, the weather, a lane, a speed. Ids: car0, man0, sun0, lane0, …"""
    ds.add_samples(
        ab.Sample(
            f"img{i}.jpg",
            sample_id=f"s{i}",
            tags=["even" if i % 2 == 0 else "odd"],
            number=i,
            objects=[
                ab.Detection("car", [0.1, 0.1, 0.3, 1 / 3], label_id=f"car{i}", confidence=0.9, tags=["mine"],
                             color="red", occluded=False, note="keep"),
                ab.Detection("person", [0.5, 0.5, 0.1, 0.2], label_id=f"man{i}", confidence=0.8, index=i),
            ],
            weather=ab.Classification("sun", label_id=f"sun{i}", confidence=0.7),
            lanes=ab.Polyline(
                "lane", [[(0, 0), (1, 1 / 3)], [(0.5, 0.5), (0.7, 0.9)]], closed=True, label_id=f"lane{i}"
            ),
            speed=ab.Scalar(50 + i, label_id=f"speed{i}"),
        )
        for i in range(4)
    )  # fmt: skip


@dataclass
class Hands:
    """A person at the tool: finds labels by the dataset's id or the tool's, and works on the server's tables."""

    server: MemoryServer
    run: str = ""  # in whose tasks alone, where there are several runs

    def rows(self) -> list[dict[str, Any]]:
        """Every label on the server."""
        return [row for _, table in self._tables() for row in table.to_pylist()]

    def _tables(self) -> list[tuple[str, pa.Table]]:
        return [(task, table) for task, table in self.server.labels.items() if task.startswith(self.run)]

    def of(self, which: str) -> dict[str, Any]:
        """One label, by an id of either side."""
        found = [r for r in self.rows() if which in (r["label_id"], r["remote_id"])]
        assert len(found) == 1, f"{len(found)} labels are {which!r}"
        return found[0]

    def set(self, which: str, **columns: Any) -> None:
        """Edit a label; ``attributes`` may be a dictionary, merged into what there is (``None`` removes)."""
        self._write(lambda row: [_changed(row, columns) if which in (row["label_id"], row["remote_id"]) else row])

    def delete(self, *which: str) -> None:
        """Delete labels."""
        self._write(lambda row: [] if {row["label_id"], row["remote_id"]} & set(which) else [row])

    def delete_all(self) -> None:
        """Delete every label; the images stay."""
        self._write(lambda row: [])

    def copy(self, which: str, first: bool = False, **columns: Any) -> None:
        """Copy a label with all its ids, as copy and paste does in CVAT."""

        def both(row: dict[str, Any]) -> list[dict[str, Any]]:
            if which not in (row["label_id"], row["remote_id"]):
                return [row]
            twin = {**_changed(row, columns), "label_id": None}
            return [twin, row] if first else [row, twin]

        self._write(both)

    def add(self, sample_id: str, label: str | None = "car", field: str | None = "objects", kind: str = "box",
            remote_id: str | None = None, task: str | None = None, **columns: Any) -> str:  # fmt: skip
        """Draw a label; returns the tool's id of it."""
        task = task or next(t for t, ids in self.server.samples.items() if sample_id in ids.to_pylist())
        remote = remote_id or self.server.new_ids(1)[0].as_py()
        row = {"sample_id": sample_id, "field": field, "kind": kind, "label": label, "remote_id": remote}
        if kind == "box":
            row["bounding_box"] = [0.2, 0.2, 0.2, 0.2]
        if kind in ("polygon", "polyline"):
            row["points"] = [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]]
        row = _changed({"attributes": [], **row}, columns)
        new = pa.Table.from_pylist([row], REMOTE)
        self.server.labels[task] = pa.concat_tables([self.server.labels[task], new])
        return str(remote)

    def drop_sample(self, sample_id: str, labels: bool = True) -> None:
        """The tool does not answer for an image any more (a frame removed, a job not done)."""
        for task, ids in self.server.samples.items():
            self.server.samples[task] = pa.array([i for i in ids.to_pylist() if i != sample_id], pa.string())
        if labels:
            self._write(lambda row: [] if row["sample_id"] == sample_id else [row])

    def drop_task(self, number: int = 0) -> str:
        """A task is deleted on the server."""
        name = sorted(self.server.labels)[number]
        del self.server.labels[name], self.server.samples[name]
        return name

    def _write(self, change: Any) -> None:
        for task, table in self._tables():
            out = [new for row in table.to_pylist() for new in change(row)]
            self.server.labels[task] = pa.Table.from_pylist(out, REMOTE)


def _changed(row: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    new = {**row, **columns}
    if isinstance(given := columns.get("attributes"), Mapping):
        kept = [a for a in row.get("attributes") or [] if a["name"] not in given]
        added = [rows.attribute(n, v) for n, v in given.items() if v is not None]
        new["attributes"] = sorted([*kept, *added], key=lambda a: a["name"])
    return new


@dataclass
class Bridge:
    """A dataset, and a server of its own."""

    path: Path
    ds: ab.Dataset
    url: str = field(default_factory=lambda: f"memory://{uuid.uuid4()}")

    @property
    def server(self) -> MemoryServer:
        """The tool."""
        return SERVERS[self.url]

    @property
    def hands(self) -> Hands:
        """Somebody who works in the tool."""
        return Hands(self.server)

    def hands_of(self, key: str) -> Hands:
        """Somebody who works in the tasks of one run."""
        return Hands(self.server, f"{key}-")

    def annotate(self, key: str = "r", schema: Any = None, view: ab.View | None = None, **options: Any) -> Any:
        """Send ``SCHEMA``, or another."""
        given = SCHEMA if schema is None else schema
        return (self.ds if view is None else view).annotate(
            key, label_schema=given, **{"backend": "memory", "url": self.url, **options}
        )

    def plan(self, key: str = "r", **options: Any) -> ab.MergePlan:
        """Plan a load."""
        return self.ds.plan_annotations(key, **options)

    def load(self, key: str = "r", **options: Any) -> ab.LoadReport:
        """Load."""
        return self.ds.load_annotations(key, **options)

    def labels(self, field: str | None = None) -> dict[str, dict[str, Any]]:
        """The labels of the dataset by id; fails when two have one id."""
        found = self.ds.labels(field).to_pylist()
        by_id = {row["label_id"]: row for row in found}
        assert len(by_id) == len(found), "two labels have one id"
        return by_id

    def label(self, label_id: str) -> dict[str, Any]:
        """One label of the dataset."""
        return self.labels()[label_id]

    def values(self, label_id: str) -> dict[str, Any]:
        """The attributes of a label of the dataset, as JSON text."""
        return {a["name"]: a["value"] for a in self.label(label_id)["attributes"] or []}

    def new(self, before: Mapping[str, Any], field: str | None = None) -> list[dict[str, Any]]:
        """The labels that were not there before."""
        return [row for label_id, row in self.labels(field).items() if label_id not in before]

    def versions(self) -> dict[str, int]:
        """The version of every table."""
        return {name: lance.dataset(str(self.path / f"{name}.lance")).version for name in TABLES}

    def state(self) -> tuple[dict[str, int], list[str], list[str]]:
        """All that must stay as it is when a call is refused."""
        return self.versions(), sorted(self.server.labels), self.ds.list_annotation_runs()

    def again_is_nothing(self, key: str = "r", **options: Any) -> ab.LoadReport:
        """Load once more: it must write nothing at all, to no table."""
        before = self.versions()
        report = self.load(key, **options)
        assert (report.added, report.edited, report.deleted) == (0, 0, 0)
        assert report.version is None
        assert self.versions() == before
        return report


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ds"
    fill(ab.create_dataset(path))
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Bridge]:
    """A dataset with nothing in it."""
    bridge = Bridge(tmp_path / "empty", ab.create_dataset(tmp_path / "empty"))
    yield bridge
    SERVERS.pop(bridge.url, None)


@pytest.fixture
def bridge(_template: Path, tmp_path: Path) -> Iterator[Bridge]:
    """Four images with labels of five fields (see ``fill``), not sent."""
    shutil.copytree(_template, tmp_path / "ds")
    bridge = Bridge(tmp_path / "ds", ab.load_dataset(tmp_path / "ds"))
    yield bridge
    SERVERS.pop(bridge.url, None)


@pytest.fixture
def sent(bridge: Bridge) -> Bridge:
    """The same, sent as the run ``r``."""
    bridge.annotate()
    return bridge


@pytest.fixture
def fresh_bridge(_template: Path, tmp_path: Path) -> Any:
    """A maker of datasets, for tests that need several."""
    made = []

    def make() -> Bridge:
        path = tmp_path / f"ds{len(made)}"
        shutil.copytree(_template, path)
        made.append(Bridge(path, ab.load_dataset(path)))
        return made[-1]

    return make


@pytest.fixture
def schema() -> dict[str, Any]:
    """The schema of ``sent``."""
    return SCHEMA


@pytest.fixture
def disc() -> np.ndarray:
    """A mask that is no rectangle."""
    y, x = np.mgrid[:48, :64]
    return (x - 30) ** 2 + (y - 20) ** 2 < 150
