"""The label schema of a task that annobridge has not made, inferred from its label set and its annotations.

Each type of shape has a field of its own (``FIELDS``). A class is in the field of its label's type; where that is "any", in those
of the types that it has annotations of, or in ``detections`` if it has none.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annobridge.backend.kit import attribute_type
from annobridge.core.attr_text import from_plain
from annobridge.core.schema import FRAMES, Attribute

Json = dict[str, Any]
FIELDS = {  # type of CVAT's shape -> type of the field, which is also its name
    "tag": "classifications",
    "rectangle": "detections",
    "mask": "instances",
    "polygon": "polygons",
    "polyline": "polylines",
    "points": "keypoints",
    "skeleton": "skeletons",
    "ellipse": "ellipses",
    "cuboid": "cuboids",
}
_INPUTS = {"select": "select", "radio": "radio", "checkbox": "checkbox", "number": "int", "text": "text"}
_CIRCLE = re.compile(r"<circle\b[^>]*>")
_LINE = re.compile(r"<line\b[^>]*>")
_NAME = re.compile(r'([\w-]+)="([^"]*)"')


def infer(labels: Sequence[Json], annotations: Mapping[str, Sequence[Json]], *, in_video: bool) -> dict[str, Any]:
    """The label schema, in the form that ``annotate`` takes. In a video, tags are labels of frames as all others are."""
    occurring = _types(annotations)
    prefix = FRAMES if in_video else ""
    fields: dict[str, dict[str, Any]] = {}
    for shape, kind in FIELDS.items():
        own = [label for label in labels if shape in _types_of(label, occurring[label["id"]])]
        if shape == "skeleton":
            fields |= _skeleton_fields(own, prefix, in_video)
        elif own:
            fields[prefix + kind] = _field(kind, own, in_video)
    return fields


def _types(annotations: Mapping[str, Sequence[Json]]) -> defaultdict[int, set[str]]:
    """The types of the annotations of each label, by its id."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for tag in annotations["tags"]:
        found[tag["label_id"]].add("tag")
    for shape in annotations["shapes"]:
        found[shape["label_id"]].add(shape["type"])
    for track in annotations["tracks"]:
        found[track["label_id"]] |= {shape["type"] for shape in track["shapes"]}
    return found


def _types_of(label: Json, occurring: set[str]) -> set[str]:
    return occurring or {"rectangle"} if label["type"] == "any" else {label["type"]}


def _field(kind: str, labels: Sequence[Json], in_video: bool) -> dict[str, Any]:
    """The field of some labels. Attributes are those of each class, so that the schemas of several tasks can be united."""
    own = {label["name"]: attributes(label, in_video) for label in labels}
    return {"type": kind, "classes": [{"classes": [name], "attributes": a} if a else name for name, a in own.items()]}


def attributes(label: Json, in_video: bool) -> dict[str, Any]:
    """The attributes of a label. One that asks to choose among nothing is left out."""
    return {a["name"]: made for a in label["attributes"] if (made := _attribute(a, in_video)) is not None}


def _attribute(spec: Json, in_video: bool) -> dict[str, Any] | None:
    kind, text = _INPUTS.get(spec["input_type"], "text"), str(spec["default_value"] or "")
    made: dict[str, Any] = {"type": kind}
    if kind in ("select", "radio"):
        made["values"] = [v for v in dict.fromkeys(map(str, spec["values"])) if v]
        if not made["values"]:
            return None
    default = json.loads(from_plain(kind, text)) if text else None
    if Attribute(spec["name"], kind, tuple(made.get("values", ()))).accepts(default):
        made["default"] = default
    return made | ({"mutable": bool(spec["mutable"])} if in_video or spec["mutable"] else {})


def _skeleton_fields(labels: Sequence[Json], prefix: str, in_video: bool) -> dict[str, dict[str, Any]]:
    """A field for each layout of points: ``skeletons``, ``skeletons_2``, …"""
    by_layout: dict[str, list[Json]] = defaultdict(list)
    for label in labels:
        by_layout[json.dumps(layout(label))].append(label)
    fields = {}
    for n, (text, own) in enumerate(by_layout.items(), 1):
        name = prefix + "skeletons" + (f"_{n}" if n > 1 else "")
        fields[name] = _field("skeletons", own, in_video) | {"skeleton": json.loads(text)}
    return fields


def layout(label: Json) -> dict[str, Any]:
    """The points of a skeleton, and the lines between them as its SVG image has them."""
    points = label.get("sublabels") or []
    names = [p["name"] for p in points]
    place = {str(p["id"]): n for n, p in enumerate(points)} | {name: n for n, name in enumerate(names)}
    svg, node = str(label.get("svg") or ""), {}
    for circle in map(_values, _CIRCLE.findall(svg)):
        at = place.get(circle.get("data-label-id", circle.get("data-label-name", "")))
        if at is not None:
            node[circle.get("data-node-id")] = at
    lines = map(_values, _LINE.findall(svg))
    ends = ((node.get(line.get("data-node-from")), node.get(line.get("data-node-to"))) for line in lines)
    return {"labels": names, "edges": [[a, b] for a, b in ends if a is not None and b is not None]}


def _values(element: str) -> dict[str, str]:
    return dict(_NAME.findall(element))


def type_of(strings: Iterable[str]) -> str:
    """The attribute type whose values have these strings."""
    values = {type(json.loads(from_plain("number", s))) if not _is_bool(s) else bool for s in strings}
    return attribute_type(values)


def _is_bool(string: str) -> bool:
    return string.lower() in ("true", "false")
