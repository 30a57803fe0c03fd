"""Pixano 0.8: a dataset is sent by one import, and read from its tables of records, entities and annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits, FoundTask, Pushed, Receipt, Status, Task
from annobridge.core.arrays import as_array, map_distinct, set_columns
from annobridge.core.labels import REVIEWED, conform
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Gone, Rejected
from annobridge.formats.pixano_library.codec import encode, messages
from annobridge.formats.pixano_library.codec.decode import Tables, decode, without_provenance
from annobridge.formats.pixano_library.codec.layout import Layout

from . import (
    adoption,
    checks,
    found_datasets,
    metadata_jsonl,
    offered_choices,
    push,
    removal,
    rest_tables,
    sample_columns,
    uploads,
)
from .adopted_tables import AdoptedDataset
from .api import Api
from .config import PixanoConfig
from .generation import Generation, gone, require_complete
from .names import dataset_name, file_name
from .task_layout import dataset_spec, task_layout

DESCRIPTION = "Sent by annobridge"
REVIEWED_STATUS = "validated"  # of records; the others are new, inProgress and inReview
FOLDER = "train"  # of an upload: it has all images, whatever their split, which the lines of metadata.jsonl give
_PARALLEL_IMAGES = 4


class RecordsGeneration(Generation):
    """A server of Pixano 0.8."""

    def __init__(self, server: Api, config: PixanoConfig) -> None:
        super().__init__(config)
        self._api = server

    def check(self, schema: LabelSchema) -> Iterable[str]:
        """What the schema has beyond the capabilities."""
        return checks.schema_problems(schema)

    def layout(self, task: Task) -> Layout:
        """The columns of the task's dataset."""
        return task_layout(task.schema, task.samples, task.labels, self.config.template)

    # --- upload -----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Import the task as a dataset, unless that was done before."""
        layout = self.layout(task)
        labels = self._labels_to_send(task, layout)
        name = dataset_name(task.name)
        disk = uploads.find_disk(self._api)
        dataset, is_new = self._find_or_send(name, task, layout, labels, disk)
        notes = (
            *sample_columns.notes(task.samples, layout),
            *checks.undrawn_notes(task.labels, layout.template),
            *self._offer_choices(name, dataset, task, layout, disk),
        )
        tables = self._tables(dataset, layout)
        if is_new:
            require_complete(metadata_jsonl.row_counts(labels, len(task.samples), layout), tables)
        labels = self._with_message_ids(labels, layout, tables)
        # If the dataset is not new, people may be at work on it: then the baseline is what was sent, not what is there now.
        baseline = decode(tables, layout, labels).labels if is_new else without_provenance(labels)
        columns = sample_columns.digests(sample_columns.as_records(task.samples, layout), layout)
        state = {"dataset": dataset, "name": name, "layout": layout.to_dict(), "columns": columns}
        return Receipt(task.name, state, baseline, notes=notes)

    def _remote_ids(self, labels: pa.Table, layout: Layout) -> pa.Array:
        return encode.remote_ids(labels, layout)

    def _with_message_ids(self, labels: pa.Table, layout: Layout, tables: Tables) -> pa.Table:
        if not layout.messages:
            return labels
        ids = messages.match_ids(messages.encode(labels, layout), tables["messages"].to_pylist())
        remote_ids = map_distinct(
            labels["remote_id"], lambda placeholder: ids.get(placeholder, placeholder), pa.string()
        )
        return set_columns(labels, remote_id=remote_ids)

    def _offer_choices(
        self, name: str, dataset: str, task: Task, layout: Layout, disk: uploads.Disk | None
    ) -> Iterator[str]:
        """Make the page offer the classes and values of the schema; yields a note if that is not possible."""
        if disk is None:
            yield offered_choices.REMOTE_NOTE
            return
        try:
            content = offered_choices.choices_of(task.schema, layout)
            offered_choices.offer(self._api, disk.library, name, dataset, content)
        except OSError as error:
            yield (
                "Pixano's page does not offer the classes and choices of the schema, since its library cannot be written "
                f"({error.strerror}): {disk.library}."
            )

    def _find_or_send(
        self, name: str, task: Task, layout: Layout, labels: pa.Table, disk: uploads.Disk | None
    ) -> tuple[str, bool]:
        """The id of the task's dataset, and whether it is new. An earlier call may have been cut off after the import."""
        self._wait_for_import(name)
        if disk:
            uploads.discard_interrupted(self._api, disk, name)
        there = self._api.dataset(name=name)
        if there and there["description"] != removal.REMOVED:
            return str(there["id"]), False
        return self._send(name, task, layout, labels, overwrite=there is not None), True

    def _wait_for_import(self, name: str) -> None:
        """Wait for an import that an earlier call has left running. One that fails leaves nothing."""
        if job := self._api.running(name):
            with suppress(Rejected):
                self._api.finish(job, self.config.deadline)

    def _send(self, name: str, task: Task, layout: Layout, labels: pa.Table, *, overwrite: bool) -> str:
        with uploads.session(self._api) as (upload, source):
            description = f"{DESCRIPTION}: {task.title}" if task.title else DESCRIPTION
            spec = dataset_spec(layout, name, description, overwrite=overwrite)
            self._api.put_file(upload, uploads.SPEC, json.dumps(spec).encode())
            files = self._put_images(upload, task)
            text = b"".join(metadata_jsonl.lines(layout, task.samples, labels, files))
            self._api.put_file(upload, f"{FOLDER}/metadata.jsonl", text)
            plan = self._api.analyze(source, task.samples["sample_id"].to_pylist())
        try:
            return self._api.finish(self._api.start(plan), self.config.deadline)
        except Rejected:  # after any other error, the import may still be running, and needs the files
            uploads.discard(self._api, upload)
            raise

    def _put_images(self, upload: str, task: Task) -> list[str]:
        """Send the images, a few at a time; returns their file names in the upload."""
        rows = task.samples.select(["sample_id", "filepath"]).to_pylist()
        names = [file_name(i, row["filepath"] or "") for i, row in enumerate(rows)]
        with ThreadPoolExecutor(_PARALLEL_IMAGES) as pool:
            for at in range(0, len(rows), _PARALLEL_IMAGES):
                some = slice(at, at + _PARALLEL_IMAGES)
                with ExitStack() as opened:
                    streams = [opened.enter_context(task.media.open(row["sample_id"])) for row in rows[some]]
                    paths = [f"{FOLDER}/{name}" for name in names[some]]
                    list(pool.map(self._api.put_file, repeat(upload), paths, streams))
        return names

    def _tables(self, dataset: str, layout: Layout) -> Tables:
        return {name: self._api.table(dataset, name, schema) for name, schema in rest_tables.schemas(layout).items()}

    # --- push -------------------------------------------------------------------------------------------------------

    def check_push(self, receipt: Receipt) -> Iterable[str]:  # noqa: ARG002
        """None: each dataset can be written to."""
        self._api.check()
        return ()

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels of a task."""
        self._api.check()
        if not self._api.dataset(id=receipt.state["dataset"]):
            raise gone(receipt)
        layout = Layout.from_dict(receipt.state["layout"])
        with self._existing(receipt):
            return push.push(self._api, receipt, layout, edits, lambda: self._tables_of(receipt, layout))

    # --- adoption ---------------------------------------------------------------------------------------------------

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
        """Datasets of the library."""
        self._api.check()
        return found_datasets.find(self._api, self.config, tasks, project)

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt for a dataset of the library."""
        return adoption.adopt(self._api, self.config, found, schema, sample_ids)

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """The file of an image."""
        return adoption.read_media(self._api, found, number)

    # --- download, status, removal ----------------------------------------------------------------------------------

    def _require_generation(self, receipt: Receipt) -> None:  # noqa: ARG002
        self._api.check()

    def _tables_of(self, receipt: Receipt, layout: Layout) -> Tables:
        state = receipt.state
        if "adopted" not in state:
            return self._tables(state["dataset"], layout)
        return AdoptedDataset(self._api, state["dataset"], state["name"]).read(layout, state["adopted"])

    def _completed(self, labels: pa.Table, receipt: Receipt, tables: Tables, layout: Layout) -> pa.Table:
        if "adopted" not in receipt.state:
            return labels
        return adoption.with_own_ids(labels, tables, layout, receipt.state["kinds"])

    def _reviewed(self, tables: Tables, layout: Layout) -> pa.Table:
        """The status of each image that people have set. The times of Pixano have no zone, and are not those of labels."""
        records = tables["records"]
        samples = encode.sample_ids(as_array(records["id"]), layout)
        is_reviewed = pc.fill_null(pc.equal(records["status"], REVIEWED_STATUS), False)
        found = {"sample_id": samples, "reviewed": is_reviewed, "state": records["status"]}
        return conform(pa.table(found), REVIEWED)

    def _download_notes(self, receipt: Receipt, tables: Tables, layout: Layout) -> Iterator[str]:
        yield from sample_columns.edited_notes(tables["records"], layout, receipt.state.get("columns", {}))

    def status(self, receipt: Receipt) -> Status:
        """Numbers of images by the status that people set in Pixano."""
        schema = pa.schema([("id", pa.string()), ("status", pa.string())])
        with self._existing(receipt):
            records = self._api.table(receipt.state["dataset"], "records", schema)
        if "adopted" in receipt.state:
            records = records.filter(pc.is_in(records["id"], value_set=pa.array(receipt.state["adopted"], pa.string())))
        counts = {row["values"]: row["counts"] for row in pc.value_counts(records["status"]).to_pylist()}
        state = next(iter(counts)) if len(counts) == 1 else "inProgress"
        return Status(state, counts, reviewed=counts.get(REVIEWED_STATUS, 0))

    @contextmanager
    def _existing(self, receipt: Receipt) -> Iterator[None]:
        # Looked up afterwards: for a while, Pixano answers from its memory for a dataset whose folder is gone.
        dataset = receipt.state["dataset"]
        try:
            yield
        except (Broken, Gone):
            if self._api.dataset(id=dataset):
                raise
        else:
            if self._api.dataset(id=dataset):
                return
        raise gone(receipt)

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left. Files that it left without one are removed."""
        name = dataset_name(task_name)
        self._wait_for_import(name)
        there = self._api.dataset(name=name)
        if there is None or there["description"] == removal.REMOVED:
            if disk := uploads.find_disk(self._api):
                uploads.discard_interrupted(self._api, disk, name)
            return None
        return {"dataset": there["id"], "name": name}

    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset, as far as Pixano allows; see ``removal``. One that was adopted stays."""
        if "adopted" not in receipt.state and self._api.dataset(
            id=receipt.state["dataset"], name=receipt.state["name"]
        ):
            removal.remove(self._api, receipt.state["name"], self.config.deadline)

    def editor_url(self, receipt: Receipt) -> str:
        """The page of the dataset."""
        return f"{self.config.url.rstrip('/')}/#/explorer/{receipt.state['dataset']}"
