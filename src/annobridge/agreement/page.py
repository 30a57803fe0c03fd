"""Tables as HTML, for notebooks and files: shares are shown with bars."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..exceptions import InvalidOption

_SHARES = ("precision", "recall", "f1", "mean_iou", "accuracy", "disagreement")
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1d2433;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}h2::first-letter{text-transform:uppercase}
table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #e3e6ec}
th{font-weight:600;color:#5a6478}th.number,td.number{text-align:right;font-variant-numeric:tabular-nums}
td.share{background:linear-gradient(90deg,#cfe3ff var(--share),transparent var(--share));text-align:right}
p.note,small{color:#5a6478}
"""


def write(path: Path, title: str, tables: Iterable[tuple[str, pa.Table]], notes: Sequence[str]) -> Path:
    """Write a page. Raises ``InvalidOption`` if it cannot be written."""
    content = body(title, tables, notes)
    head = f"<meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    text = f"<!doctype html><html lang=en>{head}{content}</html>"
    try:
        path.expanduser().write_text(text, "utf-8")
    except OSError as error:
        raise InvalidOption(
            f"The page cannot be written to {str(path)!r}: {error.strerror}; give another place."
        ) from error
    return path.expanduser()


def body(title: str, tables: Iterable[tuple[str, pa.Table]], notes: Sequence[str]) -> str:
    """The content of a page. Tables without rows are left out."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p class=note>{html.escape(note)}</p>" for note in notes)]
    for name, table in tables:
        if table.num_rows:
            parts.append(f"<h2>{html.escape(name)}</h2>{_table(table)}")
    return "".join(parts)


def _table(table: pa.Table) -> str:
    names = [name for name in table.column_names if not name.endswith(("_low", "_high"))]
    head = "".join(f"<th{_side(table, name)}>{html.escape(_heading(name))}</th>" for name in names)
    rows = ("".join(_cell(name, row) for name in names) for row in table.to_pylist())
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _side(table: pa.Table, name: str) -> str:
    return "" if pa.types.is_string(table.schema.field(name).type) else " class=number"


def _heading(name: str) -> str:
    return name.replace("_", " ").replace("iou", "IoU").replace("f1", "F1")


def _cell(name: str, row: Mapping[str, Any]) -> str:
    """A cell; a rate with its interval, where it has one."""
    value = row[name]
    if value is None:
        return "<td></td>"
    if name in _SHARES:
        ends = [row.get(f"{name}_{end}") for end in ("low", "high")]
        interval = "" if None in ends else f" <small>{ends[0]:.3f} to {ends[1]:.3f}</small>"
        return f'<td class=share style="--share:{100 * value:.1f}%">{value:.3f}{interval}</td>'
    if isinstance(value, int | float):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
        return f"<td class=number>{shown}</td>"
    return f"<td>{html.escape(str(value))}</td>"
