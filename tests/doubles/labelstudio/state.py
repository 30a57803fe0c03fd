"""What a server of Label Studio stores: projects, files, tasks and annotations. Ids are never given again."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

Json = dict[str, Any]
SHAPES = {"RectangleLabels", "PolygonLabels", "EllipseLabels", "BrushLabels", "KeyPointLabels"}
CONTROLS = SHAPES | {"Choices", "TextArea", "Number", "Rating"}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str, validation: Json | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.validation = status, detail, validation


@dataclass
class State:
    """The tables of the server."""

    users: dict[int, str] = field(default_factory=lambda: {1: "admin@example.com", 2: "bob@example.com"})
    projects: dict[int, Json] = field(default_factory=dict)
    files: dict[int, tuple[int, str, bytes]] = field(default_factory=dict)  # project, path, content
    tasks: dict[int, Json] = field(default_factory=dict)
    annotations: dict[int, Json] = field(default_factory=dict)
    predictions: dict[int, Json] = field(default_factory=dict)
    drafts: list[Json] = field(default_factory=list)
    counted: dict[int, str] = field(default_factory=dict)  # as what an annotation is counted, which can be wrong
    busy: int = 0  # imports that lose the annotations of their tasks
    _ids: dict[str, Iterator[int]] = field(default_factory=dict)
    _clock: datetime = field(default_factory=lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))

    def new_id(self, table: str) -> int:
        return next(self._ids.setdefault(table, itertools.count(1)))

    def now(self) -> str:
        """Another time at each call."""
        self._clock += timedelta(milliseconds=7)
        return self._clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # --- projects -----------------------------------------------------------------------------------------------------

    def make_project(self, given: Json) -> Json:
        title, config = str(given.get("title", "")), str(given.get("label_config", "<View/>"))
        if not 3 <= len(title) <= 50:
            how = "at least 3" if len(title) < 3 else "no more than 50"
            raise Refused(400, "Validation error", {"title": [f"Ensure this field has {how} characters."]})
        parse_config(config)
        number = self.new_id("project")
        self.projects[number] = {"title": title, "description": given.get("description", ""), "label_config": config}
        return self.shown_project(number)

    def shown_project(self, number: int) -> Json:
        if number not in self.projects:
            raise Refused(404, "No Project matches the given query.")
        project = self.projects[number]
        try:
            parsed = parse_config(project["label_config"])
        except Refused:  # it was taken by a server of another version
            parsed = {}
        return {"id": number, **project, "parsed_label_config": parsed}

    # --- files --------------------------------------------------------------------------------------------------------

    def store_file(self, project: int, name: str, content: bytes) -> int:
        base = name.replace("\\", "/").rpartition("/")[2].replace(" ", "_")
        base = re.sub(r"[^-\w.]", "", base)
        if base.rpartition(".")[2].lower() not in (
            "png",
            "jpg",
            "jpeg",
            "gif",
            "bmp",
            "webp",
            "svg",
            "json",
            "txt",
            "csv",
        ):
            raise Refused(
                400,
                "Validation error",
                {"non_field_errors": [f".{base.rpartition('.')[2]} extension is not supported"]},
            )
        number = self.new_id("file")
        self.files[number] = project, f"upload/{project}/{uuid.uuid4().hex[:8]}-{base}", content
        return number

    # --- tasks --------------------------------------------------------------------------------------------------------

    def import_tasks(self, project: int, given: Any, user: int) -> Json:
        if not isinstance(given, list) or not given:
            raise Refused(400, "Validation error", {"non_field_errors": ["Data is empty"]})
        keys = re.findall(r'value="\$(\w+)"', self.shown_project(project)["label_config"])
        for at, task in enumerate(given):
            for key in keys:
                if key not in task.get("data", task):
                    text = f'Error at item {at}: "{key}" key is expected in task data'
                    raise Refused(400, "Validation error", {"non_field_errors": [text]})
        made = []
        for task in given:
            number = self.new_id("task")
            made.append(number)
            now = self.now()
            self.tasks[number] = {"project": project, "data": task["data"], "created_at": now, "updated_at": now}
            if self.busy:  # the database is locked: annotations are lost, and the answer is as always
                continue
            for one in task.get("annotations", ()):
                self.annotate(number, one, user, imported=True)
            for one in task.get("predictions", ()):
                id_ = self.new_id("prediction")
                self.predictions[id_] = {
                    "id": id_,
                    "task": number,
                    "result": one["result"],
                    "model_version": one.get("model_version"),
                }
        count = 0 if self.busy else sum(len(task.get("annotations", ())) for task in given)
        self.busy = max(0, self.busy - 1)
        return {"task_count": len(made), "annotation_count": count, "file_upload_ids": [], "task_ids": made}

    def annotate(self, task: int, given: Json, user: int, imported: bool = False) -> Json:
        """Add an annotation. Results are not looked at; what is imported is ground truth, unless it says that it is not."""
        now, id_ = self.now(), self.new_id("annotation")
        # The first annotation of a task is not counted if it is one that was skipped, nor is one that is skipped later.
        is_first = not any(one["task"] == task for one in self.annotations.values())
        self.counted[id_] = "total" if not given.get("was_cancelled") else "" if is_first else "cancelled"
        self.annotations[id_] = {
            "id": id_, "task": task, "result": given.get("result", []), "was_cancelled": bool(given.get("was_cancelled")),
            "ground_truth": bool(given.get("ground_truth", imported)), "created_at": now, "updated_at": now,
            "completed_by": user, "updated_by": None if imported else user,
        }  # fmt: skip
        if not imported:
            self.touch(task)
        return self.annotations[id_]

    def touch(self, task: int) -> None:
        self.tasks[task]["updated_at"] = self.now()

    def change(self, id_: int, given: Json, user: int) -> Json:
        if id_ not in self.annotations:
            raise Refused(404, "No Annotation matches the given query.")
        one = self.annotations[id_]
        one |= {name: given[name] for name in ("result", "was_cancelled", "ground_truth") if name in given}
        one |= {"updated_at": self.now(), "updated_by": user}
        self.touch(one["task"])
        return one

    def delete_task(self, number: int) -> None:
        self.tasks.pop(number, None)
        for table in (self.annotations, self.predictions):
            for id_ in [id_ for id_, one in table.items() if one["task"] == number]:
                del table[id_]

    def shown_task(self, number: int, user: int, *, labels: bool = True) -> Json:
        """A task. Drafts are those of the user who asks, though ``draft_exists`` is about those of all."""
        if number not in self.tasks:
            raise Refused(404, "No Task matches the given query.")
        task = self.tasks[number]
        mine = [one for one in self.annotations.values() if one["task"] == number]
        done, cancelled = (sum(self.counted[one["id"]] == what for one in mine) for what in ("total", "cancelled"))
        people = {one["updated_by"] for one in mine} - {None}
        drafts = [one for one in self.drafts if one["task"] == number]
        shown = {
            "id": number, **task, "total_annotations": done, "cancelled_annotations": cancelled, "is_labeled": done > 0,
            "total_predictions": sum(one["task"] == number for one in self.predictions.values()),
            "updated_by": [{"user_id": who} for who in sorted(people)], "drafts": [], "draft_exists": bool(drafts) and labels,
        }  # fmt: skip
        if labels:
            shown["annotations"] = mine
            shown["predictions"] = [one for one in self.predictions.values() if one["task"] == number]
            shown["drafts"] = [one for one in drafts if one["user"] == user]
        return shown


def parse_config(config: str) -> Json:
    """The server's own reading of a configuration. Raises ``Refused`` for what it does not take; classes may repeat."""
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise Refused(400, "Validation error", {"label_config": [str(error)]}) from None
    found: Json = {}
    for element in root.iter():
        if element.tag not in CONTROLS or not (name := element.get("name")):
            continue
        if name in found:
            raise Refused(400, "Validation error", {"non_field_errors": ["Label config contains non-unique names"]})
        values = [child.get("value") for child in element if child.tag in ("Label", "Choice")]
        found[name] = {"type": element.tag, "to_name": [element.get("toName")], "labels": values}
    return found
