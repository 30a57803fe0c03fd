"""A tool that shows columns of samples, cannot reshape polygons, and draws no small boxes.

Registered by ``ANNOBRIDGE_POOR_CONFIG_CLS=tests.doubles.poor_backend.PoorConfig``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from annobridge.backend.memory import MemoryBackend, MemoryConfig
from annobridge.backend.values import Receipt, Task

VARIABLE = "ANNOBRIDGE_POOR_CONFIG_CLS"
NAME = "tests.doubles.poor_backend.PoorConfig"
LIMIT = "the points of an existing one cannot be moved."


class PoorConfig(MemoryConfig):
    """Settings as those of memory."""


class PoorBackend(MemoryBackend):
    """Memory, with less to see; ``tasks`` are those that it was given."""

    name: ClassVar[str] = "poor"
    Config = PoorConfig
    capabilities = replace(MemoryBackend.capabilities, sample_columns=True, editor_limits={"polygons": LIMIT})
    tasks: ClassVar[list[Task]] = []

    def upload(self, task: Task) -> Receipt:
        self.tasks.append(task)
        return replace(super().upload(task), notes=("Small boxes are not drawn.",))
