"""A browser at the page of a review."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import ARGUMENTS, CHROMIUM
from tests.review.page import plans
from tests.review.page.driver import Reviewer

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the group `test`")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: see CONTRIBUTING.md")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def enter(chromium: Any) -> Iterator[Callable[..., Reviewer]]:
    """Open a page as a reviewer of one's own; afterwards, errors in the console of any of them fail the test."""
    reviewers: list[Reviewer] = []
    contexts: list[Any] = []

    def open_page(url: str, wait: bool = True, **options: Any) -> Reviewer:
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        reviewers.append(Reviewer(context.new_page(), url, wait))
        return reviewers[-1]

    yield open_page
    troubles = [one for reviewer in reviewers for one in reviewer.troubles]
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> plans.Plans:
    return plans.street(tmp_path_factory.mktemp("street"))


@pytest.fixture
def plan(street: plans.Plans) -> Any:
    """A plan with every group of changes and every kind of label."""
    return street.plan(notes=("12 labels are outside the schema and stay as they are.",))


@pytest.fixture
def served(serve: Callable[..., Any], plan: Any, tmp_path: Path) -> Any:
    """A server of that plan, and its decisions."""
    client = serve(plan, tmp_path / "decisions.jsonl")
    client.url = f"{client.origin}/?token={client.token}"
    client.file = tmp_path / "decisions.jsonl"
    client.decided = lambda: [json.loads(line) for line in client.file.read_text().splitlines()]
    return client


@pytest.fixture
def reviewer(served: Any, enter: Callable[..., Reviewer]) -> Reviewer:
    return enter(served.url)
