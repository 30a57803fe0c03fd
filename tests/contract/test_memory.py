"""The memory backend fulfils the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from annobridge import demo
from annobridge.backend.memory import MemoryBackend, MemoryServer
from annobridge.bridge.results import AnnotationResults
from annobridge.core.rows import Classification, Detection, attribute
from annobridge.testing import BackendContract, Tool

Row = dict[str, Any]


class MemoryAnnotator:
    """Edits the tables of the memory server."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server

    def _rows(self, sample_id: str) -> tuple[str, list[Row]]:
        task = next(t for t, samples in self.server.samples.items() if sample_id in samples.to_pylist())
        return task, self.server.labels[task].to_pylist()

    def _put(self, task: str, rows: list[Row]) -> None:
        self.server.labels[task] = pa.Table.from_pylist(rows, self.server.labels[task].schema)

    def edit(self, row: Row, **columns: Any) -> None:
        if "attributes" in columns:
            given = columns["attributes"]
            kept = [a for a in row["attributes"] if a["name"] not in given]
            new = [attribute(name, value) for name, value in given.items()]
            columns["attributes"] = sorted(kept + new, key=lambda a: str(a["name"]))
        task, rows = self._rows(row["sample_id"])
        self._put(task, [{**r, **columns} if r["remote_id"] == row["remote_id"] else r for r in rows])

    def delete(self, row: Row) -> None:
        task, rows = self._rows(row["sample_id"])
        self._put(task, [r for r in rows if r["remote_id"] != row["remote_id"]])

    def add(self, sample_id: str, **columns: Any) -> None:
        task, rows = self._rows(sample_id)
        label, box = columns["label"], columns.get("bounding_box")
        new = (Detection(label, box) if box else Classification(label)).row()
        self._put(task, [*rows, {**new, "sample_id": sample_id, "remote_id": f"drawn-{len(rows)}"}])


class TestMemory(BackendContract):
    backend = MemoryBackend
    any_class = True

    def options(self) -> Mapping[str, Any]:
        return {"url": f"memory://{self.folder}"}

    def tool(self, results: AnnotationResults) -> Tool:
        assert isinstance(results.backend, MemoryBackend)
        return MemoryAnnotator(results.backend.server)

    def answer(self, results: AnnotationResults, samples: Sequence[Sequence[str]]) -> Sequence[str]:
        names = [f"person {number}" for number in range(len(samples))]
        assert isinstance(results.backend, MemoryBackend)
        there = [i for ids in results.backend.server.samples.values() for i in ids.to_pylist()]
        for name, ids in zip(names, samples, strict=True):
            demo.annotator(results, name).leave_out(*(i for i in there if i not in ids))
        return names
