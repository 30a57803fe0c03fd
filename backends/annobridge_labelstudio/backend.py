"""The backend: a run is a project, or a part of one, and each of its images is a task there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import (
    AnnotationBackend,
    Answer,
    Capabilities,
    Download,
    Edits,
    FoundTask,
    Pushed,
    Receipt,
    Status,
    Task,
)  # fmt: skip
from annobridge.backend.kit import attribute_type, value_types
from annobridge.core.schema import LabelSchema
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.label_config import parse
from annobridge.formats.labelstudio.layout import SHAPED, Layout
from annobridge.spill.temporary import file_of

from . import adoption, download, push, upload
from .answers import read_answers
from .api import Api, connect, named
from .config import LabelStudioConfig


class LabelStudioBackend(AnnotationBackend):
    """Label Studio, by its REST API. Images only."""

    name = "labelstudio"
    Config = LabelStudioConfig
    config: LabelStudioConfig
    capabilities = Capabilities(
        label_types=SHAPED | {"classification", "classifications", "scalar"},
        scalar_types=frozenset({"str", "int", "float", "bool"}),
        attribute_types=frozenset({"text", "int", "float", "number", "checkbox", "select", "radio", "list"}),
        values_required=frozenset({"select", "radio"}),
        attributed_types=SHAPED,
        class_attributes=True,
        status=True, reviewed=True, answers=True, push=True, adopt=True,
        editor_limits={
            **dict.fromkeys(("polygons", "polylines"), "each part of one is a region by itself, and new ones have one part."),
            "keypoints": "each point is a region, and a new one is a label of one point.",
        },
    )  # fmt: skip

    @cached_property
    def _api(self) -> Api:
        return Api(connect(self.config))

    def close(self) -> None:
        """Close the connections."""
        if "_api" in self.__dict__:
            self._api.http.close()

    @property
    def needs_whole_files(self) -> bool:
        """Only what is uploaded is read."""
        return self.config.media == "upload"

    def _layout(self, schema: LabelSchema, scalars: Mapping[str, set[type]]) -> Layout:
        return Layout(schema, self.config.controls, {name: attribute_type(types) for name, types in scalars.items()})

    # --- checks -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:
        """Log in, and compare the schema with the project that is to be joined, and the images with the options."""
        self._api.check_login()
        layout = self._layout(schema, {})
        project = named(self._api, self.config.project) if self.config.project else None
        problems = [*layout.problems(), *upload.address_problems(samples, self.config)]
        return [*problems, *(layout.misfits(parse(project["label_config"]), project["title"]) if project else ())]

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that Label Studio would not give back as they are."""
        layout = self._layout(task.schema, value_types(task))
        project = upload.project_of(self._api, self.config, task.name)
        found = parse(project["label_config"] if project else layout.config())
        return codec.misfits(task.labels, task.samples, layout, found)

    # --- the work ---------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Make those tasks of Label Studio that are not there yet."""
        return upload.upload(self._api, self.config, task, self._layout(task.schema, value_types(task)))

    def download(self, receipt: Receipt) -> Download:
        """The labels of the annotation of each image that counts."""
        return download.download(self._api, self.config, receipt)

    def answers(self, receipt: Receipt) -> Iterable[Answer]:
        """The annotations of each person."""
        return read_answers(self._api, self.config, receipt)

    def status(self, receipt: Receipt) -> Status:
        """How many images people have annotated, as far as the list of tasks says."""
        tasks = list(download.tasks_of(self._api, receipt))
        counts = Counter(download.state_of(task, receipt.state) for task in tasks)
        reviewed = counts[download.ANNOTATED]
        mark = f"{max((task['updated_at'] for task in tasks), default='')} {len(tasks)}"
        return Status("annotation" if reviewed < len(tasks) else "finished", counts, reviewed=reviewed, mark=mark)

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page with the tasks of the project."""
        return f"{self._api.http.url}/projects/{receipt.state['project']}/data"

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The tasks that an unanswered upload left."""
        project = upload.project_of(self._api, self.config, task_name)
        if project is None:
            return None
        tasks, own = upload.sent(self._api, project["id"], task_name), self.config.project is None
        return {"project": project["id"], "own": own, "tasks": tasks} if own or tasks else None

    def delete(self, receipt: Receipt) -> None:
        """Delete the tasks, and with its last tasks the project, if a run made it. One that was adopted stays."""
        state = receipt.state
        if not state.get("adopted"):
            self._api.delete_tasks(state["project"], [int(number) for number in state["tasks"]])
            if state["own"] and upload.is_empty(self._api, state["project"]):
                self._api.http.delete(f"/api/projects/{state['project']}/")

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels in the annotations that count."""
        found = parse(self._api.project(receipt.state["project"])["label_config"])
        return push.push(self._api, self.config, receipt, edits, found)

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterable[FoundTask]:
        """Projects, by id or title."""
        return adoption.find(self._api, tasks or [project or ""])

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt for a project that others have made."""
        return adoption.adopt(found, self.config, schema, sample_ids)

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """An image, as the server has it. Raises ``Rejected`` for one that is elsewhere."""
        return file_of(self._api.http.stream(found.state["addresses"][number]))

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:
        """The id of the project."""
        return frozenset([str(receipt.state["project"])] if "project" in receipt.state else [])
