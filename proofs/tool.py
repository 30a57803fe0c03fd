"""The annotation tool: a CVAT server of the tests, which outlives the processes that are killed, and a person who works in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from tests.doubles.cvat import CvatServer

from .frame import Finding
from .scene import PER_IMAGE, PER_TASK

OBJECTS = PER_TASK * PER_IMAGE  # of a task


@dataclass(frozen=True)
class Work:
    """What a person does in each image, where labels are numbered from left to right: moves some down by so many pixels,
    deletes one, and draws one.
    """

    moves: tuple[tuple[int, int], ...]
    delete: int | None = None
    draw: bool = False


def server() -> CvatServer:
    """A server whose tasks are ready at once."""
    return CvatServer(creation_delay=0)


def work(tool: CvatServer, tasks: Iterable[int], todo: Work) -> None:
    """Do it in some tasks."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Token {tool.token}"

        def call(method: str, task: int, **arguments: Any) -> Any:
            url = f"{tool.url}/api/tasks/{task}/annotations"
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


def audit(tool: CvatServer, known: Iterable[int]) -> Finding:
    """``compare`` for all tasks of a server."""
    return compare({task: len(tool.annotations_of(task)) for task in tool.tasks}, known)


def compare(there: Mapping[Any, int], known: Iterable[Any]) -> Finding:
    """Tasks on the server (with the number of their objects) that no run knows, tasks that runs know twice or that are gone, and
    objects sent twice or not.
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
