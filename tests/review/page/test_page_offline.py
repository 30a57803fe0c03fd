"""The same page as one file, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.page.driver import Reviewer

from annobridge.review import offline


@pytest.fixture
def opened(plan: Any, tmp_path: Path, enter: Callable[..., Reviewer]) -> Callable[..., Reviewer]:
    """Write the file, and open it."""

    def write(megabytes: float = 20) -> Reviewer:
        offline.write(plan, tmp_path / "report.html", "street.lancedb", megabytes, reviewer="me")
        reviewer = enter((tmp_path / "report.html").as_uri())
        reviewer.page.get_by_role("link", name="Go to the pictures").click()
        reviewer.page.wait_for_function("() => document.getElementById('app').getBoundingClientRect().top < 100")
        return reviewer

    return write


def exported(reviewer: Reviewer) -> list[dict[str, Any]]:
    with reviewer.page.expect_download() as download:
        reviewer.page.get_by_role("button", name="Export decisions.jsonl").click()
    assert download.value.suggested_filename == "decisions.jsonl"
    return [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]


def test_decisions_are_kept_by_the_browser_and_exported(opened: Callable[..., Reviewer], plan: Any) -> None:
    reviewer = opened()
    requests: list[str] = []
    reviewer.page.on("request", lambda request: requests.append(request.url))
    assert not reviewer.page.get_by_role("button", name="Load").count()
    assert not reviewer.page.get_by_role("button", name="Send back").count()
    reviewer.press("l", "s")  # which do nothing here
    assert not reviewer.page.get_by_role("dialog").count()
    reviewer.choose("Deletions")
    reviewer.press("a", "r", "n")
    reviewer.type("ask “Ann” <again>")
    reviewer.press("Enter")
    reviewer.choose("Large moves")
    reviewer.press("Shift+R")
    reviewer.page.reload()
    reviewer.page.locator(".panes[data-drawn]").wait_for()
    large = sum(row["group"] == "large move" for row in plan.rows)
    assert reviewer.counts == f"2 looked at, {large} by 1 rule, {len(plan.rows) - large - 2} open"
    rows = exported(reviewer)
    assert list(rows[0]) == ["run_id", "change_id", "verdict", "value", "by", "at", "note", "rule", "bound_to"]
    assert [row["verdict"] for row in rows] == ["accept", "refuse", "open", *["refuse"] * large]
    assert rows[2]["note"] == "ask “Ann” <again>"
    assert {row["run_id"] for row in rows} == {"run1"}
    assert {row["rule"] for row in rows[3:]} == {"large move"}
    assert rows[0]["by"] == "me"
    assert not [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]


def test_two_tabs_do_not_overwrite_each_other(opened: Callable[..., Reviewer]) -> None:
    first = opened()
    tab = first.page.context.new_page()
    second = Reviewer(tab, first.page.url)
    for reviewer, group in ((first, "Deletions"), (second, "Class changes")):
        reviewer.page.get_by_role("link", name="Go to the pictures").click()
        reviewer.choose(group)
        reviewer.press("a")
        reviewer.settle()
    assert len(exported(first)) == len(exported(second)) == 2
    assert not second.troubles


def test_a_browser_that_keeps_little_keeps_the_last_verdicts(opened: Callable[..., Reviewer]) -> None:
    reviewer = opened()
    reviewer.page.evaluate(
        """() => {
            const set = Storage.prototype.setItem;
            Storage.prototype.setItem = function (key, text) {
                if (text.length > 900) throw new DOMException("full", "QuotaExceededError");
                set.call(this, key, text);
            };
        }"""
    )
    reviewer.choose("Deletions")
    for key in "arararar":
        reviewer.press(key, "Home")
    reviewer.settle()
    assert not reviewer.page.locator(".trouble").is_visible()
    rows = exported(reviewer)
    assert rows[-1]["verdict"] == "refuse"
    assert len(rows) < 8


def test_what_is_exported_can_be_loaded(opened: Callable[..., Reviewer], plan: Any, tmp_path: Path) -> None:
    from annobridge.bridge import decision_file

    reviewer = opened()
    reviewer.choose("Class changes")
    reviewer.press("e")
    reviewer.page.get_by_label("New class").fill("bus")
    reviewer.press("Enter", "a", "u")
    rows = exported(reviewer)
    lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    found = decision_file.parse(lines, "decisions.jsonl", plan.run, 1)
    assert [(row["verdict"], row["value"]) for row in found.rows] == [
        ("value", '"bus"'),
        ("accept", None),
        ("open", None),
    ]


def test_crops_are_put_where_they_were(opened: Callable[..., Reviewer]) -> None:
    reviewer = opened()
    reviewer.choose("Deletions")
    reviewer.settle()
    images = reviewer.page.evaluate("() => JSON.parse(document.getElementById('data').textContent).images")
    photo, picture = (reviewer.page.locator(name).first.bounding_box() for name in (".photo", ".picture"))
    left, width = (photo["x"] - picture["x"]) / picture["width"], photo["width"] / picture["width"]
    assert any(
        image["box"][0] == pytest.approx(left, abs=0.01) and image["box"][2] == pytest.approx(width, abs=0.01)
        for image in images
    )
    box = reviewer.page.locator(".role-before .line").first.bounding_box()
    assert photo["x"] < box["x"] < box["x"] + box["width"] < photo["x"] + photo["width"]


def test_masks_and_frames_are_in_the_file(opened: Callable[..., Reviewer]) -> None:
    reviewer = opened()
    reviewer.find("class:road")
    reviewer.page.locator(".panes[data-masks=shown]").wait_for()
    reviewer.find("file:crossing")
    assert not reviewer.page.locator(".panes .stage-message").is_visible()
    reviewer.press(".")  # a frame on which nothing was changed
    reviewer.page.get_by_text("This picture was left out of the file to keep it small.").wait_for()


def test_a_picture_that_was_left_out_is_told(opened: Callable[..., Reviewer]) -> None:
    reviewer = opened(0.000001)
    reviewer.page.get_by_text("This picture was left out of the file to keep it small.").wait_for()
    assert reviewer.page.locator(".role-after .line").count() > 0


def test_keys_are_those_of_the_browser_in_the_summary_above(
    plan: Any, tmp_path: Path, enter: Callable[..., Reviewer]
) -> None:
    offline.write(plan, tmp_path / "report.html", "street.lancedb")
    reviewer = enter((tmp_path / "report.html").as_uri())
    reviewer.press("Space", "a")
    reviewer.page.wait_for_function("() => window.scrollY > 0")
    assert exported(reviewer) == []
