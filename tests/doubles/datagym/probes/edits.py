"""Single values: drawn, changed, given another class, deleted, as the editor does it."""

from __future__ import annotations

from typing import Any

from .asking import Asker, Json, entry

_CONFIG = [
    entry(
        "car",
        "rectangle",
        entry("color", "freetext", maxLength=5),
        entry("kind", "select", options={"a": "A"}),
        entry("extras", "checklist", options={"x": "X"}),
        entry("plate", "polygon", entry("text", "freetext")),
    ),
    entry("bus", "rectangle", entry("color", "freetext")),
    entry("area", "polygon"),
    entry("street", "line"),
    entry("poi", "point"),
    entry("grass", "image_segmentation"),
    entry("note", "freetext"),
]


class _Hand:
    """An editor, open at one task."""

    def __init__(self, a: Asker) -> None:
        self.a = a
        self.project, (self.task,) = a.new_task("Edits", _CONFIG)
        seen = a.do("GET", f"task/{self.task['taskId']}")
        self.iteration, self.changed = seen["labelIteration"]["id"], seen["lastChangedConfig"]
        self.entries = {e["entryKey"]: e for e in seen["labelConfig"]["entries"]}
        self.globals = {v["entryKeyLcEntry"]: v for v in seen["labelIteration"]["entryValues"]}

    def new(self, entry_id: str, parent: str | None = None) -> Json:
        return {"iterationId": self.iteration, "mediaId": self.task["mediaId"], "labelTaskId": self.task["taskId"],
                "lcEntryId": entry_id, "lcEntryValueParentId": parent}  # fmt: skip

    def whole(self, value: Json, **changes: Any) -> Json:
        return {
            "id": value["id"],
            "lcEntryId": value["lcEntryId"],
            "lcEntryValueParentId": value["lcEntryValueParentId"],
            "labelTaskId": self.task["taskId"],
            "valid": True,
        } | changes

    def complete(self, what: str) -> None:
        path = f"task/{self.task['taskId']}/completeTask"
        self.a.ask(f"task {what}, completed", "PUT", path, {"lastChangedConfig": self.changed})
        self.a.ask(f"task {what}, exported", "GET", f"project/{self.project['id']}/export")
        self.a.ask(f"task {what}, read", "GET", f"task/{self.task['taskId']}")


def ask(a: Asker) -> None:
    """All questions of this area."""
    hand = _Hand(a)
    drawn = {}
    for key in ("car", "bus", "area", "street", "poi", "grass"):
        number = hand.entries[key]["id"]
        drawn[key] = a.ask(f"value of {key}, drawn", "POST", f"lcvalues/{number}", hand.new(number))
    _drawn_badly(a, hand)
    _changed(a, hand, drawn)
    hand.complete("after edits")
    _below(a, hand, drawn["car"])
    _classes(a, hand, drawn)
    negative = hand.whole(drawn["bus"], x=-5.5, y=2.0, width=3.0, height=4.0)
    a.ask("rectangle, moved over the border", "PUT", f"lcvalues/{drawn['bus']['id']}", negative)
    points = [{"x": -1.0, "y": 5.0}, {"x": 5.0, "y": 5.0}, {"x": 5.0, "y": 9.0}]
    a.ask(
        "polygon, moved over the border",
        "PUT",
        f"lcvalues/{drawn['area']['id']}",
        hand.whole(drawn["area"], points=points),
    )
    hand.complete("with shapes over the border")
    _gone(a, hand, drawn)


def _drawn_badly(a: Asker, hand: _Hand) -> None:
    number = hand.entries["car"]["id"]
    body = hand.new(number)
    for what, changes in {
        "of no class": {"lcEntryId": "nowhere"},
        "in no task": {"labelTaskId": "nowhere"},
        "of no image": {"mediaId": "nowhere"},
        "in no iteration": {"iterationId": "nowhere"},
        "without a task": {"labelTaskId": None},
        "below nothing": {"lcEntryValueParentId": "nowhere"},
        "with an unknown property": {"colour": "red"},
    }.items():
        a.ask(f"value {what}, drawn", "POST", f"lcvalues/{number}", body | changes)
    a.ask(
        "value of another class than its path, drawn", "POST", f"lcvalues/{number}", hand.new(hand.entries["bus"]["id"])
    )


