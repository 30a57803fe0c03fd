"""Labels, encoded as documents of FiftyOne."""

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
from . import extended_json
from .decode import CLASS_IDS_KEY, ID_KEY
from .target_fields import TargetField

LABEL_COLUMNS = (
    "label_id", "sample_id", "field", "frame_number", "index", "keyframe", "kind", "label", "confidence", "value",
    "bounding_box", "rotation", "points", "closed", "filled", "visibility", "mask", "attributes", "tags",
)  # fmt: skip
_NAN = extended_json.encode_number(math.nan)
Row = Mapping[str, Any]


def value(target: TargetField, rows: Sequence[Row], notes: Counter[str]) -> Any:
    """The value of a field of one sample or frame. ``notes`` counts what could not be written."""
    if target.many is None and target.outer != "Segmentation" and len(rows) > 1:
        notes[f"values of {target.name!r} were left out, since samples have one each there"] += len(rows) - 1
    if target.outer == "Segmentation":
        return _segmentation(target, rows, notes)
    if target.outer.endswith("Field"):
        notes[f"values of {target.name!r} are plain values there, without an id"] += 1
        text = rows[0]["value"]
        return to_plain(text) if target.outer == "StringField" else json.loads(text)
    if target.many is None:
        return _label(target, rows[0], notes)
    return {"_cls": target.outer, target.many: [_label(target, row, notes) for row in rows]}


def _label(target: TargetField, row: Row, notes: Counter[str]) -> dict[str, Any]:
    found = {**_id_and_class(target.inner, row), **_common(target, row, notes)}
    match target.inner:
        case "Detection":
            found |= {"bounding_box": row["bounding_box"], **(_mask(row, notes) if row["kind"] == "mask" else {})}
        case "Polyline":
            found |= {"points": row["points"], "closed": bool(row["closed"]), "filled": bool(row["filled"])}
        case "Keypoint":
            found |= _keypoints(row, found, notes)
        case "Regression":
            found["value"] = float(json.loads(row["value"]))
    return found


def _id_and_class(kind: str, row: Row) -> dict[str, Any]:
    given = row["label_id"]
    own_id = {} if extended_json.is_object_id(given) else {ID_KEY: given}
    return {"_id": extended_json.object_id(given), "_cls": kind, **own_id}


def _common(target: TargetField, row: Row, notes: Counter[str]) -> dict[str, Any]:
    """The keys of a label other than its geometry."""
    found: dict[str, Any] = {"tags": row["tags"] or []}
    if target.inner in ("Detection", "Polyline", "Keypoint"):
        found["attributes"] = {}
    for name in ("label", "confidence", "index", "keyframe", "rotation"):
        if row[name] is not None:
            found[name] = row[name]
    for entry in row["attributes"] or []:
        name, content = entry["name"], json.loads(entry["value"])
        if name == "logits" and target.inner == "Classification" and _numbers(content):
            content = extended_json.encode_array(np.array(content, np.float64))
        if name == "instance" and isinstance(content, str) and extended_json.is_object_id(content):
            content = {"_id": {"$oid": content}, "_cls": "Instance"}
        if target.names[name] != name:
            notes[f"attributes are called {target.names[name]} there, since {name!r} cannot be the name of one"] += 1
        found[target.names[name]] = content
    return found


def _numbers(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(v, int | float) for v in content)


def _keypoints(row: Row, found: dict[str, Any], notes: Counter[str]) -> dict[str, Any]:
    points = [
        [extended_json.encode_number(x), extended_json.encode_number(y)] for part in row["points"] for x, y in part
    ]
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
    """The box of a label, and its mask cropped to it. A box that does not contain the mask is replaced by that of the mask."""
    full, box = decode_rle(row["mask"]), row["bounding_box"]
    cut = _cut(full, box) if box is not None else None
    if cut is None or cut.sum() != full.sum():
        box = mask_box(row["mask"])
        cut = _cut(full, box)
        if row["bounding_box"] is not None:
            notes["instances had pixels outside their box; the box was made that of the mask"] += 1
    return {"bounding_box": box, "mask": extended_json.encode_array(cut)}


def _cut(full: Mask, box: Sequence[float]) -> Mask:
    """The pixels in a box, the inverse of ``core.geometry.paste``."""
    (height, width), (x, y, w, h) = full.shape, box
    left, top = round(x * width), round(y * height)
    cut = np.zeros((max(math.ceil(h * height - 1e-6), 1), max(math.ceil(w * width - 1e-6), 1)), bool)
    found = full[max(top, 0) : top + cut.shape[0], max(left, 0) : left + cut.shape[1]]
    cut[: found.shape[0], : found.shape[1]] = found
    return cut


def _segmentation(target: TargetField, rows: Sequence[Row], notes: Counter[str]) -> dict[str, Any]:
    """A class map of the masks of all classes; where they overlap, the last one counts."""
    masks = [decode_rle(row["mask"]) for row in rows]
    if len({mask.shape for mask in masks}) > 1 or any(row["label"] is None for row in rows):
        where = f"of sample {rows[0]['sample_id']!r} in {target.name!r}"
        raise Unsupported(
            "", [f"The masks {where} have no class, or several sizes; correct them, or choose other fields=[…]."]
        )
    pixels = np.zeros(masks[0].shape, np.uint8 if max(target.pixels.values()) < 256 else np.uint16)
    for row, mask in zip(rows, masks, strict=True):
        if pixels[mask].any():
            notes[f"masks of {target.name!r} overlap, and a pixel has one class there; the last was taken"] += 1
        pixels[mask] = target.pixels[row["label"]]
    if any(row[n] != rows[0][n] for row in rows for n in ("attributes", "tags", "confidence")):
        notes[f"segmentations of {target.name!r} have attributes by class; those of the first were taken"] += 1
    given = {row["label"]: row["label_id"] for row in rows}
    first = rows[0]["label_id"].partition(":")[0]
    derived = extended_json.is_object_id(first) and all(i == f"{first}:{name}" for name, i in given.items())
    found = {"_id": extended_json.object_id(first if derived else rows[0]["label_id"]), "_cls": target.inner}
    common = {name: content for name, content in _common(target, rows[0], notes).items() if name != "label"}
    return {
        **found,
        **({} if derived else {CLASS_IDS_KEY: given}),
        **common,
        "mask": extended_json.encode_array(pixels),
    }
