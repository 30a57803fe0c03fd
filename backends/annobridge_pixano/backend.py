"""The backend: one Pixano dataset for each task.

``PixanoBackend`` asks the server once which generation of Pixano it is, and passes its calls to that one: ``records`` is Pixano
0.8, ``items`` an earlier one. A receipt says which generation made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import (
    AnnotationBackend,
    Capabilities,
    Download,
    Edits,
    FoundTask,
    Pushed,
    Receipt,
    Status,
    Task,
)
from annobridge.backend.http import Http
from annobridge.core.schema import LabelSchema

from . import api, checks
from .config import PixanoConfig
from .generation import Generation
from .items import ItemsGeneration
from .records import RecordsGeneration

_SPATIAL_TYPES = frozenset({"detections", "instances", "polygons", "polylines", "keypoints", "segmentation"})


class PixanoBackend(AnnotationBackend):
    """Pixano, of any generation. The capabilities are those of 0.8; ``check`` refuses what the earlier one lacks."""

    name = "pixano"
    Config = PixanoConfig
    config: PixanoConfig
    capabilities = Capabilities(
        label_types=_SPATIAL_TYPES | {"classification", "classifications", "scalar", "messages"},
        scalar_types=frozenset({"str", "int", "float", "bool"}),
        attribute_types=frozenset({"text", "int", "float", "number", "checkbox", "select", "radio", "list"}),
        attributed_types=_SPATIAL_TYPES | {"messages"},
        class_attributes=True,
        status=True,
        reviewed=True,
        push=True,
        adopt=True,
        sample_columns=True,
        editor_limits=checks.EDITOR_LIMITS,
        parallel_uploads=1,  # Pixano 0.8 failed, and later hung, when two threads asked it
        parallel_downloads=1,
    )

    def __init__(self, config: PixanoConfig) -> None:
        super().__init__(config)
        self._http = Http(
            config.url, backend=self.name, verify=config.verify, timeout=config.timeout, deadline=config.deadline,
            limit=config.largest_answer << 20, limit_option="largest_answer",
        )  # fmt: skip
        self._api = api.Api(self._http)
        self._generations: Mapping[str, Generation] = {
            api.RECORDS: RecordsGeneration(self._api, config),
            api.ITEMS: ItemsGeneration(self._http, config),
        }

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    @cached_property
    def _server(self) -> Generation:
        """The generation that answers."""
        found = self._api.generation()
        if found not in self._generations:
            raise api.unsupported_server(found)
        return self._generations[found]

    def _generation_of(self, receipt: Receipt) -> Generation:
        return self._generations[receipt.state.get("generation", api.RECORDS)]

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:  # noqa: ARG002
        """Ask the server for its generation, and find what the schema has beyond what it can hold."""
        return list(self._server.check(schema))

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that Pixano cannot hold, and images that its page shows unturned."""
        return [*self._server.check_task(task), *checks.image_problems(task)]

    def upload(self, task: Task) -> Receipt:
        """Make the task's dataset, unless it was made before."""
        return self._server.upload(task)

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now."""
        return self._generation_of(receipt).download(receipt)

    def check_push(self, receipt: Receipt) -> Iterable[str]:
        """The earlier generation takes no changes."""
        return list(self._generation_of(receipt).check_push(receipt))

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels of a task, row by row."""
        return self._generation_of(receipt).push(receipt, edits)

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterable[FoundTask]:
        """Datasets of the user's own library, by name or id."""
        return self._server.find_tasks(tasks, project)

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt for such a dataset."""
        return self._server.adopt(found, schema, sample_ids)

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """An image, as it was given to Pixano."""
        return self._server.read_media(found, number)

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:
        """The id of the dataset."""
        return frozenset([receipt.state["dataset"]] if "dataset" in receipt.state else [])

    def status(self, receipt: Receipt) -> Status:
        """Numbers of images by the status that people set, where the generation has one."""
        return self._generation_of(receipt).status(receipt)

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left."""
        return self._server.find(task_name)

    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset, as far as Pixano allows."""
        self._generation_of(receipt).delete(receipt)

    def editor_url(self, receipt: Receipt) -> str | None:
        """Pixano's page of the dataset."""
        return self._generation_of(receipt).editor_url(receipt)
