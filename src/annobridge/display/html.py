"""HTML for notebooks: titles and tables, with nothing in them that a value could turn into markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

_LONGEST = 80  # characters of a cell


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of values.

    >>> table(["a"], [["<b>"], [None], [b"12"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr><tr><td></td></tr><tr><td>2 bytes</td></tr></table>'
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def titled(title: str, *parts: str) -> str:
    """A title, and what is below it."""
    return f"<b>{html.escape(title)}</b>{''.join(parts)}"


def line(text: str) -> str:
    """A line of text."""
    return f"<p>{html.escape(text)}</p>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
    return html.escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
