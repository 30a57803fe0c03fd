"""What a reviewer does at the page, by the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


class Reviewer:
    """A page, and what its console complains about."""

    def __init__(self, page: Any, url: str, wait: bool = True) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        if wait:
            self.open(url)

    def open(self, url: str) -> None:
        """Open the page, and wait for the first picture."""
        self.page.goto(url)
        self.page.locator(".panes[data-drawn]").wait_for()

    def _listen(self, message: Any) -> None:
        place = message.location["url"]
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.text} {place}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def choose(self, group: str) -> None:
        """Show one group, or a part of one, and wait until its first change is drawn."""
        self.page.locator(".group-line").filter(has=self.page.locator(f".group-title:text-is({group!r})")).click()
        self.settle()

    def find(self, text: str) -> None:
        """Search, and wait until something else is drawn."""
        if self.page.get_by_text("Clear all").is_visible():
            self.page.get_by_text("Clear all").click()
        self.press("/")
        self.type(text)
        self.press("Enter", "Escape")
        self.settle()

    def settle(self) -> None:
        """Wait until the change at the cursor is drawn, and all verdicts are stored."""
        self.page.wait_for_function(
            """() => {
                const row = document.querySelector('.row.current');
                const waiting = document.querySelector('.top').dataset.waiting !== '0';
                return !waiting && (!row || document.querySelector('.panes').dataset.drawn === row.dataset.change);
            }"""
        )

    @property
    def current(self) -> str:
        """The id of the change at the cursor."""
        self.settle()
        return str(self.page.locator(".row.current").get_attribute("data-change"))

    @property
    def rows(self) -> list[str]:
        """The changes in the list, as far as they are in the page."""
        return [str(row.get_attribute("data-change")) for row in self.page.locator(".row").all()]

    @property
    def counts(self) -> str:
        return str(self.page.locator(".counts").inner_text())

    @property
    def title(self) -> str:
        return str(self.page.locator(".details-title").inner_text())

    @property
    def accept_many(self) -> str:
        return str(self.page.locator(".bulk .accept").inner_text()).splitlines()[0]

    @property
    def notices(self) -> list[str]:
        return [str(text) for text in self.page.locator(".notice").all_inner_texts()]

    def until(self, condition: Callable[[], bool], seconds: float = 8) -> None:
        """Wait until something outside of the page is true."""
        for _ in range(int(seconds * 20)):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("It did not become true.")

    def path(self, role: str) -> list[list[float]]:
        """The corners of the line that is drawn for a side, in pixels of the picture."""
        text = self.page.locator(f".pane:first-child .role-{role} .line").first.get_attribute("d")
        return [[float(x), float(y)] for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", text)]

    def camera(self) -> tuple[float, float, float]:
        """Left, top and width of the picture on the screen."""
        box = self.page.locator(".picture").first.bounding_box()
        return round(box["x"], 1), round(box["y"], 1), round(box["width"], 1)

    def is_drawn(self, selector: str) -> bool:
        """Whether something in the first pane is visible on the screen."""
        script = "(one) => getComputedStyle(one).visibility === 'visible' && getComputedStyle(one).opacity > 0.05"
        return any(one.evaluate(script) for one in self.page.locator(f".pane:first-child {selector}").all())
