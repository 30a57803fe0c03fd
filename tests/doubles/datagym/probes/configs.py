"""Label configurations: keys, shown texts, types, depths, options; set, merged, cleared."""

from __future__ import annotations

from typing import Any

from .asking import Asker, Json, entry

_ACCENTS = "àâçéèêëîïôûùüÿñæœäöüß"


def ask(a: Asker) -> None:
    """All questions of this area."""
    config = a.new_project("Config")["labelConfigurationId"]
    for what, entries in _ENTRIES.items():
        a.ask(f"configuration: {what}", "POST", f"lconfig/{config}/import", entries)
        a.do("DELETE", f"lconfig/{config}")
    a.ask("configuration that is no JSON", "POST", f"lconfig/{config}/import", b"{")
    a.ask("configuration that is no list", "POST", f"lconfig/{config}/import", {})
    a.ask("configuration of no project, read", "GET", "lconfig/nowhere")
    a.ask("words that are kept", "GET", "lconfig/forbiddenKeywords")
    _set(a)
    _merged(a)


def _set(a: Asker) -> None:
    config = a.new_project("Set")["labelConfigurationId"]
    path = f"lconfig/{config}"
    full = [
        entry("car", "rectangle", entry("color", "freetext"), shown="Car", color="#22AA33", shortcut="1"),
        entry("weather", "select", options={"sunny": "Sunny", "rain": "Rain"}, required=True),
    ]
    a.ask("configuration, empty, read", "GET", path)
    a.ask("configuration, set", "POST", f"{path}/import", full)
    a.ask("configuration, set again", "POST", f"{path}/import", full)
    a.ask("configuration, read", "GET", path)
    a.ask("configuration, exported", "GET", f"{path}/export")
    a.ask("configuration, cleared", "DELETE", path)
    a.ask("configuration, cleared again", "DELETE", path)


def _merged(a: Asker) -> None:
    project, (task,) = a.new_task("Merge", [entry("car", "rectangle", entry("color", "freetext"))])
    path = f"lconfig/{project['labelConfigurationId']}"
    label = {"rectangle": [{"x": 1, "y": 2, "w": 3, "h": 4}], "classifications": {"color": ["red"]}}
    item = {"internal_media_ID": task["mediaId"], "labels": {"car": [label]}}
    a.do("POST", f"project/{project['id']}/prediction", [item])
    _finish(a, task["taskId"])
    (car,) = a.do("GET", path)["entries"]
    kept = {"id": car["id"], **entry("car", "rectangle")}
    child = {"id": car["children"][0]["id"], **entry("color", "freetext")}
    more = entry("bus", "rectangle")
    a.ask("merge that adds, silently", "PUT", f"{path}?changeStatus=false", [kept | {"children": [child]}, more])
    a.ask("tasks after a silent merge", "GET", f"project/{project['id']}/task")
    both = {e["entryKey"]: e["id"] for e in a.do("GET", path)["entries"]}
    buses = {"id": both["bus"], **more}
    tram = entry("tram", "rectangle")
    a.ask("merge that adds", "PUT", path, [kept | {"children": [child]}, buses, tram])
    a.ask("tasks after a merge", "GET", f"project/{project['id']}/task")
    a.ask(
        "merge with an unknown id",
        "PUT",
        path,
        [kept | {"children": [child]}, {"id": "nowhere", **entry("van", "rectangle")}],
    )
    a.ask("merge that takes a child away", "PUT", path, [kept])
    a.ask("task after a child was taken away", "GET", f"task/{task['taskId']}")
    a.ask("merge of another type", "PUT", path, [kept | {"type": "polygon"}])
    a.ask("merge that takes all away", "PUT", path, [])


def _finish(a: Asker, task: str) -> None:
    seen = a.do("GET", f"task/{task}")
    a.do("PUT", f"task/{task}/completeTask", {"lastChangedConfig": seen["lastChangedConfig"]})


def _chain(*types: str) -> Json:
    """Entries one below another."""
    made = entry(f"level{len(types)}", types[-1])
    for level in range(len(types) - 1, 0, -1):
        made = entry(f"level{level}", types[level - 1], made)
    return made


def _car(**changes: Any) -> list[Json]:
    return [entry("car", "rectangle") | changes]


def _without(name: str, type_: str = "rectangle") -> list[Json]:
    return [{n: v for n, v in entry("car", type_).items() if n != name}]


