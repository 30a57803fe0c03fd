"""The backend: a task of ours is a dataset in the run's project, or a file for a person to upload."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import AnnotationBackend, Capabilities, Download, Receipt, Status, Task
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Rejected

from . import files, filling, images, labelconfig, limits, reading
from .api import Api
from .config import DatagymConfig
from .connect import connect
from .exports import Export
from .places import Places
from .vocabulary import Vocabulary

_TYPES = {
    "classification",
    "classifications",
    "detections",
    "instances",
    "polygons",
    "polylines",
    "keypoints",
    "scalar",
}


class DatagymBackend(AnnotationBackend):
    """DataGym, hosted or open-core, over its API or by files."""

    name = "datagym"
    Config = DatagymConfig
    config: DatagymConfig
    capabilities = Capabilities(
        label_types=frozenset(_TYPES),
        scalar_types=frozenset({"str", "int", "float", "bool"}),
        attribute_types=frozenset({"text", "int", "float", "number", "checkbox", "select", "radio", "list"}),
        attributed_types=frozenset(_TYPES - {"scalar", "classifications"}),
        values_required=frozenset({"select", "radio"}),
        class_attributes=True,
        status=True,
    )

    def __init__(self, config: DatagymConfig) -> None:
        super().__init__(config)
        self._export: Export | None = None
        self._served: set[str] = set()
        self._longest: dict[str, dict[str, int]] = {}
        self._there: list[dict[str, Any]] = []  # the label configuration that is used as it is

    @cached_property
    def _api(self) -> Api:
        return connect(self.config)

    @cached_property
    def _places(self) -> Places:
        return Places(self._api, self.config)

    @cached_property
    def _media_ids(self) -> dict[str, str | None] | None:
        return files.media_ids(self.config.media_ids) if self.config.media_ids is not None else None

    @property
    def _by_hand(self) -> bool:
        return self.config.transport == "files"

    def close(self) -> None:
        """Release connections, and the export that was read."""
        if "_api" in self.__dict__:
            self._api.http.close()
        if self._export is not None:
            self._export.close()
            self._export = None

    # --- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:
        """Look at what the schema and the options ask for, and whether the project can take it."""
        found = limits.of_schema(schema, samples, self.config)
        if not found and self._by_hand:
            found += files.taken(self.config.folder or ".", Vocabulary.of(schema, self.config))
        if found or self._by_hand:
            return found
        project = self._places.project_of("") if self._places.names_project else None
        if project is None:
            if self._api.v1 or self.config.project_id is not None:
                found.append(self._places.no_project())
            return found
        if project["mediaType"] != "IMAGE":
            return [f"The project {project['name']!r} is one of videos; give one of images."]
        vocabulary = Vocabulary.of(schema, self.config)
        there = labelconfig.read(self._api, project) or []
        if not self.config.replace_config_and_delete_all_labels:
            self._longest = labelconfig.longest(there)
            self._there = [] if labelconfig.adds(self.config, v1=self._api.v1) else there
        return list(labelconfig.problems(project["name"], there, vocabulary, self.config, v1=self._api.v1))

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that DataGym cannot hold, and images that it shows otherwise than its server has them."""
        yield from self._misfits(task)
        headers = images.headers(task)
        yield from images.turned(task, headers)
        if self.config.on_rejected == "stop":  # else they are refused when they are to be sent, and left out
            yield from images.foreign(task, headers)

    def _misfits(self, task: Task) -> Iterable[str]:
        vocabulary = Vocabulary.of(task.schema, self.config).fitted(self._there)
        yield from limits.of_task(task, vocabulary, self.config, self._longest)
        if self._by_hand:
            yield from files.problems(task, self._media_ids)

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Make the dataset, its images, tasks and labels; or write the files."""
        if wrong := list(self._misfits(task)):  # a run that is resumed may have got such values meanwhile
            raise Rejected("\n  - ".join(["datagym: some values cannot be sent:", *wrong]))
        images.require_formats(task, images.headers(task))
        vocabulary = Vocabulary.of(task.schema, self.config, _scalar_types(task))
        if self._by_hand:
            return files.write(task, vocabulary, self.config, self._media_ids)
        try:
            state, baseline = filling.fill(self._api, self._places, task, vocabulary, self.config)
        except BaseException:
            self._places.forget()
            raise
        return Receipt(task.name, state, baseline)

    # --- afterwards -------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now, of images that are finished."""
        if self._by_hand:
            return files.read(receipt, self._fresh(receipt), self.config)
        return reading.of_server(self._api, self._places, receipt, self.config, lambda: self._fresh(receipt))

    def _fresh(self, receipt: Receipt) -> Export:
        """The export, which is that of a whole project: read once for all tasks of a load, and anew when one is asked for again."""
        if self._export is None or receipt.task in self._served:
            if self._export is not None:
                self._export.close()
                self._export = None
            self._served = set()
            self._export = (
                files.open_export(self.config.path)
                if self._by_hand
                else Export(self._api.export(receipt.state["project"]), "the server's export", "Try again.")
            )
        self._served.add(receipt.task)
        return self._export

    def status(self, receipt: Receipt) -> Status:
        """Images by the state of their task."""
        if self._by_hand:
            return Status()
        self._places.require(receipt.state)
        tasks = filling.tasks_by_image(self._api, receipt.state["project"])
        if not tasks:  # older hosted servers show none
            return Status()
        counts = Counter(tasks[m]["labelTaskState"].lower() for m in receipt.state["media"] if m in tasks)
        done = {s.lower() for s in reading.FINISHED}
        waiting = sum(n for state, n in counts.items() if state not in done)
        state = "annotation" if waiting else "finished"
        return Status("backlog" if waiting and waiting == counts["backlog"] else state, dict(counts))

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page with the project's tasks."""
        if self._by_hand:
            return None
        return f"{self.config.url.rstrip('/')}/projects/details/{receipt.state['project']}/tasks"

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """What an unanswered upload left."""
        if self._by_hand:
            folder = Path(self.config.folder or ".").expanduser()
            return {"folder": str(folder)} if files.labels_file(folder, task_name).exists() else None
        project, dataset = self._places.project_of(task_name), self._places.dataset(task_name)
        if project is None and dataset is None:
            return None
        return {
            "project": project and project["id"],
            "dataset": dataset and dataset["id"],
            "own_project": not self._places.names_project,
        }

    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset with its tasks, and the run's own project with the last of them."""
        if self._by_hand:
            files.delete(receipt)
            return
        self._places.remove(receipt.state)


def _scalar_types(task: Task) -> dict[str, str]:
    """The attribute type of each scalar field, as its values say; text, if they say nothing or several things."""
    found = {}
    for spec in task.schema.fields.values():
        rows = task.labels.filter(pc.equal(task.labels["field"], spec.name)) if spec.type == "scalar" else None
        kinds = {type(json.loads(t)) for t in pc.unique(rows["value"]).to_pylist()} if rows is not None else set()
        known = {bool: "checkbox", int: "int", float: "float"}
        if kinds and kinds <= {int, float}:
            found[spec.name] = known[kinds.pop()] if len(kinds) == 1 else "number"
        elif kinds == {bool}:
            found[spec.name] = "checkbox"
    return found
