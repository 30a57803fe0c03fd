"""The DataGym backend: a task is a dataset in the run's project, or a file that a person uploads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import AnnotationBackend, Capabilities, Download, FoundTask, Receipt, SentBack, Status, Task
from annobridge.backend.kit import attribute_type, value_types
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Rejected

from . import adoption, checks, download, file_transport, images, label_config, send_back, upload
from .api import Api
from .config import DatagymConfig
from .connect import connect
from .exports import Export
from .projects import Projects
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
    """DataGym, hosted or open-core, by its API or by files."""

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
        send_back=True,
        reviewed=True,
        adopt=True,
    )

    def __init__(self, config: DatagymConfig) -> None:
        super().__init__(config)
        self._export: Export | None = None
        self._loaded: set[str] = set()  # the tasks that the export was used for
        self._tasks: Mapping[str, Any] | None = None
        self._listed: set[str] = set()  # the tasks that the list was used for
        self._text_limits: dict[str, dict[str, int]] = {}
        self._existing: list[dict[str, Any]] = []  # the project's label configuration, if it is used as it is

    @cached_property
    def _api(self) -> Api:
        return connect(self.config)

    @cached_property
    def _projects(self) -> Projects:
        return Projects(self._api, self.config)

    @cached_property
    def _media_ids(self) -> dict[str, str | None] | None:
        return file_transport.read_media_ids(self.config.media_ids) if self.config.media_ids is not None else None

    @property
    def _by_files(self) -> bool:
        return self.config.transport == "files"

    def close(self) -> None:
        """Close the connections, and delete the export that was read."""
        if "_api" in self.__dict__:
            self._api.http.close()
        self._close_export()

    def _close_export(self) -> None:
        if self._export is not None:
            self._export.close()
        self._export = None

    # --- checks -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:
        """Problems of the schema and the options, and of the project that they name."""
        if found := checks.check_schema(schema, samples, self.config):
            return found
        vocabulary = Vocabulary.from_schema(schema, self.config)
        if self._by_files:
            return list(file_transport.check_folder(self.config.folder or ".", vocabulary))
        project = self._projects.find_project("") if self._projects.is_named else None
        if project is None:
            must_exist = self._api.v1 or self.config.project_id is not None
            return [self._projects.missing_project()] if must_exist else []
        if project["mediaType"] != "IMAGE":
            return [f"The project {project['name']!r} is one of videos; give one of images."]
        existing = label_config.read(self._api, project) or []
        if not self.config.replace_config_and_delete_all_labels:
            self._text_limits = label_config.text_limits(existing)
            self._existing = [] if label_config.adds_missing(self.config, v1=self._api.v1) else existing
        return list(label_config.problems(project["name"], existing, vocabulary, self.config, v1=self._api.v1))

    def check_task(self, task: Task) -> Iterable[str]:
        """Labels that DataGym cannot hold, and images that it does not take or does not show as they are seen here."""
        vocabulary = Vocabulary.from_schema(task.schema, self.config).adapted_to(self._existing)
        yield from checks.check_task(task, vocabulary, self.config, self._text_limits)
        if self._by_files:
            yield from file_transport.check_media_ids(task, self._media_ids)
        headers = images.read_headers(task)
        yield from images.check_orientation(task, headers)
        if self.config.on_rejected == "stop":  # with "skip", ``upload`` refuses the images one by one
            yield from images.check_formats(task, headers)

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Send a task: create the dataset with its images, tasks and labels, or write the files."""
        images.require_formats(task, images.read_headers(task))
        scalar_types = {name: attribute_type(types) for name, types in value_types(task).items()}
        known_types = {name: type_ for name, type_ in scalar_types.items() if type_ != "text"}
        vocabulary = Vocabulary.from_schema(task.schema, self.config, known_types)
        if self._by_files:
            return file_transport.write(task, vocabulary, self.config, self._media_ids)
        try:
            state, baseline = upload.upload_task(self._api, self._projects, task, vocabulary, self.config)
        except BaseException:
            self._projects.forget()
            raise
        return Receipt(task.name, state, baseline)

    # --- loading ----------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """The labels of a task now, of images that are finished."""
        if self._by_files:
            return file_transport.read(receipt, self._read_export(receipt), self.config)
        return download.download_task(
            self._api, self._projects, receipt, self.config, lambda: self._read_export(receipt),
            lambda: self._read_tasks(receipt),
        )  # fmt: skip

    def _read_tasks(self, receipt: Receipt) -> Mapping[str, Any]:
        """The tasks of the whole project by media id, listed once for all tasks of a load, as the export is read."""
        if self._tasks is None or receipt.task in self._listed:
            self._tasks, self._listed = upload.tasks_by_image(self._api, receipt.state["project"]), set()
        self._listed.add(receipt.task)
        return self._tasks

    def _read_export(self, receipt: Receipt) -> Export:
        """The export of the whole project.

        It is read once for all tasks of a load, and again when a task is asked for a second time, because that is another load.
        """
        if self._export is None or receipt.task in self._loaded:
            self._close_export()
            self._loaded = set()
            if self._by_files:
                self._export = file_transport.open_export(self.config.path)
            else:
                chunks = self._api.export(receipt.state["project"])
                self._export = Export(chunks, "the server's export", "Try again.")
        self._loaded.add(receipt.task)
        return self._export

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """Give finished images back to their labelers. Only the internal API can: all is left out otherwise."""
        if self._by_files or self._api.v1:
            why = (
                "DataGym takes nothing back by files"
                if self._by_files
                else "The API of DataGym's hosted edition gives no image back to its labelers"
            )
            note = f"{why}; reopen the images on the project's page."
            return SentBack(0, 0, refusals["change_id"].combine_chunks(), (note,))
        self._projects.require_project(receipt.state)
        return send_back.send_back(self._api, receipt, refusals)

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterable[FoundTask]:
        """The datasets of an existing project: of ``project``, else of the one that the options name."""
        if self._by_files:
            raise Rejected(
                "datagym: transport='files' cannot see the server's projects; leave it out, or import the export."
            )
        return adoption.find(self._api, tasks, project or self.config.project_id or self.config.project_name)

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt for a dataset of an existing project."""
        return adoption.adopt(found, schema, sample_ids)

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """An image, as the server has it."""
        return adoption.read_media(self._api, found, number)

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:
        """The ids of the project and the dataset."""
        state = receipt.state
        return frozenset([f"{state['project']}-{state['dataset']}"] if state.get("dataset") else [])

    def status(self, receipt: Receipt) -> Status:
        """How many images are in each state."""
        if self._by_files:
            return Status()
        self._projects.require_project(receipt.state)
        tasks = upload.tasks_by_image(self._api, receipt.state["project"])
        if not tasks:  # older hosted servers show none
            return Status()
        counts = Counter(tasks[m]["labelTaskState"].lower() for m in receipt.state["media"] if m in tasks)
        finished = {state.lower() for state in download.FINISHED}
        open_images = sum(n for state, n in counts.items() if state not in finished)
        state = "annotation" if open_images else "finished"
        state = "backlog" if open_images and open_images == counts["backlog"] else state
        return Status(state, dict(counts), reviewed=sum(counts[name] for name in download.DONE))

    def editor_url(self, receipt: Receipt) -> str | None:
        """The page with the project's tasks."""
        if self._by_files:
            return None
        return f"{self.config.url.rstrip('/')}/projects/details/{receipt.state['project']}/tasks"

    @classmethod
    def file_names(cls, receipt: Receipt) -> Mapping[str, str]:
        """The names that images got when they were sent."""
        return dict(zip(receipt.state.get("names", ()), receipt.state.get("samples", ()), strict=False))

    @classmethod
    def reads_path(cls, options: Mapping[str, Any], path: Path, format_name: str | None) -> bool:  # noqa: ARG003
        """With files as the transport, it is the export of the project."""
        return options.get("transport") == "files" and format_name is None

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The state of a task whose upload was interrupted, as ``delete`` needs it."""
        if self._by_files:
            folder = Path(self.config.folder or ".").expanduser()
            exists = file_transport.labels_file(folder, task_name).exists()
            return {"folder": str(folder)} if exists else None
        project, dataset = self._projects.find_project(task_name), self._projects.find_dataset(task_name)
        if project is None and dataset is None:
            return None
        return {
            "project": project and project["id"],
            "dataset": dataset and dataset["id"],
            "own_project": not self._projects.is_named,
        }

    def delete(self, receipt: Receipt) -> None:
        """Delete the dataset with its tasks, and the run's own project with the last dataset; or the files. One that was adopted
        stays.
        """
        if self._by_files:
            file_transport.delete(receipt)
        elif not receipt.state.get("adopted"):
            self._projects.remove(receipt.state)
