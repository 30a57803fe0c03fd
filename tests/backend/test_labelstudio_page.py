"""A person at Label Studio's page, in a real browser on a real server: see ``tests/labelstudio_servers.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import labelstudio_servers
from tests.backend.labelstudio_cases import SCHEMA, annotate, load, tasks
from tests.browser import ARGUMENTS, CHROMIUM
from tests.labelstudio_servers import GIVEN, Server

from annobridge.core.compare import equal_rows
from annobridge.core.rows import Classification, Detection, Ellipse, Keypoint, Polyline, Sample, Scalar, Segmentation
from annobridge.dataset import Dataset, create_dataset

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the group `test`")
pytestmark = [
    pytest.mark.skipif(
        not labelstudio_servers.HAS_REAL or not GIVEN["PASSWORD"], reason="no real Label Studio is named"
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: see CONTRIBUTING.md"),
]
SIZE = (640, 480)


class Page:
    """The page of one image."""

    def __init__(self, page: Any, task: dict[str, Any]) -> None:
        self._page = page
        page.goto(f"{GIVEN['URL']}/user/login/")
        page.fill("input[name=email]", GIVEN["EMAIL"])
        page.fill("input[name=password]", GIVEN["PASSWORD"])
        page.keyboard.press("Enter")
        page.wait_for_load_state("networkidle")
        page.goto(f"{GIVEN['URL']}/projects/{task['project']}/data?task={task['id']}")
        stage = page.locator(".konvajs-content").first
        stage.wait_for()
        page.wait_for_function("window.Htx.annotationStore.selected.regionStore.regions.length > 0")
        page.wait_for_timeout(1000)  # the image is laid out
        self._stage = stage.bounding_box()

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._stage["x"] + x * self._stage["width"], self._stage["y"] + y * self._stage["height"]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse, middle = self._page.mouse, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*self._at(*start))
        mouse.down()
        for place in (middle, end):
            mouse.move(*self._at(*place), steps=5)
        mouse.up()
        self._page.wait_for_timeout(300)

    def draw(self, label: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.label(label)
        self.drag(start, end)
        self.press("Escape")
        self.press("v")

    def select(self, x: float, y: float) -> None:
        self._page.mouse.click(*self._at(x, y))
        self._page.wait_for_timeout(500)

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)
        self._page.wait_for_timeout(300)

    def label(self, name: str) -> None:
        self._page.get_by_text(name, exact=True).first.click()
        self._page.wait_for_timeout(300)

    def choose(self, name: str) -> None:
        self._page.locator(f"label:has-text('{name}')").first.click()
        self._page.wait_for_timeout(300)

    def save(self) -> None:
        with self._page.expect_response(lambda answer: "/api/annotations/" in answer.url and answer.ok):
            self._page.locator("button:has-text('Update')").last.click()


@pytest.fixture
def server() -> Iterator[Server]:
    with labelstudio_servers.real() as made:
        yield made


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found.new_page(viewport={"width": 1500, "height": 1000})
        found.close()


def one_image(folder: Path, **fields: Any) -> Dataset:
    path = folder / "image.png"
    Image.new("RGB", SIZE, (90, 120, 90)).save(path)
    made = create_dataset(folder / "dataset")
    made.add_samples([Sample(path, sample_id="s0", **fields)])
    return made


def test_a_person_draws_moves_deletes_and_changes(server: Server, browser: Any, tmp_path: Path) -> None:
    boxes = [
        Detection("car", [0.1, 0.1, 0.2, 0.2], colour="red", note="n"), Detection("car", [0.5, 0.5, 0.2, 0.2], colour="red"),
        Detection("bus", [0.1, 0.6, 0.2, 0.2], colour="blue"),
    ]  # fmt: skip
    made = one_image(tmp_path, objects=boxes)
    moved, deleted, renamed = (row["label_id"] for row in made.labels().to_pylist())
    page = Page(browser, tasks(server, annotate(server, made))[0])
    page.draw("bus", (0.75, 0.75), (0.9, 0.9))
    page.select(0.2, 0.2)
    page.choose("blue")
    page.drag((0.2, 0.2), (0.3, 0.25))
    page.press("Escape")
    page.select(0.6, 0.6)
    page.press("Backspace")
    page.select(0.2, 0.7)
    page.label("car")
    page.save()
    report = load(server, made)
    assert (report.added, report.edited, report.deleted, len(report.refused)) == (1, 2, 1, 0)
    changes = {row["label_id"]: row["components"] for row in report.writes().to_pylist()}
    assert changes[moved] == ["spatial", "attributes.colour"]
    assert changes[renamed] == ["label"]
    rows = {row["label_id"]: row for row in made.labels().to_pylist()}
    assert deleted not in rows
    assert rows[moved]["bounding_box"] == pytest.approx([0.2, 0.15, 0.2, 0.2], abs=0.01)
    (new,) = rows.keys() - {moved, renamed}
    assert (rows[new]["label"], rows[new]["annotator"]) == ("bus", GIVEN["EMAIL"])
    assert rows[new]["bounding_box"] == pytest.approx([0.75, 0.75, 0.15, 0.15], abs=0.02)
    assert load(server, made).total == 0


def test_what_nobody_touched_is_saved_by_the_page_as_it_was(server: Server, browser: Any, tmp_path: Path) -> None:
    """All types are on the image when a person adds a box and saves."""
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[200:260, 300:380] = mask[300:310, 30:40] = True
    ground = np.zeros(mask.shape, np.uint8)
    ground[400:, :] = 1
    triangle, small = [(0.6, 0.1), (0.9, 0.1), (1 / 3, 2 / 7)], [(0.7, 0.12), (0.75, 0.12), (0.72, 0.14)]
    made = one_image(
        tmp_path,
        objects=[
            Detection(
                "car", [1 / 3, 0.1, 0.123456789, 1 / 7], rotation=33.3, confidence=0.5, colour="red", note="a\nb é"
            )
        ],
        shapes=[Polyline("road", [triangle, small], filled=True)],
        lines=[Polyline("edge", [triangle, small]), Polyline("edge", [small], closed=True)],
        rounds=[Ellipse("wheel", [0.2, 0.2, 0.1, 1 / 9], rotation=12.5)],
        bodies=[Keypoint("person", [(0.1, 0.9), (float("nan"), float("nan")), (1 / 7, 0.8)])],
        things=[Detection("thing", mask=mask)],
        ground=Segmentation(ground, {1: "grass"}),
        scene=[Classification("day")],
        weather=[Classification("wet"), Classification("dark")],
        count=[Scalar(7)],
        remark=[Scalar('"quoted" – text')],
        share=[Scalar(0.5)],
    )
    schema = {
        **SCHEMA, "shapes": {"type": "polygons", "classes": ["road"]}, "lines": {"type": "polylines", "classes": ["edge"]},
        "rounds": {"type": "ellipses", "classes": ["wheel"]}, "bodies": {"type": "keypoints", "classes": ["person"]},
        "things": {"type": "instances", "classes": ["thing"]}, "ground": {"type": "segmentation", "classes": ["grass"]},
        "scene": {"type": "classification", "classes": ["day", "night"]}, "count": {"type": "scalar"},
        "weather": {"type": "classifications", "classes": ["wet", "dark", "cold"]}, "remark": {"type": "scalar"},
        "share": {"type": "scalar"},
    }  # fmt: skip
    before = made.labels().to_arrow()
    page = Page(browser, tasks(server, annotate(server, made, schema))[0])
    page.draw("bus", (0.05, 0.05), (0.15, 0.15))
    page.save()
    report = load(server, made)
    assert (report.added, report.edited, report.deleted, len(report.refused)) == (1, 0, 0, 0)
    (new,) = report.writes()["label_id"].to_pylist()
    now = made.labels(where=f"label_id != '{new}'").to_arrow().sort_by("label_id")
    assert [
        name for name in now.column_names if not equal_rows(now[name], before.sort_by("label_id")[name]).all()
    ] == []
