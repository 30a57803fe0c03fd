"""The memory backend with what most tools have besides: a token, the images themselves, attributes that are locked, and transfers
of several tasks at once.

Registered by ``ANNOBRIDGE_PICTURES_CONFIG_CLS=tests.doubles.picture_backend.PictureConfig``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import ClassVar

from pydantic import SecretStr

from annobridge.backend.base import Capabilities
from annobridge.backend.memory import MemoryBackend, MemoryConfig
from annobridge.backend.values import Receipt, Task

VARIABLE = "ANNOBRIDGE_PICTURES_CONFIG_CLS"
NAME = "tests.doubles.picture_backend.PictureConfig"
SHOWN: defaultdict[str, dict[str, bytes]] = defaultdict(dict)  # by server and sample
LOCKED: defaultdict[str, set[str]] = defaultdict(set)  # names of attributes, by server


class PictureConfig(MemoryConfig):
    """Where the server is, and the token for it."""

    credentials: ClassVar[tuple[str, ...]] = ("token",)
    token: SecretStr


class PictureBackend(MemoryBackend):
    """Keeps the images too, and which attributes are read-only."""

    name: ClassVar[str] = "pictures"
    Config = PictureConfig
    capabilities: ClassVar[Capabilities] = replace(
        MemoryBackend.capabilities, sends_media=True, parallel_uploads=4, parallel_downloads=4
    )

    def upload(self, task: Task) -> Receipt:
        for sample_id in task.samples["sample_id"].to_pylist():
            with task.media.open(sample_id) as stream:
                self.shown[sample_id] = stream.read()
        fields = task.schema.fields.values()
        self.locked.update(a.name for field in fields for a in field.definitions() if a.read_only)
        return super().upload(task)

    @property
    def shown(self) -> dict[str, bytes]:
        """The image that people see under each sample."""
        assert isinstance(self.config, PictureConfig)
        return SHOWN[self.config.url]

    @property
    def locked(self) -> set[str]:
        """The attributes that people see, and cannot change."""
        assert isinstance(self.config, PictureConfig)
        return LOCKED[self.config.url]
