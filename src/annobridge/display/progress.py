"""Progress of long calls: a bar on a terminal or in a notebook, a callback, or nothing."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from . import terminal

_REDRAW = 0.2  # seconds between two drawings
ProgressChoice = bool | Callable[[int, int], None] | None


class Progress:
    """Counts what is done, and shows it while the ``with`` block runs.

    ``progress`` is the argument of the public calls: ``True`` (a bar), ``False`` (nothing), ``None`` (a bar on a terminal or in a
    notebook), or a function that is called with ``(done, total)``.

    >>> with Progress(lambda done, total: print(done, total), 2) as progress:
    ...     progress.advance(2)
    0 2
    2 2
    """

    def __init__(self, progress: ProgressChoice, total: int, title: str = "", *, noun: str = "samples") -> None:
        self.total, self.done, self._title, self._noun = total, 0, title, noun
        self._callback = progress if callable(progress) else None
        self._shown = progress is True or (progress is None and (terminal.on_stderr() or _in_notebook()))
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            self._bar = _NotebookBar() if _in_notebook() else _terminal_bar(self._noun)
            self._task = self._bar.add_task(self._title, total=self.total)
            self._bar.start()
        self.advance(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more as done."""
        self.done += n
        if self._bar:
            self._bar.update(self._task, completed=self.done)
        if self._callback:
            self._callback(self.done, self.total)


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, where HTML is shown without the ipywidgets that rich would need."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class _NotebookBar:
    """A bar below a notebook cell, redrawn a few times a second at most; it has those methods of rich's bar that are used."""

    def __init__(self) -> None:
        self._title, self._total, self._done, self._drawn = "", 0, 0, 0.0
        self._handle: Any = None

    def add_task(self, title: str, total: int) -> int:
        self._title, self._total = title, total
        return 0

    def start(self) -> None:
        from IPython.display import display

        self._handle = display(self, display_id=True)

    def update(self, _: int, completed: int) -> None:
        self._done = completed
        if time.monotonic() - self._drawn > _REDRAW:
            self._draw()

    def stop(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._handle.update(self)

    def __repr__(self) -> str:
        return f"{self._title} {self._done:,}/{self._total:,}"

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return f"{html.escape(self._title)} {bar} {self._done:,}/{self._total:,}"


def _terminal_bar(noun: str) -> Any:
    from rich.console import Console  # slow to import, and only used on a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(noun))
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
