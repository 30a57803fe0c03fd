"""The earlier generation: its own command imports a folder (images and columns), then labels are sent over REST.

Last, the items get their own values, which marks that everything was sent. ``upload`` looks first, and continues what an earlier
call has left unfinished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import Capabilities, Edits, FoundTask, Pushed, Receipt, Status, Task
from annobridge.backend.capability_check import problems
from annobridge.backend.http import Http
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Rejected
from annobridge.formats.pixano_library.codec.decode import Tables, decode, without_provenance
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge.formats.pixano_library.codec.tables import AUTO, NOT_DRAWN
from annobridge.spill.temporary import folder as temporary_folder

from .. import api, checks, metadata_jsonl
from ..config import PixanoConfig
from ..generation import Generation, gone, require_complete
from ..names import dataset_name
from ..task_layout import task_layout
from . import import_folder, removal, rows
from .api import ItemsApi, Row
from .columns import with_python_names
from .program import Program, last_words

_SPATIAL_TYPES = frozenset({"detections", "instances", "keypoints", "segmentation"})
CAPABILITIES = Capabilities(  # there is no table for paths, and no status of images
    label_types=_SPATIAL_TYPES | {"classification", "classifications", "scalar", "messages"},
    scalar_types=frozenset({"str", "int", "float", "bool"}),
    attribute_types=frozenset({"text", "int", "float", "number", "checkbox", "select", "radio", "list"}),
    attributed_types=_SPATIAL_TYPES | {"messages"},
    class_attributes=True,
)
NO_PROGRAM = (
    " If it is the build whose program has `pixano data import --type --schema`, give that program as the option "
    "`executable`, and the folder that the server was started on as `folder`."
)


class ItemsGeneration(Generation):
    """A server of this generation."""

    def __init__(self, http: Http, config: PixanoConfig) -> None:
        super().__init__(config)
        self._http = http
        self._api = ItemsApi(http)

    def check(self, schema: LabelSchema) -> Iterable[str]:
        """What this generation cannot hold, and what is missing for an import."""
        program = self._program()
        yield from problems(schema, CAPABILITIES, "this Pixano (0.6)")
        yield from checks.schema_problems(schema)
        if wrong := list(program.problems()):
            yield from wrong
        else:
            yield from self._folder_problems(program)

    def layout(self, task: Task) -> Layout:
        """The columns of the task's dataset; its items have ids that are known only after the import."""
        template = NOT_DRAWN if self.config.template == AUTO else self.config.template
        return with_python_names(task_layout(task.schema, task.samples, task.labels, template))

    def _program(self) -> Program:
        if not (self.config.executable and self.config.folder):
            raise Rejected(f"{api.unsupported_server(api.ITEMS)}{NO_PROGRAM}")
        return Program(self.config.executable, self.config.folder)

    def _folder_problems(self, program: Program) -> Iterator[str]:
        """A server that shows datasets which are not in the folder was started on another one."""
        here = program.datasets()
        if elsewhere := [d["name"] for d in self._api.datasets() if d["id"] not in here]:
            yield (
                f"folder: the server at {self.config.url} shows the dataset {elsewhere[0]!r}, which is not in "
                f"{program.library}; give the folder that this server was started on."
            )

    # --- upload -----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Import the task's images and send its labels, or the rest of them."""
        layout = self.layout(task)
        name = dataset_name(task.name)
        dataset, items = self._find_or_import(name, task, layout)
        views = self._views(dataset, task)
        layout = replace(layout, samples={item: sample for item, (sample, _) in views.items()})
        labels = self._labels_to_send(task, layout)
        if rows.is_complete(items):  # sent by an earlier call; since then, people may have worked on it
            baseline = without_provenance(labels)
        else:
            self._send(dataset, layout, labels, items, {item: view for item, (_, view) in views.items()})
            tables = self._tables(dataset, layout)
            require_complete(metadata_jsonl.row_counts(labels, len(task.samples), layout), tables)
            baseline = decode(tables, layout, labels).labels
        state = {"generation": api.ITEMS, "dataset": dataset, "name": name, "layout": layout.to_dict()}
        return Receipt(task.name, state, baseline)

    def _remote_ids(self, labels: pa.Table, layout: Layout) -> pa.Array:
        return rows.remote_ids(labels, layout)

    def _find_or_import(self, name: str, task: Task, layout: Layout) -> tuple[str, list[Row]]:
        """The id and the items of the task's dataset. An earlier call may have been cut off after the import."""
        if found := self._find_imported(name, task):
            return found
        program = self._program()
        with temporary_folder() as temporary:
            source = temporary / name
            import_folder.write(source, task, layout)
            is_left = (program.library / name).exists() or (program.media / name).exists()
            kind, mode = "vqa" if layout.messages else "image", "overwrite" if is_left else "create"
            output = program.load(source, name, kind, mode, self.config.deadline)
        with suppress(Broken):  # an import that fails early breaks the server's list of all datasets
            if found := self._find_imported(name, task):
                return found
            if not self._api.dataset(name=name) and (program.library / name / "info.json").exists():
                removal.remove_folders(program.library, program.media, name)
                raise Rejected(
                    f"pixano: {program.executable} made a dataset in {program.library}, and the server at "
                    f"{self.config.url} does not show it; set `folder` to the one that this server was started on."
                )
        removal.remove_folders(program.library, program.media, name)
        raise Rejected(f"pixano: the import failed, and what it left was removed: {last_words(output)}")

    def _find_imported(self, name: str, task: Task) -> tuple[str, list[Row]] | None:
        """The dataset of this name with its items, if it has all of them."""
        there = self._api.dataset(name=name)
        items = self._api.all(there["id"], "item") if there else []
        return (str(there["id"]), items) if there and len(items) == len(task.samples) else None

    def _views(self, dataset: str, task: Task) -> dict[str, tuple[str, str]]:
        """The sample and the view of each item. Pixano silently skips images whose file is missing."""
        samples, views = task.samples["sample_id"].to_pylist(), {}
        for view in self._api.all(dataset, "image"):
            item, url = rows.image_of(view)
            number = import_folder.number_of(url)
            if number is not None and number < len(samples):
                views[item] = (samples[number], view["id"])
        if len(views) != len(samples):
            raise Broken(
                f"pixano: {len(samples) - len(views)} of the task's {len(samples)} images are not in the dataset that was "
                "imported; abort the run and send it again."
            )
        return views

    def _send(self, dataset: str, layout: Layout, labels: pa.Table, items: list[Row], views: Mapping[str, str]) -> None:
        """Send the rows that are not there yet; the items last."""
        if not any(row["id"] == rows.SOURCE for row in self._api.all(dataset, "source")):
            self._api.add(dataset, "source", [rows.source()])
        for table, its_rows in rows.label_rows(layout, labels, views).items():
            there = {row["id"] for some in self._api.of_items(dataset, table, list(views)) for row in some}
            self._api.add(dataset, table, [row for row in its_rows if row["id"] not in there])
        self._api.put(dataset, "item", rows.complete_items(layout, labels, items))

    def _tables(self, dataset: str, layout: Layout) -> Tables:
        found = {
            table: [row for some in self._api.of_items(dataset, table, list(layout.samples)) for row in some]
            for table in ("item", *rows.label_tables(layout))
        }
        return rows.as_tables(layout, found)

    # --- download, status, removal ----------------------------------------------------------------------------------

    def _require_generation(self, receipt: Receipt) -> None:
        if (found := api.generation(self._http.get("/openapi.json"))) != api.ITEMS:
            who = f"Pixano {found}" if found else "something else than Pixano"
            raise Rejected(
                f"pixano: {who} answers at {self.config.url}, and task {receipt.task!r} was sent to a Pixano of an "
                "earlier generation; start that one again, or correct the url."
            )

    def check_push(self, receipt: Receipt) -> Iterable[str]:
        """Nothing can."""
        yield (
            f"The task {receipt.task!r} is in a Pixano of the earlier generation, and annobridge pushes to Pixano 0.8 only; load "
            "the run, and annotate the samples under a new key."
        )

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:  # noqa: ARG002
        """Refuse it."""
        raise Rejected(f"pixano: {next(iter(self.check_push(receipt)))}")

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:  # noqa: ARG002
        """Refuse it."""
        raise Rejected(
            "pixano: a Pixano of the earlier generation answers there, and annobridge adopts datasets of Pixano 0.8 only; import "
            "the folder of images and metadata.jsonl that the dataset was made from."
        )

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """There is nothing to adopt."""
        raise NotImplementedError

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """There is nothing to read."""
        raise NotImplementedError

    def status(self, receipt: Receipt) -> Status:
        """Unknown: this generation has no status of images."""
        self._require_generation(receipt)
        with self._existing(receipt):
            return Status()

    @contextmanager
    def _existing(self, receipt: Receipt) -> Iterator[None]:
        # A dataset without items is one whose rows were deleted.
        dataset = receipt.state["dataset"]
        if not (self._api.dataset(id=dataset) and self._api.head(dataset, "item", 1)):
            raise gone(receipt)
        yield

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left."""
        name = dataset_name(task_name)
        there = self._api.dataset(name=name)
        if there is None or not self._api.head(there["id"], "item", 1):
            return None
        return {"generation": api.ITEMS, "dataset": there["id"], "name": name}

    def delete(self, receipt: Receipt) -> None:
        """Remove all rows over REST, and the folders if they are on this machine."""
        self._require_generation(receipt)
        dataset, name = receipt.state["dataset"], receipt.state["name"]
        if not self._api.dataset(id=dataset, name=name):
            return
        removal.remove_rows(self._api, dataset)
        if self.config.folder:
            home = Path(self.config.folder).expanduser()
            removal.remove_folders(home / "library", home / "media", name)

    def editor_url(self, receipt: Receipt) -> str:
        """The page of the dataset."""
        return f"{self.config.url.rstrip('/')}/{receipt.state['dataset']}/dataset"
