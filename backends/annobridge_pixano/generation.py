"""A generation of Pixano: its own routes, its own tables, the same verbs; and what all of them make sure of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from annobridge.backend import Download, Receipt, Status, Task
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Rejected

from . import limits, wire
from .layout import Layout


class Generation(Protocol):
    """What ``PixanoBackend`` hands its calls to; the verbs are those of ``AnnotationBackend``.

    ``upload`` and ``find`` write the generation's name into the state of a receipt, under ``generation``; where there is
    none, it is Pixano 0.8.
    """

    def check(self, schema: LabelSchema) -> Iterable[str]:
        """Problems that can be seen before a task is made."""

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that this generation cannot hold."""

    def upload(self, task: Task) -> Receipt:
        """Send a task, or find it again."""

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now."""

    def status(self, receipt: Receipt) -> Status:
        """How far the people are."""

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """What an unanswered upload left."""

    def delete(self, receipt: Receipt) -> None:
        """Remove the task."""

    def editor_url(self, receipt: Receipt) -> str:
        """The page to work on."""


def must_fit(task: Task, layout: Layout) -> None:
    """Refuse values that cannot be held: a run that is resumed may have got such values meanwhile."""
    if wrong := limits.of_task(task, layout):
        raise Rejected("\n  - ".join(["pixano: some values cannot be sent:", *wrong]))


def must_arrive(sent: Mapping[str, int], tables: wire.Wire) -> None:
    """Compare how many rows were sent with how many there are."""
    wrong = [f"{len(tables[n])} of {sent.get(n, 0)} {n}" for n in tables if len(tables[n]) != sent.get(n, 0)]
    if wrong:
        raise Broken(
            f"pixano: the server has not what was sent to it ({', '.join(wrong)}); abort the run and send it again, "
            "and see the server's log if it happens twice."
        )
