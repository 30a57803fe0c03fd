"""The tool of ``file_backend``, which takes several tasks at once and notes which process asked for each."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from tests.doubles.file_backend import FolderBackend, FolderConfig

from annobridge.backend.values import Download, Receipt, Task
from annobridge.exceptions import Rejected, Unreachable

VARIABLE = "ANNOBRIDGE_BUSY_CONFIG_CLS"
NAME = "tests.doubles.busy_backend.BusyConfig"
UPLOADS, DOWNLOADS = "uploads.log", "downloads.log"
FAILS, REFUSES = ".fails", ".refuses"  # files in the folder that hold a part of the name of a task, and a sample id
SURVIVES = ".survives"  # a file that holds the id of a process: the others end when they ask


class BusyConfig(FolderConfig):
    """Where the server is."""


class BusyBackend(FolderBackend):
    """Takes four tasks at once."""

    name: ClassVar[str] = "busy"
    Config = BusyConfig
    capabilities = replace(FolderBackend.capabilities, parallel_uploads=4, parallel_downloads=4)

    def upload(self, task: Task) -> Receipt:
        self._note(UPLOADS, task.name)
        if (sample := self._set(REFUSES)) and sample in task.samples["sample_id"].to_pylist():
            raise Rejected(f"The tool refuses the sample {sample!r}.", 400, None, [sample])
        return super().upload(task)

    def download(self, receipt: Receipt) -> Download:
        self._note(DOWNLOADS, receipt.task)
        return super().download(receipt)

    def _note(self, log: str, task: str) -> None:
        config: Any = self.config
        with open(Path(config.folder) / log, "a") as file:
            file.write(f"{task} {os.getpid()}\n")
        if (part := self._set(FAILS)) and part in task:
            raise Unreachable("The server does not answer.")
        if self._set(SURVIVES) not in ("", str(os.getpid())):
            time.sleep(0.2)
            os._exit(1)

    def _set(self, name: str) -> str:
        config: Any = self.config
        path = Path(config.folder) / name
        return path.read_text() if path.exists() else ""


def processes(folder: Path, log: str) -> set[str]:
    """The processes that asked for tasks."""
    return {line.split()[1] for line in (folder / log).read_text().splitlines()}


def tasks(folder: Path, log: str) -> list[str]:
    """The tasks that were asked for, sorted."""
    return sorted(line.split()[0] for line in (folder / log).read_text().splitlines())
