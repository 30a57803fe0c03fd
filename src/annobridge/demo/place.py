"""A place to work: a tool on this machine that the demo starts, works at as a person would, and stops.

A plug-in offers one by an entry point of the group ``annobridge.places``, under the name of its backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..core.entry_points import entry_points
from ..exceptions import UnknownBackend

if TYPE_CHECKING:
    import pyarrow as pa

    from ..backend.base import Receipt

GROUP = "annobridge.places"
Box = Sequence[float]


class Hands(Protocol):
    """What a person does there. Labels and samples go by the ids that they have here."""

    def move(self, label_id: str, box: Box) -> None:
        """Give a box another place: relative x, y, width, height."""

    def rename(self, label_id: str, name: str) -> None:
        """Give a label another class."""

    def set_attribute(self, label_id: str, name: str, value: Any) -> None:
        """Edit an attribute of a label."""

    def classify(self, sample_id: str, field: str, name: str) -> None:
        """Give an image another class."""

    def draw(self, sample_id: str, name: str, box: Box, attributes: Mapping[str, Any]) -> None:
        """Draw a box around something new."""

    def delete(self, label_id: str) -> None:
        """Delete a label."""


class Place(Protocol):
    """The tool. ``options`` are those that ``annotate`` needs to reach it, known once it has started."""

    title: str
    has_page: bool  # a person can open it in a browser
    options: Mapping[str, str]
    note: str  # what to know about starting it; nothing when it need not be started

    def start(self) -> None:
        """Start it."""

    def hands(self, receipts: Sequence[Receipt]) -> Hands:
        """Hands on what was sent."""

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Commands of ours that start and stop it: what for → arguments of ``annobridge``."""

    def stop(self) -> None:
        """Stop it."""


def find(backend: str, folder: Path) -> Place:
    """The place to work of a backend, with its data in a folder."""
    if backend == MemoryPlace.backend:
        return MemoryPlace()
    found = {e.name: e for e in entry_points(GROUP)}
    if backend not in found:
        names = ", ".join(sorted({MemoryPlace.backend, *found}))
        raise UnknownBackend(f"The demo cannot work with the backend {backend!r}; it can with {names}.")
    place: Place = found[backend].load()(folder)
    return place


class MemoryPlace:
    """The memory backend: it is in this process, so there is nothing to start."""

    backend = "memory"
    title = "the memory backend"
    has_page = False
    options: Mapping[str, str] = {"url": "memory://demo"}
    note = ""

    def start(self) -> None:
        """Nothing to do."""

    def hands(self, receipts: Sequence[Receipt]) -> Hands:
        """Hands on its tables."""
        return MemoryHands(self.options["url"], receipts[0].task)

    def commands(self) -> Mapping[str, Sequence[str]]:
        """It ends with this process."""
        return {}

    def stop(self) -> None:
        """Forget everything, so that the next demo starts afresh."""
        from ..backend.memory import SERVERS

        SERVERS.pop(self.options["url"], None)


class MemoryHands:
    """Edits rows of a task where they lie."""

    def __init__(self, url: str, task: str) -> None:
        from ..backend.memory import SERVERS

        self.server, self.task = SERVERS[url], task

    def _edit(self, change: Any, **where: str) -> None:
        labels = self.server.labels[self.task]
        rows = labels.to_pylist()
        for row in rows:
            if all(row[name] == value for name, value in where.items()):
                change(row)
        self._put([row for row in rows if row["label_id"] != ""], labels.schema)

    def _put(self, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        import pyarrow as pa

        self.server.labels[self.task] = pa.Table.from_pylist(rows, schema)

    def move(self, label_id: str, box: Box) -> None:
        """Give a box another place."""
        self._edit(lambda row: row.update(bounding_box=list(box)), label_id=label_id)

    def rename(self, label_id: str, name: str) -> None:
        """Give a label another class."""
        self._edit(lambda row: row.update(label=name), label_id=label_id)

    def set_attribute(self, label_id: str, name: str, value: Any) -> None:
        """Edit an attribute."""
        from ..core.rows import attribute

        def change(row: dict[str, Any]) -> None:
            rest = [a for a in row["attributes"] or () if a["name"] != name]
            row["attributes"] = sorted([*rest, attribute(name, value)], key=lambda a: str(a["name"]))

        self._edit(change, label_id=label_id)

    def classify(self, sample_id: str, field: str, name: str) -> None:
        """Give an image another class."""
        self._edit(lambda row: row.update(label=name), sample_id=sample_id, field=field)

    def draw(self, sample_id: str, name: str, box: Box, attributes: Mapping[str, Any]) -> None:
        """Draw a box."""
        from ..core.rows import Detection

        labels = self.server.labels[self.task]
        row = Detection(name, box, attributes=dict(attributes)).row()
        new = {**row, "sample_id": sample_id, "remote_id": self.server.new_ids(1)[0].as_py()}
        self._put([*labels.to_pylist(), new], labels.schema)

    def delete(self, label_id: str) -> None:
        """Delete a label."""
        self._edit(lambda row: row.update(label_id=""), label_id=label_id)
