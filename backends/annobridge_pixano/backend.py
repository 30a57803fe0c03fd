"""The backend: one Pixano dataset for each task, in the generation of Pixano that answers.

``PixanoBackend`` asks once who answers, and hands its calls to that generation: ``Records`` here is Pixano 0.8,
``items.Items`` the earlier one. A receipt knows its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import AnnotationBackend, Capabilities, Download, Receipt, Status, Task
from annobridge.backend.http import Http
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Gone, Rejected

from . import api, choices, images, jsonl, limits, messages, removal, sample_columns, uploads, wire
from .arrays import each, one, setting
from .config import PixanoConfig
from .decode import decode, unsigned
from .generation import Generation, must_arrive, must_fit
from .items import Items
from .layout import Layout
from .names import dataset_name, file_name

SENT = "Sent by annobridge"
FOLDER = "train"  # of a session: all images and their metadata; each line says its own split
PARALLEL = 4  # images on their way at once
_SPATIAL_TYPES = frozenset({"detections", "instances", "polygons", "polylines", "keypoints", "segmentation"})


class PixanoBackend(AnnotationBackend):
    """Pixano, whichever of its generations answers. The capabilities are those of 0.8; ``check`` knows the other's."""

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
        sample_columns=True,
        editor_limits=limits.OF_THE_PAGE,
    )

    def __init__(self, config: PixanoConfig) -> None:
        super().__init__(config)
        self._http = Http(
            config.url, backend=self.name, verify=config.verify, timeout=config.timeout, deadline=config.deadline,
            limit=config.largest_answer << 20, limit_option="largest_answer",
        )  # fmt: skip
        self._api = api.Api(self._http)
        self._generations: Mapping[str, Generation] = {
            api.RECORDS: Records(self._api, config),
            api.ITEMS: Items(self._http, config),
        }

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    @cached_property
    def _answering(self) -> Generation:
        found = self._api.generation()
        if found not in self._generations:
            raise api.strange(found)
        return self._generations[found]

    def _of(self, receipt: Receipt) -> Generation:
        return self._generations[receipt.state.get("generation", api.RECORDS)]

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:  # noqa: ARG002
        """Ask the server who it is, and look at what the schema has beyond what it can hold."""
        return list(self._answering.check(schema))

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that Pixano cannot hold, and images that its page shows otherwise than they are meant."""
        return [*self._answering.check_task(task), *images.problems(task)]

    def upload(self, task: Task) -> Receipt:
        """Make the task's dataset, unless it was made already."""
        return self._answering.upload(task)

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now."""
        return self._of(receipt).download(receipt)

    def status(self, receipt: Receipt) -> Status:
        """Images by the state that people set, where this generation has one."""
        return self._of(receipt).status(receipt)

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left."""
        return self._answering.find(task_name)

    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset, as far as Pixano allows."""
        self._of(receipt).delete(receipt)

    def editor_url(self, receipt: Receipt) -> str | None:
        """Pixano's page of the dataset."""
        return self._of(receipt).editor_url(receipt)


