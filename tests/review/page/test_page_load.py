"""From the tool to the dataset through the page: the dataset is exactly what was decided at the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from tests.review.page.driver import Reviewer

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS

URL = "memory://page"
PLACES = {"a": [0.1, 0.2, 0.3, 0.4], "b": [0.5, 0.2, 0.3, 0.4], "c": [0.1, 0.6, 0.3, 0.2], "d": [0.6, 0.6, 0.2, 0.2]}


@pytest.fixture
def ds(tmp_path: Path) -> Iterator[ab.Dataset]:
    """Two images with four cars each. In the tool, a is a bus and b has moved, c is deleted; here, d was edited too."""
    found = ab.create_dataset(tmp_path / "ds")
    for n in range(2):
        Image.new("RGB", (640, 480), (60, 90 * n, 120)).save(tmp_path / f"{n}.png")
    found.add_samples(
        ab.Sample(
            tmp_path / f"{n}.png",
            f"s{n}",
            width=640,
            height=480,
            objects=[ab.Detection("car", place, label_id=f"{name}{n}") for name, place in PLACES.items()],
        )
        for n in range(2)
    )
    found.annotate("r1", "objects", classes=["car", "bus", "van", "truck"], backend="memory", url=URL)
    (task,) = SERVERS[URL].labels
    rows = [row for row in SERVERS[URL].labels[task].to_pylist() if not row["label_id"].startswith("c")]
    for row in rows:
        if row["label_id"].startswith("a"):
            row["label"] = "bus"
        if row["label_id"].startswith("b"):
            row["bounding_box"] = [0.55, 0.2, 0.3, 0.4]
        if row["label_id"].startswith("d"):
            row["label"] = "van"
    SERVERS[URL].labels[task] = pa.Table.from_pylist(rows, SERVERS[URL].labels[task].schema)
    mine = [row | {"label": "truck"} for row in found.labels("objects").to_pylist() if row["label_id"].startswith("d")]
    found.set_labels(mine)
    yield found
    SERVERS.pop(URL)


def test_the_dataset_is_what_was_decided(ds: ab.Dataset, enter: Callable[..., Reviewer], tmp_path: Path) -> None:
    with ds.plan_annotations("r1").review(tmp_path / "d.jsonl", reviewer="lea") as server:
        reviewer = enter(server.url)
        reviewer.choose("Conflicts")
        reviewer.press("2", "3")  # d0 stays as it is here, d1 becomes as in the tool
        reviewer.choose("Deletions")
        reviewer.press("r", "a")
        reviewer.choose("Class changes")
        reviewer.press("e")
        reviewer.page.get_by_label("New class").fill("van")
        reviewer.press("Enter", "r")
        reviewer.choose("Large moves")
        reviewer.press("Shift+A", "u", "Shift+R", "u", "k", "a")
        reviewer.settle()
        reviewer.press("l")
        dialog = reviewer.page.get_by_role("dialog")
        dialog.get_by_label("are left for later").check()
        dialog.get_by_role("button", name="Load").click()
        dialog.get_by_text("Loaded.").wait_for()
        with reviewer.page.expect_navigation():
            reviewer.press("Escape")
        reviewer.page.locator(".panes[data-drawn]").wait_for()
        left = reviewer.counts
    rows = {row["label_id"]: (row["label"], row["bounding_box"][0]) for row in ds.labels("objects").to_pylist()}
    assert rows == {
        "a0": ("van", 0.1), "a1": ("car", 0.1), "b0": ("car", 0.55), "b1": ("car", 0.5), "c0": ("car", 0.1),
        "d0": ("truck", 0.6), "d1": ("van", 0.6),
    }  # fmt: skip
    assert "before" in left  # what was refused is still refused


def test_what_annotators_dispute_waits_for_the_reviewer(
    ds: ab.Dataset, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    run = ds.load_annotation_results("r1", url=URL)
    people = [demo.annotator(run, name) for name in ("alice", "bob", "carol")]
    for one in people[:2]:
        one.set_class("a0", "bus")  # two of three: taken
        one.delete("c0")  # one keeps it
    people[0].draw("s1", "car", [0.4, 0.1, 0.1, 0.1])  # she alone
    with ds.plan_annotations("r1", consensus=ab.Consensus(), url=URL).review(tmp_path / "d.jsonl") as server:
        reviewer = enter(server.url)
        reviewer.choose("Disputed")
        assert len(reviewer.rows) == 2
        assert (
            "1 of 3 annotators have it; by default, it is left for later" in reviewer.page.locator(".why").inner_text()
        )
        reviewer.press("a")
        reviewer.settle()
        reviewer.press("l")
        dialog = reviewer.page.get_by_role("dialog")
        dialog.get_by_text("are taken as proposed, but for 1 that annotators dispute").wait_for()
        dialog.get_by_role("button", name="Load").click()
        dialog.get_by_text("Loaded.").wait_for()
    rows = {row["label_id"]: row["label"] for row in ds.labels("objects").to_pylist()}
    assert rows["a0"] == "bus"
    assert len(rows) == (9 if "c0" in rows else 7)  # one of the two was accepted, and the other left
