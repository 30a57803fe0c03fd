"""When a class is changed, CVAT's page replaces all attributes by defaults; a label whose new class is not loaded keeps its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.test_cvat_videos import film, walker
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab

ATTRIBUTES: dict[str, Any] = {
    "colour": {"type": "select", "values": ["red", "blue"]},
    "note": {"type": "text"},
    "parked": {"type": "checkbox"},
}
GIVEN = {"colour": "red", "note": "keep me", "parked": True}
IMAGE_FIELDS = {"objects": "detections", "weather": "classifications"}


def pictures(folder: Path) -> ab.Dataset:
    ds = ab.create_dataset(folder / "set")
    Image.new("RGB", (64, 48)).save(folder / "0.png")
    ds.add_samples([
        ab.Sample(
            folder / "0.png",
            objects=[ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id="box", **GIVEN)],
            weather=[ab.Classification("car", label_id="tag", **GIVEN)],
        )
    ])  # fmt: skip
    return ds


def video(folder: Path) -> ab.Dataset:
    ds = ab.create_dataset(folder / "set")
    sample = ab.Sample(film(folder / "a.mp4"))
    sample["frames.objects"] = [
        *walker(1, [1, 2], **{**GIVEN, "parked": False}),
        *walker(1, [3], **GIVEN),
    ]
    ds.add_samples([sample])
    return ds


class Sent:
    """A run of which the attributes are to be edited, and a person who changes classes in CVAT's page."""

    def __init__(self, ds: ab.Dataset, server: Server, *classes: str, **flags: bool) -> None:
        self.ds, self.options = ds, {"url": server.url, "token": server.token}
        fields = {row["field"] for row in ds.labels().to_pylist()}
        in_video = "frames.objects" in fields
        attributes = {name: {**a, "mutable": name == "parked"} if in_video else a for name, a in ATTRIBUTES.items()}
        schema = {
            name: {
                "type": IMAGE_FIELDS.get(name, "detections"),
                "classes": list(classes),
                "attributes": attributes,
                **flags,
            }
            for name in sorted(fields)
        }
        results = ds.annotate("run", label_schema=schema, backend="cvat", **self.options, progress=False)
        self.editor, self.before = Editor(server.url, server.token, results), ds.labels().to_pylist()
        (self.task,) = self.editor.tasks

    def offer(self, name: str) -> None:
        """Somebody adds a class, with an attribute of its own."""
        own = {"name": "note", "mutable": False, "input_type": "text", "default_value": "new", "values": [""]}
        body = {"labels": [{"name": name, "type": "any", "attributes": [own]}]}
        self.editor.call("PATCH", f"/api/tasks/{self.task['task']}", json=body)

    def set_class(self, name: str) -> None:
        """Every label of the task becomes one of a class, as the page does it: with its defaults, and no others."""
        label = self.editor.label(self.task, name)
        defaults = [(a["mutable"], {"spec_id": a["id"], "value": a["default_value"]}) for a in label["attributes"]]
        everything = self.editor.annotations(self.task)
        for kind in ("tags", "shapes", "tracks"):
            for item in everything[kind]:
                fixed = [a for mutable, a in defaults if not (kind == "tracks" and mutable)]
                changed = {**item, "label_id": label["id"], "attributes": fixed}
                if kind == "tracks":
                    moving = [a for mutable, a in defaults if mutable]
                    changed["shapes"] = [
                        {**{k: v for k, v in s.items() if k != "id"}, "attributes": moving} for s in item["shapes"]
                    ]
                self.editor.send(self.task, "update", kind, changed)

    def load(self, **options: Any) -> Any:
        return self.ds.load_annotations("run", **self.options, progress=False, **options)

    def values(self) -> list[dict[str, Any]]:
        rows = self.ds.labels().to_pylist()
        return [{a["name"]: json.loads(a["value"]) for a in row["attributes"]} for row in rows]

    def close(self) -> None:
        self.ds.abort_annotation("run", **self.options)
        self.editor.close()


@pytest.fixture(params=[pictures, video], ids=["image", "video"])
def send(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Any]:
    sent: list[Sent] = []

    def call(*classes: str, **flags: bool) -> Sent:
        sent.append(Sent(request.param(tmp_path), server, *classes, **flags))
        return sent[-1]

    yield call
    for one in sent:
        one.close()


def test_a_class_edit_that_is_refused_leaves_the_attributes(send: Any) -> None:
    sent = send("car", "bus", allow_label_edits=False)
    sent.set_class("bus")
    report = sent.load()
    assert report.refused["component"].to_pylist().count("label") == len(sent.before)
    assert sent.ds.labels().to_pylist() == sent.before
    assert sent.load().total == 0


@pytest.mark.parametrize("unexpected", ["ignore", "return"])
def test_a_class_that_nobody_knows_leaves_the_attributes(send: Any, unexpected: str) -> None:
    sent = send("car")
    sent.offer("bike")
    sent.set_class("bike")
    assert sent.load(unexpected=unexpected).total == 0
    assert sent.ds.labels().to_pylist() == sent.before


def test_a_class_that_is_known_in_another_field_only_leaves_the_attributes(server: Server, tmp_path: Path) -> None:
    """The label has an entry, and so attributes, but none for boxes."""
    ds = pictures(tmp_path)
    options = {"url": server.url, "token": server.token, "progress": False}
    schema = {
        "objects": {"type": "detections", "classes": ["car"], "attributes": ATTRIBUTES},
        "weather": {"type": "classifications", "classes": ["car", "sun"], "attributes": ATTRIBUTES},
    }
    results = ds.annotate("run", label_schema=schema, backend="cvat", **options)
    editor, before = Editor(server.url, server.token, results), ds.labels().to_pylist()
    (task,) = editor.tasks
    sun = editor.label(task, "sun")
    (shape,) = editor.annotations(task)["shapes"]
    defaults = [{"spec_id": a["id"], "value": a["default_value"]} for a in sun["attributes"]]
    editor.send(task, "update", "shapes", {**shape, "label_id": sun["id"], "attributes": defaults})
    assert ds.load_annotations("run", unexpected="return", **options).total == 0
    assert ds.labels().to_pylist() == before
    ds.abort_annotation("run", url=server.url, token=server.token)
    editor.close()


def test_a_class_edit_that_is_taken_over_brings_its_attributes(send: Any) -> None:
    sent = send("car", "bus")
    sent.set_class("bus")
    assert sent.load().edited == len(sent.before)
    assert {row["label"] for row in sent.ds.labels().to_pylist()} == {"bus"}
    assert all("colour" not in values and not values.get("parked") for values in sent.values())


def test_attributes_without_a_class_edit_are_edits(send: Any) -> None:
    sent = send("car", "bus", allow_label_edits=False)
    sent.set_class("car")
    report = sent.load()
    assert (len(report.refused), report.edited) == (0, len(sent.before))
