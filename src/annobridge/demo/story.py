"""The telling of the demo: numbered steps, lines, tables, and commands to be copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..cli import show


class Story:
    """What is told. With ``--json`` it goes to stderr, since stdout is for the data."""

    def __init__(self, as_json: bool) -> None:
        self.screen = show.console(stderr=as_json)
        self.number = 0

    def step(self, title: str, code: str = "") -> None:
        """A heading, and the line of Python that does it."""
        self.number += 1
        self.screen.print(f"\n[bold cyan]{self.number}.[/] [bold]{escape(title)}[/]")
        if code:
            self.screen.print(f"   [dim]{escape(code)}[/]", soft_wrap=True)

    def tell(self, text: str) -> None:
        """A line."""
        self.screen.print(Padding(Text(text), (0, 0, 0, 3), expand=False))

    def commands(self, lines: Iterable[str]) -> None:
        """Lines to be copied: never broken."""
        for line in lines:
            self.screen.print(f"     [green]{escape(line)}[/]", soft_wrap=True)

    def show(self, parts: Iterator[Any]) -> None:
        """Tables."""
        for number, part in enumerate(parts):
            if number and isinstance(part, Table):
                self.screen.print()
            self.screen.print(Padding(part, (0, 0, 0, 3), expand=False))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner, on a terminal only."""
        if not self.screen.is_terminal:
            yield
            return
        with self.screen.status(text):
            yield