class Records:
    """Pixano 0.8: a dataset is sent in one import over REST, and read by records, entities and annotations."""

    def __init__(self, server: api.Api, config: PixanoConfig) -> None:
        self._api, self.config = server, config

    # --- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema) -> Iterable[str]:
        """What the schema has beyond the capabilities."""
        return limits.of_schema(schema)

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that Pixano cannot hold."""
        return limits.of_task(task, self._layout(task))

    def _layout(self, task: Task) -> Layout:
        return Layout.of(task.schema, task.samples, task.labels, self.config.template)

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Import the task as a dataset, unless it was already."""
        layout = self._layout(task)
        must_fit(task, layout)
        labels = conform(task.labels.combine_chunks(), REMOTE, remote_id="")
        labels = setting(labels, remote_id=wire.remote_ids(labels, layout)).combine_chunks()
        name = dataset_name(task.name)
        disk = uploads.find_disk(self._api)
        dataset, fresh = self._dataset(name, task, layout, labels, disk)
        notes = (*self._notes(task, layout), *self._offer(name, dataset, task, layout, disk))
        tables = self._tables(dataset, layout)
        if fresh:
            must_arrive(jsonl.counts(labels, len(task.samples), layout), tables)
        baseline = self._baseline(labels, tables, layout, fresh=fresh)
        columns = sample_columns.digests(sample_columns.as_records(task.samples, layout), layout)
        state = {"dataset": dataset, "name": name, "layout": layout.to_dict(), "columns": columns}
        return Receipt(task.name, state, baseline, notes=notes)

    def _notes(self, task: Task, layout: Layout) -> Iterator[str]:
        """What people will not see as it is."""
        yield from sample_columns.notes(task.samples, layout)
        yield from limits.undrawn(task.labels, layout.template)

    def _offer(self, name: str, dataset: str, task: Task, layout: Layout, disk: uploads.Disk | None) -> Iterator[str]:
        """Have the page offer the classes and values of the schema; why it does not."""
        if disk is None:
            yield choices.REMOTE_NOTE
            return
        try:
            choices.offer(self._api, disk.library, name, dataset, choices.of_task(task.schema, layout))
        except OSError as error:
            yield (
                "Pixano's page does not offer the classes and choices of the schema, since its library cannot be written "
                f"({error.strerror}): {disk.library}."
            )

    def _dataset(
        self, name: str, task: Task, layout: Layout, labels: pa.Table, disk: uploads.Disk | None
    ) -> tuple[str, bool]:
        """The id of the task's dataset, and whether it is fresh: an earlier call may have been cut off after it."""
        self._settle(name)
        if disk:
            uploads.discard_cut_off(self._api, disk, name)
        there = self._api.dataset(name=name)
        if there and there["description"] != removal.REMOVED:
            return str(there["id"]), False
        return self._send(name, task, layout, labels, overwrite=there is not None), True

    def _settle(self, name: str) -> None:
        """Wait for an import that an earlier call has left running; if it fails, it was as good as never sent."""
        if job := self._api.running(name):
            with suppress(Rejected):
                self._api.finish(job, self.config.deadline)

    def _send(self, name: str, task: Task, layout: Layout, labels: pa.Table, *, overwrite: bool) -> str:
        with uploads.session(self._api) as (upload, source):
            spec = layout.dataset(name, f"{SENT}: {task.title}" if task.title else SENT, overwrite=overwrite)
            self._api.put_file(upload, uploads.SPEC, json.dumps(spec).encode())
            files = self._put_images(upload, task)
            text = b"".join(jsonl.lines(layout, task.samples, labels, files))
            self._api.put_file(upload, f"{FOLDER}/metadata.jsonl", text)
            plan = self._api.analyze(source, task.samples["sample_id"].to_pylist())
        try:
            return self._api.finish(self._api.start(plan), self.config.deadline)
        except Rejected:  # any other failure leaves an import that may go on
            uploads.discard(self._api, upload)
            raise

    def _put_images(self, upload: str, task: Task) -> list[str]:
        """Send the images, a few at a time, under names of our own; these names."""
        rows = task.samples.select(["sample_id", "filepath"]).to_pylist()
        names = [file_name(i, row["filepath"] or "") for i, row in enumerate(rows)]
        with ThreadPoolExecutor(PARALLEL) as pool:
            for at in range(0, len(rows), PARALLEL):
                with ExitStack() as opened:
                    streams = [opened.enter_context(task.media.open(r["sample_id"])) for r in rows[at : at + PARALLEL]]
                    paths = [f"{FOLDER}/{name}" for name in names[at : at + PARALLEL]]
                    list(pool.map(self._api.put_file, repeat(upload), paths, streams))
        return names

    def _baseline(self, labels: pa.Table, tables: wire.Wire, layout: Layout, *, fresh: bool) -> pa.Table:
        """What the server gives back; or, when people may be at work already, what it gave back then."""
        if layout.messages:
            ids = messages.match(jsonl.sent_messages(layout, labels), tables["messages"].to_pylist())
            labels = setting(labels, remote_id=each(one(labels["remote_id"]), lambda i: ids.get(i, i), pa.string()))
        return decode(tables, layout, labels).labels if fresh else unsigned(labels)

    def _tables(self, dataset: str, layout: Layout) -> wire.Wire:
        return {name: self._api.table(dataset, name, schema) for name, schema in wire.schemas(layout).items()}

    # --- afterwards -------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """All labels as they are now."""
        self._api.check()  # another server that answers there knows nothing of the task, and says that it is gone
        layout = Layout.from_dict(receipt.state["layout"])
        with self._there(receipt):
            tables = self._tables(receipt.state["dataset"], layout)
        found = decode(tables, layout, receipt.baseline)
        edited = sample_columns.edited(tables["records"], layout, receipt.state.get("columns", {}))
        return Download(found.labels, found.samples, (*found.notes, *edited))

    def status(self, receipt: Receipt) -> Status:
        """Images by the state that people set in Pixano."""
        schema = pa.schema([("id", pa.string()), ("status", pa.string())])
        with self._there(receipt):
            records = self._api.table(receipt.state["dataset"], "records", schema)
        counts = {r["values"]: r["counts"] for r in pc.value_counts(records["status"]).to_pylist()}
        return Status(next(iter(counts)) if len(counts) == 1 else "inProgress", counts)

    @contextmanager
    def _there(self, receipt: Receipt) -> Iterator[None]:
        """Raise ``Gone`` if the dataset is not in the library: Pixano answers for a while from what it remembers."""
        dataset = receipt.state["dataset"]
        try:
            yield
        except (Broken, Gone):
            if self._api.dataset(id=dataset):
                raise
        else:
            if self._api.dataset(id=dataset):
                return
        raise Gone(
            f"pixano: the dataset {receipt.state['name']!r} of task {receipt.task!r} is not in Pixano's library "
            "any more; put its folder back there, or end the run with delete_annotation_run."
        )

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left. Files that it left without one are removed."""
        name = dataset_name(task_name)
        self._settle(name)
        there = self._api.dataset(name=name)
        if there is None or there["description"] == removal.REMOVED:
            if disk := uploads.find_disk(self._api):
                uploads.discard_cut_off(self._api, disk, name)
            return None
        return {"dataset": there["id"], "name": name}

    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset, as far as Pixano allows: see ``removal``."""
        if self._api.dataset(id=receipt.state["dataset"], name=receipt.state["name"]):
            removal.remove(self._api, receipt.state["name"], self.config.deadline)

    def editor_url(self, receipt: Receipt) -> str:
        """Pixano's page of the dataset."""
        return f"{self.config.url.rstrip('/')}/#/explorer/{receipt.state['dataset']}"
