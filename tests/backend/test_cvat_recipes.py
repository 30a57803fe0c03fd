"""The recipes on the backend's page are run against a double, as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.test_cvat_adopt import Somebody
from tests.backend.test_cvat_videos import film
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab

PAGE = Path(__file__).parents[2] / "docs" / "tools" / "cvat.md"
RECIPES = dict(re.findall(r"<!-- recipe: (\w+) -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))


@pytest.fixture
def dataset(tmp_path: Path, cvat_2_73: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[ab.Dataset]:
    """Sixty images; in each, a car that a model was sure of and one that it was not."""
    monkeypatch.setenv("ANNOBRIDGE_CVAT_URL", cvat_2_73.url)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", cvat_2_73.token)
    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(60):
        Image.new("RGB", (32, 24)).save(tmp_path / f"{n:02d}.png")
    ds.add_samples(
        ab.Sample(
            tmp_path / f"{n:02d}.png",
            objects=[
                ab.Detection("car", [0.1, 0.1, 0.2, 0.2], confidence=0.9, occluded=False, colour="red"),
                ab.Detection("person", [0.5, 0.5, 0.2, 0.2], confidence=0.4 if n % 2 else 0.8),
            ],
        )
        for n in range(60)
    )
    yield ds
    for key in ds.list_annotation_runs():
        ds.abort_annotation(key)


class Recipe:
    """Runs a recipe up to its comment about people, lets ``work`` happen, and runs the rest."""

    def __init__(self, name: str, **names: Any) -> None:
        self.names, self.code = {"ab": ab, **names}, RECIPES[name]

    def send(self) -> None:
        head, _, self.code = self.code.partition("load_annotations")
        lines = head.rstrip().splitlines()
        exec("\n".join(lines[:-1]), self.names)  # all before the line that loads
        self.code = f"{lines[-1]}load_annotations{self.code}"

    def load(self) -> dict[str, Any]:
        exec(self.code, self.names)
        return self.names


def editor(ds: ab.Dataset, server: Server, key: str) -> Editor:
    return Editor(server.url, server.token, ds.load_annotation_results(key))


def test_every_recipe_is_tested() -> None:
    source = Path(__file__).read_text("utf-8")
    assert all(f'Recipe("{name}"' in source for name in RECIPES)
    assert len(RECIPES) == 9


def test_new_labels_and_review(dataset: ab.Dataset, cvat_2_73: Server) -> None:
    dataset.delete_labels([r["label_id"] for r in dataset.labels().to_pylist()])
    recipe = Recipe("new", ds=dataset)
    recipe.send()
    hands = editor(dataset, cvat_2_73, "boxes")
    hands.draw(hands.tasks[0], "rectangle", 3, "car", [1, 1, 9, 9])
    Recipe("review", ds=dataset).load()
    assert dataset.count_labels() == 0  # nobody has accepted it
    (job,) = hands.call("GET", f"/api/jobs?task_id={hands.tasks[0]['task']}")["results"]
    hands.call("PATCH", f"/api/jobs/{job['id']}", json={"stage": "acceptance", "state": "completed"})
    Recipe("review", ds=dataset).load()
    assert dataset.count_labels() == 1
    hands.draw(hands.tasks[0], "rectangle", 4, "car", [1, 1, 9, 9])
    recipe.load()
    assert dataset.count_labels() == 2
    hands.close()


def test_fix_labels(dataset: ab.Dataset, cvat_2_73: Server, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe("fix", ds=dataset)
    recipe.code = recipe.code.replace(
        'print(ds.plan_annotations("fix"))  # what would change; nothing is written\n', ""
    )
    plan = 'print(ds.plan_annotations("fix"))'
    recipe.send()
    hands = editor(dataset, cvat_2_73, "fix")
    assert sum(len(t["samples"]) for t in hands.tasks) == 30
    shapes = hands.annotations(hands.tasks[0])["shapes"]
    hands.send(hands.tasks[0], "delete", "shapes", shapes[0])
    hands.send(hands.tasks[0], "update", "shapes", {**shapes[1], "points": [0, 0, 5, 5]})
    exec(plan, recipe.names)
    assert "+0 ~1 -1" in capsys.readouterr().out
    recipe.load()
    assert dataset.count_labels() == 119
    hands.close()


def test_attributes_only(dataset: ab.Dataset, cvat_2_73: Server, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe("attributes", ds=dataset)
    recipe.send()
    hands = editor(dataset, cvat_2_73, "weather")
    task = hands.tasks[0]
    first, second = hands.annotations(task)["shapes"][:2]
    hands.send(task, "update", "shapes", {**first, "occluded": True, "points": [0, 0, 5, 5]})
    hands.send(task, "delete", "shapes", second)
    names = recipe.load()
    assert (names["report"].edited, names["report"].deleted, len(names["report"].refused)) == (1, 0, 2)
    hands.close()


def test_tracks(tmp_path: Path, dataset: ab.Dataset, cvat_2_73: Server, capsys: pytest.CaptureFixture[str]) -> None:
    videos = ab.create_dataset(tmp_path / "videos")
    videos.add_samples([ab.Sample(film(tmp_path / "a.mp4"))])
    recipe = Recipe("tracks", videos=videos)
    recipe.send()
    hands = editor(videos, cvat_2_73, "follow")
    shape = {
        "type": "rectangle",
        "frame": 2,
        "points": [1, 1, 9, 9],
        "outside": False,
        "occluded": False,
        "attributes": [],
    }
    end = {**shape, "frame": 4, "outside": True}
    number = hands.label(hands.tasks[0], "car")["id"]
    track = {"frame": 2, "label_id": number, "attributes": [], "elements": [], "shapes": [shape, end]}
    hands.send(hands.tasks[0], "create", "tracks", track)
    recipe.load()
    (one, two) = capsys.readouterr().out.splitlines()
    index = one.split()[1]
    assert (one, two) == (f"3 {index} car True", f"4 {index} car False")
    videos.abort_annotation("follow")
    hands.close()


def test_split_among_annotators(dataset: ab.Dataset, cvat_2_73: Server) -> None:
    for name in ("alice", "bob"):
        cvat_2_73.double.add_user(name, f"{name}-Pass-1234")
    recipe = Recipe("split", ds=dataset)
    recipe.send()
    hands = editor(dataset, cvat_2_73, "team")
    task = hands.tasks[0]
    for frame in (0, 30, 55):  # alice has the first and the third job
        hands.draw(task, "rectangle", frame, "car", [1, 1, 9, 9])
    recipe.load()
    assert dataset.count_labels() == 122
    hands.close()


def test_several_people(dataset: ab.Dataset, cvat_2_73: Server) -> None:
    dataset.delete_labels([r["label_id"] for r in dataset.labels().to_pylist()])
    for name in ("alice", "bob"):
        if cvat_2_73.double.state.user_named(name) is None:
            cvat_2_73.double.add_user(name, f"{name}-Pass-1234")
    recipe = Recipe("several", ds=dataset)
    recipe.send()
    hands = editor(dataset, cvat_2_73, "twice")
    assert {
        j["assignee"] and j["assignee"]["username"]
        for j in hands.call("GET", "/api/jobs", params={"task_id": hands.tasks[0]["task"]})["results"]
    } == {None, "alice", "bob"}
    hands.draw(hands.tasks[0], "rectangle", 3, "car", [1, 1, 9, 9])  # in the job that was copied
    recipe.load()
    assert dataset.count_labels() == 1
    hands.close()


def test_push(dataset: ab.Dataset, cvat_2_73: Server, capsys: pytest.CaptureFixture[str]) -> None:
    label_id = dataset.labels(where="label = 'car'").to_pylist()[0]["label_id"]
    Recipe("push", ds=dataset, label_id=label_id).load()
    hands = editor(dataset, cvat_2_73, "live")
    car = hands.label(hands.tasks[0], "car")["id"]
    shapes = [shape for task in hands.tasks for shape in hands.annotations(task)["shapes"]]
    assert (len(shapes), sum(shape["label_id"] == car for shape in shapes)) == (120, 59)
    hands.close()


def test_adopt(dataset: ab.Dataset, cvat_2_73: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    somebody = Somebody(cvat_2_73)
    task = somebody.task("by hand", {f"{n:02d}.png": (tmp_path / f"{n:02d}.png").read_bytes() for n in range(3)})
    somebody.draw(task, shapes=[somebody.shape(task, "car", [1, 1, 9, 9], n) for n in range(3)])
    before = dataset.count_labels()
    Recipe("adopt", ds=dataset, task=task).load()
    assert dataset.count_labels() == before + 3
    somebody.clear()
