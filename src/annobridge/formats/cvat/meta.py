"""The ``meta`` element of CVAT's XML: labels with their attributes, and the tasks with their subset, size and video."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ...core.media import VIDEO
from ...core.rows import attribute
from ..common.xml import Element, text

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_VIDEO = re.compile(VIDEO, re.IGNORECASE)
_FLAGS = frozenset(
    {"occluded", "truncated", "difficult", "iscrowd", "is_crowd"}
)  # booleans even where they are not declared
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Task:
    """What tracks of a task need to know of it."""

    id: str | None
    subset: str | None  # as the file has it
    size: tuple[int, int] | None  # of a video's frames
    video: str | None  # its name
    shift: int  # what a project adds to the task's frame numbers
    count: int | None = None  # of frames
    name: str = ""
    last: int | None = None  # the number of the last frame in the file
    step: int = 1  # between the numbers of frames
    has_tracks: bool = False
    frames: int | None = None  # of its video; a job says nothing of it


@dataclass(slots=True)
class Meta:
    """What the file says of its labels and tasks. Labels are known by their parent's name, or ``None``, and their own."""

    name: str | None = None
    types: dict[tuple[str | None, str], dict[str, str]] = field(default_factory=dict)  # label → attribute → input_type
    points: dict[str, list[str]] = field(default_factory=dict)  # skeleton → the names of its points, in order
    tasks: dict[str | None, Task] = field(default_factory=dict)

    def task(self, task_id: str | None) -> Task:
        """A task by its id; the only one, if there is one."""
        found = self.tasks.get(task_id)
        if found is None and len(self.tasks) == 1:
            found = next(iter(self.tasks.values()))
        return found or Task(task_id, None, None, None, 0)


def read_meta(element: Element) -> Meta:
    """Read a ``meta`` element, of a task, a job or a project."""
    meta = Meta()
    for label in element.iter("label"):
        name, parent = text(label, "name"), text(label, "parent") or None
        if not name:
            continue
        given = label.iterfind("attributes/attribute")
        meta.types[parent, name] = {text(a, "name"): text(a, "input_type").lower() for a in given}
        if parent is not None:
            meta.points.setdefault(parent, []).append(name)
    project = element.find("project")
    if project is not None:
        meta.name = text(project, "name") or None
        meta.tasks = {task.id: task for task in _project_tasks(project)}
        return meta
    for kind in ("task", "job"):
        if (found := element.find(kind)) is not None:
            meta.name = text(found, "name") or None
            task = _task(found, element, 0)
            meta.tasks = {task.id: task}
    return meta


def _project_tasks(project: Element) -> Iterator[Task]:
    """The tasks of a project. Frame numbers of a subset's tasks follow on each other."""
    shift, subset = 0, None
    for element in project.iterfind("tasks/task"):
        if text(element, "subset") != subset:
            shift, subset = 0, text(element, "subset")
        yield _task(element, element, shift)
        frames = (_integer(text(element, "size")) or 0) * _step(element)
        shift += frames + (_integer(text(element, "start_frame")) or 0)


def _step(element: Element) -> int:
    found = re.search(r"step\s*=\s*(\d{1,9})", text(element, "frame_filter"))
    return max(int(found[1]), 1) if found else 1


def _task(element: Element, around: Element, shift: int) -> Task:
    """A task or job; of a job, the size and the video's name are beside it, not in it."""
    where = next((e for e in (element, around) if e.find("original_size") is not None), element)
    width, height = (_integer(text(where, f"original_size/{side}")) for side in ("width", "height"))
    source = text(element, "source") or text(around, "source")
    name = text(element, "name")
    video = source or (name if _VIDEO.search(name) else None)
    size = (width, height) if width and height else None
    count, stop = _integer(text(element, "size")), _integer(text(element, "stop_frame"))
    if stop is None and count is not None:
        stop = (_integer(text(element, "start_frame")) or 0) + (count - 1) * _step(element)
    return Task(
        text(element, "id") or None, text(element, "subset") or None, size, video or None, shift, count, name,
        None if stop is None else stop + shift, _step(element), text(element, "mode") == "interpolation",
        None if stop is None or element.tag == "job" else stop + 1,
    )  # fmt: skip


def subset_of(name: str | None) -> str | None:
    """The split of a subset's name. CVAT's ``default`` is no split."""
    return name if name and name.lower() != "default" else None


def _integer(value: str) -> int | None:
    return int(value) if _INTEGER.fullmatch(value) else None


@lru_cache(1 << 16)
def typed(input_type: str | None, name: str, value: str) -> tuple[str, str]:
    """Type and JSON text of an attribute's value, by the input that the file declares for it; text if it declares none.

    >>> typed("number", "doors", "4"), typed("text", "plate", "4"), typed("checkbox", "parked", "true")
    (('int', '4'), ('str', '"4"'), ('bool', 'true'))
    """
    made = attribute(name, _value(input_type, name, value))
    return made["type"], made["value"]


def _value(input_type: str | None, name: str, value: str) -> bool | int | float | str:
    plain = value.strip()
    if input_type == "checkbox" or (not input_type and name in _FLAGS):
        return _WORDS.get(plain.lower(), value)
    if input_type == "number" and plain:
        if _INTEGER.fullmatch(plain):
            return int(plain)
        try:
            number = float(plain)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    return value
