"""Labels and attributes get other ids in CVAT: a task moves into a project, a label or an attribute is made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.backend.test_cvat_videos import film, walker
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.store import runs
from annobridge_cvat.vocabulary import Vocabulary

COLOUR = {"colour": {"type": "select", "values": ["red", "blue"], "default": "blue"}}
SCHEMA: dict[str, Any] = {
    "objects": {"type": "detections", "classes": ["car", "man"], "attributes": {**COLOUR, "seen": {"type": "checkbox"}}},
    "poses": {"type": "skeletons", "classes": ["man"], "attributes": COLOUR,
              "skeleton": {"labels": ["head", "foot"], "edges": [[0, 1]]}},
    "areas": {"type": "polygons", "classes": ["road"], "attributes": COLOUR},
    "ground": {"type": "segmentation", "classes": ["grass"], "attributes": COLOUR},
    "weather": {"type": "classification", "classes": ["sun", "rain"], "attributes": COLOUR},
    "count": {"type": "scalar"},
}  # fmt: skip
VIDEO: dict[str, Any] = {
    "frames.objects": {"type": "detections", "classes": ["car"],
                       "attributes": {"plate": {"type": "text"}, "lights": {"type": "checkbox", "mutable": True}}}
}  # fmt: skip


def images(folder: Path) -> ab.Dataset:
    """Two images with a label of each kind, and attributes that are not the defaults."""
    ds = ab.create_dataset(folder / "set")
    ring = [(0.1, 0.1), (0.3, 0.1), (0.1, 0.3)]
    mask = np.zeros((48, 64), np.uint8)
    mask[30:, :] = 1
    for n in range(2):
        Image.new("RGB", (64, 48), (90 * n, 90, 60)).save(folder / f"{n}.png")
    ds.add_samples(
        ab.Sample(
            folder / f"{n}.png",
            sample_id=f"s{n}",
            objects=[ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id=f"car{n}", colour="red", seen=True),
                     ab.Detection("man", [0.5, 0.1, 0.2, 0.2], label_id=f"man{n}")],
            poses=[ab.Skeleton("man", [(0.5, 0.5), (0.6, 0.9)], label_id=f"pose{n}", colour="red")],
            areas=[ab.Polyline("road", [ring, [(x + 0.5, y) for x, y in ring]], filled=True, label_id=f"road{n}", colour="red")],
            ground=ab.Segmentation(mask, {1: "grass"}, colour="red"),
            weather=ab.Classification("rain", label_id=f"rain{n}", colour="red"),
            count=ab.Scalar(n),
        )
        for n in range(2)
    )  # fmt: skip
    return ds


def video(folder: Path) -> ab.Dataset:
    """A car with lights from its third frame on."""
    ds = ab.create_dataset(folder / "set")
    sample = ab.Sample(film(folder / "a.mp4"), sample_id="a")
    sample["frames.objects"] = [
        *walker(1, [1, 2], plate="007", lights=False),
        *walker(1, [3, 4], plate="007", lights=True),
    ]
    ds.add_samples([sample])
    return ds


class Sent:
    """A run on a server, and what happens to its labels there."""

    def __init__(self, ds: ab.Dataset, server: Server, schema: dict[str, Any]) -> None:
        self.ds, self.options = ds, {"url": server.url, "token": server.token, "progress": False}
        results = ds.annotate("run", label_schema=schema, backend="cvat", **self.options)
        self.editor = Editor(server.url, server.token, results)
        (self.task,) = self.editor.tasks
        self.baseline = results.with_baseline(results.receipts()[0]).baseline.to_pylist()
        self.before, self.projects = ds.labels().to_pylist(), list[int]()

    def move(self, rename: dict[str, str] | None = None) -> None:
        """Into a project with the task's labels; ``rename`` says which go to those of another name."""
        names = rename or {}
        made = [e.definition() for e in Vocabulary.from_dict(self.task["vocabulary"]).entries]
        labels = [{**label, "name": names.get(label["name"], label["name"])} for label in reversed(made)]
        project = self.editor.call("POST", "/api/projects", json={"name": "annobridge moved", "labels": labels})["id"]
        self.projects.append(project)
        mapped = [{"id": self.label(old)["id"], "name": new} for old, new in names.items()]
        body = {"project_id": project} | ({"labels": mapped} if mapped else {})
        self.editor.call("PATCH", f"/api/tasks/{self.task['task']}", json=body)

    def remake(self, name: str) -> None:
        """Delete a label, and make one of the same definition."""
        entries = Vocabulary.from_dict(self.task["vocabulary"]).entries
        made = next(e.definition() for e in entries if e.name == name)
        self.editor.call("DELETE", f"/api/labels/{self.label(name)['id']}")
        self.editor.call("PATCH", f"/api/tasks/{self.task['task']}", json={"labels": [made]})

    def change(self, label: str, attribute: str, *, remade: bool) -> None:
        """Delete an attribute of a label, and perhaps make it again."""
        there = self.label(label)
        old = next(a for a in there["attributes"] if a["name"] == attribute)
        new = [{k: v for k, v in old.items() if k != "id"}] if remade else []
        for body in ({"id": old["id"], "deleted": True}, *new):
            self.editor.call(
                "PATCH", f"/api/labels/{there['id']}", json={"color": there["color"], "attributes": [body]}
            )

    def label(self, name: str) -> dict[str, Any]:
        return self.editor.label(self.task, name)

    def row(self, label_id: str) -> dict[str, Any]:
        return next(row for row in self.baseline if row["label_id"] == label_id)

    def load(self, **options: Any) -> Any:
        return self.ds.load_annotations("run", **{**self.options, **options})

    def values(self, label_id: str) -> dict[str, Any]:
        (row,) = self.ds.labels(where=f"label_id = '{label_id}'").to_pylist()
        return {a["name"]: json.loads(a["value"]) for a in row["attributes"]}

    def close(self) -> None:
        self.ds.abort_annotation("run", url=self.options["url"], token=self.options["token"])
        for project in self.projects:
            self.editor.call("DELETE", f"/api/projects/{project}")
        self.editor.close()


