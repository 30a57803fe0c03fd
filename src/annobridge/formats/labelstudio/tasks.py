"""Tasks: entries of Label Studio's JSON export, with annotations and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ..common.items import Items, Shapes, frame_of
from ..common.report import ReadReport
from ..common.voc_tree import SPLITS
from . import results
from .urls import image_key, image_name

PREDICTIONS = "predictions"
Which = Literal["all", "annotations", "predictions"]
_NAMED = ("email", "username", "id")  # of a person


@dataclass
class Reader:
    """Reads the tasks of a source.

    Attributes:
        images: the image of each task, by its id, for pictures that name their task only.
        several: how many tasks have annotations of several people.
    """

    items: Items
    report: ReadReport
    which: Which = "all"
    latest: bool = False
    with_ids: bool = False
    image_keys: tuple[str, ...] = ()
    images: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    several: int = 0
    _seen: set[int] = field(default_factory=set)

    def add(self, entry: Any, place: str, split: str | None, shapes: Shapes, in_archive: Any) -> None:
        """Add the images and labels of one task."""
        task = as_task(entry)
        if task is None:
            self.report.skip(place, "it is no task with data")
            return
        data = task["data"]
        place = f"{place} (id {task['id']})" if isinstance(task.get("id"), int) else place
        key = image_key(data, self.image_keys)
        addresses = [] if key is None else data[key] if isinstance(data[key], list) else [data[key]]
        if not addresses:
            self.report.skip(place, "its data have no image")
            return
        annotations = self._annotations(task, place)
        size = results.size_of([result for annotation in annotations for result in annotation.results])
        numbers = []
        for at, address in enumerate(addresses):
            name = image_name(address) or f"task {task.get('id', 0)}"
            file = name if name in in_archive else None
            width, height = size if size and len(addresses) == 1 else (None, None)
            numbers.append(
                self.items.add(
                    name, split_of(data) or split, width, height, frame_of(name.rpartition("/")[2]), file=file
                )
            )
            if at == 0 and isinstance(task.get("id"), int):
                self.images[task["id"]] = name, split_of(data) or split
        for annotation in annotations:
            results.add(annotation, numbers, shapes, self.report)

    def _annotations(self, task: Mapping[str, Any], place: str) -> list[results.Annotation]:
        found = []
        if self.which != PREDICTIONS:
            found += self._of_people(task, place)
        if self.which != "annotations":
            for at, given in enumerate(results.each(task.get(PREDICTIONS))):
                if isinstance(given, dict) and isinstance(given.get("result"), list):
                    place_of = f"{place} prediction {given.get('id', at)}"
                    found.append(results.Annotation(
                        given["result"], place_of, PREDICTIONS, score=given.get("score"), seen=self._ids(), with_scalars=at == 0,
                    ))  # fmt: skip
        if drafts := len(list(results.each(task.get("drafts")))):
            self.report.note("drafts, which nobody submitted, were left out", drafts)
        return found

    def _of_people(self, task: Mapping[str, Any], place: str) -> list[results.Annotation]:
        """The annotations that were submitted, the latest last."""
        found = []
        for at, given in enumerate(results.each(task.get("annotations", task.get("completions")))):
            place_of = f"{place} annotation {given.get('id', at) if isinstance(given, dict) else at}"
            if not isinstance(given, dict) or not isinstance(given.get("result"), list):
                self.report.skip(place_of, "it is no annotation with a list of results")
            elif given.get("was_cancelled") is True:
                if given["result"]:
                    self.report.skip(place_of, "its annotator cancelled it (was_cancelled)")
            else:
                time = time_of(given.get("updated_at") or given.get("created_at"))
                who = person(given.get("completed_by"))
                found.append(results.Annotation(given["result"], place_of, None, who, time, seen=self._ids()))
        found.sort(key=lambda a: a.time or datetime.min.replace(tzinfo=UTC))
        if self.latest:
            return found[-1:]
        self.several += len(found) > 1
        for annotation in found[:-1]:
            annotation.with_scalars = False
        return found

    def _ids(self) -> set[int] | None:
        return self._seen if self.with_ids else None


def as_task(entry: Any) -> dict[str, Any] | None:
    """An entry as a task; ``None`` if it is none. A cloud storage has annotations, each with its task inside."""
    if not isinstance(entry, dict):
        return None
    task = entry.get("task")
    if isinstance(entry.get("result"), list) and isinstance(task, dict) and isinstance(task.get("data"), dict):
        return {**task, "annotations": [entry], PREDICTIONS: []}
    return entry if isinstance(entry.get("data"), dict) else None


def person(given: Any) -> str | None:
    """Who made an annotation: an e-mail address, a name, or an id."""
    if isinstance(given, dict):
        given = next((given[key] for key in _NAMED if given.get(key) not in (None, "")), None)
    return None if given is None or isinstance(given, list | dict | bool) else str(given).strip() or None


def time_of(given: Any) -> datetime | None:
    """A moment as Label Studio writes it."""
    if not isinstance(given, str):
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def split_of(data: Mapping[str, Any]) -> str | None:
    """The split in a task's data."""
    found = next(
        (data[key] for key in ("split", "subset") if isinstance(data.get(key), str) and data[key].strip()), None
    )
    return found.strip() if found is not None else None


def split_of_file(name: str) -> str | None:
    """The split that a file is called after, or its folder."""
    parts = name.rpartition(".")[0].split("/")
    return next((part for part in reversed(parts) if part.lower() in SPLITS), None)
