"""Writing: labels as objects and tags, and what ``meta.json`` says of them."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..common.export import ExportData
from ..common.paint import pixels
from ..common.rings import with_holes
from ..common.skeletons import POINT_NAMES, point_names
from .geometry import VERTICES
from .read import CLASS_TAG

SHAPES = {"box": "rectangle", "polygon": "polygon", "polyline": "line", "mask": "bitmap", "segmentation": "bitmap",
           "ellipse": "bitmap", "keypoints": "graph", "skeleton": "graph", "cuboid": "cuboid_2d"}  # fmt: skip
Row = Mapping[str, Any]


class Meta:
    """What ``meta.json`` says of an export, gathered while the labels are written."""

    def __init__(self, data: ExportData) -> None:
        self._shapes: dict[str, set[str]] = {name: set() for name in data.classes}
        self._nodes: dict[str, dict[str, None]] = {}
        self._tags: dict[str, set[str]] = {}
        self._classes: dict[str, None] = {}

    def add_class(self, label: str) -> None:
        """A class of whole images."""
        self._classes[label] = None

    def objects(self, row: Row, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """A label as one object, or several for one of several parts."""
        tags = self._object_tags(row)
        for shape in self._geometries(row, size):
            self._shapes[row["label"]].add(shape["geometryType"])
            yield {"classTitle": row["label"], "description": "", "tags": tags, **shape, "shape": shape["geometryType"]}

    def _object_tags(self, row: Row) -> list[dict[str, Any]]:
        values = {a["name"]: (a["type"], json.loads(a["value"])) for a in row["attributes"] or ()}
        values.pop(POINT_NAMES if row["kind"] in ("keypoints", "skeleton") else "", None)
        if row["confidence"] is not None:
            values["score"] = ("float", row["confidence"])
        found = []
        for name, (type_, value) in values.items():
            kind = "any_number" if type_ in ("int", "float") else "oneof_string" if type_ == "bool" else "any_string"
            self._tags.setdefault(name, set()).add(kind)
            found.append(
                {"name": name, "value": value if isinstance(value, str) or kind == "any_number" else json.dumps(value)}
            )
        return found

    def _geometries(self, row: Row, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        kind, shape = row["kind"], SHAPES[row["kind"]]
        if kind == "box":
            x, y, width, height = row["bounding_box"]
            left, top = round(x), round(y)
            corners = [[left, top], [max(round(x + width) - 1, left), max(round(y + height) - 1, top)]]
            if (row["rotation"] or 0) % 360:
                yield {"geometryType": "oriented_bbox", "points": corners, "angle": math.radians(row["rotation"])}
            else:
                yield {"geometryType": shape, "points": {"exterior": corners, "interior": []}}
        elif kind == "polygon":
            for exterior, interior in with_holes([np.array(ring) for ring in row["points"]]):
                yield {
                    "geometryType": shape,
                    "points": {"exterior": _whole(exterior), "interior": list(map(_whole, interior))},
                }
        elif kind == "polyline":
            for part in row["points"]:
                closed = [*part, part[0]] if row["closed"] else part
                yield {"geometryType": shape, "points": {"exterior": _whole(closed), "interior": []}}
        elif kind == "cuboid":
            yield {"geometryType": shape, "vertices": {
                key: {"loc": loc} for key, loc in zip(VERTICES, _whole(row["points"][0]), strict=True)}}  # fmt: skip
        elif kind in ("keypoints", "skeleton"):
            yield {"geometryType": shape, "nodes": self._graph_nodes(row)}
        elif (inside := pixels(row, size)) is not None and inside.any():
            yield {"geometryType": shape, "bitmap": _packed(inside)}

    def _graph_nodes(self, row: Row) -> dict[str, Any]:
        points = row["points"][0]
        given = next((a["value"] for a in row["attributes"] or () if a["name"] == POINT_NAMES), None)
        names = point_names(given, len(points))
        self._nodes.setdefault(row["label"], {}).update(dict.fromkeys(names))
        nodes = {}
        for name, point, seen in zip(names, points, row["visibility"] or [2] * len(points), strict=True):
            if not any(map(math.isnan, point)):
                nodes[name] = {"loc": _whole([point])[0], **({"disabled": True} if seen == 1 else {})}
        return nodes

    def to_json(self) -> dict[str, Any]:
        """The content of ``meta.json``."""
        classes = []
        for number, (title, shapes) in enumerate(self._shapes.items()):
            if not shapes and title in self._classes:
                continue
            shape = next(iter(shapes)) if len(shapes) == 1 else "any"
            nodes = {
                name: {"label": name, "loc": [at, at], "color": "#0000FF"}
                for at, name in enumerate(self._nodes.get(title, ()))
            }
            config: dict[str, Any] = {"nodes": nodes, "edges": []} if nodes else {}
            if "cuboid_2d" in shapes:  # the SDK wants to know the corners
                corners = {key: {"label": key, "loc": [0, at], "color": "#0000FF"} for at, key in enumerate(VERTICES)}
                config |= {"vertices": corners, "edges": []}
            classes.append({"title": title, "shape": "any" if shape == "cuboid_2d" else shape, "color": _colour(number),
                            "geometry_config": config, "hotkey": ""})  # fmt: skip
        tags = [_tag(name, next(iter(kinds)) if len(kinds) == 1 else "any_string", ["true", "false"])
                for name, kinds in sorted(self._tags.items())]  # fmt: skip
        if self._classes:
            tags.insert(0, _tag(CLASS_TAG, "oneof_string", list(self._classes)))
        return {"classes": classes, "tags": tags, "projectType": "images"}


def _tag(name: str, kind: str, values: Sequence[str]) -> dict[str, Any]:
    found = {
        "name": name,
        "value_type": kind,
        "color": _colour(len(name)),
        "hotkey": "",
        "applicable_type": "all",
        "classes": [],
    }
    return found | ({"values": list(values)} if kind == "oneof_string" else {})


def _colour(number: int) -> str:
    return f"#{(number + 1) * 0x5A3C71 % 0xFFFFFF:06X}"


def _whole(points: Any) -> list[list[int]]:
    return [[round(x), round(y)] for x, y in np.asarray(points, float).tolist()]


def _packed(inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The box of a mask as a PNG of which the pixels outside of the mask cannot be seen."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray(box.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=1)
    return {
        "origin": [int(columns[0]), int(rows[0])],
        "data": base64.b64encode(zlib.compress(buffer.getvalue())).decode(),
    }
