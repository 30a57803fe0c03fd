"""The backend: one Pixano dataset for each task."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from annobridge.backend import (
    AnnotationBackend,
    AnnotationBackendConfig,
    Capabilities,
    Download,
    Receipt,
    Status,
    Task,
)
from annobridge.backend.http import Http
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Gone, Rejected
from pydantic import Field

from . import api, jsonl, limits, messages, removal, values, wire
from .arrays import choose, each, one, bools, setting
from .decode import decode
from .layout import SPATIAL, Layout

SENT = "Sent by annobridge"
_SPATIAL_TYPES = frozenset({"detections", "instances", "polygons", "polylines", "keypoints", "segmentation"})
_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|gif|tiff?|webp)$", re.IGNORECASE)


class PixanoConfig(AnnotationBackendConfig):
    """How to reach Pixano."""

    transient: ClassVar[frozenset[str]] = frozenset({"url", "timeout", "deadline", "verify"})

    url: str = Field("http://127.0.0.1:7492", description="the server; `annobridge pixano up` starts one")
    timeout: float = Field(60.0, gt=0, description="seconds to wait for an answer")
    deadline: float = Field(3600.0, gt=0, description="seconds that the server may take to import a task")
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    template: Literal["annobridge", "face", "person", "cow"] = Field(
        "annobridge", description="Pixano's keypoint template; it draws (and edits) face, person and cow only"
    )


class PixanoBackend(AnnotationBackend):
    """Pixano 0.8.x."""

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
    )

    def __init__(self, config: PixanoConfig) -> None:
        super().__init__(config)
        self._http = Http(config.url, backend=self.name, verify=config.verify, timeout=config.timeout)
        self._api = api.Api(self._http)

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    # --- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:  # noqa: ARG002
        """Ask the server who it is, and look at what the schema has beyond the capabilities."""
        self._api.check()
        return list(limits.of_schema(schema))

    def check_labels(self, labels: pa.Table) -> Iterable[str]:
        """Values that Pixano cannot hold."""
        return [*limits.of_labels(labels), *limits.of_template(labels, self.config.template)]

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Import the task as a dataset, unless it was already."""
        layout = Layout.of(task.schema, task.samples, task.labels, self.config.template)
        labels = conform(task.labels.combine_chunks(), REMOTE, remote_id="")
        labels = setting(labels, remote_id=wire.remote_ids(labels, layout)).combine_chunks()
        if wrong := values.misfits(labels.filter(pc.is_in(labels["kind"], pa.array(list(SPATIAL)))), dict(layout.attributes)):
            raise Rejected("\n  - ".join(["pixano: some values cannot be sent:", *wrong]))
        name = dataset_name(task.name)
        dataset, fresh = self._dataset(name, task, layout, labels)
        tables = self._tables(dataset, layout)
        if fresh:
            _compare(jsonl.counts(labels, len(task.samples), layout), tables)
        baseline = self._baseline(labels, tables, layout, fresh=fresh)
        return Receipt(task.name, {"dataset": dataset, "name": name, "layout": layout.to_dict()}, baseline)

    def _dataset(self, name: str, task: Task, layout: Layout, labels: pa.Table) -> tuple[str, bool]:
        """The id of the task's dataset, and whether it was sent just now: an earlier call may have been cut off after it."""
        if job := self._api.running(name):
            return self._api.finish(job, self.config.deadline), True
        there = self._api.dataset(name=name)
        if there and there["description"] != removal.REMOVED:
            return str(there["id"]), False
        return self._send(name, task, layout, labels, overwrite=there is not None), True

    def _send(self, name: str, task: Task, layout: Layout, labels: pa.Table, *, overwrite: bool) -> str:
        upload, source = self._api.open_upload()
        try:
            spec = layout.dataset(name, SENT, overwrite=overwrite)
            self._api.put_file(upload, "dataset.yaml", json.dumps(spec).encode())
            files = [self._put_image(upload, i, s, task) for i, s in enumerate(task.samples.to_pylist())]
            text = b"".join(jsonl.lines(layout, task.samples, labels, files))
            self._api.put_file(upload, "train/metadata.jsonl", text)
            return self._api.finish(self._api.start(self._api.analyze(source)), self.config.deadline)
        except Rejected:
            self._api.close_upload(upload)  # Pixano keeps what it could not import
            raise
