"""The annotation tool of most trials: the tests' CVAT server, in a process that is not killed, and scripted edits in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from tests.doubles.cvat import CvatServer

from .framework import Finding
from .target import PER_IMAGE, PER_TASK

OBJECTS = PER_TASK * PER_IMAGE  # in a task


@dataclass(frozen=True)
class Work:
    """The edits in each image, whose labels are numbered from left to right.

    ``moves`` are pairs of a label and the pixels to move it down; ``delete`` is a label; ``draw`` adds one.
    """

    moves: tuple[tuple[int, int], ...]
    delete: int | None = None
    draw: bool = False


def server() -> CvatServer:
    """A server that is ready with a task at once."""
    return CvatServer(creation_delay=0)


def work(server: CvatServer, tasks: Iterable[int], todo: Work) -> None:
    """Make the edits in some tasks."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Token {server.token}"

        def call(method: str, task: int, **arguments: Any) -> Any:
            url = f"{server.url}/api/tasks/{task}/annotations"
            answer = session.request(method, url, timeout=60, **arguments)
            answer.raise_for_status()
            return answer.json() if answer.content else None

        def patch(task: int, action: str, shapes: list[Any]) -> None:
            body = {"version": 0, "tags": [], "shapes": shapes, "tracks": []}
            call("PATCH", task, params={"action": action}, json=body)

        for task in tasks:
            frames = defaultdict(list)
            for shape in call("GET", task)["shapes"]:
                frames[shape["frame"]].append(shape)
            for shapes in frames.values():
                shapes.sort(key=lambda shape: shape["points"][0])
                for number, down in todo.moves:
                    x, y, right, bottom = shapes[number]["points"]
                    patch(task, "update", [{**shapes[number], "points": [x, y + down, right, bottom + down]}])
                if todo.draw:
                    new = {k: v for k, v in shapes[0].items() if k != "id"}
                    patch(task, "create", [{**new, "points": [52, 4, 60, 12]}])
                if todo.delete is not None:
                    patch(task, "delete", [shapes[todo.delete]])


def audit(server: CvatServer, known: Iterable[int]) -> Finding:
    """Compare all tasks of a server with those that runs know."""
    return compare({task: len(server.annotations_of(task)) for task in server.tasks}, known)


def compare(there: Mapping[Any, int], known: Iterable[Any]) -> Finding:
    """Compare the tasks on a server (id → number of objects) with the tasks that runs know.

    Counts tasks that no run knows, tasks known twice or gone from the server, and objects sent twice or not at all.
    """
    here = Counter(known)
    orphans = sorted(set(there) - set(here))
    gone = sorted(set(here) - set(there))
    shapes = [there[task] for task in here if task in there]
    twice = [task for task, times in here.items() if times > 1]
    more = sum(max(0, n - OBJECTS) for n in shapes)
    less = sum(max(0, OBJECTS - n) for n in shapes)
    notes = [
        (orphans, f"the server has {len(orphans)} tasks that no run knows"),
        (gone, f"a run knows {len(gone)} tasks that are not on the server"),
        (twice, f"runs know {len(twice)} tasks twice"),
        (more, f"{more} objects were sent twice"),
        (less, f"{less} objects were not sent"),
    ]
    return Finding(
        lost=len(gone) + less,
        doubled=len(twice) + more,
        orphans=len(orphans),
        notes=tuple(text for found, text in notes if found),
    )
