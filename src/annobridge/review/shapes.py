"""The labels of a sample as JSON, for a page that draws them."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from ..core.geometry import Mask, mask_box, runs
from ..core.schema import LabelSchema
from ..exceptions import InvalidLabels

Edges = Mapping[str, Sequence[tuple[int, int]]]
_COLUMNS = {  # name in the JSON → column, of what is given as it is
    "label_id": "label_id", "side": "side", "field": "field", "frame": "frame_number", "index": "index", "shape": "kind",
    "label": "label", "box": "bounding_box", "rotation": "rotation", "closed": "closed", "filled": "filled",
    "visibility": "visibility", "confidence": "confidence",
}  # fmt: skip
_MASK_SIDE = 1024  # pixels of a mask's longer side that are sent; larger ones lose every other pixel, or more


def edges(schema: LabelSchema) -> Edges:
    """Field → the pairs of points, by index from 0, that a line connects: of the fields that have skeletons."""
    return {name: spec.skeleton.edges for name, spec in schema.fields.items() if spec.skeleton is not None}


def to_objects(labels: pa.Table, lines: Edges) -> list[dict[str, Any]]:
    """Rows of ``LABELS`` with ``side`` as objects; ``lines`` are ``edges``. A missing point of keypoints is ``[null, null]``."""
    return [_object(row, lines) for batch in labels.to_batches() for row in batch.to_pylist()]


def _object(row: Mapping[str, Any], lines: Edges) -> dict[str, Any]:
    found = {name: row[column] for name, column in _COLUMNS.items()}
    found["points"] = row["points"] and [[_point(point) for point in part] for part in row["points"]]
    found["attributes"] = {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}
    found["value"] = None if row["value"] is None else json.loads(row["value"])
    found["mask"] = _mask(row["mask"])
    if row["field"] in lines:
        found["edges"] = lines[row["field"]]
    return found


def _point(point: list[float]) -> list[float | None]:
    return [None, None] if any(map(math.isnan, point)) else [*point]


def _mask(rle: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A mask as a picture of its box, opaque where the mask is; ``None`` for one that is empty or damaged."""
    if rle is None:
        return None
    try:
        box = mask_box(rle)
        pixels = crop(rle, box)
    except (InvalidLabels, ValueError, IndexError):
        return None
    return None if not pixels.size else {"box": box, "png": data_uri(_png(pixels), "image/png")}


def crop(rle: Mapping[str, Any], box: list[float]) -> Mask:
    """The pixels of a mask in its box, without decoding those beside it: columns follow each other in an RLE."""
    height, width = (int(n) for n in rle["size"])
    left, top, columns, rows = (round(v * n) for v, n in zip(box, (width, height, width, height), strict=True))
    counts = runs(rle)
    ends = np.clip(np.cumsum(counts), left * height, (left + columns) * height)
    inside = np.diff(ends, prepend=left * height)
    flat = np.repeat(np.arange(inside.size) % 2 == 1, inside)
    return flat.reshape(columns, height).T[top : top + rows]


def _png(pixels: Mask) -> bytes:
    step = -(-max(pixels.shape) // _MASK_SIDE)
    image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]).astype(np.uint8))
    image.putpalette([255, 255, 255] * 2)
    out = io.BytesIO()
    image.save(out, "PNG", bits=1, transparency=b"\x00\xff", compress_level=6)
    return out.getvalue()


def data_uri(data: bytes, media_type: str) -> str:
    """A file as a ``data:`` URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def by_sample(labels: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The labels of each sample, of a table that has several samples in any order."""
    order = labels.sort_by("sample_id")
    ids = order["sample_id"].to_numpy(zero_copy_only=False) if order.num_rows else np.array([], object)
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])) if len(ids) else np.array([], np.int64)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=False):
        yield ids[start], order.slice(start, end - start)
