"""A task on a CVAT server whose labels are pushed, at the level of the backend's methods."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, WIDTH
from tests.backend.test_cvat_codec import same
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

from annobridge.backend import Download, Edits, Pushed, Receipt, Task
from annobridge.backend.checked import CheckedBackend
from annobridge.core import rows
from annobridge.core.labels import LABELS, REMOTE, SAMPLES, conform
from annobridge.core.schema import LabelSchema
from annobridge.store.media import FileMedia
from annobridge_cvat import CvatBackend, CvatConfig

Row = dict[str, Any]


def image_samples(folder: Path, count: int) -> pa.Table:
    """Samples s0, s1, … with a file each."""
    found = []
    for n in range(count):
        path = folder / f"{n}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (20 * n, 90, 120)).save(path)
        found.append(
            {"sample_id": f"s{n}", "media_type": "image", "filepath": str(path), "width": WIDTH, "height": HEIGHT}
        )
    return pa.Table.from_pylist(found, SAMPLES)


def video_sample(path: Path, frames: int) -> pa.Table:
    """One sample ``v``."""
    row = {"sample_id": "v", "media_type": "video", "filepath": str(path), "width": WIDTH, "height": HEIGHT}
    return pa.Table.from_pylist([{**row, "frames": frames, "fps": 10.0}], SAMPLES)


def label_rows(field: str, sample: str, labels: Iterable[rows.Label]) -> list[Row]:
    """Rows of ``LABELS``; those without an id get one of the field, the sample and their number."""
    found = [
        {
            "rev": 0,
            "label_id": f"{field}-{sample}-{n}",
            "attributes": [],
            **label.row(),
            "field": field,
            "sample_id": sample,
        }
        for n, label in enumerate(labels)
    ]
    return [{k: v for k, v in row.items() if k in LABELS.names} for row in found]


class Pushing:
    """A task that was sent, and what is pushed to it. Each push is checked: what a download returns afterwards is as the push said,
    and all that it was not about is as before.
    """

    def __init__(
        self, server: Server, schema: Mapping[str, Any], samples: pa.Table, labels: Iterable[Row], **options: Any
    ) -> None:
        self.server, self.schema = server, LabelSchema.parse(schema)
        config = CvatConfig(**{"url": server.url, "token": server.token, **options})
        self.raw = CvatBackend(config)
        self.backend = CheckedBackend(self.raw)
        self.samples, self.media = samples, FileMedia.of(samples)
        self.task = self.task_of(labels)
        self.receipt = self.backend.upload(self.task)
        self.editor = Editor(server.url, server.token, self)  # type: ignore[arg-type]

    def receipts(self) -> list[Receipt]:
        """As of the results of a run."""
        return [self.receipt]

    def task_of(self, labels: Iterable[Row]) -> Task:
        name = self.task.name if hasattr(self, "task") else f"push-{uuid.uuid4().hex[:8]}-00000"
        return Task(name, self.schema, self.samples, pa.Table.from_pylist([*labels], LABELS), self.media)

    def close(self) -> None:
        self.backend.delete(self.receipt)
        self.editor.close()
        self.raw.close()

    def rows(self) -> dict[str, Row]:
        """The baseline by label id."""
        return {row["label_id"]: row for row in self.receipt.baseline.to_pylist()}

    def download(self) -> Download:
        return self.backend.download(self.receipt)

    def there(self) -> dict[str, Row]:
        """What is on the server, by remote id."""
        return {row["remote_id"]: row for row in self.download().labels.to_pylist()}

    def edits(
        self,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        add: Iterable[Row] = (),
        delete: Iterable[str] = (),
    ) -> Edits:
        base = self.rows()
        edited = [{**base[i], **new} for i, new in (changes or {}).items()]
        ids = [row["remote_id"] for row in edited]
        labels = [{k: v for k, v in row.items() if k in LABELS.names} for row in edited]
        added = [*add]
        gone = pa.Table.from_pylist([base[i] for i in delete], REMOTE)
        return Edits(self.task_of([*labels, *added]), pa.array([*ids, *[None] * len(added)], pa.string()), gone)

    def send(self, edits: Edits) -> Pushed:
        """Push, without advancing the baseline."""
        return self.backend.push(self.receipt, edits)

    def push(
        self,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        add: Iterable[Row] = (),
        delete: Iterable[str] = (),
    ) -> Pushed:
        """Push, advance the baseline, and check that a download finds no change."""
        edits = self.edits(changes, add, delete)
        done = self.send(edits)
        self.advance(edits, done)
        self.check()
        return done

    def advance(self, edits: Edits, done: Pushed) -> None:
        """The baseline after a push, as the bridge makes it."""
        left = set(done.left_out.to_pylist())
        old = {i for i in edits.remote_ids.to_pylist() if i} | set(edits.deleted["remote_id"].to_pylist())
        given = {row["label_id"] for row in edits.task.labels.to_pylist()} | set(edits.deleted["label_id"].to_pylist())
        rest = [
            r for r in self.receipt.baseline.to_pylist() if r["remote_id"] not in old or r["label_id"] in left & given
        ]
        baseline = pa.concat_tables([pa.Table.from_pylist(rest, REMOTE), done.baseline])
        state = self.receipt.state if done.state is None else done.state
        self.receipt = replace(self.receipt, baseline=baseline, state=state)

    def check(self) -> None:
        """A download finds the baseline."""
        same(conform(self.receipt.baseline, REMOTE), self.download().labels)