def _changed(a: Asker, hand: _Hand, drawn: dict[str, Json]) -> None:
    places: dict[str, Json] = {
        "car": {"x": 1.25, "y": 2.5, "width": 3.125, "height": 4.0},
        "bus": {"x": 5.0, "y": 5.0, "width": 9.0, "height": 9.0},
        "area": {"points": [{"x": n, "y": n * n} for n in (1, 2.5, 3)]},
        "street": {"points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
        "poi": {"x": 7.5, "y": 8.25},
        "grass": {"pointsCollection": [{"points": [{"x": n, "y": n * n} for n in (1, 2, 3)]}]},
    }
    for key, place in places.items():
        path = f"lcvalues/{drawn[key]['id']}"
        a.ask(f"value of {key}, changed", "PUT", path, hand.whole(drawn[key], **place))
    path = f"lcvalues/{drawn['car']['id']}"
    for what, changes in {
        "of another id": {"id": "nowhere"},
        "in no task": {"labelTaskId": "nowhere"},
        "with a comment": {"comment": "c"},
        "with a long comment": {"comment": "c" * 129},
        "with an unknown property": {"colour": "red"},
        "without valid": {"valid": None},
    }.items():
        a.ask(f"value {what}, changed", "PUT", path, hand.whole(drawn["car"], **(places["car"] | changes)))
    a.do("PUT", path, hand.whole(drawn["car"], **places["car"]))
    a.ask("value that is not there, changed", "PUT", "lcvalues/nowhere", hand.whole(drawn["car"], id="nowhere"))
    by_key = {c["entryKeyLcEntry"]: c for c in drawn["car"]["children"]}
    for what, key, answer in [
        ("text", "color", {"text": "red"}),
        ("long text", "color", {"text": "purple"}),
        ("no text", "color", {"text": None}),
        ("text of 256", "color", {"text": "t" * 256}),
        ("option", "kind", {"selectKey": "a"}),
        ("unknown option", "kind", {"selectKey": "z"}),
        ("option with signs", "kind", {"selectKey": "a.b"}),
        ("no option", "kind", {"selectKey": None}),
        ("checklist", "extras", {"checkedValues": ["x"]}),
        ("unknown item", "extras", {"checkedValues": ["z"]}),
        ("no item", "extras", {"checkedValues": []}),
        ("text at last", "color", {"text": "blue"}),
    ]:
        a.ask(f"attribute: {what}", "PUT", f"lcvalues/{by_key[key]['id']}", hand.whole(by_key[key], **answer))
    note = hand.globals["note"]
    a.ask("global text, changed", "PUT", f"lcvalues/{note['id']}", hand.whole(note, text="noted"))


def _below(a: Asker, hand: _Hand, car: Json) -> None:
    plate = next(c for c in hand.entries["car"]["children"] if c["entryKey"] == "plate")
    made = a.ask("nested value, drawn", "POST", f"lcvalues/{plate['id']}", hand.new(plate["id"], car["id"]))
    points = [{"x": n, "y": n * n} for n in (1, 2, 3)]
    a.ask("nested value, changed", "PUT", f"lcvalues/{made['id']}", hand.whole(made, points=points))
    a.ask("task with a nested value, read", "GET", f"task/{hand.task['taskId']}")
    a.ask("nested value, deleted", "DELETE", f"lcvalues/{made['id']}")


def _classes(a: Asker, hand: _Hand, drawn: dict[str, Json]) -> None:
    path = f"lcvalues/{drawn['car']['id']}/changeType"
    a.ask("class, changed to no class", "PUT", path, {"newLcEntryId": "nowhere"})
    a.ask("class, changed to the same", "PUT", path, {"newLcEntryId": hand.entries["car"]["id"]})
    a.ask("class, changed to another type", "PUT", path, {"newLcEntryId": hand.entries["poi"]["id"]})
    made = a.ask("class, changed", "PUT", path, {"newLcEntryId": hand.entries["bus"]["id"]})
    a.ask("class of a value that is gone, changed", "PUT", path, {"newLcEntryId": hand.entries["bus"]["id"]})
    drawn["car"] = made


def _gone(a: Asker, hand: _Hand, drawn: dict[str, Json]) -> None:
    a.ask("value, deleted", "DELETE", f"lcvalues/{drawn['car']['id']}")
    a.ask("value, deleted again", "DELETE", f"lcvalues/{drawn['car']['id']}")
    a.ask("attribute, deleted", "DELETE", f"lcvalues/{drawn['bus']['children'][0]['id']}")
    a.ask("global text, deleted", "DELETE", f"lcvalues/{hand.globals['note']['id']}")
    a.ask("value that is not there, deleted", "DELETE", "lcvalues/nowhere")
