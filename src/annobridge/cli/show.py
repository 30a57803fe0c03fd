"""Printing: results as JSON or as tables for 80 columns on stdout; errors, warnings and questions on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.wording import plural as plural
from ..display import terminal

JSON_REQUESTED: ContextVar[bool] = ContextVar("json_requested", default=False)  # whether --json was given
SIGNS = {"add": "+", "edit": "~", "delete": "-"}
COLORS = {"add": "green", "edit": "yellow", "delete": "red"}
LEVEL_COLORS = {"error": "red", "warning": "yellow"}


def console(stderr: bool = False) -> Console:
    """A new console: the streams and their width may have changed since the last one."""
    return Console(stderr=stderr, highlight=False)


def emit(data: Any, as_json: bool, render: Callable[[Any], Iterable[Any]]) -> None:
    """Print the result of a command: as JSON, or as the texts and tables that ``render`` makes of it."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))
        return
    stdout = console()
    for number, part in enumerate(render(data)):
        if number and isinstance(part, Table):
            stdout.print()
        stdout.print(part, markup=False, soft_wrap=isinstance(part, Text) and part.no_wrap is True)


def unwrapped(text: str) -> Text:
    """A line that is never wrapped, so that an address or a command in it can be copied."""
    return Text(text, no_wrap=True)


def more(count: int, noun: str, how: str) -> Iterator[str]:
    """A line that says how many are not shown, and how to see them, if there are any."""
    if count > 0:
        yield f"… and {plural(count, noun)} more ({how})."


def error(message: str, kind: str) -> None:
    """Print an error to stderr, with ``--json`` as a line of JSON. ``kind`` is the name of the exception."""
    _to_stderr("error", kind, message, Text.assemble(("Error: ", "bold red"), message))


def warning(message: str, kind: str) -> None:
    """Print a warning to stderr, with ``--json`` as a line of JSON. ``kind`` is the name of its category."""
    _to_stderr("warning", kind, message, Text(f"Warning: {message}", "dim"))


def _to_stderr(name: str, kind: str, message: str, text: Text) -> None:
    if JSON_REQUESTED.get():
        typer.echo(json.dumps({name: {"kind": kind, "message": message}}, ensure_ascii=False), err=True)
    else:
        console(stderr=True).print(text, soft_wrap=True)


def heading(text: str) -> Text:
    """The line above a table."""
    return Text(text, "bold")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = ()) -> Table:
    """A table. The columns named in ``numbers`` are aligned to the right; texts that are too long are wrapped.

    Cells are ``Text``, or anything else for its ``str``; ``None`` is an empty cell.
    """
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        result.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
    return result


def names_and_values(pairs: Iterable[tuple[str, Any]]) -> Table:
    """A table without borders: a name and its value in each line."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column(style="bold")
    result.add_column(overflow="fold")
    for name, value in pairs:
        result.add_row(name, Text(str(value)))
    return result


def action(name: str) -> Text:
    """``add``, ``edit`` or ``delete`` with its sign, in its colour."""
    return Text(f"{SIGNS[name]} {name}", COLORS[name])


def level(name: str) -> Text:
    """The level of a finding, ``error`` or ``warning``, in its colour."""
    return Text(name, LEVEL_COLORS[name])


def short_time(iso: str) -> str:
    """An ISO time up to its seconds, without the time zone."""
    return iso.replace("T", " ")[:19]


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; exit with 1 on a no, and where there is no terminal to ask on."""
    if yes:
        return
    if not terminal.on_stdin():
        error(f"{question} There is no terminal to answer on; give --yes if that is meant.", "NotConfirmed")
        raise typer.Exit(1)
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
