"""The memory backend with what most tools have besides: a token, and the images themselves.

Registered by ``ANNOBRIDGE_PICTURES_CONFIG_CLS=tests.doubles.picture_backend.PictureConfig``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import ClassVar

from pydantic import SecretStr

from annobridge.backend.base import Capabilities, Receipt, Task
from annobridge.backend.memory import MemoryBackend, MemoryConfig

VARIABLE = "ANNOBRIDGE_PICTURES_CONFIG_CLS"
NAME = "tests.doubles.picture_backend.PictureConfig"
SHOWN: defaultdict[str, dict[str, bytes]] = defaultdict(dict)  # by server and sample


class PictureConfig(MemoryConfig):
    """Where the server is, and the token for it."""

    credentials: ClassVar[tuple[str, ...]] = ("token",)
    token: SecretStr


class PictureBackend(MemoryBackend):
    """Keeps the images too."""

    name: ClassVar[str] = "pictures"
    Config = PictureConfig
    capabilities: ClassVar[Capabilities] = replace(MemoryBackend.capabilities, sends_media=True)

    def upload(self, task: Task) -> Receipt:
        for sample_id in task.samples["sample_id"].to_pylist():
            with task.media.open(sample_id) as stream:
                self.shown[sample_id] = stream.read()
        return super().upload(task)

    @property
    def shown(self) -> dict[str, bytes]:
        """The image that people see under each sample."""
        assert isinstance(self.config, PictureConfig)
        return SHOWN[self.config.url]
