"""HTML for notebooks: titles and tables, with all values escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

_MAX_LENGTH = 80  # characters of a cell


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of values; bytes are shown by their length, long texts are cut.

    >>> table(["a"], [["<b>"], [None], [b"12"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr><tr><td></td></tr><tr><td>2 bytes</td></tr></table>'
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def titled(title: str, *parts: str) -> str:
    """A title in bold, with HTML below it."""
    return f"<b>{html.escape(title)}</b>{''.join(parts)}"


def line(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
    return html.escape(text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…")
