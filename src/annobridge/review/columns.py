"""The changes and samples of a plan as JSON, column by column."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, not_null
from ..core.labels import SAMPLES, conform
from ..store.media import without_secrets
from ..store.run import Run
from .reviewed import ReviewedPlan

# Name in the JSON → column of ``CHANGES``
_TEXTS = {
    "id": "change_id", "field": "field", "label_id": "label_id", "shape": "shape", "component": "component", "kind": "kind",
    "group": "group", "label": "label", "from": "class_from", "to": "class_to", "our_by": "our_by", "their_by": "their_by",
    "proposal": "proposal", "why": "why", "bound_to": "bound_to",
}  # fmt: skip
_NUMBERS = {"frame": "frame_number", "index": "index", "iou": "iou", "shift": "shift"}
_VALUES = ("base", "ours", "theirs")
_LONG = 2000  # characters of a value from which its shape is told in short: the page draws it from the labels
_BOXES = ("base_box", "ours_box", "theirs_box")
_TIMES = ("our_at", "their_at")
_DIGITS, _SHORT_DIGITS = 6, 4  # of positions: a millionth of the image, and of those that are only counted


def run_columns(run: Run, dataset: str, reviewer: str) -> dict[str, Any]:
    """What the page says about the run."""
    about = {"anno_key": run.anno_key, "run_id": run.run_id, "backend": run.backend}
    return about | {"dataset": without_secrets(dataset), "reviewer": reviewer}


def complete_samples(plan: ReviewedPlan) -> pa.Table:
    """The samples of the changes of a plan, also those that were deleted from the dataset since it was made."""
    samples = plan.samples()
    wanted = pc.unique(plan.changes["sample_id"])
    gone = wanted.filter(pc.invert(pc.is_in(wanted, value_set=as_array(samples["sample_id"]))))
    return (
        pa.concat_tables([samples, conform(pa.table({"sample_id": gone}), SAMPLES, filepath="")])
        if len(gone)
        else samples
    )


def change_columns(changes: pa.Table, sample_numbers: pa.Array) -> dict[str, list[Any]]:
    """The columns of ``CHANGES`` as lists; ``sample_numbers`` is the number of each change's sample."""
    columns: dict[str, list[Any]] = {name: texts(changes[column]) for name, column in _TEXTS.items()}
    columns |= {name: values(changes[name]) for name in _VALUES}
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


def values(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Values of components as JSON text; masks without their pixels, and long shapes with rounded points."""
    found = texts(column)
    for at in np.flatnonzero(pc.fill_null(pc.greater(pc.utf8_length(column), _LONG), False)).tolist():
        found[at] = _shortened(found[at] or "")
    return found


def _shortened(text: str) -> str:
    value = json.loads(text)
    if not isinstance(value, dict):
        return text
    if isinstance(value.get("mask"), dict):
        value["mask"] = {"size": value["mask"].get("size")}
    if isinstance(value.get("points"), list):
        value["points"] = [
            [[xy and round(xy, _SHORT_DIGITS) for xy in point] for point in part] for part in value["points"]
        ]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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
