"""The table of all figures, as JSON and as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

_PACKAGES = ("annobridge", "lancedb", "pylance", "pyarrow", "numpy")
_HEAD = (
    "| what | stage | labels | CPU s | of which the tool | own CPU s per million labels | wall s | MiB above start | | measured |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---|---|\n"
)


def environment() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in _PACKAGES},
    }


def markdown(measured_on: dict[str, Any], rows: Sequence[dict[str, Any]], failed: Sequence[str]) -> str:
    """A line on the machine, a row for each stage, and a sentence for each benchmark that failed or was left out."""
    packages = ", ".join(f"{name} {measured_on[name]}" for name in _PACKAGES)
    about = (
        f"The newest rows were measured on {measured_on['date']} with Python {measured_on['python']}, {packages}; "
        f"{measured_on['cores']} cores, {measured_on['system']}."
    )
    sentences = "".join(f"\n{sentence}\n" for sentence in failed)
    lines = "".join(_row(row, measured_on["date"]) for row in rows)
    return f"{about}\n\n{_HEAD}{lines}{sentences}"


def updated(old: str, new: str) -> str:
    """``new``, with the rows of ``old`` that were not measured again; rows are in the order of ``old``.

    >>> old = "| what |\\n|---|\\n| a | x | 7 | 0.1 |\\n| a | y | 7 | 0.2 |\\n"
    >>> print(updated(old, "Now:\\n| what |\\n|---|\\n| a | y | 7 | 0.3 |\\n| a | z | 7 | 0.4 |\\n"))
    Now:
    | what |
    |---|
    | a | x | 7 | 0.1 |
    | a | y | 7 | 0.3 |
    | a | z | 7 | 0.4 |
    <BLANKLINE>
    """
    kept, measured = _rows(old), _rows(new)
    head, _, rest = new.partition("|---|")
    rule, _, rest = rest.partition("\n")
    after = "".join(line for line in rest.splitlines(keepends=True) if not line.startswith("| "))
    return f"{head}|---|{rule}\n{''.join((kept | measured).values())}{after}"


def _rows(text: str) -> dict[tuple[str, ...], str]:
    """The rows of a table by what was measured, its stage, and the number of labels."""
    _, _, rows = text.partition("|---|")
    return {tuple(line.split("|")[1:4]): line for line in rows.splitlines(keepends=True)[1:] if line.startswith("| ")}


def _row(row: dict[str, Any], date: str) -> str:
    tool = f"{row['tool_s']:,.2f}" if row["tool_s"] else "–"
    per_million = f"{row['own_s_per_million']:,.2f}" if row["own_s_per_million"] is not None else "–"
    return (
        f"| {row['product']} | {row['stage']} | {row['labels']:,} | {row['cpu_s']:,.2f} | {tool} | {per_million} "
        f"| {row['wall_s']:,.2f} | {row['peak_mib']:,.0f} | {row['note']} | {date} |\n"
    )
