"""The backend: a task of ours is one CVAT task for its images, and one for each video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import AnnotationBackend, Capabilities, Download, Receipt, Status, Task
from annobridge.core.masks import bools
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone, Rejected

from . import jobs, limits, project
from .api import Api
from .config import CvatConfig
from .connect import connect
from .filling import Filled, Part, fill
from .reading import read
from .vocabulary import Vocabulary

Json = dict[str, Any]
_TYPES = {
    "classification", "classifications", "detections", "instances", "polygons", "polylines", "keypoints", "skeletons",
    "ellipses", "cuboids", "segmentation", "scalar",
}  # fmt: skip


class CvatBackend(AnnotationBackend):
    """CVAT, from 2.15 on."""

    name = "cvat"
    Config = CvatConfig
    config: CvatConfig
    capabilities = Capabilities(
        label_types=frozenset(_TYPES),
        media_types=frozenset({"image", "video"}),
        scalar_types=frozenset({"str", "int", "float", "bool"}),
        attribute_types=frozenset({"text", "int", "float", "number", "checkbox", "select", "radio", "list"}),
        attributed_types=frozenset(_TYPES - {"scalar"}),
        values_required=frozenset({"select", "radio"}),
        class_attributes=True,
        tracks=True,
        keyframes=True,
        status=True,
    )

    def __init__(self, config: CvatConfig) -> None:
        super().__init__(config)
        self._made: set[int] = set()  # projects

    @cached_property
    def _api(self) -> Api:
        return Api(*connect(self.config))

    def close(self) -> None:
        """Release connections."""
        if "_api" in self.__dict__:
            self._api.http.close()

    # --- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:
        """Look at what the schema and the options ask for beyond the capabilities, and whether the server has it."""
        found = list(limits.of_schema(schema, samples, self.config))
        if found:
            return found
        self._api.http.get("/api/tasks", {"page_size": 1})  # an organization without rights is refused here
        found += [
            f"CVAT has no user {name!r}, or you may not see them; correct the name (is the `organization` given?)."
            for name, number in self._users().items()
            if number is None
        ]
        if there := project.find(self._api, self.config):
            vocabulary = Vocabulary.of(schema, self.config.builtin())
            found += project.problems(self._api, there, vocabulary, may_add=self.config.update_project)
        return found

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that CVAT cannot hold."""
        return limits.of_task(task, self.config)

    def _users(self) -> dict[str, int | None]:
        names = {*self.config.job_assignees, *filter(None, [self.config.task_assignee])}
        return {name: self._api.user(name) for name in sorted(names)}

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Make the CVAT tasks, unless they were made already."""
        if wrong := list(self.check_task(task)):  # a run that is resumed may have got such values meanwhile
            raise Rejected("\n  - ".join(["cvat: some values cannot be sent:", *wrong]))
        vocabulary = Vocabulary.of(task.schema, self.config.builtin())
        number = self._project(vocabulary)
        users = {name: n for name, n in self._users().items() if n is not None}
        filled = [fill(self._api, p, vocabulary, self.config, number, users) for p in self._parts(task)]
        state = {
            "tasks": [_stored(one) for one in filled],
            "project": number if number in self._made else None,
            "scalars": _scalar_types(task),
        }
        return Receipt(task.name, state, pa.concat_tables([one.baseline for one in filled]))

    def _parts(self, task: Task) -> Iterator[Part]:
        samples, title = task.samples, self._title(task.name)
        is_video = bools(pc.equal(samples["media_type"], "video"))
        images = samples.filter(pa.array(~is_video))
        if images.num_rows:
            yield Part(title, images, _of(task.labels, images), task.media)
        for row in np.flatnonzero(is_video).tolist():
            one = samples.slice(row, 1)
            yield Part(f"{title} video {row + 1}", one, _of(task.labels, one), task.media)

    def _title(self, name: str) -> str:
        return f"{self.config.task_name} ({name})" if self.config.task_name else name

    def _project(self, vocabulary: Vocabulary) -> int | None:
        there = project.find(self._api, self.config)
        if there is None and self.config.project_name is not None:
            there = project.make(self._api, self.config.project_name, vocabulary, self.config.issue_tracker)
            self._made.add(there)
        elif there is not None and self.config.update_project:
            project.complete(self._api, there, vocabulary)
        return there

    # --- afterwards -------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now."""
        found, gone = [], []
        for one in receipt.state["tasks"]:
            try:
                found.append(read(self._api, one, receipt, self.config))
            except Gone as e:
                gone.append(f"The CVAT task {one['task']} is not on the server any more, and brought nothing: {e}")
        if not found:
            raise Gone(gone[0])
        samples = pa.concat_arrays([one.samples for one in found])
        notes = [*gone, *(note for one in found for note in one.notes)]
        return Download(pa.concat_tables([one.labels for one in found]), samples, tuple(notes))

    def status(self, receipt: Receipt) -> Status:
        """Frames by the state of their job."""
        tasks = [one["task"] for one in receipt.state["tasks"]]
        states = {self._api.task(task)["status"] for task in tasks}
        work = [job for task in tasks for job in self._api.jobs(task)]
        rows = tuple(
            {"name": f"job {job['id']}, {job['type']}", "state": f"{job['stage']}, {job['state']}", "assignee": jobs.who(job),
             "url": self._page(job)}
            for job in work
        )  # fmt: skip
        return Status(states.pop() if len(states) == 1 else "annotation", jobs.progress(work), rows)

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page of the first job."""
        return self._page(self._api.jobs(receipt.state["tasks"][0]["task"])[0])

    def _page(self, job: Json) -> str:
        return f"{self.config.url.rstrip('/')}/tasks/{job['task_id']}/jobs/{job['id']}"

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The CVAT tasks that an unanswered upload left."""
        title = self._title(task_name)
        there = [t for t in self._api.all("/api/tasks", search=task_name) if t["name"].startswith(title)]
        return {"tasks": [{"task": t["id"]} for t in there], "project": None} if there else None

    def delete(self, receipt: Receipt) -> None:
        """Remove the CVAT tasks, and a project that the run made once it is empty."""
        for one in receipt.state["tasks"]:
            self._api.remove("tasks", one["task"])
        if number := receipt.state["project"]:
            project.remove_if_empty(self._api, number)


def _of(labels: pa.Table, samples: pa.Table) -> pa.Table:
    return labels.filter(
        pc.is_in(labels["sample_id"], value_set=samples["sample_id"].combine_chunks())
    ).combine_chunks()


def _stored(filled: Filled) -> Json:
    return {
        "task": filled.task,
        "samples": filled.samples,
        "vocabulary": filled.vocabulary.to_dict(),
    }


def _scalar_types(task: Task) -> dict[str, str]:
    """The attribute type of each scalar field, as its values say; text, if they say nothing or several things."""
    found = {}
    for spec in task.schema.fields.values():
        rows = task.labels.filter(pc.equal(task.labels["field"], spec.name)) if spec.type == "scalar" else None
        kinds = {type(json.loads(t)) for t in pc.unique(rows["value"]).to_pylist()} if rows is not None else set()
        names = {bool: "checkbox", int: "int", float: "float"}
        if kinds and kinds <= {int, float}:
            found[spec.name] = names[kinds.pop()] if len(kinds) == 1 else "number"
        elif kinds == {bool}:
            found[spec.name] = "checkbox"
    return found
