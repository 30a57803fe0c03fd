"""Progress of long calls: a bar on a terminal, a function of yours, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

ProgressChoice = bool | Callable[[int, int], None] | None


class Progress:
    """Counts what is done. ``progress`` is that of the public calls: ``None`` (a bar, on a terminal only), a bool, or a
    function that is called with (done, total).

    >>> with Progress(lambda done, total: print(done, total), 2) as progress:
    ...     progress.advance(2)
    0 2
    2 2
    """

    def __init__(self, progress: ProgressChoice, total: int, title: str = "", *, noun: str = "samples") -> None:
        self.total, self.done, self._title, self._noun = total, 0, title, noun
        self._tell = progress if callable(progress) else None
        self._shown = progress is True or (progress is None and sys.stderr.isatty())
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            self._bar = _bar(self._noun)
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
        """So many more are done."""
        self.done += n
        if self._bar:
            self._bar.update(self._task, completed=self.done)
        if self._tell:
            self._tell(self.done, self.total)


def _bar(noun: str) -> Any:
    from rich.console import Console  # slow, and only of use on a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(noun))
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