_ENTRIES: dict[str, list[Json]] = {
    "nothing": [],
    "key of 56": _car(entryKey="k" * 56),
    "key of 57": _car(entryKey="k" * 57),
    "key that is empty": _car(entryKey=""),
    "key that is null": _car(entryKey=None),
    "no key": _without("entryKey"),
    "key with a point": _car(entryKey="a.b"),
    "key with an accent": _car(entryKey="é"),
    "key in capitals": _car(entryKey="CAR"),
    "key with spaces, hyphens and digits": _car(entryKey="a b-c_1"),
    "key that is geometry": _car(entryKey="geometry"),
    "key that is GEOMETRY": _car(entryKey="GEOMETRY"),
    "key that is imageId": _car(entryKey="imageId"),
    "key that is imageid": _car(entryKey="imageid"),
    "key that is freetext": _car(entryKey="freetext"),
    "key that is lcentryline": _car(entryKey="lcentryline"),
    "key that is lcentryx": _car(entryKey="lcentryx"),
    "key that is lcentryfreetext": _car(entryKey="lcentryfreetext"),
    "key that is Intersections": _car(entryKey="Intersections"),
    "key that is kept, of a child": [entry("car", "rectangle", entry("tag", "freetext"))],
    "shown text of 56": _car(entryValue="s" * 56),
    "shown text of 57": _car(entryValue="s" * 57),
    "shown text that is empty": _car(entryValue=""),
    "shown text that is null": _car(entryValue=None),
    "shown text with signs": _car(entryValue="a _!@#$%^&*()?-"),
    "shown text with accents": _car(entryValue=_ACCENTS),
    **{f"shown text with {c}": _car(entryValue=c) for c in ".:/'\",+=;[]|~<>ÉÀÜÄÖÑåøłãõíúýčğşß行яα😀\\"},
    **{
        f"type {t}": [entry("car", t)]
        for t in (
            "point",
            "line",
            "polygon",
            "RECTANGLE",
            "image_segmentation",
            "select",
            "checklist",
            "freetext",
            "radio",
            "video",
        )
    },
    "type that is null": _car(type=None),
    "type that is empty": _car(type=""),
    "no type": _without("type"),
    "free text without a length": _without("maxLength", "freetext"),
    "free text of 0": [entry("note", "freetext", maxLength=0)],
    "free text of 255": [entry("note", "freetext", maxLength=255)],
    "free text of 256": [entry("note", "freetext", maxLength=256)],
    "free text with a length in quotes": [entry("note", "freetext", maxLength="7")],
    "length of a rectangle": _car(maxLength=9),
    "color and shortcut of a text": [entry("note", "freetext", color="#22AA33", shortcut="1")],
    "required rectangle": _car(required=True),
    "required text": [entry("note", "freetext", required=True)],
    "required that is null": [entry("note", "freetext", required=None)],
    "color that is no color": _car(color="green"),
    "color that is long": _car(color="c" * 300),
    "shortcut of a letter": _car(shortcut="a"),
    "shortcut of two digits": _car(shortcut="12"),
    "shortcut that is a number": _car(shortcut=3),
    "shortcut twice": [entry("car", "rectangle", shortcut="1"), entry("bus", "rectangle", shortcut="1")],
    "unknown property": _car(timestamp=1),
    "children that are null": _car(children=None),
    "no children": _without("children"),
    "options of a rectangle": _car(options={"a": "b"}),
    "select without options": [entry("weather", "select", options={})],
    "select with options that are null": [entry("weather", "select", options=None)],
    "options that are a list": [entry("weather", "select", options=["a"])],
    "options in other case": [entry("weather", "select", options={"A": "1", "a": "2"})],
    "options with an accent": [entry("weather", "select", options={"e": "1", "é": "2"})],
    "option with signs": [entry("weather", "select", options={"a.b:c": "1"})],
    "option in ideographs": [entry("weather", "select", options={"晴": "晴れ"})],
    "option with an emoji": [entry("weather", "select", options={"a": "😀"})],
    "option of 255": [entry("weather", "select", options={"k" * 255: "1"})],
    "option of 256": [entry("weather", "select", options={"k" * 256: "1"})],
    "shown option of 255": [entry("weather", "select", options={"k": "s" * 255})],
    "shown option of 256": [entry("weather", "select", options={"k": "s" * 256})],
    "empty option": [entry("weather", "select", options={"": "1"})],
    "shown option that is empty": [entry("weather", "select", options={"k": ""})],
    "shown option that is null": [entry("weather", "select", options={"k": None})],
    "one key twice": [entry("car", "rectangle"), entry("car", "rectangle")],
    "one key twice in other case": [entry("car", "rectangle"), entry("CAR", "rectangle")],
    "key of its parent": [entry("car", "rectangle", entry("car", "freetext"))],
    "key twice below a root": [entry("car", "rectangle", entry("a", "freetext"), entry("a", "freetext"))],
    "key twice below a root in other case": [entry("car", "rectangle", entry("a", "freetext"), entry("A", "freetext"))],
    "key below two roots": [
        entry("car", "rectangle", entry("a", "freetext")),
        entry("bus", "line", entry("a", "freetext")),
    ],
    "key of another root": [entry("car", "rectangle", entry("bus", "freetext")), entry("bus", "rectangle")],
    "two levels of geometries": [_chain("rectangle", "polygon")],
    "three levels of geometries": [_chain("rectangle", "polygon", "point")],
    "geometry below a select": [_chain("select", "point")],
    "geometry below a text below a geometry": [_chain("rectangle", "freetext", "point")],
    "four levels": [_chain("rectangle", "polygon", "select", "freetext")],
    "five levels": [_chain("rectangle", "polygon", "select", "freetext", "checklist")],
    "four levels of classifications": [_chain("select", "freetext", "checklist", "select")],
    "five levels of classifications": [_chain("select", "freetext", "checklist", "select", "freetext")],
    "segmentation below a rectangle": [_chain("rectangle", "image_segmentation")],
    "entry that is a text": ["car"],  # type: ignore[list-item]
    "entry with an id": [{"id": "my own", **entry("car", "rectangle")}],
}
