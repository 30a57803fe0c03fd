"""A person at Pixano's page, in a real browser: what is offered there is what the schema has, and what is picked comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.browser import ARGUMENTS, CHROMIUM

import annobridge as ab
from annobridge_pixano import server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the group `test`")
SCHEMA: dict[str, Any] = {
    "objects": {
        "type": "detections",
        "classes": ["car", "person"],
        "attributes": {
            "colour": {"type": "select", "values": ["red", "blue"]},
            "level": {"type": "radio", "values": [1, 2]},
            "plate": {"type": "text"},
        },
    },
    "scene": {"type": "classification", "classes": ["day", "night"]},
}

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: see CONTRIBUTING.md"),
]


class Page:
    """The page of one image."""

    def __init__(self, page: Any, url: str, dataset: str) -> None:
        self._page, self._explorer = page, f"{url}/#/explorer/{dataset}"

    def explore(self) -> str:
        """The text of the page that lists all images."""
        self._page.goto(self._explorer)
        self._page.get_by_text("1–2 of 2 records").wait_for()
        return str(self._page.inner_text("body"))

    def open(self, sample_id: str) -> None:
        self._page.goto("about:blank")  # a page of the dataset keeps what it has read
        self._page.goto(f"{self._explorer}/workspace/{sample_id}")
        self._page.locator("canvas").first.wait_for()
        self._page.get_by_title("Highlight entity").first.wait_for()

    def draw_box(self) -> None:
        """Draw a box with the tool that is second in the bar, and open its form."""
        self._page.locator("canvas").first.wait_for()
        self._page.mouse.click(623, 32)
        self._page.mouse.move(300, 250)
        self._page.mouse.down()
        self._page.mouse.move(400, 300, steps=5)
        self._page.mouse.move(450, 380, steps=5)
        self._page.mouse.up()
        self._page.keyboard.press("Enter")
        self._page.get_by_text("Save bounding box").wait_for()
        self._options().first.wait_for()  # the form opens with the list of classes

    def edit_record(self) -> None:
        """Open the form of the image."""
        self._page.get_by_role("tab", name="Record").click()
        heading = self._page.get_by_role("heading", name="Attributes", exact=True)
        heading.locator("xpath=following-sibling::button//button").click()

    def offered(self, name: str) -> list[str]:
        """What the list of an input offers; the list stays open."""
        if not self._options().count():
            label = self._page.get_by_text(name, exact=True)
            label.locator("xpath=ancestor::*[.//button[@aria-haspopup='dialog']][1]//button").first.click()
            self._options().first.wait_for()
        return [text.strip() for text in self._options().all_inner_texts()]

    def takes_text(self) -> bool:
        """Whether the open list has a field to type another value."""
        return bool(self._page.locator("[data-popover-content] input").count())

    def pick(self, value: str) -> None:
        self._options().get_by_text(value, exact=True).click()
        self._options().first.wait_for(state="detached")

    def save(self) -> None:
        if (confirm := self._page.get_by_role("button", name="Confirm")).count():
            confirm.click()
        self._page.get_by_role("button", name="Save").click()
        self._page.get_by_text("Saved", exact=True).wait_for()

    def _options(self) -> Any:
        return self._page.get_by_role("option")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """The folder of a server of one's own, that may be restarted."""
    folder = tmp_path / "pixano"
    server.up(folder, 0)
    yield folder
    assert server.down(folder)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """A page of a new browser with a profile of its own."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=ARGUMENTS, viewport={"width": 1500, "height": 950}
        )
        context.set_default_timeout(60_000)
        yield context.pages[0]
        context.close()


def street(folder: Path) -> ab.Dataset:
    """Two images of two splits."""
    samples = []
    for name, split in (("s0", "train"), ("s1", "my val")):
        Image.new("RGB", (640, 480), "skyblue").save(folder / f"{name}.jpg")
        sample = ab.Sample(str(folder / f"{name}.jpg"), sample_id=name, split=split, place="Lyon", night=name == "s1")
        sample["objects"] = [ab.Detection("car", [0.1, 0.5, 0.3, 0.2], colour="red", level=1)]
        sample["scene"] = ab.Classification("day")
        samples.append(sample)
    ds = ab.create_dataset(str(folder / "street.lancedb"))
    ds.add_samples(samples)
    return ds


def test_the_page_offers_the_classes_and_values_of_the_schema(tmp_path: Path, root: Path, browser: Any) -> None:
    ds, running = street(tmp_path), server.status(root)
    assert running is not None
    before = ds.samples().to_pylist()
    results = ds.annotate("round1", label_schema=SCHEMA, backend="pixano", url=running.url)
    page = Page(browser, running.url, str(results.receipts()[0].state["dataset"]))

    listed = page.explore()
    assert "TRAIN" in listed
    assert "MY VAL" in listed

    page.open("s0")
    page.draw_box()
    assert page.offered("category") == ["car", "person"]
    assert not page.takes_text()
    page.pick("person")
    assert page.offered("colour") == ["blue", "red"]
    assert not page.takes_text()
    page.pick("blue")
    assert page.offered("level") == ["1", "2"]
    assert not page.takes_text()
    page.pick("2")
    page.save()

    page.open("s1")
    page.edit_record()
    assert page.offered("scene") == ["day", "night"]
    page.pick("night")
    page.save()

    report = ds.load_annotations("round1", url=running.url)
    assert (report.added, report.edited, report.deleted, report.unexpected.num_rows) == (1, 1, 0, 0)
    (drawn,) = [row for row in ds.labels("objects").to_pylist() if row["label"] == "person"]
    assert {a["name"]: json.loads(a["value"]) for a in drawn["attributes"]} == {"colour": "blue", "level": 2}
    assert [row["label"] for row in ds.labels("scene", "sample_id = 's1'").to_pylist()] == ["night"]
    assert ds.samples().to_pylist() == before


def test_a_server_that_was_started_again_still_offers_them(tmp_path: Path, root: Path, browser: Any) -> None:
    ds, running = street(tmp_path), server.status(root)
    assert running is not None
    results = ds.annotate("round1", label_schema=SCHEMA, backend="pixano", url=running.url)
    server.down(root)
    again = server.up(root, 0)
    page = Page(browser, again.url, str(results.receipts()[0].state["dataset"]))
    page.open("s0")
    page.draw_box()
    assert page.offered("category") == ["car", "person"]
    page.pick("car")
    assert page.offered("colour") == ["blue", "red"]
