"""Attributes without a value are sent as a string that CVAT's page accepts; lists of choices are sent as texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.core.schema import Attribute
from annobridge_cvat import values

ATTRIBUTES: dict[str, Any] = {
    "colour": {"type": "select", "values": ["red", "blue"], "default": "red"},
    "side": {"type": "radio", "values": ["left", "right"]},
    "doors": {"type": "int", "values": [3, 5], "default": 5},
    "age": {"type": "int", "default": 1},
    "parked": {"type": "checkbox"},
    "extras": {"type": "list", "values": ["roof", "hook", "7"]},
}
SCHEMA = {"objects": {"type": "detections", "classes": ["car"], "attributes": ATTRIBUTES}}


class Sent:
    """Two cars, the first without attributes, and a person at them."""

    def __init__(self, folder: Path, server: Server, **options: Any) -> None:
        self.ds, self.options = ab.create_dataset(folder / "set"), {"url": server.url, "token": server.token}
        Image.new("RGB", (64, 48)).save(folder / "0.png")
        cars = [
            ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id="bare"),
            ab.Detection(
                "car", [0.5, 0.1, 0.2, 0.2], label_id="full", colour="blue", side="left", extras=["roof", "7"]
            ),
        ]
        self.ds.add_samples([ab.Sample(folder / "0.png", objects=cars)])
        results = self.ds.annotate(
            "run", label_schema=SCHEMA, backend="cvat", **self.options, progress=False, **options
        )
        self.editor, self.before = Editor(server.url, server.token, results), self.ds.labels().to_pylist()
        (self.task,) = self.editor.tasks
        self.rows = {r["label_id"]: r for r in results.with_baseline(results.receipts()[0]).baseline.to_pylist()}

    def load(self) -> Any:
        return self.ds.load_annotations("run", **self.options, progress=False)

    def values(self, label_id: str) -> dict[str, Any]:
        (row,) = self.ds.labels(where=f"label_id = '{label_id}'").to_pylist()
        return {a["name"]: json.loads(a["value"]) for a in row["attributes"]}

    def refused_by_the_page(self) -> list[str]:
        """The attributes for which CVAT's page lets nobody edit any attribute of the shape."""
        specs = {a["id"]: a for a in self.editor.label(self.task, "car")["attributes"]}
        return [
            f"{specs[a['spec_id']]['name']}={a['value']!r}"
            for shape in self.editor.annotations(self.task)["shapes"]
            for a in shape["attributes"]
            if not stands(specs[a["spec_id"]], a["value"])
        ]

    def close(self) -> None:
        self.ds.abort_annotation("run", **self.options)
        self.editor.close()


def stands(spec: dict[str, Any], word: str) -> bool:
    """As the page checks it."""
    match spec["input_type"]:
        case "number":
            return float(spec["values"][0]) <= float(word or 0) <= float(spec["values"][1])
        case "checkbox":
            return word in ("true", "false")
        case "text":
            return True
    return word in spec["values"]


@pytest.fixture
def send(server: Server, tmp_path: Path) -> Iterator[Any]:
    sent: list[Sent] = []

    def call(**options: Any) -> Sent:
        sent.append(Sent(tmp_path, server, **options))
        return sent[-1]

    yield call
    for one in sent:
        one.close()


@pytest.mark.every_version
def test_all_that_is_sent_is_among_the_choices_and_untouched_is_untouched(send: Any) -> None:
    sent = send()
    assert sent.refused_by_the_page() == []
    assert sent.load().total == 0
    assert sent.ds.labels().to_pylist() == sent.before


def test_a_choice_can_be_made_and_taken_back(send: Any) -> None:
    sent = send()
    sent.editor.edit(sent.rows["bare"], attributes={"colour": "red", "doors": "3"})
    sent.editor.edit(sent.rows["full"], attributes={"colour": "", "extras": '["hook"]'})
    assert sent.load().edited == 2
    assert sent.values("bare") == {"colour": "red", "doors": 3}
    assert sent.values("full") == {"side": "left", "extras": ["hook"]}


def test_a_project_without_an_empty_choice_gets_its_default(send: Any, server: Server) -> None:
    """So a label that lacks the attribute and one that has the default are alike there: it stays absent until it is another."""
    made = [values.definition(a) for a in (Attribute(n, **given) for n, given in arguments())]
    own = {"colour": (["blue", "red"], "blue"), "side": (["left", "right"], ""), "doors": (["3", "5"], "5"),
           "age": (["1", "9", "1"], "4")}  # fmt: skip
    for a in made:
        a["values"], a["default_value"] = own.get(a["name"], (a["values"], a["default_value"]))
    nobody = type("Nobody", (), {"receipts": staticmethod(list)})
    editor = Editor(server.url, server.token, nobody())
    labels = [{"name": "car", "attributes": made}]
    project = editor.call("POST", "/api/projects", json={"name": "annobridge choices", "labels": labels})["id"]
    try:
        sent = send(project_id=project)
        assert sent.refused_by_the_page() == []
        assert sent.load().total == 0
        sent.editor.edit(sent.rows["bare"], attributes={"colour": "red", "age": "5"})
        sent.editor.edit(sent.rows["full"], attributes={"colour": "red"})
        assert sent.load().edited == 2
        assert (sent.values("bare"), sent.values("full")["colour"]) == ({"colour": "red", "age": 5}, "red")
        assert sent.load().total == 0
    finally:
        editor.call("DELETE", f"/api/projects/{project}")
        editor.close()


def arguments() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, given in ATTRIBUTES.items():
        yield name, {**given, "values": tuple(given.get("values", ()))}


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"input_type": "select", "values": ["", "a"], "default_value": "a"}, None),
        ({"input_type": "select", "values": ["a", "b"], "default_value": "b"}, "b"),
        ({"input_type": "radio", "values": ["a", "b"], "default_value": "c"}, "a"),
        ({"input_type": "number", "values": ["-1", "9", "1"], "default_value": "5"}, None),
        ({"input_type": "number", "values": ["1", "9", "1"], "default_value": "5"}, "5"),
        ({"input_type": "number", "values": ["1", "9", "1"], "default_value": ""}, "1"),
        ({"input_type": "number", "values": [""], "default_value": ""}, None),
        ({"input_type": "text", "values": [""], "default_value": "x"}, None),
        ({"input_type": "checkbox", "values": ["false"], "default_value": "true"}, None),
    ],
)
def test_what_stands_for_nothing_where_nothing_may_be(spec: dict[str, Any], word: str | None) -> None:
    assert values.unset_string(spec) == word


def test_an_empty_choice_is_there_once() -> None:
    assert values.definition(Attribute("a", "select", ("", "b")))["values"] == ["", "b"]


def test_a_checklist_is_a_text() -> None:
    a = Attribute("a", "list", ("x", "y"), default=["x"])
    made = values.definition(a)
    assert (made["input_type"], made["values"], made["default_value"]) == ("text", [""], '["x"]')
    assert values.decoder(a)('["y", "x"]') == '["y", "x"]'
    assert values.decoder(a)("x") == '"x"'  # no list, which the bridge says
