"""Verdicts by the keyboard: what is stored is what was pressed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.review.page.driver import Reviewer


def verdicts(served: Any) -> list[tuple[str, str]]:
    return [(one["change_id"], one["verdict"]) for one in served.decided()]


def in_group(plan: Any, group: str) -> list[str]:
    rows = sorted(plan.rows, key=lambda row: (int(row["sample_id"][1:]), row["frame_number"] or 0))
    return [row["change_id"] for row in rows if row["group"] == group]


def test_accept_and_refuse_store_one_decision_each_and_go_on(reviewer: Reviewer, served: Any, plan: Any) -> None:
    first, second, third = in_group(plan, "deletion")
    reviewer.choose("Deletions")
    assert reviewer.current == first
    reviewer.press("a")
    assert reviewer.current == second
    reviewer.press("r")
    assert reviewer.current == third
    stored = served.decided()
    assert [(one["change_id"], one["verdict"], one["rule"]) for one in stored] == [
        (first, "accept", None),
        (second, "refuse", None),
    ]
    assert {one["by"] for one in stored} == {"me"}
    assert [one["bound_to"] for one in stored] == [
        row["bound_to"] for row in plan.rows if row["change_id"] in (first, second)
    ]
    assert reviewer.counts == f"2 looked at, 0 by 0 rules, {len(plan.rows) - 2} open"


def test_the_cursor_skips_what_is_decided(reviewer: Reviewer, plan: Any) -> None:
    first, second, third = in_group(plan, "deletion")
    reviewer.choose("Deletions")
    reviewer.press("j", "a", "k", "k")
    assert reviewer.current == first
    reviewer.press("a")
    assert reviewer.current == third
    assert second


def test_undo_goes_back_without_limit(reviewer: Reviewer, served: Any, plan: Any) -> None:
    ids = in_group(plan, "class change")[:3]
    reviewer.choose("Class changes")
    reviewer.press("a", "r", "k", "a", "u")
    assert reviewer.current == ids[1]
    reviewer.settle()
    assert verdicts(served)[-1] == (ids[1], "refuse")  # what it was before
    reviewer.press("u", "u")
    assert reviewer.current == ids[0]
    reviewer.press("u")
    reviewer.page.get_by_text("Nothing is left to undo").wait_for()
    assert verdicts(served)[-2:] == [(ids[1], "open"), (ids[0], "open")]
    assert reviewer.counts == f"0 looked at, 0 by 0 rules, {len(plan.rows)} open"


def test_many_are_decided_as_the_button_says(reviewer: Reviewer, served: Any, plan: Any) -> None:
    cars = [row["change_id"] for row in plan.rows if row["group"] == "deletion" and row["their_by"] == "ann"]
    reviewer.choose("Deletions")
    reviewer.press("g")  # by annotator
    reviewer.choose("ann")
    assert reviewer.accept_many == "Accept 2 shown"
    reviewer.press("Shift+R")
    reviewer.settle()
    assert verdicts(served) == [(one, "refuse") for one in cars]
    assert {one["rule"] for one in served.decided()} == {"deletion, annotator ann"}
    assert reviewer.counts == f"0 looked at, 2 by 1 rule, {len(plan.rows) - 2} open"
    reviewer.press("u")
    reviewer.settle()
    assert verdicts(served)[2:] == [(one, "open") for one in cars]
    assert reviewer.counts.startswith("0 looked at, 0 by 0 rules")


def test_the_selection_is_decided_and_nothing_else(reviewer: Reviewer, served: Any, plan: Any) -> None:
    ids = in_group(plan, "large move")
    reviewer.choose("Large moves")
    reviewer.press("x", "j", "j", "x")
    assert reviewer.accept_many == "Accept 2 selected"
    reviewer.press("Shift+A")
    reviewer.settle()
    assert sorted(verdicts(served)) == sorted([(ids[0], "accept"), (ids[2], "accept")])
    assert reviewer.accept_many == f"Accept {len(ids)} shown"


def test_shift_click_selects_a_range_and_escape_clears_it(reviewer: Reviewer, plan: Any) -> None:
    reviewer.choose("Large moves")
    reviewer.page.locator(".row").nth(1).click()
    reviewer.page.locator(".row").nth(3).click(modifiers=["Shift"])
    assert reviewer.accept_many == "Accept 3 selected"
    assert reviewer.page.locator(".row[aria-selected=true]").count() == 3
    reviewer.press("Escape")
    assert reviewer.accept_many == f"Accept {len(in_group(plan, 'large move'))} shown"


def test_caps_lock_does_not_decide_for_many(reviewer: Reviewer, served: Any, plan: Any) -> None:
    reviewer.choose("Deletions")
    reviewer.page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'A', shiftKey: false, bubbles: true }))"
    )
    reviewer.settle()
    assert verdicts(served) == [(in_group(plan, "deletion")[0], "accept")]


def test_what_was_decided_one_by_one_is_not_overruled_without_a_question(
    reviewer: Reviewer, served: Any, plan: Any
) -> None:
    first, second, third = in_group(plan, "deletion")
    reviewer.choose("Deletions")
    reviewer.press("r", "Shift+A")
    dialog = reviewer.page.get_by_role("dialog")
    assert "1 of them were decided one by one" in dialog.inner_text()
    dialog.get_by_role("button", name="Accept the other 2").click()
    reviewer.settle()
    assert verdicts(served) == [(first, "refuse"), (second, "accept"), (third, "accept")]


def test_all_changes_are_not_decided_without_a_question(reviewer: Reviewer, served: Any, plan: Any) -> None:
    reviewer.press("Shift+A")
    dialog = reviewer.page.get_by_role("dialog")
    assert f"Accept all {len(plan.rows)}?" in dialog.inner_text()
    reviewer.press("Escape")
    assert served.decided() == []


def test_conflicts_are_settled_by_their_numbers(reviewer: Reviewer, served: Any, plan: Any) -> None:
    ids = in_group(plan, "conflict")
    reviewer.choose("Conflicts")
    assert reviewer.page.locator(".side").all_inner_texts()[2].startswith("Theirs")
    assert "proposed" in reviewer.page.locator(".side-theirs").inner_text()
    reviewer.press("1", "2", "3")
    reviewer.press("4")  # both shapes of an edit cannot be kept
    reviewer.page.get_by_text("In this conflict the answers are: base, ours, theirs.").wait_for()
    reviewer.press("End", "4")
    reviewer.settle()
    assert verdicts(served) == [(ids[0], "base"), (ids[1], "ours"), (ids[2], "theirs"), (ids[5], "both")]


def test_accept_takes_theirs_and_refuse_ours_in_a_conflict(reviewer: Reviewer, served: Any, plan: Any) -> None:
    ids = in_group(plan, "conflict")
    reviewer.choose("Conflicts")
    reviewer.press("a", "r")
    reviewer.settle()
    assert verdicts(served) == [(ids[0], "theirs"), (ids[1], "ours")]


@pytest.mark.parametrize("by_key", [True, False])
def test_the_same_answer_for_all_like_this_is_a_rule(reviewer: Reviewer, served: Any, plan: Any, by_key: bool) -> None:
    ids = in_group(plan, "conflict")
    reviewer.choose("Conflicts")
    assert "Same answer for the 2 like this" in reviewer.page.locator(".alike").inner_text()
    if by_key:
        reviewer.press("Shift+Digit2")
    else:
        reviewer.page.locator("[data-alike=ours]").click()
    assert reviewer.current == ids[2]
    assert verdicts(served) == [(ids[0], "ours"), (ids[1], "ours")]
    assert {one["rule"] for one in served.decided()} == {"conflict, edit/edit, class, class bus → van"}


def test_another_class_is_a_value(reviewer: Reviewer, served: Any, plan: Any) -> None:
    ids = in_group(plan, "class change")
    reviewer.choose("Class changes")
    reviewer.press("e")
    field = reviewer.page.get_by_label("New class")
    assert field.input_value() == "truck"
    field.fill("pick-up")
    reviewer.press("Enter")
    assert reviewer.current == ids[1]
    (stored,) = served.decided()
    assert (stored["verdict"], stored["value"]) == ("value", '"pick-up"')
    reviewer.press("k")
    assert "Set to pick-up" in reviewer.page.locator(".verdict").inner_text()


def test_a_value_has_the_type_of_its_attribute(reviewer: Reviewer, served: Any) -> None:
    reviewer.find("id:two")
    reviewer.press("j", "e")
    reviewer.page.get_by_label("New parked").fill("maybe")
    reviewer.press("Enter")
    assert reviewer.page.locator(".field-error").inner_text() == "“maybe” is neither true nor false."
    reviewer.page.get_by_label("New parked").fill("false")
    reviewer.press("Enter", "e")
    reviewer.page.get_by_label("New doors").fill("many")
    reviewer.press("Enter")
    assert reviewer.page.locator(".field-error").inner_text() == "“many” is not a number."
    reviewer.page.get_by_label("New doors").fill("4")
    reviewer.press("Enter")
    reviewer.settle()
    assert [one["value"] for one in served.decided()] == ["false", "4"]


def test_a_note_stays_with_the_change(reviewer: Reviewer, served: Any, plan: Any) -> None:
    first, *_ = in_group(plan, "deletion")
    reviewer.choose("Deletions")
    reviewer.press("n")
    reviewer.type("still there: look again")
    reviewer.press("Enter")
    reviewer.settle()
    assert reviewer.page.locator(".note-text").inner_text() == "still there: look again"
    reviewer.press("r")
    reviewer.settle()
    assert [(one["change_id"], one["verdict"], one["note"]) for one in served.decided()] == [
        (first, "open", "still there: look again"),
        (first, "refuse", "still there: look again"),
    ]
    reviewer.find("note:look")
    assert reviewer.rows == [first]


def test_escape_leaves_a_note_as_it_was(reviewer: Reviewer, served: Any) -> None:
    reviewer.press("n")
    reviewer.type("no")
    reviewer.press("Escape", "j")
    reviewer.settle()
    assert served.decided() == []


def test_a_verdict_can_be_withdrawn(reviewer: Reviewer, served: Any) -> None:
    reviewer.choose("Deletions")
    reviewer.press("a", "k", "w")
    reviewer.settle()
    assert [one["verdict"] for one in served.decided()] == ["accept", "open"]


def test_decisions_are_there_after_the_page_is_reloaded(reviewer: Reviewer, plan: Any) -> None:
    reviewer.choose("Deletions")
    reviewer.press("a", "r")
    reviewer.settle()
    reviewer.page.reload()
    reviewer.page.locator(".panes[data-drawn]").wait_for()
    assert reviewer.counts == f"2 looked at, 0 by 0 rules, {len(plan.rows) - 2} open"
    reviewer.choose("Deletions")
    assert [m.inner_text() for m in reviewer.page.locator(".row .mark").all()] == ["accepted", "refused", "open"]


def test_a_second_reviewer_sees_what_the_first_decided(
    reviewer: Reviewer, served: Any, enter: Callable[..., Reviewer], plan: Any
) -> None:
    second = enter(served.url)
    second.page.get_by_label("Your name").fill("bea")
    second.press("Enter")
    second.page.locator(".list").focus()
    reviewer.choose("Deletions")
    reviewer.press("r")
    second.choose("Deletions")
    second.page.get_by_text("1 looked at").wait_for()
    assert "Refused by me" in second.page.locator(".verdict").inner_text()
    second.press("a")
    second.settle()
    assert [(one["verdict"], one["by"]) for one in served.decided()] == [("refuse", "me"), ("accept", "bea")]
    reviewer.press("k")
    reviewer.page.get_by_text("Accepted by bea").wait_for()
    assert plan


def test_the_name_of_the_reviewer_is_remembered(reviewer: Reviewer, served: Any) -> None:
    reviewer.page.get_by_label("Your name").fill("Zoë")
    reviewer.press("Enter", "Escape")
    reviewer.page.reload()
    reviewer.page.locator(".panes[data-drawn]").wait_for()
    reviewer.choose("Deletions")
    reviewer.press("a")
    reviewer.settle()
    assert served.decided()[0]["by"] == "Zoë"


def test_what_could_not_be_stored_is_shown_and_posted_again(reviewer: Reviewer, served: Any) -> None:
    down = [True]
    reviewer.page.route("**/api/decisions", lambda route: route.abort() if down[0] else route.continue_())
    reviewer.choose("Deletions")
    reviewer.press("a", "r")
    trouble = reviewer.page.locator(".trouble")
    trouble.wait_for()
    assert trouble.inner_text().startswith("2 verdicts are not stored yet: The server does not answer.")
    assert served.decided() == []
    down[0] = False
    trouble.get_by_text("Try again").click()
    reviewer.settle()
    assert [one["verdict"] for one in served.decided()] == ["accept", "refuse"]
    assert not trouble.is_visible()
    reviewer.troubles.clear()  # the requests that failed


def test_what_could_not_be_stored_is_kept_for_the_next_page(reviewer: Reviewer, served: Any) -> None:
    reviewer.page.route("**/api/decisions", lambda route: route.abort())
    reviewer.choose("Deletions")
    reviewer.press("a")
    reviewer.page.locator(".trouble").wait_for()
    reviewer.page.unroute("**/api/decisions")
    reviewer.page.on("dialog", lambda dialog: dialog.accept())  # the page asks before it is closed
    reviewer.page.reload()
    reviewer.page.locator(".panes[data-drawn]").wait_for()
    reviewer.until(lambda: [one["verdict"] for one in served.decided()] == ["accept"])
    reviewer.troubles.clear()


def test_a_verdict_that_is_refused_is_told_and_taken_back(reviewer: Reviewer, served: Any, plan: Any) -> None:
    answer = {"status": 409, "json": {"error": "The change is not the same any more."}}
    reviewer.page.route("**/api/decisions", lambda route: route.fulfill(**answer))
    reviewer.choose("Deletions")
    reviewer.press("a")
    reviewer.page.get_by_text("A verdict was not stored: The change is not the same any more.").wait_for()
    assert reviewer.counts == f"0 looked at, 0 by 0 rules, {len(plan.rows)} open"
    assert served.decided() == []
    reviewer.troubles.clear()
