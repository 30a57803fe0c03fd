"""Writing Datumaro's JSON, in the form of 1.0 that CVAT and datumaro read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
import numpy as np

from ...core.geometry import encode_rle, runs
from ..coco.rows import DECIMALS
from ..coco.write import JsonFile
from ..common.export import ExportData
from ..common.fidelity import NOTHING
from ..common.paint import has_holes, pixels
from ..common.skeletons import POINT_NAMES, point_names

_TYPES = {"box": "bbox", "classification": "label", "keypoints": "points"}
KINDS = ("box", "polygon", "polyline", "keypoints", "skeleton", "mask", "classification", "ellipse", "segmentation")
_OWN = ("z_order", "group", POINT_NAMES)


class Writer:
    """Writes a file per split, item by item."""

    def __init__(self, data: ExportData) -> None:
        self._data = data
        self._numbers = {name: number for number, name in enumerate(data.classes)}
        self._names: dict[str, Sequence[str]] = {}
        self._group = 0  # the highest group of the export; parts of a polygon get new ones above it

    def write(self) -> None:
        """Write all files."""
        self._look()
        splits = self._data.items["split"].to_pylist()
        with ExitStack() as stack:
            files = {}
            for split in self._data.splits:
                name = (split or "default").replace("/", "_")
                file = stack.enter_context(JsonFile(self._data.folder / "annotations" / f"{name}.json"))
                file.member("info", {})
                file.member("categories", self._categories())
                file.begin_list("items")
                files[split] = file
            for part in self._data.parts():
                for number, item, labels in part.by_item():
                    files[splits[number]].add([self._item(number, item, labels.to_pylist())])
            for file in files.values():
                file.end_list()

    def _look(self) -> None:
        """Find the names of points and the highest group, which the head of each file needs."""
        for part in self._data.parts():
            for row in part.labels.select(["kind", "label", "points", "attributes"]).to_pylist():
                values = {a["name"]: a["value"] for a in row["attributes"] or ()}
                if (group := values.get("group")) is not None and group.isdecimal():
                    self._group = max(self._group, int(group))
                if row["kind"] == "skeleton" or (row["kind"] == "keypoints" and POINT_NAMES in values):
                    self._names.setdefault(row["label"], point_names(values.get(POINT_NAMES), len(row["points"][0])))

    def _categories(self) -> dict[str, Any]:
        labels = [{"name": name, "parent": "", "attributes": []} for name in self._numbers]
        found: dict[str, Any] = {"label": {"labels": labels, "attributes": []}}
        for skeleton, names in self._names.items():
            labels += [{"name": name, "parent": skeleton, "attributes": []} for name in names]
        if self._names:
            found["points"] = {
                "items": [
                    {"label_id": self._numbers[name], "labels": list(names), "joints": []}
                    for name, names in self._names.items()
                ]
            }
        return found

    def _item(self, number: int, item: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        name = str(item["name"])
        stem = name.rpartition("/")[0] + "/" * ("/" in name) + name.rpartition("/")[2].rsplit(".", 1)[0]
        image: dict[str, Any] = {"path": name}
        if item["width"] is not None:
            image["size"] = [item["height"], item["width"]]
        made = [list(self._annotations(row, item)) for row in rows if row["kind"] in KINDS]
        self._data.lose(NOTHING, sum(not some for some in made))
        annotations = [a for some in made for a in some]
        for at, annotation in enumerate(annotations):
            annotation["id"] = at
        return {"id": stem, "annotations": annotations, "attr": {"frame": number}, "image": image}

    def _annotations(self, row: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The annotations of a label: one, or one for each part of a polygon or polyline."""
        kind = row["kind"]
        values = {a["name"]: a["value"] for a in row["attributes"] or ()}
        own = ("group",) if kind == "classification" else _OWN
        attributes: dict[str, Any] = {n: msgspec.Raw(v.encode()) for n, v in values.items() if n not in own}
        for name, column in (("score", "confidence"), ("track_id", "index"), ("rotation", "rotation")):
            if row[column] or (row[column] is not None and column != "rotation"):
                attributes[name] = row[column]
        group = json.loads(values.get("group", "0"))
        base: dict[str, Any] = {
            "id": 0, "type": _TYPES.get(kind, kind), "attributes": attributes, "group": group,
            "label_id": self._numbers[row["label"]],
        }  # fmt: skip
        if kind != "classification" and "z_order" in values:
            base["z_order"] = json.loads(values["z_order"])
        if kind in ("polygon", "polyline") and not (kind == "polygon" and has_holes(row["points"])):
            if kind == "polyline" and row["closed"]:
                attributes["closed"] = True
            if len(row["points"]) > 1 and not group:
                self._group += 1
                base["group"] = self._group
            for part in row["points"]:
                yield {**base, "points": _flat(part)}
        elif kind == "box":
            yield {**base, "bbox": np.round(row["bounding_box"], DECIMALS).tolist()}
        elif kind in ("keypoints", "skeleton"):
            if any(row["visibility"] or (1,)):
                yield {**base, **_joints(row)}
        elif kind == "classification":
            yield base
        elif (mask := _mask(row, item)) is not None:
            yield {**base, "type": "mask", "rle": mask}


def _flat(points: Sequence[Sequence[float]]) -> list[float]:
    flat: list[float] = np.round(np.array(points, float), DECIMALS).ravel().tolist()
    return flat


def _joints(row: Mapping[str, Any]) -> dict[str, Any]:
    xy = np.round(np.array(row["points"][0], float).reshape(-1, 2), DECIMALS)
    seen = row["visibility"] or [2] * len(xy)
    v = np.where(np.isnan(xy).any(axis=1), 0, np.array(seen))
    xy = np.where(v[:, None] > 0, xy, 0.0)
    if row["kind"] == "keypoints":
        return {"points": xy.ravel().tolist(), "visibility": v.tolist()}
    flat = [n for (x, y), s in zip(xy.tolist(), v.tolist(), strict=True) for n in (x, y, s)]
    return {"points": flat, "points_attributes": [{}] * len(v)}


def _mask(row: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any] | None:
    rle: Any = row["mask"]
    if rle is None:
        found = pixels(row, (item["width"], item["height"]))
        rle = encode_rle(found) if found is not None else None
    return (
        None
        if rle is None or not runs(rle)[1::2].any()
        else {"counts": bytes(rle["counts"]).decode("ascii"), "size": list(rle["size"])}
    )
