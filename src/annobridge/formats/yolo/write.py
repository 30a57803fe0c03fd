"""Writing of Ultralytics YOLO: ``images/``, ``labels/`` and ``data.yaml``, for one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from ...core.arrays import as_array
from ...exceptions import Unsupported
from ..common.export import ExportData, ExportPart
from ..common.fidelity import BRIDGED, KEPT, NOTHING, Fidelity, lost_values
from ..common.yolo_lines import Task
from ..common.yolo_text import (
    Lines,
    box_lines,
    boxes_around,
    corner_lines,
    groups_of,
    keypoints_of,
    polygon_lines,
    pose_lines,
    tell_unseen,
    with_area,
    write_texts,
)  # fmt: skip
from .config import NO_SPLITS, task_comment

AS_BOXES = "written as the boxes around them"
AS_POLYGONS = "written as polygons"
_POINTS = ("keypoints", "skeleton")
_AROUND = dict.fromkeys(
    ("polygon", "polyline", "mask", "segmentation", "keypoints", "skeleton", "ellipse", "cuboid"), AS_BOXES
)
FIDELITY: Mapping[str, Fidelity] = {
    "detect": Fidelity(kinds=_AROUND | {"box": KEPT}, splits=True, reviewed=True, parts=True),
    "obb": Fidelity(kinds=_AROUND | {"box": KEPT}, rotation=True, splits=True, reviewed=True, parts=True),
    "segment": Fidelity(
        kinds={
            "polygon": KEPT, "box": AS_POLYGONS, "mask": AS_POLYGONS, "segmentation": AS_POLYGONS, "ellipse": AS_POLYGONS,
        },
        rotation=True, splits=True, reviewed=True, without_holes=BRIDGED,
    ),
    "pose": Fidelity(
        kinds=_AROUND | {"box": KEPT, "keypoints": KEPT, "skeleton": "written as keypoints"},
        attributes=frozenset({"group"}), groups_renumbered=True, visibility=True, splits=True, reviewed=True, parts=True,
        same_points=True, boxes_of_points=True,
    ),
}  # fmt: skip


def task_of(data: ExportData, told: Task) -> Task:
    """What the labels of an export need."""
    if told != "auto":
        return told
    if any(data.kinds[kind] for kind in _POINTS):
        return "pose"
    if any(data.kinds[kind] for kind in ("polygon", "mask", "segmentation")):
        return "segment"
    return "obb" if data.rotated else "detect"


def write_dataset(data: ExportData, task: Task, scores: bool) -> None:
    """Write the label files and ``data.yaml``."""
    count = _most_keypoints(data) if task == "pose" else 0
    nameless = unseen = 0
    for part in data.parts():
        labels, without = _written(part.labels, FIDELITY[task])
        nameless += without
        part = ExportPart(part.first, part.items, labels)
        lines = list(_lines(part, task, data, count, scores))
        unseen += write_texts(part, lines, lambda item: _path(data.folder, item), data.not_reviewed(part))
    if nameless:
        data.notes.append(f"{nameless:,} labels without a class were left out.")
    tell_unseen(data, unseen)
    text = yaml.safe_dump(_document(data, task, count), sort_keys=False, allow_unicode=True, width=1_000)
    (data.folder / "data.yaml").write_text(task_comment(task) + text, "utf-8")


def lose_groups(data: ExportData) -> None:
    """Tell of groups that are no box with its keypoints, which poses have no place for."""
    lost = 0
    for labels in data.label_tables():
        if not labels.num_rows:
            continue
        kinds = labels["kind"].to_pylist()
        keys = list(zip(labels["sample_id"].to_pylist(), groups_of(labels), labels["label"].to_pylist(), strict=True))
        boxes = {key for kind, key in zip(kinds, keys, strict=True) if kind == "box"}
        points = Counter(key for kind, key in zip(kinds, keys, strict=True) if kind in _POINTS)
        pairs = sum(count > 0 and key in boxes for key, count in points.items() if key[1] is not None)
        lost += (
            sum(key[1] is not None and kind in FIDELITY["pose"].kinds for kind, key in zip(kinds, keys, strict=True))
            - 2 * pairs
        )
    data.lose(lost_values("group"), lost)


def require_splits(data: ExportData) -> None:
    """Refuse splits that would be other keys of ``data.yaml``."""
    if odd := [split for split in data.splits if split in NO_SPLITS]:
        raise Unsupported("", [f"A split cannot be called {odd[0]!r} in data.yaml; rename it."])


def _written(labels: pa.Table, fidelity: Fidelity) -> tuple[pa.Table, int]:
    """The labels that are written, and how many are not because they have no class."""
    kinds = np.array([kind in fidelity.kinds for kind in labels["kind"].to_pylist()], bool)
    named = np.asarray(as_array(labels["label"].is_valid()).to_numpy(zero_copy_only=False), bool)
    return labels.filter(pa.array(kinds & named)).combine_chunks(), int((kinds & ~named).sum())


def _lines(part: ExportPart, task: Task, data: ExportData, count: int, scores: bool) -> Iterator[Lines]:
    rows, classes = part.labels, data.classes
    if not rows.num_rows:
        return
    if task == "segment":
        found = list(polygon_lines(rows, np.arange(rows.num_rows), part.items, part.first, classes, scores))
        data.lose(NOTHING, rows.num_rows - len({row for at, _ in found for row in at.tolist()}))
        yield from found
        return
    boxes = boxes_around(rows, part.items, part.first)
    kinds = np.array(rows["kind"].to_pylist(), object)
    there = with_area(boxes)
    if task == "pose":  # keypoints may be on one line
        there |= np.isin(kinds, _POINTS) & np.isfinite(boxes).all(axis=1)
    data.lose(NOTHING, int((~there).sum()))
    if task == "pose":
        boxes[~there] = np.nan
        yield from _poses(rows, kinds, boxes, classes, count, scores)
    elif task == "obb":
        own = np.flatnonzero(np.isin(kinds, ("box", "ellipse")))
        values = as_array(rows["bounding_box"]).take(pa.array(own)).flatten().to_numpy(zero_copy_only=False)
        boxes[own] = values.reshape(-1, 4)
        yield corner_lines(rows, np.flatnonzero(there), boxes[there], part.items, part.first, classes, scores)
    else:
        yield box_lines(rows, np.flatnonzero(there), boxes[there], classes, scores)


def _poses(
    rows: pa.Table, kinds: np.ndarray, boxes: np.ndarray, classes: list[str], count: int, scores: bool
) -> Iterator[Lines]:
    """Keypoints with the box of their group, else with the box around them; boxes alone have missing keypoints."""
    at = np.flatnonzero(np.isin(kinds, _POINTS))
    keys = list(zip(rows["item"].to_pylist(), groups_of(rows), rows["label"].to_pylist(), strict=True))
    of_group = {key: row for row, key in enumerate(keys) if kinds[row] == "box" and key[1] is not None}
    used = set[int]()
    for row in at.tolist():
        if (box := of_group.get(keys[row])) is not None and box not in used:
            used.add(box)
            boxes[row] = boxes[box]
    at = at[np.isfinite(boxes[at]).all(axis=1)]
    points = [np.vstack([p, np.zeros((count - len(p), 3))]) for p in keypoints_of(rows, at)]
    if at.size:
        yield pose_lines(rows, at, boxes[at], points, classes, scores)
    alone = np.array(
        [
            row
            for row in range(len(kinds))
            if kinds[row] not in _POINTS and row not in used and np.isfinite(boxes[row]).all()
        ],
        np.int64,
    )
    if alone.size:
        yield pose_lines(rows, alone, boxes[alone], [np.zeros((count, 3))] * len(alone), classes, scores)


def _most_keypoints(data: ExportData) -> int:
    most = 1
    for part in data.parts():
        for kind, points in zip(part.labels["kind"].to_pylist(), part.labels["points"].to_pylist(), strict=True):
            if kind in _POINTS and points:
                most = max(most, len(points[0]))
    return most


def _path(folder: Path, item: dict[str, object]) -> str:
    split, stem = item["split"], str(item["name"]).rpartition(".")[0] or item["name"]
    return f"{folder}/labels/{split}/{stem}.txt" if split else f"{folder}/labels/{stem}.txt"


def _document(data: ExportData, task: Task, count: int) -> dict[str, Any]:
    """The contents of ``data.yaml``. Ultralytics needs both ``train`` and ``val``; here, one may be the other."""
    splits = {split: f"images/{split}" for split in data.splits if split is not None}
    if not splits:
        splits = {"train": "images", "val": "images"}
    valid = next((splits[name] for name in ("val", "valid", "validation", "dev", "test") if name in splits), None)
    first = splits.get("train") or splits.get("training") or next(iter(splits.values()))
    document: dict[str, Any] = {"path": ".", "train": first, "val": valid or first, **splits}
    if task == "pose":
        document["kpt_shape"] = [count, 3]
    return document | {"names": dict(enumerate(data.classes))}
