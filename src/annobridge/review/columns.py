"""The changes and samples of a plan as JSON, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, not_null
from ..store.media import without_secrets

# Name in the JSON → column of ``CHANGES``
_TEXTS = {
    "id": "change_id", "field": "field", "label_id": "label_id", "shape": "shape", "component": "component", "kind": "kind",
    "group": "group", "label": "label", "from": "class_from", "to": "class_to", "base": "base", "ours": "ours",
    "theirs": "theirs", "our_by": "our_by", "their_by": "their_by", "proposal": "proposal", "why": "why",
    "bound_to": "bound_to",
}  # fmt: skip
_NUMBERS = {"frame": "frame_number", "index": "index", "iou": "iou", "shift": "shift"}
_BOXES = ("base_box", "ours_box", "theirs_box")
_TIMES = ("our_at", "their_at")
_DIGITS = 6  # of positions: a millionth of the image


def change_columns(changes: pa.Table, sample_numbers: pa.Array) -> dict[str, list[Any]]:
    """The columns of ``CHANGES`` as lists; ``sample_numbers`` is the number of each change's sample."""
    columns: dict[str, list[Any]] = {name: texts(changes[column]) for name, column in _TEXTS.items()}
    columns |= {name: numbers(changes[column]) for name, column in _NUMBERS.items()}
    columns |= {name: boxes(changes[name]) for name in _BOXES}
    columns |= {name: times(changes[name]) for name in _TIMES}
    return columns | {"sample": numbers(sample_numbers), "choices": changes["choices"].to_pylist()}


def sample_objects(samples: pa.Table) -> list[dict[str, Any]]:
    """Samples as objects, with names relative to the folder that their files share."""
    columns = {
        "name": relative_names(texts(samples["filepath"])),
        "width": numbers(samples["width"]),
        "height": numbers(samples["height"]),
        "media": [kind or "image" for kind in texts(samples["media_type"])],
        "frames": numbers(samples["frames"]),
        "fps": numbers(samples["fps"]),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def texts(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Strings as Python has them. (By numpy, ten times as fast as ``to_pylist``.)"""
    found: list[str | None] = as_array(column).to_numpy(zero_copy_only=False).tolist()
    return found


def numbers(column: pa.Array | pa.ChunkedArray) -> list[float | int | None]:
    """Numbers, and ``None`` for null and for what JSON does not have."""
    array = as_array(column)
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_finite(array), pc.round(array, _DIGITS), pa.scalar(None, array.type))
    found: list[float | int | None] = array.to_pylist()
    return found


def boxes(column: pa.Array | pa.ChunkedArray) -> list[list[float] | None]:
    """Lists of four numbers."""
    array = as_array(column)
    found: list[list[float] | None] = [None] * len(array)
    values = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    for at, box in zip(np.flatnonzero(not_null(array)).tolist(), np.round(values, _DIGITS).tolist(), strict=True):
        found[at] = box
    return found


def times(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Times as ISO 8601, to the second."""
    seconds = as_array(column).cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.timestamp("s"))
    return texts(pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ"))


def relative_names(places: list[str | None]) -> list[str]:
    """Paths and URLs without the folder that all of them share.

    >>> relative_names(["/data/a/1.jpg", "/data/b/2.jpg", None])
    ['a/1.jpg', 'b/2.jpg', '']
    """
    parts = [without_secrets(place).replace("\\", "/").split("/") if place else [] for place in places]
    given = [p[:-1] for p in parts if p]
    if not given:
        return [""] * len(places)
    first, last = min(given), max(given)
    shared = next(
        (n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), min(len(first), len(last))
    )
    return ["/".join(p[shared:]) for p in parts]
