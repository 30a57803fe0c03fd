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
    "| what | stage | labels | CPU s | of which the tool | own CPU s per million labels | wall s | MiB above start | |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---|\n"
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
        f"Measured on {measured_on['date']} with Python {measured_on['python']}, {packages}; {measured_on['cores']} cores, "
        f"{measured_on['system']}."
    )
    sentences = "".join(f"\n{sentence}\n" for sentence in failed)
    return f"{about}\n\n{_HEAD}{''.join(map(_row, rows))}{sentences}"


def _row(row: dict[str, Any]) -> str:
    tool = f"{row['tool_s']:,.2f}" if row["tool_s"] else "–"
    per_million = f"{row['own_s_per_million']:,.2f}" if row["own_s_per_million"] is not None else "–"
    return (
        f"| {row['product']} | {row['stage']} | {row['labels']:,} | {row['cpu_s']:,.2f} | {tool} | {per_million} "
        f"| {row['wall_s']:,.2f} | {row['peak_mib']:,.0f} | {row['note']} |\n"
    )
