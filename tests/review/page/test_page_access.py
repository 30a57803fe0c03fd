"""Keyboard alone, screen readers, contrast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.page.driver import Reviewer

axe_playwright = pytest.importorskip("axe_playwright_python", reason="axe is not installed: it is in the group `test`")
AXE = next(Path(axe_playwright.__file__).parent.rglob("axe*.js"), None)


@pytest.fixture
def checked(served: Any, enter: Callable[..., Reviewer]) -> Callable[[str], Reviewer]:
    """A reviewer in a light or dark room. Axe is put in by the test, which the policy of the page does not allow to others."""

    def open_page(scheme: str) -> Reviewer:
        reviewer = enter(served.url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
        assert AXE is not None
        reviewer.page.add_script_tag(path=AXE)
        return reviewer

    return open_page


def complaints(reviewer: Reviewer) -> list[str]:
    reviewer.page.wait_for_timeout(100)
    found = reviewer.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found["violations"] for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(checked: Callable[[str], Reviewer], scheme: str) -> None:
    reviewer = checked(scheme)
    assert complaints(reviewer) == []  # a conflict
    reviewer.choose("Deletions")
    reviewer.press("a", "r", "x", "n")
    assert complaints(reviewer) == []  # decided, selected, a note
    reviewer.press("Escape", "Escape", "f")
    assert complaints(reviewer) == []  # filters
    reviewer.press("Escape")
    reviewer.find("id:two")
    reviewer.press("a", "k", "e", "Escape", "o")
    assert complaints(reviewer) == []  # attributes, faded
    reviewer.find("file:crossing")
    reviewer.press("o", "d", ".")
    assert complaints(reviewer) == []  # a video side by side
    for key in ("?", "l"):
        reviewer.press(key)
        reviewer.page.get_by_role("dialog").wait_for()
        assert complaints(reviewer) == []
        reviewer.press("Escape")
    reviewer.find("nothing at all")
    assert complaints(reviewer) == []


def test_everything_is_reached_by_tab(reviewer: Reviewer) -> None:
    reviewer.page.evaluate("() => document.activeElement.blur()")
    reached = set()
    for _ in range(80):
        reviewer.press("Tab")
        name = reviewer.page.evaluate(
            """() => {
                const one = document.activeElement;
                return (one.getAttribute('aria-label') ?? one.innerText ?? '').split('\\n')[0];
            }"""
        )
        reached.add(name)
    wanted = {"Your name", "Keys", "Load", "Search", "Filter", "Divide groups by", "All changes", "Deletions", "Accept 37 shown",
              "Refuse 37 shown", "Changes", "Before", "Side by side", "Fade", "Others", "Zoom in", "Zoom out", "Change", "Whole",
              "Picture", "Take base", "Take ours", "Take theirs", "Write a note"}  # fmt: skip
    assert wanted <= reached


def test_focus_is_visible_wherever_it_is(reviewer: Reviewer) -> None:
    for _ in range(40):
        reviewer.press("Tab")
        outline = reviewer.page.evaluate(
            """() => {
                const one = document.activeElement;
                const shown = one.matches('.list') ? one.querySelector('.current') : one;
                return one === document.body ? 'the end of the page' : getComputedStyle(shown).outlineStyle;
            }"""
        )
        assert outline != "none", reviewer.page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")


def test_a_clicked_button_does_not_keep_the_space_key(reviewer: Reviewer, served: Any) -> None:
    reviewer.choose("Deletions")
    reviewer.page.locator(".decide .accept").click()
    reviewer.settle()
    reviewer.page.keyboard.down("Space")
    reviewer.page.wait_for_function("() => document.querySelector('.panes.blink')")
    reviewer.page.keyboard.up("Space")
    reviewer.settle()
    assert len(served.decided()) == 1


def test_the_list_says_where_the_reader_is(reviewer: Reviewer, plan: Any) -> None:
    reviewer.press("j", "j")
    reviewer.settle()
    active = reviewer.page.locator(".list").get_attribute("aria-activedescendant")
    row = reviewer.page.locator(f"#{active}")
    assert row.get_attribute("aria-posinset") == "3"
    assert row.get_attribute("aria-setsize") == str(len(plan.rows))
    spoken = reviewer.page.locator("#app > .unseen[role=status]").inner_text()
    assert spoken.startswith("Conflict, bus → truck, class: changed on both sides, ")


def test_every_key_of_the_help_is_there(reviewer: Reviewer) -> None:
    reviewer.press("?")
    text = reviewer.page.get_by_role("dialog").inner_text()
    for word in ("accept and go on", "undo the last step", "side by side", "search", "write a note", "both"):
        assert word in text
    reviewer.press("Escape")
    reviewer.page.get_by_role("dialog").wait_for(state="detached")


@pytest.mark.parametrize("size", [(1024, 700), (1440, 900)])
def test_nothing_overflows_the_window(reviewer: Reviewer, size: tuple[int, int]) -> None:
    reviewer.page.set_viewport_size({"width": size[0], "height": size[1]})
    reviewer.settle()
    for selector in (
        "body",
        ".top",
        ".left",
        ".bulk-buttons",
        ".bulk .accept",
        ".bulk .refuse",
        ".toolbar",
        ".legend",
        ".details",
    ):
        inside = "(one) => one.scrollWidth <= one.clientWidth"
        assert reviewer.page.locator(selector).evaluate(inside), selector
