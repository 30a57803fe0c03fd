"""A plan without a dataset, for the tests of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.review import decisions as deciding
from annobridge.core.review.changes import CHANGES
from annobridge.core.schema import LabelSchema
from annobridge.store.media import FileMedia

SCHEMA = LabelSchema.from_dict(
    {
        "objects": {"type": "detections", "classes": ["car", "person"], "attributes": {"note": {"type": "text"}}},
        "people": {
            "type": "skeletons",
            "classes": ["person"],
            "skeleton": {"labels": ["a", "b", "c"], "edges": [[0, 1], [1, 2]]},
        },
    }
)
AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def change(number: int, sample_id: str, **values: Any) -> dict[str, Any]:
    box = [0.1, 0.1, 0.3, 0.3]
    moved = [0.1 + number % 7 / 100, 0.1, 0.3, 0.3]
    return {
        "change_id": f"change{number:06}", "task": "t", "sample_id": sample_id, "field": "objects",
        "label_id": f"label{number}", "shape": "box", "component": "spatial", "kind": "edit", "group": "small move",
        "label": "car", "class_from": "car", "class_to": "car", "base": json.dumps({"bounding_box": box}),
        "ours": json.dumps({"bounding_box": box}), "theirs": json.dumps({"bounding_box": moved}), "base_box": box,
        "ours_box": box, "theirs_box": moved, "their_by": "ann", "their_at": AT, "iou": 0.8, "shift": 3.5,
        "proposal": "accept", "why": "edited in the tool", "choices": ["accept", "refuse"], "bound_to": f"bound{number}",
    } | values  # fmt: skip


def label(label_id: str, sample_id: str, side: str = "theirs", **values: Any) -> dict[str, Any]:
    return {
        "label_id": label_id, "sample_id": sample_id, "field": "objects", "kind": "box", "label": "car",
        "bounding_box": [0.1, 0.1, 0.3, 0.3], "rev": 1, "side": side,
    } | values  # fmt: skip


@dataclass
class FakePlan:
    rows: list[dict[str, Any]]
    sample_rows: list[dict[str, Any]]
    label_rows: list[dict[str, Any]] = field(default_factory=list)
    run_id: str = "run1"
    notes: tuple[str, ...] = ()
    not_allowed: int = 0
    loaded: list[dict[str, Any]] = field(default_factory=list)
    after: Callable[[], FakePlan] | None = None  # the plan of the next load
    on_load: Callable[[FakePlan], Any] = lambda plan: SimpleNamespace(to_dict=lambda: {"added": 1})

    def __post_init__(self) -> None:
        self.run = SimpleNamespace(anno_key="r1", run_id=self.run_id, backend="memory", schema=SCHEMA)
        self.changes = pa.Table.from_pylist(self.rows, schema=CHANGES)
        self.decisions = deciding.DECISIONS.empty_table()

    @classmethod
    def of_files(cls, paths: Sequence[Path], each: int = 1, **values: Any) -> FakePlan:
        samples = [
            {"sample_id": f"s{n}", "media_type": "image", "filepath": str(path), "width": 64, "height": 48}
            for n, path in enumerate(paths)
        ]
        rows = [change(n, f"s{n // each}") for n in range(each * len(samples))]
        return cls(rows, samples, [label(r["label_id"], r["sample_id"]) for r in rows], **values)

    def states(self) -> pa.Table:
        return deciding.states(self.changes["change_id"], self.changes["bound_to"], self.decisions)

    def add_decisions(self, decisions: pa.Table) -> None:
        self.decisions = pa.concat_tables([self.decisions, decisions])

    def replan(self) -> FakePlan:
        return self.after() if self.after else self

    def samples(self) -> pa.Table:
        return pa.Table.from_pylist(self.sample_rows, schema=SAMPLES)

    def shapes(self, sample_ids: pa.Array) -> pa.Table:
        schema = LABELS.append(pa.field("side", pa.string()))
        return pa.Table.from_pylist(
            [r for r in self.label_rows if r["sample_id"] in sample_ids.to_pylist()], schema=schema
        )

    def media(self, sample_ids: pa.Array) -> FileMedia:
        return FileMedia(
            {r["sample_id"]: r["filepath"] for r in self.sample_rows if r["sample_id"] in sample_ids.to_pylist()}
        )

    def load(self, undecided: str = "take", force: bool = False, progress: Any = None) -> Any:
        states = self.states().filter(pa.compute.equal(self.states()["state"], "decided")).to_pylist()
        self.loaded.append({"undecided": undecided, "force": force, **{s["change_id"]: s["verdict"] for s in states}})
        if progress:
            progress(0, 2)
            progress(2, 2)
        return self.on_load(self)
