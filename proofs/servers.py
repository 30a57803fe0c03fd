"""The test servers of the HTTP backends, with what the area ``answers`` needs of each: its tasks, and scripted edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import datagym_servers
from tests.contract import datagym_hands
from tests.doubles.cvat import CvatServer
from tests.doubles.pixano_items import PixanoItems
from tests.doubles.pixano_items.annotator import ScriptedAnnotator

from . import cvat as cvat_double
from .target import HEIGHT

State = Mapping[str, Any]  # of a receipt


@dataclass(frozen=True)
class Server:
    """A running server.

    ``there`` returns its tasks with their numbers of objects, ``known`` the tasks in the state of a receipt, and ``work`` edits the
    labels of tasks.
    """

    backend: str
    url: str
    there: Callable[[], Mapping[Any, int]]
    known: Callable[[State], Sequence[Any]]
    work: Callable[[Sequence[State]], None]  # moves one object of each image, and deletes one
    token: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@contextmanager
def cvat(folder: Path) -> Iterator[Server]:  # noqa: ARG001
    with CvatServer(creation_delay=0) as server:

        def work(states: Sequence[State]) -> None:
            tasks = [one["task"] for state in states for one in state["tasks"]]
            cvat_double.work(server, tasks, cvat_double.Work(moves=((0, 4),), delete=1))

        yield Server(
            "cvat",
            server.url,
            lambda: {task: len(server.annotations_of(task)) for task in server.tasks},
            lambda state: [one["task"] for one in state["tasks"]],
            work,
            server.token,
        )


@contextmanager
def datagym(folder: Path) -> Iterator[Server]:  # noqa: ARG001
    """DataGym's open edition; a task is a dataset, and a project that has none is one too."""
    with datagym_servers.open_core() as server:
        state = server.double.state

        def there() -> dict[Any, int]:
            datasets = {d.id: 0 for d in state.datasets.values() if not d.deleted}
            for task in state.tasks.values():
                datasets[task.dataset.id] += sum(1 for value in task.values if value.entry.type == "RECTANGLE")
            empty = {p.id: 0 for p in state.projects.values() if not p.deleted and not p.datasets}
            return datasets | empty

        def work(states: Sequence[State]) -> None:
            editor = datagym_hands.Editor(
                server, SimpleNamespace(receipts=lambda: [SimpleNamespace(state=s) for s in states])
            )
            for number in (task for one in states for task in one["tasks"]):
                task = server.call("GET", f"task/{number}")
                boxes = [v for v in task["labelIteration"]["entryValues"] if v["entryTypeLcEntry"] == "RECTANGLE"]
                boxes.sort(key=lambda value: value["point"]["x"])
                place = {**boxes[0]["point"], "width": boxes[0]["width"], "height": boxes[0]["height"]}
                place["y"] += 4
                editor.update(task, boxes[0], **place)
                server.call("DELETE", "", f"lcvalues/{boxes[1]['id']}")
            server.finish([task for one in states for task in one["tasks"]])

        yield Server("datagym", server.url, there, lambda one: [one["dataset"]], work)


@contextmanager
def pixano(folder: Path) -> Iterator[Server]:
    """Pixano's earlier generation, of which there is a double."""
    with PixanoItems(folder / "pixano") as server:

        def there() -> dict[Any, int]:
            names = [d["id"] for d in ScriptedAnnotator(server.url, "").api.datasets()]
            return {name: len(ScriptedAnnotator(server.url, name).rows("bboxes")) for name in names}

        def work(states: Sequence[State]) -> None:
            for one in states:
                hands = ScriptedAnnotator(server.url, one["dataset"])
                by_item: dict[str, list[Any]] = {}
                for row in hands.rows("bboxes").values():
                    by_item.setdefault(row["data"]["item_ref"]["id"], []).append(row)
                for rows in by_item.values():
                    first, second, *_ = sorted(rows, key=lambda row: row["data"]["coords"][0])
                    x, y, width, height = first["data"]["coords"]
                    hands.edit("bboxes", first["id"], coords=[x, y + 4 / HEIGHT, width, height])
                    hands.delete(second["data"]["entity_ref"]["id"])

        more = {"executable": str(server.executable), "folder": str(server.folder)}
        yield Server("pixano", server.url, there, lambda one: [one["dataset"]], work, more=more)


SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "cvat": cvat,
    "datagym": datagym,
    "pixano": pixano,
}
