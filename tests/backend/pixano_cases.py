"""A task with every kind of label and every type of attribute, for the tests of the Pixano backend."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from PIL import Image

from annobridge.backend import Task
from annobridge.core import rows
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import Label
from annobridge.core.schema import LabelSchema

WIDTH, HEIGHT = 32, 24
NAN = float("nan")
SAMPLE_IDS = ["s0", "s 1/é%20🙂", "s2", "x" * 255]

SCHEMA: dict[str, Any] = {
    "objects": {
        "type": "detections",
        "classes": ["car", {"classes": ["bus"], "attributes": {"line": {"type": "text"}}}],
        "attributes": {
            "occluded": {"type": "checkbox"},
            "score": {"type": "float"},
            "number": {"type": "number"},
            "count": {"type": "int"},
            "plate": {"type": "text"},
            "level": {"type": "select", "values": [1, 2, "b"]},
            "side": {"type": "radio", "values": ["x", "y"]},
            "parts": {"type": "list"},
            "a.b": {"type": "text"},
            "category": {"type": "text"},
        },
    },
    "things": {"type": "instances", "classes": ["car"]},
    "areas": {"type": "polygons", "classes": ["car"]},
    "lines": {"type": "polylines", "classes": ["car"]},
    "poses": {"type": "keypoints", "classes": ["car"]},
    "ground": {"type": "segmentation", "classes": ["road"]},
    "scene": {"type": "classification", "classes": ["day", "night"]},
    "tags": {"type": "classifications", "classes": ["a", "b", "c"]},
    "count": {"type": "scalar"},
    "mixed": {"type": "scalar"},
    "code": {"type": "scalar"},
    "status": {"type": "scalar"},
    "nothing": {"type": "scalar"},
    "talk": {"type": "messages"},
}


class Images:
    """Small images, made when asked for."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, sample_id: str) -> BinaryIO:
        self.opened.append(sample_id)
        stream = io.BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT), (len(self.opened) % 255, 9, 9)).save(stream, "PNG")
        stream.seek(0)
        return stream

    def path(self, sample_id: str) -> Path | None:
        return None


def pixels() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 4:20] = True
    return mask


def labels() -> list[tuple[str, str, Label]]:
    odd = SAMPLE_IDS[1]
    full = {
        "occluded": True,
        "score": 3.0,
        "number": 3,
        "count": -4,
        "plate": 'a"b\nc',
        "level": 1,
        "side": "x",
        "parts": ["a", 1, ""],
        "a.b": "dot",
        "category": "own",
    }
    ring = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]]
    square = [[0.5, 0.5], [0.6, 0.5], [0.6, 0.7], [0.5, 0.7]]
    return [
        ("s0", "objects", rows.Detection("car", [0.1, 0.2, 0.30000000000000004, 0.4], confidence=0.5, attributes=full)),
        ("s0", "objects", rows.Detection("bus", [0, 0, 1, 1], number=2.0, plate="007", level="b", line="9")),
        (odd, "objects", rows.Detection("car", [0.9, 0.9, 0.5, 1 + 2e-16], label_id="bad/id é")),
        ("s2", "objects", rows.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id="doomed")),
        ("s0", "things", rows.Detection("car", mask=pixels(), confidence=0.25, label_id="thing")),
        ("s0", "areas", rows.Polyline("car", [ring, square], filled=True, label_id="area")),
        ("s0", "lines", rows.Polyline("car", [ring[:2]], label_id="line")),
        ("s0", "lines", rows.Polyline("car", [ring], closed=True)),
        ("s0", "poses", rows.Keypoint("car", [[0.1, 0.1], [NAN, NAN], [0, 0], [0.3, 0.3]], visibility=[2, 0, 0, 1])),
        ("s2", "poses", rows.Keypoint("car", [[0.1, 0.1], [NAN, NAN]], label_id="pose")),
        *[("s0", "ground", g) for g in rows.Segmentation(pixels() * 1, {1: "road"})],
        ("s0", "scene", rows.Classification("day", confidence=0.3)),
        (odd, "scene", rows.Classification("night")),
        ("s0", "tags", rows.Classification("a")),
        ("s0", "tags", rows.Classification("b")),
        ("s2", "tags", rows.Classification("a")),
        ("s0", "count", rows.Scalar(0)),
        ("s2", "count", rows.Scalar(2.5)),
        ("s0", "mixed", rows.Scalar("x")),
        ("s2", "mixed", rows.Scalar(True)),
        ("s0", "code", rows.Scalar("007")),
        ("s0", "status", rows.Scalar(False)),
        ("s0", "talk", rows.Message("system", "be nice", 0)),
        ("s0", "talk", rows.Message("question", "what?", 3, label_id="asked")),
        ("s0", "talk", rows.Message("answer", "cat", 3, label_id="answered")),
        ("s0", "talk", rows.Message("question", "which?", 4, question_type="MULTI_CHOICE", choices=["a", "b", "c"])),
        ("s0", "talk", rows.Message("answer", "a, c: because", 4, user="me", label_id="chosen")),
        (odd, "talk", rows.Message("question", "what?", 0, conversation="z")),
        (odd, "talk", rows.Message("answer", "x", 0, conversation="z")),
        (odd, "talk", rows.Message("answer", "x", 0, conversation="z")),
    ]


def table(items: list[tuple[str, str, Label]]) -> pa.Table:
    """``LABELS`` rows of (sample, field, label)."""
    out = []
    for i, (sample, field, label) in enumerate(items):
        row = {"label_id": f"l{i}", "sample_id": sample, "field": field, "rev": 1}
        out.append(row | label.row())
    return pa.Table.from_pylist(out, schema=LABELS)


def task(schema: dict[str, Any] | None = None, items: list[tuple[str, str, Label]] | None = None) -> Task:
    """A task of its own name, with everything in it unless a parameter says otherwise."""
    samples = [
        {"sample_id": s, "media_type": "image", "filepath": f"/img/{s}.png", "width": WIDTH, "height": HEIGHT}
        for s in SAMPLE_IDS
    ]
    return Task(
        f"Run-{uuid.uuid4().hex[:8]}-00000",
        LabelSchema.parse(SCHEMA if schema is None else schema),
        pa.Table.from_pylist(samples, schema=SAMPLES),
        table(labels() if items is None else items),
        Images(),
    )


_NOT_SENT = ("remote_id", "rev", "run", "tool", "annotator", "time")


def plain(labels: pa.Table) -> dict[str, str]:
    """Rows by label id, as text (so that NaN equals NaN), less what a backend does not return."""
    kept = [{k: v for k, v in row.items() if k not in _NOT_SENT} for row in labels.to_pylist()]
    return {row["label_id"]: repr(row) for row in kept}


def changes(baseline: pa.Table, now: pa.Table) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], set[str]]:
    """Edited rows by label id, new rows, and the ids of deleted labels."""
    old, new = ({r["remote_id"]: r for r in table.to_pylist()} for table in (baseline, now))
    edited = {r["label_id"]: r for i, r in new.items() if i in old and repr(r) != repr(old[i])}
    return edited, [r for i, r in new.items() if i not in old], {r["label_id"] for i, r in old.items() if i not in new}
