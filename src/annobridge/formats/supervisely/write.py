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
import pyarrow.compute as pc
from PIL import Image

from ...core import attributes
from ..common.export import ExportData
from ..common.paint import pixels
from ..common.rings import with_holes
from ..common.skeletons import POINT_NAMES, point_names
from .geometry import VERTICES
from .read import ATTRIBUTES, CLASS_TAG

SHAPES = {"box": "rectangle", "polygon": "polygon", "polyline": "line", "mask": "bitmap", "segmentation": "bitmap",
           "ellipse": "bitmap", "keypoints": "graph", "skeleton": "graph", "cuboid": "cuboid_2d"}  # fmt: skip
_TAG_TYPES = {"bool": "oneof_string", "int": "any_number", "float": "any_number", "str": "any_string"}
Row = Mapping[str, Any]


class Meta:
    """What ``meta.json`` says of an export, gathered while the labels are written."""

    def __init__(self, data: ExportData) -> None:
        self._shapes: dict[str, set[str]] = {name: set() for name in data.classes}
        self._nodes: dict[str, dict[str, None]] = {}
        self._tags: dict[str, str] = {}  # name → type
        self._types = _attribute_types(data)
        self._classes: dict[str, None] = {}

    def add_class(self, label: str) -> None:
        """A class of whole images."""
        self._classes[label] = None

    def objects(self, row: Row, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """A label as one object, or several for one of several parts."""
        tags, own = self._object_tags(row)
        for shape in self._geometries(row, size):
            self._shapes[row["label"]].add(shape["geometryType"])
            yield {
                "classTitle": row["label"], "description": "", "tags": tags, **shape, "shape": shape["geometryType"],
                **({ATTRIBUTES: own} if own else {}),
            }  # fmt: skip

    def _object_tags(self, row: Row) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Tags, and the attributes whose types these do not keep."""
        values = {a["name"]: (a["type"], json.loads(a["value"])) for a in row["attributes"] or ()}
        values.pop(POINT_NAMES if row["kind"] in ("keypoints", "skeleton") else "", None)
        if row["confidence"] is not None:
            values["score"] = ("float", row["confidence"])
        if row["index"] is not None:
            values["track_id"] = ("int", row["index"])
        found, own = [], {}
        for name, (type_, value) in values.items():
            if type_ != self._types.get(name):
                own[name] = value
            kind = _TAG_TYPES.get(self._types.get(name, ""), "any_string")
            if kind == "oneof_string" or (kind == "any_string" and not isinstance(value, str)):
                value = json.dumps(value)
            self._tags[name] = kind
            found.append({"name": name, "value": value})
        return found, own

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
                yield {"geometryType": shape, "points": {"exterior": _whole(part), "interior": []}}
        elif kind == "cuboid":
            yield {"geometryType": shape, "vertices": {
                key: {"loc": loc} for key, loc in zip(VERTICES, _whole(row["points"][0]), strict=True)}}  # fmt: skip
        elif kind in ("keypoints", "skeleton"):
            if nodes := self._graph_nodes(row):
                yield {"geometryType": shape, "nodes": nodes}
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
        tags = [_tag(name, kind, ["true", "false"]) for name, kind in sorted(self._tags.items())]
        if self._classes:
            tags.insert(0, _tag(CLASS_TAG, "oneof_string", list(self._classes)))
        return {"classes": classes, "tags": tags, "projectType": "images"}


def _attribute_types(data: ExportData) -> dict[str, str]:
    """The types of the attributes that have one type in all labels, which a tag holds."""
    types: dict[str, set[str]] = {"score": {"float"}, "track_id": {"int"}}
    for labels in data.label_tables():
        _, flat = attributes.flattened(labels["attributes"])
        pairs = pc.unique(pc.binary_join_element_wise(flat.field("name"), flat.field("type"), "\0")).to_pylist()
        for name, kind in (pair.split("\0") for pair in pairs):
            types.setdefault(name, set()).add(kind)
    return {name: next(iter(kinds)) for name, kinds in types.items() if len(kinds) == 1 and kinds <= _TAG_TYPES.keys()}


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
