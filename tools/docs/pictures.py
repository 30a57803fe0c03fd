"""The pictures of the documentation, drawn from what annobridge really does. Those of the review page need a Chromium."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from annobridge import demo
from annobridge.bridge.merge_plan import MergePlan
from annobridge.dataset import Dataset
from annobridge.demo.pictures import side_by_side

from . import several

EDITED = "street_02"  # the scene of the picture on the first page
SIZE = {"width": 1280, "height": 760}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def draw(folder: Path) -> list[Path]:
    """Draw all pictures anew; returns their files. Raises ``RuntimeError`` without a Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    return [before_and_after(folder / "before-after.webp"), *review_page(folder), *several_annotators(folder)]


def before_and_after(path: Path) -> Path:
    """One image of the drawn dataset as it was sent, and as it is after a load."""
    with tempfile.TemporaryDirectory() as scratch:
        ds = demo.street(Path(scratch, "street"))
        before = _labels(ds)
        demo.correct(ds.annotate("round1", label_schema=["objects"], backend="memory", progress=False))
        ds.load_annotations("round1", progress=False)
        image = Path(ds.select(EDITED).first()["filepath"])
        sheet = Path(scratch, "sheet.png")
        side_by_side(sheet, image, before, _labels(ds), ("as the model left it", "after the load"))
        _save(sheet, path)
    return path


def _labels(ds: Dataset) -> list[dict[str, Any]]:
    return ds.select(EDITED).labels(["objects"]).to_pylist()


def _save(picture: Path, path: Path) -> None:
    with Image.open(picture) as opened:
        opened.convert("RGB").save(path, "WEBP", quality=80, method=6)


def review_page(folder: Path) -> list[Path]:
    """The review page at a deletion and at a conflict, and the page of an offline plan."""
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch), _browser() as browser:
        plan = plan_with_a_conflict(Path())  # the page shows where the dataset is
        with plan.review(Path(scratch, "decisions.jsonl"), reviewer="lea") as server:
            page = browser.new_page(viewport=SIZE)
            page.goto(server.url)
            _settle(page)
            conflict = _shot(page, scratch, folder / "review-conflict.webp")
            for key in ("3", "j", "z"):  # theirs, the next change, the whole picture
                page.keyboard.press(key)
                _settle(page)
            change = _shot(page, scratch, folder / "review.webp")
    return [conflict, change]


def plan_with_a_conflict(folder: Path) -> MergePlan:
    """A plan of the drawn dataset: what people corrected, and one box that somebody moved here meanwhile."""
    ds = demo.street(folder / "street")
    demo.correct(ds.annotate("round1", label_schema=["objects", "weather"], backend="memory", progress=False))
    car = ds.labels("objects", "label_id = 'street_02.car2'").to_pylist()[0]
    x, y, width, height = car["bounding_box"]
    ds.set_labels([{"label_id": car["label_id"], "bounding_box": [x + 0.03, y - 0.05, width, height]}])
    return ds.plan_annotations("round1", progress=False)


def several_annotators(folder: Path) -> list[Path]:
    """A consensus in one image, and the pages of an agreement and of the quality of annotators."""
    folder = folder.resolve()
    made = [folder / "consensus.webp"]
    with tempfile.TemporaryDirectory() as scratch, _browser() as browser:
        ds = several.answered(Path(scratch))
        sheet = Path(scratch, "sheet.png")
        several.consensus(ds).save(sheet)
        _save(sheet, made[0])
        agreement = ds.compare_annotations(several.FIELDS, progress=False)
        quality = ds.annotation_quality(several.FIELDS, "objects", progress=False)
        for name, found in (("agreement", agreement), ("quality", quality)):
            page = browser.new_page(viewport=SIZE)
            page.goto(found.to_html(Path(scratch, f"{name}.html")).as_uri())
            made.append(_shot(page, scratch, folder / f"{name}.webp"))
    return made


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise RuntimeError("There is no Chromium here; install one with your system's packages, as chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _settle(page: Any) -> None:
    """Wait until the picture of the change is drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)


def _shot(page: Any, scratch: str, path: Path) -> Path:
    picture = Path(scratch, f"{path.stem}.png")
    page.screenshot(path=picture)
    _save(picture, path)
    return path
