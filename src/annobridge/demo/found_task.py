"""A task that nobody sent: made by hand in the memory backend, to adopt it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..backend.memory import SERVERS
from ..backend.values import FoundTask
from ..core.labels import FOUND_MEDIA, REMOTE
from ..core.rows import Detection

if TYPE_CHECKING:
    from ..dataset import View

Box = tuple[float, float, float, float]


def make_task(view: View, key: str, boxes: dict[str, list[tuple[str, Box]]], url: str) -> str:
    """Make a task of the images of a view in a memory server, with boxes by sample id; returns its key."""
    server = SERVERS[url]
    samples = view.samples(["sample_id", "filepath", "width", "height"]).to_pylist()
    names = {row["sample_id"]: PurePath(row["filepath"]).name for row in samples}
    media: list[dict[str, Any]] = [
        {"name": names[row["sample_id"]], "media_type": "image", "width": row["width"], "height": row["height"]}
        for row in samples
    ]
    rows = [
        Detection(label, box).row()
        | {"sample_id": names[sample_id], "field": "objects", "remote_id": server.new_ids(1)[0].as_py()}
        for sample_id, found in boxes.items()
        for label, box in found
    ]
    classes = sorted({row["label"] for row in rows})
    schema = {"objects": {"type": "detections", "classes": classes}}
    server.found[key] = FoundTask(key, key, pa.Table.from_pylist(media, FOUND_MEDIA), schema)
    server.labels[key] = pa.Table.from_pylist(rows, REMOTE)
    server.samples[key] = pa.array(list(names.values()), pa.string())
    return key
