"""The tool of ``file_backend`` for workers of a cluster: it notes each download, and may refuse, wait, or need a secret."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SecretStr
from tests.doubles.file_backend import FolderBackend, FolderConfig

from annobridge.backend.base import Capabilities
from annobridge.backend.values import Download, Receipt, Task
from annobridge.exceptions import Denied

VARIABLE = "ANNOBRIDGE_CLUSTERED_CONFIG_CLS"
NAME = "tests.doubles.cluster_backend.ClusteredConfig"
LOG = "downloads.log"
ACCESS = "CLUSTERED_ACCESS"  # where a file .denied is, workers need this variable
UPLOADS = "uploads.log"
DENIED, KILLS, SLOW = ".denied", ".kills", ".slow"  # files in the folder, by which a test sets how it behaves
KILLS_SENDER = ".kills-sender"  # the end of the name of a task: who has sent it ends before it can say so


class ClusteredConfig(FolderConfig):
    """Where the server is, and who asks."""

    token: SecretStr | None = None
    credentials: ClassVar[tuple[str, ...]] = ()
    transient: ClassVar[frozenset[str]] = frozenset({"token"})


class ClusteredBackend(FolderBackend):
    """Notes the name of each task that is downloaded, and the process."""

    name: ClassVar[str] = "clustered"
    Config = ClusteredConfig
    capabilities: ClassVar[Capabilities] = replace(FolderBackend.capabilities, parallel_uploads=8, parallel_downloads=8)

    def _folder(self) -> Path:
        config: Any = self.config
        folder = Path(config.folder)
        if (folder / DENIED).exists() and ACCESS not in os.environ:
            raise Denied("The server refuses the credentials; correct them.")
        return folder

    def upload(self, task: Task) -> Receipt:
        folder = self._folder()
        receipt = super().upload(task)
        with open(folder / UPLOADS, "a") as log:
            log.write(f"{task.name} {os.getpid()}\n")
        kills = folder / KILLS_SENDER
        if kills.exists() and task.name.endswith(kills.read_text()):
            kills.unlink()
            os.kill(os.getpid(), 9)
        return receipt

    def download(self, receipt: Receipt) -> Download:
        folder = self._folder()
        if (folder / SLOW).exists():
            time.sleep(float((folder / SLOW).read_text()))
        with open(folder / LOG, "a") as log:
            log.write(f"{receipt.task} {os.getpid()}\n")
        kills = folder / KILLS
        if kills.exists() and kills.read_text() == receipt.task:
            kills.unlink()  # the next attempt succeeds
            os.kill(os.getpid(), 9)
        return super().download(receipt)


def downloads(folder: Path) -> list[str]:
    """The tasks that were downloaded, in order."""
    log = folder / LOG
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def processes(folder: Path, log: str = LOG) -> set[str]:
    """The processes that downloaded, or sent."""
    return {line.split()[1] for line in (folder / log).read_text().splitlines()}
