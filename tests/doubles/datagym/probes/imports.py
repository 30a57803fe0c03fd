"""Imports of labels («prediction»): what is taken, what is refused, what is stored of it."""

from __future__ import annotations

import json
from typing import Any

from .asking import Asker, Json, entry

_BOX = {"rectangle": [{"x": 1, "y": 2, "w": 3, "h": 4}]}
_CONFIG = [
    entry(
        "car",
        "rectangle",
        entry("color", "freetext", maxLength=5),
        entry("kind", "select", entry("make", "freetext"), options={"a": "A", "b": "B"}),
        entry("extras", "checklist", options={"x": "X", "y": "Y"}),
        entry("plate", "polygon", entry("text", "freetext")),
    ),
    entry("area", "polygon"),
    entry("street", "line"),
    entry("poi", "point"),
    entry("grass", "image_segmentation"),
    entry(
        "weather",
        "select",
        entry("degrees", "freetext"),
        entry("wind", "freetext"),
        options={"sunny": "S", "rain": "R"},
    ),
    entry("tags", "checklist", entry("why", "freetext"), options={"x": "X", "y": "Y"}),
    entry("note", "freetext", maxLength=5),
]


def ask(a: Asker) -> None:
    """All questions of this area."""
    project, (task,) = a.new_task("Import", _CONFIG)
    path, number = f"project/{project['id']}/prediction", task["mediaId"]
    for what, item in _ITEMS.items():
        body = [{"internal_media_ID": number, "keepData": False} | item]
        told = a.ask(f"import: {what}", "POST", path, body)
        if told == {"errorMessages": ""}:
            a.answers[f"stored: {what}"] = _stored(a, task["taskId"])
        a.do("POST", path, [{"internal_media_ID": number, "keepData": False}])
    for what, raw in _BODIES.items():
        text = raw.replace("MEDIA", number)
        a.ask(f"import of {what}", "POST", path, text.encode())
    a.ask("import with a byte-order mark", "POST", path, b"\xef\xbb\xbf[]")
    a.ask("import with a byte-order mark and an image", "POST", path,
          b"\xef\xbb\xbf" + json.dumps([{"internal_media_ID": number}]).encode())  # fmt: skip
    a.ask("import of nothing", "POST", path, b"", headers={"Content-Type": "application/json"})
    a.ask("import into no project", "POST", "project/nowhere/prediction", [{"internal_media_ID": number}])
    _kept(a, path, task)
    _rolled_back(a, path, task)


def _stored(a: Asker, task: str) -> Any:
    """The values on an image, as far as an import decides them."""
    found = a.do("GET", f"task/{task}")["labelIteration"]["entryValues"]
    return a.plain([_value(v) for v in found])


def _value(value: Json) -> Json:
    names = ("entryKeyLcEntry", "valid", "width", "height", "selectKey", "checkedValues", "text")
    made = {n: value[n] for n in names if value.get(n) is not None}
    for n in ("point", "points", "pointsCollection"):
        if value.get(n):
            made[n] = [[p.get("x"), p.get("y")] for p in (value[n] if isinstance(value[n], list) else [value[n]])]
    return made | {"children": [_value(c) for c in value["children"]]}


def _kept(a: Asker, path: str, task: Json) -> None:
    item: Json = {
        "internal_media_ID": task["mediaId"],
        "labels": {"car": [_BOX]},
        "global_classifications": {"note": ["a"]},
    }
    for what, more in {"set": {"keepData": False}, "kept": {"keepData": True}, "not said": {}}.items():
        a.do("POST", path, [item | more])
        a.answers[f"stored: labels, {what}"] = _stored(a, task["taskId"])
    a.do("POST", path, [{"internal_media_ID": task["mediaId"], "global_classifications": {"note": [None], "tags": []}}])
    a.answers["stored: null over a text"] = _stored(a, task["taskId"])
    a.do("POST", path, [item | {"keepData": False}, item, item])
    a.answers["stored: one image three times"] = _stored(a, task["taskId"])
    a.do("POST", path, [{"internal_media_ID": task["mediaId"], "keepData": False}])
    a.answers["stored: an image alone"] = _stored(a, task["taskId"])


def _rolled_back(a: Asker, path: str, task: Json) -> None:
    good = {"internal_media_ID": task["mediaId"], "labels": {"car": [_BOX]}}
    a.ask("import of a good and a bad item", "POST", path, [good, {"internal_media_ID": "nowhere"}])
    a.answers["stored: a good and a bad item"] = _stored(a, task["taskId"])
    a.ask("tasks after imports", "GET", f"project/{task['projectId']}/task")


