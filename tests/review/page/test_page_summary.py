"""The summary above the page in one file: without scripts, and on paper."""

from __future__ import annotations

from annobridge.review import offline


def test_it_is_readable_without_scripts_and_printed_alone(plan, tmp_path, enter):
    offline.write(plan, tmp_path / "report.html", "street.lancedb")
    reader = enter("", wait=False, java_script_enabled=False)
    reader.page.goto((tmp_path / "report.html").as_uri())
    assert reader.page.locator(".summary h1").inner_text() == "Review of r1"
    assert reader.page.locator(".summary table").count() >= 3
    reader.page.emulate_media(media="print")
    assert not reader.page.locator("#app").is_visible()
    assert reader.page.locator(".summary h1").is_visible()
