"""The backend: a task of ours is one CVAT task for its images, and one for each video."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import AnnotationBackend, Capabilities, Download, Receipt, Status, Task
from annobridge.backend.kit import attribute_type, value_types
from annobridge.core.arrays import as_mask
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
_PLAIN = re.compile(r"[\w.-]{1,64}", re.ASCII)
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
        self._scalars: dict[str, set[type]] = {}  # of each scalar field, the types of the values that were checked

    @cached_property
    def _api(self) -> Api:
        return Api(*connect(self.config))

    @property
    def needs_whole_files(self) -> bool:
        """Not where the server reads its share or its cloud storage."""
        return self.config.media in ("upload", "archive")

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
            found += project.problems(self._api, there["id"], vocabulary, may_add=self.config.update_project)
        return found

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that CVAT cannot hold."""
        for field, types in value_types(task).items():
            self._scalars.setdefault(field, set()).update(types)
        return limits.of_task(task, self.config)

    def _users(self) -> dict[str, int | None]:
        names = {*self.config.job_assignees, *filter(None, [self.config.task_assignee])}
        return {name: self._api.user(name) for name in sorted(names)}

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Make the CVAT tasks, unless they were made already."""
        vocabulary = Vocabulary.of(task.schema, self.config.builtin())
        number, is_made = self._project(vocabulary, _run_of(task.name))
        users = {name: n for name, n in self._users().items() if n is not None}
        try:
            filled = self._filled(task, vocabulary, number, users)
        except Rejected:
            if is_made and number:
                project.remove_if_empty(self._api, number)
            raise
        state = {
            "tasks": [_stored(one) for one in filled],
            "project": number if is_made else None,
            "scalars": {
                name: attribute_type(types or self._scalars.get(name, ())) for name, types in value_types(task).items()
            },
        }
        unsent = pa.concat_arrays([one.unsent for one in filled])
        return Receipt(task.name, state, pa.concat_tables([one.baseline for one in filled]), unsent)

    def _filled(self, task: Task, vocabulary: Vocabulary, number: int | None, users: Mapping[str, int]) -> list[Filled]:
        """All parts of a task. Where some are refused for their samples, the others are filled before the error is raised."""
        filled: list[Filled] = []
        refused: list[Rejected] = []
        for part in self._parts(task):
            try:
                filled.append(fill(self._api, part, vocabulary, self.config, number, users))
            except Rejected as e:
                if not e.samples:  # it is about the others, too
                    raise
                refused.append(e)
        if refused:
            samples = tuple(sample for e in refused for sample in e.samples)
            raise Rejected("\n  - ".join(map(str, refused)), refused[0].status, refused[0].detail, samples)
        return filled

    def _parts(self, task: Task) -> Iterator[Part]:
        samples, title = task.samples, self._title(task.name)
        is_video = as_mask(pc.equal(samples["media_type"], "video"))
        images = samples.filter(pa.array(~is_video))
        if images.num_rows:
            yield Part(title, images, _of(task.labels, images), task.media)
        for row in np.flatnonzero(is_video).tolist():
            one = samples.slice(row, 1)
            sample = one["sample_id"][0].as_py()
            yield Part(f"{title} video {_name_of(sample)}", one, _of(task.labels, one), task.media)

    def _title(self, name: str) -> str:
        return f"{self.config.task_name} ({name})" if self.config.task_name else name

    def _project(self, vocabulary: Vocabulary, run: str) -> tuple[int | None, bool]:
        """The number of the project to work in, and whether the run made it, now or before it was cut off."""
        there = project.find(self._api, self.config, run)
        if there is None and self.config.project_name is not None:
            name, tracker = self.config.project_name, self.config.issue_tracker
            there = project.make(self._api, name, vocabulary, tracker, run)
        elif there is not None and self.config.update_project:
            project.complete(self._api, there["id"], vocabulary)
        return (there["id"], project.is_made_by(there, run)) if there else (None, False)

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
        """Frames by the state of their job. A CVAT task that is gone is listed among the jobs."""
        states: set[str] = set()
        work: list[Json] = []
        rows: list[Mapping[str, str | None]] = []
        gone: Gone | None = None
        for task in [one["task"] for one in receipt.state["tasks"]]:
            try:
                states.add(self._api.task(task)["status"])
            except Gone as e:
                rows.append({"name": f"task {task}", "state": "gone", "assignee": None, "url": None})
                gone = e
                continue
            found = self._api.jobs(task)
            work += found
            rows += map(self._shown, found)
        if not states and gone:
            raise gone
        return Status(states.pop() if len(states) == 1 else "annotation", jobs.progress(work), tuple(rows))

    def _shown(self, job: Json) -> Mapping[str, str | None]:
        name, state = f"job {job['id']}, {job['type']}", f"{job['stage']}, {job['state']}"
        return {"name": name, "state": state, "assignee": jobs.who(job), "url": self._page(job)}

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page of the first job that is there."""
        found = (job for one in receipt.state["tasks"] for job in self._api.jobs(one["task"]))
        return next(map(self._page, found), None)

    def _page(self, job: Json) -> str:
        return f"{self.config.url.rstrip('/')}/tasks/{job['task_id']}/jobs/{job['id']}"

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The CVAT tasks that an unanswered upload left, and the project that it made."""
        title, run = self._title(task_name), _run_of(task_name)
        there = [t for t in self._api.tasks_like(task_name) if t["name"].startswith(title)]
        home = project.find(self._api, self.config, run) if self.config.project_name else None
        made = home["id"] if home and project.is_made_by(home, run) else None
        return {"tasks": [{"task": t["id"]} for t in there], "project": made} if there or made else None

    def delete(self, receipt: Receipt) -> None:
        """Remove the CVAT tasks, and a project that the run made once it is empty."""
        for one in receipt.state["tasks"]:
            self._api.remove("tasks", one["task"])
        if number := receipt.state["project"]:
            project.remove_if_empty(self._api, number)


def _name_of(sample_id: str) -> str:
    """A sample's part of the name of its video's task, which is the same whatever other samples are sent with it."""
    return sample_id if _PLAIN.fullmatch(sample_id) else hashlib.sha256(sample_id.encode()).hexdigest()[:16]


def _of(labels: pa.Table, samples: pa.Table) -> pa.Table:
    return labels.filter(
        pc.is_in(labels["sample_id"], value_set=samples["sample_id"].combine_chunks())
    ).combine_chunks()


def _stored(filled: Filled) -> Json:
    return {
        "task": filled.task,
        "project": filled.project,
        "samples": filled.samples,
        "vocabulary": filled.vocabulary.to_dict(),
    }


def _run_of(task_name: str) -> str:
    """What the names of a run's tasks have in common: all but the number."""
    return task_name.rpartition("-")[0]
