"""Groups, filters, search, and a list that stays short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.page import plans
from tests.review.page.driver import Reviewer


def groups(reviewer: Reviewer) -> list[str]:
    texts = (
        "lines => lines.map(line => [...line.children].map(part => part.textContent.trim()).filter(Boolean).join(' '))"
    )
    return [str(line) for line in reviewer.page.locator(".groups > li > .group-line").evaluate_all(texts)]


def parts(reviewer: Reviewer) -> list[str]:
    return [str(text) for text in reviewer.page.locator(".parts .group-title").all_inner_texts()]


def test_groups_are_in_the_order_of_risk_with_their_counts(reviewer: Reviewer, plan: Any) -> None:
    number = {group: sum(row["group"] == group for row in plan.rows) for group in {row["group"] for row in plan.rows}}
    order = ["conflict", "deletion", "class change", "large move", "attribute change", "addition", "small move"]
    assert [line.rsplit(" ", 1)[1] for line in groups(reviewer)] == [
        str(len(plan.rows)),
        *(str(number[name]) for name in order),
    ]
    assert groups(reviewer)[1:3] == ["Conflicts 6 open 6", "Deletions 3 open 3"]
    reviewer.choose("Deletions")
    reviewer.press("a", "a", "a")
    reviewer.settle()
    assert groups(reviewer)[2] == "Deletions done 3"


def test_a_group_is_divided_by_class_annotator_field_and_size(reviewer: Reviewer) -> None:
    reviewer.choose("Class changes")
    assert parts(reviewer) == ["car → truck", "car → van", f"sign → {plans.HOSTILE}", "sign → lamp", "sunny → cloudy"]
    reviewer.press("g")
    assert parts(reviewer) == ["</script><script>alert(3)</script>", "ann", "bob"]
    reviewer.press("g")
    assert parts(reviewer) == ["objects", "weather"]
    reviewer.choose("Large moves")
    reviewer.press("g")
    assert parts(reviewer) == ["IoU below 0.5", "IoU 0.5 to 0.8"]
    reviewer.choose("IoU below 0.5")
    assert reviewer.accept_many == "Accept 1 shown"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("hostile", 0),
        ("class:truck", 4),
        ("CLASS:TRUCK by:bob", 2),
        ("file:crossing", 3),
        ("by:bob", 7),
        ("field:weather", 1),
        ("id:two", 3),
        ('class:"car → truck"', 2),
        ("onerror=alert(2)", 1),
    ],
)
def test_the_search_finds_what_its_words_say(reviewer: Reviewer, text: str, number: int) -> None:
    reviewer.find(text)
    assert reviewer.accept_many == f"Accept {number} shown"


def test_a_search_in_a_group_says_what_is_elsewhere(reviewer: Reviewer) -> None:
    reviewer.choose("Deletions")
    reviewer.press("/")
    reviewer.type("id:two")
    reviewer.press("Enter", "Escape")
    reviewer.page.get_by_role("button", name="Look in all groups: 3").click()
    assert reviewer.accept_many == "Accept 3 shown"


def test_filters_are_reached_by_a_key_and_name_the_rule(reviewer: Reviewer, served: Any) -> None:
    reviewer.press("f")
    assert reviewer.page.get_by_label("State").evaluate("(one) => one === document.activeElement")
    reviewer.page.get_by_label("Class", exact=True).select_option("car")
    reviewer.page.get_by_label("Annotator").select_option("bob")
    assert reviewer.page.locator(".list-title").inner_text() == "With class car, by bob"
    number = int(reviewer.accept_many.split()[1])
    reviewer.page.locator(".list").focus()
    reviewer.press("Shift+A")
    reviewer.settle()
    assert len(served.decided()) == number > 0
    assert {one["rule"] for one in served.decided()} == {"with class car, by bob"}


def test_what_is_decided_leaves_a_list_of_open_changes(reviewer: Reviewer, plan: Any) -> None:
    reviewer.press("f")
    reviewer.page.get_by_label("State").select_option("open")
    reviewer.page.locator(".list").focus()
    reviewer.choose("Deletions")
    first = reviewer.current
    reviewer.press("r")
    assert reviewer.current != first
    assert reviewer.accept_many == "Accept 2 shown"
    reviewer.press("u")
    assert reviewer.current == first
    assert reviewer.accept_many == "Accept 3 shown"
    reviewer.press("a", "a", "a")
    reviewer.page.get_by_text("Nothing matches the filter.").first.wait_for()
    reviewer.press("u")
    assert reviewer.accept_many == "Accept 1 shown"
    assert plan


def test_what_was_refused_before_and_what_is_stale_can_be_found(
    serve: Callable[..., Any], enter: Callable[..., Reviewer], plan: Any, tmp_path: Path
) -> None:
    served = serve(plan, tmp_path / "d.jsonl")
    first, second = (row for row in plan.rows if row["group"] == "class change" and row["class_to"] == "truck")
    record = {
        "verdict": "refuse",
        "value": None,
        "by": "bea",
        "at": "2026-11-20T10:00:00Z",
        "note": "",
        "rule": None,
        "seq": 0,
    }

    def answer(route: Any) -> None:
        found = route.fetch()
        body = found.json()
        body["decisions"] = [
            {
                **record,
                "change_id": first["change_id"],
                "bound_to": first["bound_to"],
                "recorded": True,
                "stale": False,
            },
            {**record, "change_id": second["change_id"], "bound_to": "another", "recorded": False, "stale": True},
        ]
        route.fulfill(response=found, json=body)

    reviewer = enter("about:blank", wait=False)
    reviewer.page.route("**/api/plan", answer)
    reviewer.open(f"{served.origin}/?token={served.token}")
    assert reviewer.counts == f"0 looked at, 0 by 0 rules, 1 before, {len(plan.rows) - 1} open, 1 of them stale"
    reviewer.find('state:"refused before"')
    assert reviewer.rows == [first["change_id"]]
    assert "in an earlier load by bea" in reviewer.page.locator(".verdict").inner_text()
    reviewer.find("state:stale")
    assert reviewer.rows == [second["change_id"]]
    assert "Decide again" in reviewer.page.locator(".verdict.stale").inner_text()
    reviewer.press("a")
    reviewer.settle()
    assert reviewer.counts == f"1 looked at, 0 by 0 rules, 1 before, {len(plan.rows) - 2} open"


def test_a_long_list_has_few_rows_in_the_page(
    serve: Callable[..., Any], enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    made = plans.many(tmp_path / "many", 20_000, 4)
    served = serve(made.plan(), tmp_path / "d.jsonl")
    reviewer = enter(f"{served.origin}/?token={served.token}")
    rows = reviewer.page.locator(".row")
    assert 10 < rows.count() <= 60
    reviewer.press("End")
    reviewer.settle()
    assert rows.count() <= 60
    assert rows.last.get_attribute("aria-posinset") == "20000"
    reviewer.page.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight / 2)")
    reviewer.page.wait_for_timeout(200)
    assert rows.count() <= 60
    assert 9_900 < int(rows.first.get_attribute("aria-posinset")) < 10_100
    reviewer.choose("Deletions")
    assert reviewer.accept_many == "Accept 4,000 shown"
    reviewer.press("Shift+A")
    reviewer.settle()
    assert reviewer.counts == "0 looked at, 4,000 by 1 rule, 16,000 open"


def test_a_plan_without_changes(
    serve: Callable[..., Any], plan: Any, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    plan.changes = plan.changes.slice(0, 0)
    client = serve(plan, tmp_path / "d.jsonl")
    reviewer = enter(f"{client.origin}/?token={client.token}", wait=False)
    reviewer.page.goto(f"{client.origin}/?token={client.token}")
    reviewer.page.get_by_text("This plan has no changes.").nth(1).wait_for()
    assert reviewer.page.locator(".scale").inner_text() == ""
    reviewer.press(*"jarx1unewdo.,z0+-gA?")
    reviewer.press("Escape")
    assert reviewer.counts == "0 looked at, 0 by 0 rules, 0 open"
