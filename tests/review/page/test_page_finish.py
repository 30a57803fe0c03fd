"""Loading and sending back from the page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.page.driver import Reviewer

from annobridge.exceptions import AnnobridgeError, TooManyDeletions


@pytest.mark.parametrize("undecided", ["take", "leave"])
def test_a_load_is_what_was_decided(reviewer: Reviewer, plan: Any, undecided: str) -> None:
    reviewer.choose("Deletions")
    reviewer.press("a", "r")
    reviewer.settle()
    reviewer.press("l")
    dialog = reviewer.page.get_by_role("dialog")
    assert (
        " ".join(dialog.locator(".numbers").inner_text().split()) == f"1 accepted 1 refused {len(plan.rows) - 2} open"
    )
    dialog.get_by_label({"take": "are taken as proposed", "leave": "are left for later"}[undecided]).check()
    dialog.get_by_role("button", name="Load").click()
    dialog.get_by_text("Loaded.").wait_for()
    assert dialog.locator(".report").inner_text()
    (load,) = plan.loaded
    assert load["undecided"] == undecided
    assert sorted(verdict for key, verdict in load.items() if key.startswith("change")) == ["accept", "refuse"]
    with reviewer.page.expect_navigation():  # to the plan of what is left
        reviewer.press("Escape")
    reviewer.page.locator(".panes[data-drawn]").wait_for()


def test_a_load_that_would_delete_most_needs_a_tick(reviewer: Reviewer, plan: Any) -> None:
    def refuse(_: Any) -> Any:
        if not plan.loaded[-1]["force"]:
            raise TooManyDeletions("This load would delete 90 % of the labels; pass force=True if that is meant.")
        return type("Report", (), {"to_dict": lambda self: {}, "__repr__": lambda self: "added 1\ndeleted 9"})()

    plan.on_load = refuse
    reviewer.press("l")
    dialog = reviewer.page.get_by_role("dialog")
    assert not dialog.get_by_label("Load although most would be deleted").count()
    dialog.get_by_label("are left for later").check()
    dialog.get_by_role("button", name="Load").click()
    dialog.get_by_text("This load would delete 90 % of the labels").wait_for()
    assert dialog.get_by_label("are left for later").is_checked()
    dialog.get_by_label("Load although most would be deleted").check()
    dialog.get_by_role("button", name="Load").click()
    dialog.get_by_text("Loaded.").wait_for()
    assert "deleted 9" in dialog.locator(".report").inner_text()
    assert [(load["force"], load["undecided"]) for load in plan.loaded] == [(False, "leave"), (True, "leave")]


def test_a_load_that_is_going_on_keeps_its_dialog_and_others_are_told(
    reviewer: Reviewer, served: Any, plan: Any, enter: Callable[..., Reviewer]
) -> None:
    going_on = threading.Event()

    def slow(_: Any) -> Any:
        going_on.wait(20)
        return type("Report", (), {"to_dict": lambda self: {}, "__repr__": lambda self: "added 1"})()

    plan.on_load = slow
    other = enter(served.url)
    reviewer.press("l")
    dialog = reviewer.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Load").click()
    dialog.get_by_role("progressbar").wait_for()
    reviewer.press("Escape", "Escape", "Escape")
    dialog.get_by_role("button", name="Close").click()
    reviewer.page.mouse.click(5, 5)
    assert dialog.is_visible()
    going_on.set()
    dialog.get_by_text("Loaded.").wait_for()
    other.page.get_by_text("The plan was made anew since this page was opened.").wait_for()
    with other.page.expect_navigation():
        other.page.get_by_role("button", name="Reload the page").click()
    other.page.locator(".panes[data-drawn]").wait_for()
    assert not other.page.get_by_text("The plan was made anew").is_visible()


def test_a_load_that_failed_is_told_in_a_sentence(reviewer: Reviewer, plan: Any) -> None:
    def fail(_: Any) -> Any:
        raise AnnobridgeError("The tool does not answer; try again later.")

    plan.on_load = fail
    reviewer.press("l")
    dialog = reviewer.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Load").click()
    dialog.get_by_text("The tool does not answer; try again later.").wait_for()
    assert not dialog.get_by_label("Load although most would be deleted").count()
    reviewer.press("Escape")
    dialog.wait_for(state="detached")


def test_what_was_refused_is_sent_back_with_a_note(
    serve: Callable[..., Any], plan: Any, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    sent: list[Any] = []

    def send(rows: Any, note: str) -> tuple[int, str]:
        sent.append((sorted(rows["change_id"].to_pylist()), note))
        return rows.num_rows, "One issue for each, in job 7."

    served = serve(plan, tmp_path / "d.jsonl", send_back=send)
    reviewer = enter(f"{served.origin}/?token={served.token}")
    reviewer.choose("Deletions")
    reviewer.press("r", "r", "a")
    reviewer.settle()
    reviewer.press("s")
    dialog = reviewer.page.get_by_role("dialog")
    assert "2 refused changes go to the annotators" in dialog.inner_text()
    dialog.get_by_label("Note for all of them").fill("The cars are still there.")
    dialog.get_by_role("button", name="Send 2 back").click()
    dialog.get_by_text("2 sent back.").wait_for()
    assert dialog.locator(".report").inner_text() == "One issue for each, in job 7."
    rows = sorted((row for row in plan.rows if row["group"] == "deletion"), key=lambda row: int(row["sample_id"][1:]))
    assert sent == [(sorted(row["change_id"] for row in rows[:2]), "The cars are still there.")]


def test_what_cannot_be_sent_back_is_not_offered(reviewer: Reviewer) -> None:
    reviewer.press("s")
    assert not reviewer.page.get_by_role("dialog").count()
    assert not reviewer.page.get_by_role("button", name="Send back").count()
