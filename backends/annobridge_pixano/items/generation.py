"""The earlier generation of Pixano, with the verbs of a backend.

Sending: its command imports a folder (images and columns), then labels follow over REST under our own ids, and last the
items get their own values. What stops in between is gone on with by the next ``upload``: it looks first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from annobridge.backend import Capabilities, Download, Receipt, Status, Task
from annobridge.backend.capability_check import problems
from annobridge.backend.http import Http
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Gone, Rejected
from annobridge.spill.temporary import folder as temporary_folder

from .. import api, jsonl, limits, wire
from ..arrays import setting
from ..config import PixanoConfig
from ..decode import decode, unsigned
from ..generation import must_arrive, must_fit
from ..layout import Layout
from ..names import dataset_name
from . import folder, forms, removal
from .api import ItemsApi, Row
from .columns import pythonic
from .program import Program, last_words

_SPATIAL_TYPES = frozenset({"detections", "instances", "keypoints", "segmentation"})
CAPABILITIES = Capabilities(  # no table for paths, and none for how far people are
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


class Items:
    """One server of this generation."""

    def __init__(self, http: Http, config: PixanoConfig) -> None:
        self._http, self.config = http, config
        self._api = ItemsApi(http)

    # --- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: LabelSchema) -> Iterable[str]:
        """What this generation has no place for, and what is missing to import with."""
        program = self._program()
        yield from problems(schema, CAPABILITIES, "this Pixano (0.6)")
        yield from limits.of_schema(schema)
        if wrong := list(program.problems()):
            yield from wrong
        else:
            yield from self._elsewhere(program)

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that it cannot hold."""
        return limits.of_task(task, self._layout(task))

    def _layout(self, task: Task) -> Layout:
        template = wire.UNDRAWN if self.config.template == wire.AUTO else self.config.template
        return pythonic(Layout.of(task.schema, task.samples, task.labels, template))

    def _program(self) -> Program:
        if not (self.config.executable and self.config.folder):
            raise Rejected(f"{api.strange(api.ITEMS)}{NO_PROGRAM}")
        return Program(self.config.executable, self.config.folder)

    def _elsewhere(self, program: Program) -> Iterator[str]:
        """A server that shows datasets which are not in the folder was started on another one."""
        here = program.datasets()
        if strange := [d["name"] for d in self._api.datasets() if d["id"] not in here]:
            yield (
                f"folder: the server at {self.config.url} shows the dataset {strange[0]!r}, which is not in "
                f"{program.library}; give the folder that this server was started on."
            )

    # --- sending ----------------------------------------------------------------------------------------------------

    def upload(self, task: Task) -> Receipt:
        """Import the task's images, and send its labels; or find what was sent already, and send the rest."""
        layout = self._layout(task)
        must_fit(task, layout)
        name = dataset_name(task.name)
        dataset, items = self._dataset(name, task, layout)
        views = self._views(dataset, task)
        layout = replace(layout, samples={item: sample for item, (sample, _) in views.items()})
        labels = conform(task.labels.combine_chunks(), REMOTE, remote_id="")
        labels = setting(labels, remote_id=forms.remote_ids(labels, layout)).combine_chunks()
        baseline = unsigned(labels)  # people may be at work already
        if not forms.done(items):
            self._fill(dataset, layout, labels, items, {item: view for item, (_, view) in views.items()})
            tables = self._tables(dataset, layout)
            must_arrive(jsonl.counts(labels, len(task.samples), layout), tables)
            baseline = decode(tables, layout, labels).labels
        state = {"generation": api.ITEMS, "dataset": dataset, "name": name, "layout": layout.to_dict()}
        return Receipt(task.name, state, baseline)

    def _dataset(self, name: str, task: Task, layout: Layout) -> tuple[str, list[Row]]:
        """The task's dataset and its items: an earlier call may have been cut off after it."""
        if found := self._whole(name, task):
            return found
        program = self._program()
        with temporary_folder() as scratch:
            source = scratch / name
            folder.write(source, task, layout)
            left = (program.library / name).exists() or (program.media / name).exists()
            kind = "vqa" if layout.messages else "image"
            said = program.load(source, name, kind, "overwrite" if left else "create", self.config.deadline)
        with suppress(Broken):  # an import that fails early breaks the server's list of all datasets
            if found := self._whole(name, task):
                return found
            if not self._api.dataset(name=name) and (program.library / name / "info.json").exists():
                removal.clear(program.library, program.media, name)
                raise Rejected(
                    f"pixano: {program.executable} made a dataset in {program.library}, and the server at "
                    f"{self.config.url} does not show it; set `folder` to the one that this server was started on."
                )
        removal.clear(program.library, program.media, name)
        raise Rejected(f"pixano: the import failed, and what it left was removed: {last_words(said)}")

    def _whole(self, name: str, task: Task) -> tuple[str, list[Row]] | None:
        """The dataset of this name with its items, if it has all of them."""
        there = self._api.dataset(name=name)
        items = self._api.all(there["id"], "item") if there else []
        return (str(there["id"]), items) if there and len(items) == len(task.samples) else None

    def _views(self, dataset: str, task: Task) -> dict[str, tuple[str, str]]:
        """The sample and the view of each item. Images whose file is missing, Pixano skips without a word."""
        samples, out = task.samples["sample_id"].to_pylist(), {}
        for view in self._api.all(dataset, "image"):
            item, url = forms.image_of(view)
            number = folder.number_of(url)
            if number is not None and number < len(samples):
                out[item] = (samples[number], view["id"])
        if len(out) != len(samples):
            raise Broken(
                f"pixano: {len(samples) - len(out)} of the task's {len(samples)} images are not in the dataset that was "
                "imported; abort the run and send it again."
            )
        return out

    def _fill(self, dataset: str, layout: Layout, labels: pa.Table, items: list[Row], views: Mapping[str, str]) -> None:
        """Send what is not there yet; the items' own values last, as the sign that all is there."""
        if not any(r["id"] == forms.SOURCE for r in self._api.all(dataset, "source")):
            self._api.add(dataset, "source", [forms.source()])
        for table, rows in forms.rows(layout, labels, views).items():
            there = {r["id"] for some in self._api.of_items(dataset, table, list(views)) for r in some}
            self._api.add(dataset, table, [r for r in rows if r["id"] not in there])
        self._api.put(dataset, "item", forms.items(layout, labels, items))

    def _tables(self, dataset: str, layout: Layout) -> wire.Wire:
        found = {
            table: [r for some in self._api.of_items(dataset, table, list(layout.samples)) for r in some]
            for table in ("item", *forms.tables(layout))
        }
        return forms.read(layout, found)

    # --- afterwards -------------------------------------------------------------------------------------------------

    def download(self, receipt: Receipt) -> Download:
        """All labels of the task's items as they are now."""
        layout = Layout.from_dict(receipt.state["layout"])
        with self._there(receipt):
            tables = self._tables(receipt.state["dataset"], layout)
        found = decode(tables, layout, receipt.baseline)
        return Download(found.labels, found.samples, tuple(found.notes))

    def status(self, receipt: Receipt) -> Status:
        """Unknown: an item has no state in this generation."""
        with self._there(receipt):
            return Status()

    @contextmanager
    def _there(self, receipt: Receipt) -> Iterator[None]:
        """Raise ``Gone`` if the dataset is not in the library, or has no items any more (its rows were deleted)."""
        self._must_answer(receipt)
        dataset = receipt.state["dataset"]
        if self._api.dataset(id=dataset) and self._api.head(dataset, "item", 1):
            yield
            return
        raise Gone(
            f"pixano: the dataset {receipt.state['name']!r} of task {receipt.task!r} is not in Pixano's library "
            "any more; put its folder back there, or end the run with delete_annotation_run."
        )

    def _must_answer(self, receipt: Receipt) -> None:
        """Another server at this address knows nothing of the task, and would say that it is gone."""
        if (found := api.generation(self._http.get("/openapi.json"))) != api.ITEMS:
            who = f"Pixano {found}" if found else "something else than Pixano"
            raise Rejected(
                f"pixano: {who} answers at {self.config.url}, and task {receipt.task!r} was sent to a Pixano of an "
                "earlier generation; start that one again, or correct the url."
            )

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The dataset that an unanswered upload left."""
        name = dataset_name(task_name)
        there = self._api.dataset(name=name)
        if there is None or not self._api.head(there["id"], "item", 1):
            return None
        return {"generation": api.ITEMS, "dataset": there["id"], "name": name}

    def delete(self, receipt: Receipt) -> None:
        """Remove all rows over REST, and the folders that are left where they are on this disk: see ``removal``."""
        self._must_answer(receipt)
        dataset, name = receipt.state["dataset"], receipt.state["name"]
        if not self._api.dataset(id=dataset, name=name):
            return
        removal.empty(self._api, dataset)
        if self.config.folder:
            home = Path(self.config.folder).expanduser()
            removal.clear(home / "library", home / "media", name)

    def editor_url(self, receipt: Receipt) -> str:
        """Pixano's page of the dataset."""
        return f"{self.config.url.rstrip('/')}/{receipt.state['dataset']}/dataset"
