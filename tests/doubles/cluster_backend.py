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
from annobridge.backend.values import Download, Receipt
from annobridge.exceptions import Denied

VARIABLE = "ANNOBRIDGE_CLUSTERED_CONFIG_CLS"
NAME = "tests.doubles.cluster_backend.ClusteredConfig"
LOG = "downloads.log"
ACCESS = "CLUSTERED_ACCESS"  # where a file .denied is, workers need this variable
DENIED, KILLS, SLOW = ".denied", ".kills", ".slow"  # files in the folder, by which a test sets how it behaves


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

    def download(self, receipt: Receipt) -> Download:
        config: Any = self.config
        folder = Path(config.folder)
        if (folder / DENIED).exists() and ACCESS not in os.environ:
            raise Denied("The server refuses the credentials; correct them.")
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


def processes(folder: Path) -> set[str]:
    """The processes that downloaded."""
    return {line.split()[1] for line in (folder / LOG).read_text().splitlines()}
