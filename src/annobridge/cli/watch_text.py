"""What ``annobridge watch`` shows: bars on a terminal, else lines of text or of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, Self

import typer
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import show

if TYPE_CHECKING:
    from ..bridge.watch import Look, Progress

_BAR = 24  # characters


class Display(Protocol):
    """Shows looks, and tells what happens in between."""

    def look(self, look: Look) -> None:
        """Show how far the run is."""

    def tell(self, event: str, text: str, **data: Any) -> None:
        """Tell of an event: in words, or with its name and its data."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the screen to others within the block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def display(key: str, as_json: bool) -> Display:
    """The display for what standard output is."""
    if as_json:
        return JsonLines()
    return Bars(key) if show.console().is_terminal else Lines(key)


class Lines:
    """A line of text for each look at which something has changed."""

    def __init__(self, key: str) -> None:
        self._key = key

    def look(self, look: Look) -> None:
        if look.has_changed:
            self.tell("progress", f"{show.short_time(look.time.isoformat())} {_sentence(self._key, look.progress)}")

    def tell(self, event: str, text: str, **data: Any) -> None:
        del event, data
        show.console().print(text, markup=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


class JsonLines(Lines):
    """A line of JSON for each look at which something has changed, and for each event."""

    def __init__(self) -> None:
        super().__init__("")

    def look(self, look: Look) -> None:
        if look.has_changed:
            now = look.progress
            units = [asdict(unit) for unit in now.units]
            found = {"time": look.time.isoformat(), "reviewed": now.reviewed, "total": now.total, "gone": now.gone}
            self.tell("progress", "", **found, units=units)

    def tell(self, event: str, text: str, **data: Any) -> None:
        del text
        typer.echo(json.dumps({"event": event, **data}, ensure_ascii=False, default=str))


class Bars:
    """A bar for each job or task, and lines above them."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._live = Live(console=show.console(), auto_refresh=False, transient=True)

    def look(self, look: Look) -> None:
        self._live.update(_bars(self._key, look), refresh=True)

    def tell(self, event: str, text: str, **data: Any) -> None:
        del event, data
        self._live.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.transient = False  # the last state stays on the screen
        self._live.stop()


def _bars(key: str, look: Look) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for unit in look.progress.units:
        table.add_row(Text(unit.name), *_bar(unit.reviewed, unit.samples), Text(unit.state), Text(unit.assignee or ""))
    table.add_row(
        Text(key, "bold"), *_bar(look.progress.reviewed, look.progress.total),
        Text(f"at {show.short_time(look.time.isoformat())[11:]} UTC"), Text(""),
    )  # fmt: skip
    return table


def _bar(reviewed: int | None, samples: int | None) -> tuple[Any, Text]:
    if reviewed is None or samples is None:
        return Text(""), Text(f"{samples:,}" if samples is not None else "")
    return ProgressBar(max(samples, 1), reviewed if samples else 1, _BAR), Text(f"{reviewed:,}/{samples:,}")


def _sentence(key: str, now: Progress) -> str:
    """The progress in a line."""
    done = "" if now.reviewed is None else f"{now.reviewed:,} of "
    head = f"{key}: {done}{show.plural(now.total, 'sample')}{'' if now.reviewed is None else ' reviewed'}"
    gone = f"; {show.plural(now.gone, 'task')} gone" if now.gone else ""
    if len(now.units) == 1:
        return f"{head}, {now.units[0].state}{gone}"
    units = (
        f"{u.name} {u.state}"
        + (f" {u.reviewed}/{u.samples}" if u.reviewed is not None and u.samples is not None else "")
        for u in now.units
    )
    return f"{head} ({'; '.join(units)}){gone}"