@pytest.fixture
def send(server: Server, tmp_path: Path) -> Iterator[Any]:
    sent: list[Sent] = []

    def call(make: Any = images, schema: dict[str, Any] = SCHEMA) -> Sent:
        sent.append(Sent(make(tmp_path), server, schema))
        return sent[-1]

    yield call
    for one in sent:
        one.close()


@pytest.mark.every_version
def test_a_task_that_moves_changes_nothing_here(send: Any) -> None:
    sent = send()
    for _ in range(2):  # into a project, and into another
        sent.move()
        report = sent.load()
        assert (report.total, report.to_dict()["notes"]) == (0, [])
    assert sent.ds.labels().to_pylist() == sent.before


def test_what_people_do_in_a_task_that_moved_comes_back(send: Any) -> None:
    sent = send()
    sent.move()
    sent.editor.edit(sent.row("car0"), attributes={"colour": "blue"})
    sent.editor.edit(sent.row("man0"), label="car")
    sent.editor.delete(sent.row("car1"))
    colour = next(a["id"] for a in sent.label("car")["attributes"] if a["name"] == "colour")
    sent.editor.draw(sent.task, "rectangle", 1, "car", [1, 1, 9, 9], attributes=[{"spec_id": colour, "value": "red"}])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 2, 1)
    assert sent.values("car0") == {"colour": "blue", "seen": True}
    (new,) = [r for r in sent.ds.labels("objects").to_pylist() if r["sample_id"] == "s1" and r["label"] == "car"]
    assert [a["value"] for a in new["attributes"] if a["name"] == "colour"] == ['"red"']
    assert sent.load().total == 0


def test_a_track_that_moves_keeps_what_changes_along_it(send: Any) -> None:
    sent = send(video, VIDEO)
    sent.move()
    assert sent.load().total == 0
    assert sent.ds.labels().to_pylist() == sent.before