def _car(**more: Any) -> Json:
    return {"labels": {"car": [_BOX | more]}}


def _global(**answers: Any) -> Json:
    return {"global_classifications": answers}


def _shape(key: str, **geometry: Any) -> Json:
    return {"labels": {key: [geometry]}}


_POINT, _CORNERS = {"x": 1.5, "y": 2}, [{"x": 1, "y": 2}, {"x": 30, "y": 4.75}, {"x": 5, "y": 26}]
_ITEMS: dict[str, Json] = {
    "a rectangle": _car(),
    "a rectangle twice": {"labels": {"car": [_BOX, _BOX]}},
    "a polygon": _shape("area", polygon=_CORNERS),
    "a line": _shape("street", line=_CORNERS[:2]),
    "a point": _shape("poi", point=[_POINT]),
    "decimals": _shape("car", rectangle=[{"x": 1.123456789, "y": 0.1, "w": 1e-9, "h": 1e6}]),
    "far outside": _shape("poi", point=[{"x": 1e9, "y": 1e9}]),
    "negative": _shape("poi", point=[{"x": -1, "y": 1}]),
    "no width": _shape("car", rectangle=[{"x": 1, "y": 2, "w": 0, "h": 0}]),
    "digits in quotes": _shape("poi", point=[{"x": "10", "y": "20"}]),
    "a decimal in quotes": _shape("poi", point=[{"x": "1.5", "y": "20"}]),
    "a null coordinate": _shape("poi", point=[{"x": None, "y": 1}]),
    "a true coordinate": _shape("poi", point=[{"x": True, "y": 1}]),
    "two points of a polygon": _shape("area", polygon=_CORNERS[:2]),
    "one point of a line": _shape("street", line=_CORNERS[:1]),
    "two points": _shape("poi", point=_CORNERS[:2]),
    "two rectangles in one": _shape("car", rectangle=_BOX["rectangle"] * 2),
    "a rectangle without height": _shape("car", rectangle=[{"x": 1, "y": 2, "w": 3}]),
    "a point with a third number": _shape("poi", point=[{"x": 1, "y": 2, "z": 3}]),
    "a rectangle with a fifth number": _shape("car", rectangle=[{"x": 1, "y": 2, "w": 3, "h": 4, "id": 5}]),
    "a rectangle for a polygon": _shape("area", **_BOX),
    "a rectangle for a point": _shape("poi", **_BOX),
    "a rectangle for a line": _shape("street", **_BOX),
    "a polygon for a rectangle": _shape("car", polygon=_CORNERS),
    "a polygon for a line": _shape("street", polygon=_CORNERS),
    "a polygon for a point": _shape("poi", polygon=_CORNERS),
    "a polygon for a segmentation": _shape("grass", polygon=_CORNERS),
    "a rectangle for a segmentation": _shape("grass", **_BOX),
    "a segmentation": _shape("grass", image_segmentation=[_CORNERS]),
    "a segmentation for a polygon": _shape("area", image_segmentation=[_CORNERS]),
    "a segmentation without a geometry": _shape("grass"),
    "a line for a polygon": _shape("area", line=_CORNERS),
    "geometry of a rectangle": _shape("car", geometry=_BOX["rectangle"]),
    "geometry of a polygon": _shape("area", geometry=_CORNERS),
    "geometry of a line": _shape("street", geometry=_CORNERS[:2]),
    "geometry of a point": _shape("poi", geometry=[_POINT]),
    "geometry without a point": _shape("car", geometry=[]),
    "no geometry": _shape("car"),
    "two geometries": _shape("area", polygon=_CORNERS, line=_CORNERS[:2]),
    "an unknown property of a label": _shape("car", colour="red", **_BOX),
    "an unknown property of an item": {"colour": "red"},
    "an item as exported": {"external_media_ID": "a.png", "labeler": None, "status": "completed"},
    "an unknown class": _shape("zebra", **_BOX),
    "a class in capitals": _shape("CAR", **_BOX),
    "an unknown class without labels": {"labels": {"zebra": []}},
    "a classification as a class": _shape("weather", **_BOX),
    "an attribute": _car(classifications={"color": ["red"]}),
    "an attribute in capitals": _car(classifications={"COLOR": ["red"]}),
    "an unknown attribute": _car(classifications={"zebra": ["red"]}),
    "an attribute of 6 of 5 characters": _car(classifications={"color": ["purple"]}),
    "an attribute of 255 characters": _car(classifications={"color": ["c" * 255]}),
    "an attribute of 256 characters": _car(classifications={"color": ["c" * 256]}),
    "an emoji": _car(classifications={"color": ["😀"]}),
    "an empty text": _car(classifications={"color": [""]}),
    "an attribute that is null": _car(classifications={"color": [None]}),
    "an attribute that is a number": _car(classifications={"color": [7]}),
    "an attribute that is true": _car(classifications={"color": [True]}),
    "an attribute that is no list": _car(classifications={"color": "red"}),
    "an empty attribute": _car(classifications={"color": []}),
    "two texts": _car(classifications={"color": ["a", "b"]}),
    "an option": _car(classifications={"kind": ["a"]}),
    "an option in capitals": _car(classifications={"kind": ["A"]}),
    "an unknown option": _car(classifications={"kind": ["z"]}),
    "two options": _car(classifications={"kind": ["a", "b"]}),
    "a child of an option": _car(classifications={"kind": ["a", {"make": ["m"]}]}),
    "a child without an option": _car(classifications={"kind": [None, {"make": ["m"]}]}),
    "a child in the third place": _car(classifications={"kind": ["a", "b", {"make": ["m"]}]}),
    "an unknown child": _car(classifications={"kind": ["a", {"zebra": ["m"]}]}),
    "a checklist": _car(classifications={"extras": ["x", "y"]}),
    "an unknown item of a checklist": _car(classifications={"extras": ["x", "z"]}),
    "a nested shape": _car(nested_geometries={"plate": [{"polygon": _CORNERS, "classifications": {"text": ["t"]}}]}),
    "a nested shape of no class": _car(nested_geometries={"zebra": [{"polygon": _CORNERS}]}),
    "a nested shape of a root class": _car(nested_geometries={"area": [{"polygon": _CORNERS}]}),
    "nested shapes that are numbers": _car(nested_geometries=[1, 2]),
    "a shape nested in a nested one": _car(
        nested_geometries={"plate": [{"polygon": _CORNERS, "nested_geometries": {"plate": [{"polygon": _CORNERS}]}}]}
    ),
    "additionalProperties of a nested shape": _car(nested_geometries={"plate": [{"additionalProperties": 1}]}),
    "an unknown property of a nested shape": _car(nested_geometries={"plate": [{"polygon": _CORNERS, "colour": 1}]}),
    "a classification": _global(weather=["rain"]),
    "a classification with a child": _global(weather=["rain", {"degrees": ["21"]}]),
    "a classification with two children": _global(weather=["rain", {"degrees": ["21"], "wind": ["none"]}]),
    "a classification with two objects": _global(weather=["rain", {"degrees": ["21"]}, {"wind": ["none"]}]),
    "an unknown classification": _global(zebra=["rain"]),
    "a classification in capitals": _global(WEATHER=["rain"]),
    "a shape as a classification": _global(car=["rain"]),
    "a global checklist": _global(tags=["x", "y"]),
    "a global checklist with a child": _global(tags=["x", {"why": ["w"]}, "y"]),
    "a global text": _global(note=["abc"]),
    "a global text that is too long": _global(note=["abcdef"]),
    "labels that are a list": {"labels": []},
    "labels of a class that are an object": {"labels": {"car": {}}},
    "labels that are null": {"labels": None},
    "classifications that are null": {"global_classifications": None},
    "a label that is null": {"labels": {"car": [None]}},
    "keepData that is a text": {"keepData": "true"},
    "an id of a number": {"internal_media_ID": 7},
    "an id of nothing": {"internal_media_ID": "<media_id>"},
    "an id that is null": {"internal_media_ID": None},
}
_BODIES = {
    "no JSON": "{",
    "an object": "{}",
    "a cut list": '[{"internal_media_ID": "MEDIA"',
    "an empty list": "[]",
    "null": "null",
    "a number": "7",
    "items that are numbers": "[1]",
    "an item without an id": '[{"labels": {}}]',
    "NaN": '[{"internal_media_ID": "MEDIA", "x": NaN}]',
    "an item with one key twice": '[{"internal_media_ID": "MEDIA", "x": 1, "x": 2}]',
    "an unknown image": '[{"internal_media_ID": "00000000-0000-0000-0000-000000000000"}]',
    "blanks around": '  [{"internal_media_ID": "MEDIA"}]  ',
    "more behind": '[{"internal_media_ID": "MEDIA"}] x',
    "a comma at the end": '[{"internal_media_ID": "MEDIA"},]',
}
