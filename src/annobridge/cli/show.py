"""Printing: JSON for machines, tables for people that read well at 80 columns, notes and errors on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..display import terminal

MACHINE: ContextVar[bool] = ContextVar("machine", default=False)  # whether --json was given
SIGNS = {"add": "+", "edit": "~", "delete": "-"}
COLORS = {"add": "green", "edit": "yellow", "delete": "red"}


def console(stderr: bool = False) -> Console:
    """A console for what is printed now."""
    return Console(stderr=stderr, highlight=False)


def emit(data: Any, as_json: bool, people: Callable[[Any], Iterable[Any]]) -> None:
    """Print data: as JSON, or as what ``people`` makes of it."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))
        return
    screen = console()
    for number, part in enumerate(people(data)):
        if number and isinstance(part, Table):
            screen.print()
        screen.print(part, markup=False, soft_wrap=isinstance(part, Text) and part.no_wrap is True)


def whole(text: str) -> Text:
    """A line that goes on beyond the screen's edge, so that an address or a command in it can be copied."""
    return Text(text, no_wrap=True)


def error(message: str, kind: str) -> None:
    """One error, on stderr; a line of JSON with ``--json``. ``kind`` is the name of the exception."""
    _beside("error", kind, message, Text.assemble(("Error: ", "bold red"), message))


def warning(message: str, kind: str) -> None:
    """Something to know beside the answer, on stderr; a line of JSON with ``--json``."""
    _beside("warning", kind, message, Text(f"Warning: {message}", "dim"))


def _beside(name: str, kind: str, message: str, text: Text) -> None:
    if MACHINE.get():
        typer.echo(json.dumps({name: {"kind": kind, "message": message}}, ensure_ascii=False), err=True)
    else:
        console(stderr=True).print(text, soft_wrap=True)


def head(text: str) -> Text:
    """The line above a table."""
    return Text(text, "bold")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = ()) -> Table:
    """A table. ``numbers`` names the columns that are aligned to the right; long texts go on in the next line."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, one a line."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, Text(str(value)))
    return made


def action(name: str) -> Text:
    """add, edit or delete, with sign and colour."""
    return Text(f"{SIGNS[name]} {name}", COLORS[name])


def ago(iso: str) -> str:
    """A time without its fractions of seconds."""
    return iso.replace("T", " ")[:19]


def plural(count: int, noun: str) -> str:
    """``1 label``, ``2 labels``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be taken back. Off a terminal, ``--yes`` is needed."""
    if yes:
        return
    if not terminal.present():
        error(f"{question} There is no terminal to answer on; give --yes if that is meant.", "NotConfirmed")
        raise typer.Exit(1)
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