def test_labels_that_go_to_others_say_nothing_of_attributes(send: Any) -> None:
    sent = send()
    sent.move({"car": "auto", "sun": "clear", "rain": "wet"})
    report = sent.load(unexpected="return")
    assert (report.total, len(report.unexpected)) == (0, 4)
    assert any(
        "'car' is not in CVAT any more, and annotations of it have other labels" in n for n in report.to_dict()["notes"]
    )
    assert sent.load(unexpected="keep").edited == 4
    assert sent.values("car0") == {"colour": "red", "seen": True}
    assert sent.values("rain1") == {"colour": "red"}


def test_a_track_of_a_label_that_nobody_knows_keeps_its_attributes(send: Any) -> None:
    sent = send(video, VIDEO)
    sent.move({"car": "auto"})
    assert sent.load(unexpected="ignore").total == 0
    assert sent.ds.labels().to_pylist() == sent.before
    sent.load(unexpected="keep")
    assert [sent.values(f"1-{n}")["lights"] for n in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize("name", ["car", "rain", "count", "road", "grass"])
def test_a_label_that_is_made_again_deletes_nothing_here(send: Any, name: str) -> None:
    """With the label, CVAT deletes its annotations; nobody has deleted a label."""
    sent = send()
    sent.remake(name)
    report = sent.load()
    assert report.total == 0
    assert [n for n in report.to_dict()["notes"] if f"The label {name!r} in CVAT is not the one that was sent" in n]
    assert sent.ds.labels().to_pylist() == sent.before


def test_what_is_drawn_with_a_label_that_was_made_again_comes(send: Any) -> None:
    sent = send()
    sent.remake("car")
    colour = next(a["id"] for a in sent.label("car")["attributes"] if a["name"] == "colour")
    sent.editor.draw(sent.task, "rectangle", 0, "car", [9, 9, 20, 20], attributes=[{"spec_id": colour, "value": "red"}])
    sent.editor.edit(sent.row("man0"), label="car")  # nor does a label that it is given afterwards tell of the others
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    assert (sent.values("car0"), sent.values("car1")) == ({"colour": "red", "seen": True},) * 2


@pytest.fixture
def newer(cvat_2_73: Server, tmp_path: Path) -> Iterator[Sent]:
    """Only newer servers delete attributes."""
    sent = Sent(images(tmp_path), cvat_2_73, SCHEMA)
    yield sent
    sent.close()


@pytest.mark.parametrize("remade", [False, True])
def test_an_attribute_that_goes_or_is_made_again_says_nothing(newer: Sent, remade: bool) -> None:
    newer.change("car", "colour", remade=remade)
    newer.change("count", "value", remade=remade)
    report = newer.load()
    assert report.total == 0
    assert newer.ds.labels().to_pylist() == newer.before
    notes = [n for n in report.to_dict()["notes"] if "'colour' of 'car' was removed from CVAT" in n]
    assert ["made again" in n for n in notes] == [remade]


def test_an_attribute_that_was_made_again_can_be_set(newer: Sent) -> None:
    newer.change("man", "seen", remade=True)
    newer.editor.edit(newer.row("man0"), attributes={"seen": "true"})
    newer.editor.edit(newer.row("car0"), attributes={"colour": "blue"})
    assert newer.load().edited == 2
    assert (newer.values("man0")["seen"], newer.values("man1")) == (True, {})


def test_a_run_of_an_older_version_does_not_know_its_project(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where some of a label are there under its new number, the task was moved, and what is missing was deleted."""
    receipts = runs.Runs.receipts

    def old(self: runs.Runs, run: runs.Run) -> dict[str, dict[str, Any]]:
        found = receipts(self, run)
        for state in found.values():
            for task in state["tasks"]:
                del task["project"]
                for entry in task["vocabulary"]["entries"]:
                    del entry["unset"]
        return found

    monkeypatch.setattr(runs.Runs, "receipts", old)
    sent = send()
    sent.move()
    sent.editor.delete(sent.row("car1"))
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (0, 0, 1)
    sent.editor.delete(sent.row("car0"))  # the last one: it may also have been the label
    assert sent.load().total == 0
