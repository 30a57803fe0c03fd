"""The backend: each task of annobridge becomes one CVAT task for its images, and one for each of its videos."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import (
    AnnotationBackend,
    Answer,
    Capabilities,
    Download,
    Edits,
    FoundTask,
    Pushed,
    Receipt,
    SentBack,
    Status,
    Task,
    Terms,
)
from annobridge.backend.kit import attribute_type, value_types
from annobridge.core.arrays import as_mask
from annobridge.core.media import VIDEO
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone, Rejected

from . import answers, checks, found_tasks, issues, jobs, project, push, reviewed
from .api import Api
from .config import CvatConfig
from .connect import connect
from .download import download_all
from .upload import TaskPart, UploadedPart, upload_part
from .vocabulary import Vocabulary

Json = dict[str, Any]
_VIDEO = re.compile(VIDEO, re.IGNORECASE)
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
        comments=True,
        send_back=True,
        reviewed=True,
        push=True,
        adopt=True,
        answers=True,
        parallel_uploads=2,
        parallel_downloads=2,
    )

    def __init__(self, config: CvatConfig) -> None:
        super().__init__(config)
        self._scalars: dict[str, frozenset[type]] = {}  # the types of each scalar field, in all tasks that were checked
        self._connecting, self._shared = threading.Lock(), threading.Lock()
        self._connected: Api | None = None
        self._uploads = 0  # that are under way

    @property
    def _api(self) -> Api:
        with self._connecting:
            if self._connected is None:
                self._connected = Api(*connect(self.config))
            return self._connected

    @property
    def needs_whole_files(self) -> bool:
        """False where the server reads the files from its share or cloud storage."""
        return self.config.media in ("upload", "archive")

    def close(self) -> None:
        """Release connections."""
        with self._connecting:
            connected, self._connected = self._connected, None
        if connected is not None:
            connected.close()

    # --- checks -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:
        """Check the schema and the options beyond the capabilities, and whether the server has the users and the project."""
        found = list(checks.schema_problems(schema, samples, self.config))
        if found:
            return found
        self._api.http.get("/api/tasks", {"page_size": 1})  # refused for an organization without rights
        found += checks.server_problems(self._api.version, self.config)
        found += [
            f"CVAT has no user {name!r}, or you may not see them; correct the name (is the `organization` given?)."
            for name, number in self._users().items()
            if number is None
        ]
        if existing := project.find(self._api, self.config):
            vocabulary = Vocabulary.of(schema, self.config.builtin())
            found += project.problems(self._api, existing["id"], vocabulary, may_add=self.config.update_project)
        return found

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that CVAT cannot store."""
        with self._shared:
            for field, types in value_types(task).items():
                self._scalars[field] = self._scalars.get(field, frozenset()) | types
        return checks.task_problems(task, self.config)

    def _users(self) -> dict[str, int | None]:
        names = {*self.config.job_assignees, *filter(None, [self.config.task_assignee])}
        return {name: self._api.user(name) for name in sorted(names)}

    # --- upload -----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Create the CVAT tasks, except those that an earlier call has created."""
        vocabulary = Vocabulary.of(task.schema, self.config.builtin())
        with self._in_project(vocabulary, _run_of(task.name)) as (project_id, is_own):
            users = {name: number for name, number in self._users().items() if number is not None}
            uploaded = self._upload_parts(task, vocabulary, project_id, users)
        state = {
            "tasks": [_stored(part) for part in uploaded],
            "project": project_id if is_own else None,
            "scalars": {
                name: attribute_type(types or self._scalars.get(name, ())) for name, types in value_types(task).items()
            },
        }
        unsent = pa.concat_arrays([part.unsent for part in uploaded])
        baseline = pa.concat_tables([part.baseline for part in uploaded])
        return Receipt(task.name, state, baseline, unsent, tuple(self._notes(baseline)))

    def _notes(self, baseline: pa.Table) -> Iterator[str]:
        if (replicas := self.config.consensus_replicas) and baseline.num_rows:
            yield (
                f"The {baseline.num_rows} labels that were sent are in the jobs of the type «annotation» only; the {replicas} "
                "replicas of each begin empty."
            )

    def _upload_parts(
        self, task: Task, vocabulary: Vocabulary, project_id: int | None, users: Mapping[str, int]
    ) -> list[UploadedPart]:
        """Upload all parts of a task. If some are refused because of their samples, the others are uploaded before the error is
        raised, with the samples of all refused parts.
        """
        uploaded: list[UploadedPart] = []
        refused: list[Rejected] = []
        for part in self._parts(task):
            try:
                uploaded.append(upload_part(self._api, part, vocabulary, self.config, project_id, users))
            except Rejected as e:
                if not e.samples:  # it holds for the other parts, too
                    raise
                refused.append(e)
        if refused:
            samples = tuple(sample for e in refused for sample in e.samples)
            raise Rejected("\n  - ".join(map(str, refused)), refused[0].status, refused[0].detail, samples)
        return uploaded

    def _parts(self, task: Task) -> Iterator[TaskPart]:
        samples, title = task.samples, self._title(task.name)
        is_video = as_mask(pc.equal(samples["media_type"], "video"))
        images = samples.filter(pa.array(~is_video))
        if images.num_rows:
            yield TaskPart(title, images, _labels_on(task.labels, images), task.media)
        for row in np.flatnonzero(is_video).tolist():
            video = samples.slice(row, 1)
            name = _name_of(video["sample_id"][0].as_py())
            yield TaskPart(f"{title} video {name}", video, _labels_on(task.labels, video), task.media)

    def _title(self, name: str) -> str:
        return f"{self.config.task_name} ({name})" if self.config.task_name else name

    @contextmanager
    def _in_project(self, vocabulary: Vocabulary, run: str) -> Iterator[tuple[int | None, bool]]:
        """The project for the block to create tasks in, as ``_project`` has it. If the block is refused, the project that the run
        has made is removed, unless it has tasks, or another thread is about to create some.
        """
        with self._shared:
            number, is_own = self._project(vocabulary, run)
            self._uploads += 1
        is_refused = False
        try:
            yield number, is_own
        except Rejected:
            is_refused = True
            raise
        finally:
            with self._shared:
                self._uploads -= 1
                if number and is_own and is_refused and not self._uploads:
                    project.remove_if_empty(self._api, number)

    def _project(self, vocabulary: Vocabulary, run: str) -> tuple[int | None, bool]:
        """The id of the project to create tasks in, if any, and whether the run has made it, now or in an earlier attempt."""
        found = project.find(self._api, self.config, run)
        if found is None and self.config.project_name is not None:
            name, tracker = self.config.project_name, self.config.issue_tracker
            found = project.create(self._api, name, vocabulary, tracker, run)
        elif found is not None and self.config.update_project:
            project.add_missing(self._api, found["id"], vocabulary)
        return (found["id"], project.is_made_by(found, run)) if found else (None, False)

    # --- download ---------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """The labels as they are now. A CVAT task that was deleted is left out, with a note."""
        return download_all(self._api, receipt, self.config, self._job_url)

    def answers(self, receipt: Receipt) -> Iterable[Answer]:
        """What each person has made of the jobs that are theirs. A CVAT task that was deleted is left out, with a note."""
        return answers.read_answers(self._api, receipt, self.config)

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """An issue at the place of each refusal, in jobs that are rejected. What is on a CVAT task that was deleted is left out."""
        placed, existing, notes = 0, 0, list[str]()
        gone: Gone | None = None
        shown = pa.array([s for stored in receipt.state["tasks"] for s in stored["samples"]], pa.string())
        is_shown = pc.is_in(refusals["sample_id"], value_set=shown)
        left_out = refusals.filter(pc.invert(is_shown))["change_id"].chunks
        for stored in receipt.state["tasks"]:
            samples = pa.array(stored["samples"], pa.string())
            of_task = refusals.filter(pc.is_in(refusals["sample_id"], value_set=samples)).combine_chunks()
            if not of_task.num_rows:
                continue
            try:
                done = issues.send_back(self._api, stored, of_task)
            except Gone as e:
                gone = e
                left_out += of_task["change_id"].chunks
                notes.append(f"The CVAT task {stored['task']} is not on the server any more: {e}")
                continue
            placed, existing = placed + done.placed, existing + done.existing
            left_out.append(done.left_out)
            notes += done.notes
        if gone and len(pa.chunked_array(left_out, pa.string())) == refusals.num_rows:
            raise gone
        return SentBack(placed, existing, pa.concat_arrays([pa.array([], pa.string()), *left_out]), tuple(notes))

    # --- push -------------------------------------------------------------------------------------------------------

    def check_push(self, receipt: Receipt) -> Iterable[str]:
        """Tasks that were deleted, whose frames are others, or that the user may not change."""
        return push.problems(self._api, receipt)

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels in the CVAT tasks. Those of a CVAT task that was deleted are left out."""
        if problems := list(checks.task_problems(edits.task, self.config)):
            raise Rejected("\n  - ".join(["cvat: some values cannot be pushed:", *problems]))
        return push.push_all(self._api, receipt, edits)

    # --- adopt ------------------------------------------------------------------------------------------------------

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
        """Tasks by their ids or names, or all of a project."""
        return found_tasks.find(self._api, tasks, project)

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state with which a task that was found is loaded, and pushed to, as one that was uploaded."""
        return found_tasks.adopt(self._api, found, schema, sample_ids, self.config.builtin())

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """The original file of an image."""
        return found_tasks.read_media(self._api, found, number)

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:
        """The ids of the CVAT tasks."""
        return frozenset(str(stored["task"]) for stored in receipt.state["tasks"])

    # --- progress ---------------------------------------------------------------------------------------------------

    def status(self, receipt: Receipt) -> Status:
        """Counts of frames by the state of their job. A CVAT task that was deleted is listed among the jobs."""
        tasks: list[Json] = []
        all_jobs: list[Json] = []
        rows: list[Mapping[str, str | int | None]] = []
        number_reviewed = 0
        gone: Gone | None = None
        for stored in receipt.state["tasks"]:
            try:
                tasks.append(self._api.task(stored["task"]))
            except Gone as e:
                rows.append({"name": f"task {stored['task']}", "state": "gone", "assignee": None, "url": None})
                gone = e
                continue
            found = jobs.without_overlap(self._api.jobs(stored["task"]))
            all_jobs += found
            number_reviewed += reviewed.number_reviewed([job for job in found if jobs.is_regular(job)], stored)
            rows += [self._job_row(job, stored) for job in found]
        if not tasks and gone:
            raise gone
        states = {task["status"] for task in tasks}
        return Status(
            states.pop() if len(states) == 1 else "annotation", jobs.frames_by_state(all_jobs), tuple(rows),
            number_reviewed, reviewed.mark(tasks, all_jobs),
        )  # fmt: skip

    def _job_row(self, job: Json, stored: Json) -> Mapping[str, str | int | None]:
        name, counts = f"job {job['id']}, {job['type']}", reviewed.counts(job, stored) if jobs.is_regular(job) else {}
        row = {"name": name, "state": reviewed.words(job), "assignee": jobs.assignee(job), "url": self._job_url(job)}
        return row | counts

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page of the first job."""
        found = (job for stored in receipt.state["tasks"] for job in self._api.jobs(stored["task"]))
        return next(map(self._job_url, found), None)

    def _job_url(self, job: Json) -> str:
        return f"{self.config.url.rstrip('/')}/tasks/{job['task_id']}/jobs/{job['id']}"

    @classmethod
    def file_names(cls, receipt: Receipt) -> Mapping[str, str]:
        """The names that files got when they were sent (runs of earlier versions did not record them), and those of frames, which
        "CVAT for video" has instead. Names of frames are left out where several tasks are of images, as each has the same.
        """
        tasks = receipt.state["tasks"]
        names = {name: sample for t in tasks for name, sample in zip(t.get("names", ()), t["samples"], strict=False)}
        images = [t["samples"] for t in tasks if not _VIDEO.search((t.get("names") or [""])[0])]
        if len(images) == 1:
            names |= {f"frame_{frame:06d}": sample for frame, sample in enumerate(images[0])}
        return {name: sample for name, sample in names.items() if sample is not None}

    @classmethod
    def file_terms(cls, receipt: Receipt) -> Terms:
        """The names of CVAT's labels for classes of several fields, and its properties that are attributes here."""
        classes, attributes = dict[str, str](), dict[str, str]()
        for t in receipt.state["tasks"]:
            for entry in Vocabulary.from_dict(t["vocabulary"]).entries if "vocabulary" in t else ():
                if entry.label is not None and entry.name != entry.label:
                    classes[entry.name] = entry.label
                attributes |= {key: name for name, key in entry.builtin.items() if key != name}
        return Terms(classes, attributes)

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The CVAT tasks and the project that an upload without a receipt has created."""
        title, run = self._title(task_name), _run_of(task_name)
        tasks = [t for t in self._api.tasks_containing(task_name) if t["name"].startswith(title)]
        found = project.find(self._api, self.config, run) if self.config.project_name else None
        own = found["id"] if found and project.is_made_by(found, run) else None
        return {"tasks": [{"task": t["id"]} for t in tasks], "project": own} if tasks or own else None

    def delete(self, receipt: Receipt) -> None:
        """Delete the CVAT tasks, and the project if the run has made it and it is empty then."""
        for stored in receipt.state["tasks"]:
            self._api.delete("tasks", stored["task"])
        if project_id := receipt.state["project"]:
            project.remove_if_empty(self._api, project_id)


def _name_of(sample_id: str) -> str:
    """A video's part of the name of its CVAT task. It depends on nothing but the sample, so that a retry finds the task again."""
    return sample_id if _PLAIN.fullmatch(sample_id) else hashlib.sha256(sample_id.encode()).hexdigest()[:16]


def _labels_on(labels: pa.Table, samples: pa.Table) -> pa.Table:
    return labels.filter(
        pc.is_in(labels["sample_id"], value_set=samples["sample_id"].combine_chunks())
    ).combine_chunks()


def _stored(part: UploadedPart) -> Json:
    return {
        "task": part.task,
        "project": part.project,
        "samples": part.samples,
        "names": part.names,
        "vocabulary": part.vocabulary.to_dict(),
    }


def _run_of(task_name: str) -> str:
    """The name of a run's task without its number at the end, which the tasks of a run have in common."""
    return task_name.rpartition("-")[0]
