"""The file that needs no server, in a browser: the same page, and decisions that come out as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from annobridge.bridge import decision_file
from annobridge.review import offline


@pytest.fixture
def page_file(plan, tmp_path) -> Path:
    offline.write(plan, tmp_path / "report.html", "street.lancedb", reviewer="ann")
    return tmp_path / "report.html"


def test_the_file_is_the_page(page_file, enter, plan):
    reviewer = enter(page_file.as_uri())
    assert reviewer.page.locator(".summary h1").inner_text() == "Review of r1"
    total = plan.changes.num_rows
    assert f"{total} changes in" in reviewer.page.locator(".summary").inner_text()
    seen = []
    for _ in range(total):
        seen.append(reviewer.current)
        reviewer.press("j")
    assert set(seen) == set(plan.changes["change_id"].to_pylist())


def test_decisions_come_out_as_a_file(page_file, enter, plan, tmp_path):
    reviewer = enter(page_file.as_uri(), accept_downloads=True)
    reviewer.choose("Deletions")
    decided = [reviewer.current]
    reviewer.press("r")
    reviewer.settle()
    with reviewer.page.expect_download() as download:
        reviewer.page.get_by_role("button", name="decisions").first.click()
    download.value.save_as(tmp_path / "decisions.jsonl")
    found, notes = decision_file.read(tmp_path / "decisions.jsonl", plan.run)
    assert found.select(["change_id", "verdict", "by"]).to_pylist() == [
        {"change_id": decided[0], "verdict": "refuse", "by": "ann"}
    ]
    assert notes == []
    plan.add_decisions(found)
    assert plan.states()["state"].to_pylist().count("decided") == 1


def test_nothing_is_asked_of_the_network(page_file, enter):
    reviewer = enter("about:blank", wait=False)
    asked = []
    reviewer.page.on("request", lambda request: asked.append(request.url))
    reviewer.open(page_file.as_uri())
    reviewer.press("j", "j", "j")
    reviewer.settle()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_summary_is_readable_without_scripts_and_printed_alone(page_file, enter):
    reader = enter(page_file.as_uri(), wait=False, java_script_enabled=False)
    reader.page.goto(page_file.as_uri())
    assert reader.page.locator(".summary table").count() >= 3
    reader.page.emulate_media(media="print")
    assert not reader.page.locator("#app").is_visible()
    assert reader.page.locator(".summary h1").is_visible()
