"""A tool whose server is a folder, so that several processes (and those that were killed) share it.

Registered by ``ANNOBRIDGE_FOLDER_CONFIG_CLS=tests.doubles.file_backend.FolderConfig``.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from annobridge.backend.base import AnnotationBackend, AnnotationBackendConfig, Capabilities
from annobridge.backend.memory import MemoryBackend
from annobridge.backend.values import Download, Receipt, Task
from annobridge.core.labels import REMOTE, conform
from annobridge.exceptions import Gone

VARIABLE = "ANNOBRIDGE_FOLDER_CONFIG_CLS"
NAME = "tests.doubles.file_backend.FolderConfig"


class FolderConfig(AnnotationBackendConfig):
    """Where the server is."""

    folder: str


class FolderBackend(AnnotationBackend):
    """One Arrow file per task, written at once; the ids of the tool are made when a task arrives."""

    name: ClassVar[str] = "folder"
    Config = FolderConfig
    capabilities: ClassVar[Capabilities] = MemoryBackend.capabilities

    def _path(self, task: str) -> Path:
        return Path(self.config.folder) / f"{task}.arrow"  # type: ignore[attr-defined]

    def upload(self, task: Task) -> Receipt:
        path = self._path(task.name)
        if not path.exists():
            remote = conform(task.labels, REMOTE, remote_id="")
            ids = pa.array([uuid.uuid4().hex for _ in range(remote.num_rows)], pa.string())
            write(
                path,
                remote.set_column(len(REMOTE) - 1, REMOTE.field("remote_id"), ids),
                task.samples["sample_id"].to_pylist(),
            )
        return Receipt(task.name, {"file": path.name}, read(path)[0])

    def download(self, receipt: Receipt) -> Download:
        path = self._path(receipt.task)
        if not path.exists():
            raise Gone(f"There is no file {path.name}.")
        labels, samples = read(path)
        for name in ("label_id", "rev"):
            labels = labels.set_column(
                labels.column_names.index(name), name, pa.nulls(len(labels), REMOTE.field(name).type)
            )
        return Download(labels.cast(REMOTE), pa.array(samples, pa.string()))

    def delete(self, receipt: Receipt) -> None:
        self._path(receipt.task).unlink(missing_ok=True)

    def find(self, task_name: str) -> dict[str, Any] | None:
        return {"file": f"{task_name}.arrow"} if self._path(task_name).exists() else None


def read(path: Path) -> tuple[pa.Table, list[str]]:
    """The labels and samples of a task."""
    table = pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()
    return table.replace_schema_metadata(None).cast(REMOTE), json.loads(table.schema.metadata[b"samples"])


def write(path: Path, labels: pa.Table, samples: list[str]) -> None:
    """Replace a task, at once."""
    temporary = path.with_suffix(f".{os.getpid()}")
    marked = labels.replace_schema_metadata({"samples": json.dumps(samples)})
    with pa.ipc.new_file(str(temporary), marked.schema) as sink:
        sink.write_table(marked)
    temporary.replace(path)


def edit(folder: Path, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Work in the tool: ``change`` gives the labels that each label becomes."""
    for path in sorted(folder.glob("*.arrow")):
        labels, samples = read(path)
        write(path, pa.Table.from_pylist([new for row in labels.to_pylist() for new in change(row)], REMOTE), samples)
