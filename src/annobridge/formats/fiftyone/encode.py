"""Labels here as the documents that FiftyOne keeps."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.attr_text import to_plain
from ...core.geometry import Mask, decode_rle, mask_box
from ...exceptions import Unsupported
from . import values
from .decode import ALL_OURS, OURS
from .plan import Slot

COLUMNS = (
    "label_id", "sample_id", "field", "frame_number", "index", "keyframe", "kind", "label", "confidence", "value",
    "bounding_box", "rotation", "points", "closed", "filled", "visibility", "mask", "attributes", "tags",
)  # fmt: skip
_NAN = values.number(math.nan)
Row = Mapping[str, Any]


def value(slot: Slot, rows: Sequence[Row], notes: Counter[str]) -> Any:
    """The value of a field of one sample or frame. ``notes`` counts what could not be said."""
    if slot.many is None and slot.outer != "Segmentation" and len(rows) > 1:
        notes[f"values of {slot.name!r} were left out, since samples have one each there"] += len(rows) - 1
    if slot.outer == "Segmentation":
        return _segmentation(slot, rows, notes)
    if slot.outer.endswith("Field"):
        notes[f"values of {slot.name!r} are plain values there, without an id"] += 1
        text = rows[0]["value"]
        return to_plain(text) if slot.outer == "StringField" else json.loads(text)
    if slot.many is None:
        return _label(slot, rows[0], notes)
    return {"_cls": slot.outer, slot.many: [_label(slot, row, notes) for row in rows]}


def _label(slot: Slot, row: Row, notes: Counter[str]) -> dict[str, Any]:
    found = {**_head(slot.inner, row), **_common(slot, row, notes)}
    match slot.inner:
        case "Detection":
            found |= {"bounding_box": row["bounding_box"], **(_mask(row, notes) if row["kind"] == "mask" else {})}
        case "Polyline":
            found |= {"points": row["points"], "closed": bool(row["closed"]), "filled": bool(row["filled"])}
        case "Keypoint":
            found |= _joints(row, found, notes)
        case "Regression":
            found["value"] = float(json.loads(row["value"]))
    return found


def _head(kind: str, row: Row) -> dict[str, Any]:
    given = row["label_id"]
    ours = {} if values.is_object_id(given) else {OURS: given}
    return {"_id": values.object_id(given), "_cls": kind, **ours}


def _common(slot: Slot, row: Row, notes: Counter[str]) -> dict[str, Any]:
    """All but the geometry."""
    found: dict[str, Any] = {"tags": row["tags"] or []}
    if slot.inner in ("Detection", "Polyline", "Keypoint"):
        found["attributes"] = {}
    for name in ("label", "confidence", "index", "keyframe", "rotation"):
        if row[name] is not None:
            found[name] = row[name]
    for entry in row["attributes"] or []:
        name, content = entry["name"], json.loads(entry["value"])
        if name == "logits" and slot.inner == "Classification" and _numbers(content):
            content = values.binary(np.array(content, np.float64))
        if name == "instance" and isinstance(content, str) and values.is_object_id(content):
            content = {"_id": {"$oid": content}, "_cls": "Instance"}
        if slot.names[name] != name:
            notes[f"attributes are called {slot.names[name]} there, since {name!r} cannot be the name of one"] += 1
        found[slot.names[name]] = content
    return found


def _numbers(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(v, int | float) for v in content)


def _joints(row: Row, found: dict[str, Any], notes: Counter[str]) -> dict[str, Any]:
    points = [[values.number(x), values.number(y)] for part in row["points"] for x, y in part]
    joints: dict[str, Any] = {"points": points}
    one, each = found.pop("confidence", None), found.get("point_confidence")
    if isinstance(each, list) and len(each) == len(points):
        joints["confidence"] = [_NAN if c is None else c for c in found.pop("point_confidence")]
    elif one is not None:
        joints["confidence"] = [one] * len(points)
    if one is not None:
        notes["keypoints have a confidence for each point there, and none for all of them"] += 1
    if 1 in (row["visibility"] or []):
        joints["visibility"] = row["visibility"]
    if row["kind"] == "skeleton":
        notes["skeletons are keypoints there; set dataset.skeletons to name their points"] += 1
    return joints


def _mask(row: Row, notes: Counter[str]) -> dict[str, Any]:
    """The part of a mask that is in its box; a box that does not hold all of it is widened."""
    full, box = decode_rle(row["mask"]), row["bounding_box"]
    cut = _cut(full, box) if box is not None else None
    if cut is None or cut.sum() != full.sum():
        box = mask_box(row["mask"])
        cut = _cut(full, box)
        if row["bounding_box"] is not None:
            notes["instances had pixels outside their box; the box was made that of the mask"] += 1
    return {"bounding_box": box, "mask": values.binary(cut)}


def _cut(full: Mask, box: Sequence[float]) -> Mask:
    """The pixels of a box, as ``core.geometry.paste`` puts them back."""
    (height, width), (x, y, w, h) = full.shape, box
    left, top = round(x * width), round(y * height)
    cut = np.zeros((max(math.ceil(h * height - 1e-6), 1), max(math.ceil(w * width - 1e-6), 1)), bool)
    found = full[max(top, 0) : top + cut.shape[0], max(left, 0) : left + cut.shape[1]]
    cut[: found.shape[0], : found.shape[1]] = found
    return cut


def _segmentation(slot: Slot, rows: Sequence[Row], notes: Counter[str]) -> dict[str, Any]:
    """One class map from the masks of all classes; where they overlap, the last counts."""
    masks = [decode_rle(row["mask"]) for row in rows]
    if len({mask.shape for mask in masks}) > 1 or any(row["label"] is None for row in rows):
        where = f"of sample {rows[0]['sample_id']!r} in {slot.name!r}"
        raise Unsupported(
            "", [f"The masks {where} have no class, or several sizes; correct them, or choose other fields=[…]."]
        )
    pixels = np.zeros(masks[0].shape, np.uint8 if max(slot.pixels.values()) < 256 else np.uint16)
    for row, mask in zip(rows, masks, strict=True):
        if pixels[mask].any():
            notes[f"masks of {slot.name!r} overlap, and a pixel has one class there; the last was taken"] += 1
        pixels[mask] = slot.pixels[row["label"]]
    if any(row[n] != rows[0][n] for row in rows for n in ("attributes", "tags", "confidence")):
        notes[f"segmentations of {slot.name!r} have attributes by class; those of the first were taken"] += 1
    given = {row["label"]: row["label_id"] for row in rows}
    first = rows[0]["label_id"].partition(":")[0]
    theirs = values.is_object_id(first) and all(i == f"{first}:{name}" for name, i in given.items())
    found = {"_id": values.object_id(first if theirs else rows[0]["label_id"]), "_cls": slot.inner}
    common = {name: content for name, content in _common(slot, rows[0], notes).items() if name != "label"}
    return {**found, **({} if theirs else {ALL_OURS: given}), **common, "mask": values.binary(pixels)}
