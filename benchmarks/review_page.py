"""The review page in a browser: 5,000 changes on 1,000 images, from the plan to the first picture, and from key to picture.

    .venv/bin/python benchmarks/review_page.py

Needs a Chromium (see CONTRIBUTING.md). The images are photographs' size, 1920 × 1200; a fifth of the changes are moves, class
changes, deletions, additions and attribute changes each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import annobridge as ab
from annobridge.backend.memory import SERVERS

URL = "memory://review"
SIZE = (1920, 1200)
PICTURES = 40  # different ones; the samples share them
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--images", type=int, default=1000)
    options.add_argument("--steps", type=int, default=200)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ds = changed_dataset(Path(folder), given.images)
        print(json.dumps(measured(ds, Path(folder), given.steps), indent=2))


def changed_dataset(folder: Path, images: int) -> ab.Dataset:
    """A dataset of five boxes on each image, all of which were changed in the tool."""
    rng = np.random.default_rng(7)
    for n in range(PICTURES):
        small = rng.integers(0, 256, (SIZE[1] // 20, SIZE[0] // 20, 3), np.uint8)
        Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC).save(folder / f"{n}.jpg", quality=85)
    ds = ab.create_dataset(folder / "dataset")
    for n in range(images):
        (folder / f"photo_{n:04}.jpg").hardlink_to(folder / f"{n % PICTURES}.jpg")
    places = [[0.1 + 0.15 * n, 0.2 + 0.1 * n, 0.12, 0.15] for n in range(5)]
    ds.add_samples(
        ab.Sample(folder / f"photo_{n:04}.jpg", f"s{n:04}", width=SIZE[0], height=SIZE[1], objects=[
            ab.Detection("car", place, label_id=f"{n:04}.{k}", colour="red") for k, place in enumerate(places)
        ])
        for n in range(images)
    )  # fmt: skip
    ds.annotate("r", "objects", classes=["car", "bus"], backend="memory", url=URL, progress=False)
    server = SERVERS[URL]
    for task, table in server.labels.items():
        server.labels[task] = pa.Table.from_pylist([row for row in table.to_pylist() if edit(row)], table.schema)
    return ds


def edit(row: dict[str, Any]) -> bool:
    """Change a label as a person would, by its number; ``False`` deletes it."""
    kind = int(row["label_id"][-1])
    if kind == 0:
        row["label"] = "bus"
    if kind == 1:
        row["attributes"] = [row["attributes"][0] | {"value": '"blue"'}]
    if kind == 2:
        row["bounding_box"] = [row["bounding_box"][0] + 0.05, *row["bounding_box"][1:]]
    if kind == 3:
        row["bounding_box"] = [row["bounding_box"][0] + 0.005, *row["bounding_box"][1:]]
    return kind != 4


def measured(ds: ab.Dataset, folder: Path, steps: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with browser_page() as page:
        plan = ds.plan_annotations("r", progress=False)
        planned = time.perf_counter()
        server = plan.review(folder / "decisions.jsonl")
        figures["server_s"] = round(time.perf_counter() - planned, 2)
        page.goto(server.url)
        page.locator(".panes[data-drawn]").wait_for()
        figures["first_picture_s"] = round(time.perf_counter() - planned, 2)
        figures["changes"] = plan.changes.num_rows
        for key in ("j", "a"):
            times = [key_to_picture(page, key) for _ in range(steps)]
            figures[f"key_{key}_ms"] = {
                "median": round(statistics.median(times)), "p95": round(sorted(times)[int(0.95 * len(times))])
            }  # fmt: skip
        figures["renderer_mib"] = renderer_mib()
        server.stop()
    return figures


@contextmanager
def browser_page() -> Iterator[Page]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("There is no Chromium on the PATH; see CONTRIBUTING.md.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto("about:blank")
        yield page
        browser.close()


KEY = """key => new Promise(done => {
  const panes = document.querySelector(".panes"), start = performance.now();
  const seen = new MutationObserver(() => requestAnimationFrame(() => { seen.disconnect(); done(performance.now() - start); }));
  seen.observe(panes, {attributes: true, attributeFilter: ["data-drawn"]});
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
})"""


def key_to_picture(page: Page, key: str) -> float:
    """Milliseconds from a key to the frame in which the next picture is drawn."""
    return float(page.evaluate(KEY, key))


def renderer_mib() -> dict[str, float]:
    """The largest resident set of a renderer, now, and how much of that it shares with nobody (Linux)."""
    found = {"rss": 0.0, "private": 0.0}
    for process in Path("/proc").iterdir():
        try:
            if b"--type=renderer" not in (process / "cmdline").read_bytes():
                continue
            lines = (process / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
        private = sum(v for name, v in sizes.items() if name.startswith("Private"))
        found = max(found, {"rss": round(sizes["Rss"], 1), "private": round(private, 1)}, key=lambda f: f["rss"])
    return found


if __name__ == "__main__":
    main()
