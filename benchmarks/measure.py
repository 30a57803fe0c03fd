"""CPU seconds, wall seconds and peak memory of one phase in this process; and rows of such figures, for the table of all.

Needs the standard library only, so that the environments of peers can use it.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROWS = "BENCHMARK_ROWS"  # the environment variable with the file that rows are appended to
_ENOUGH = 10_000  # labels from which figures per million say something
_STATUS = Path("/proc/self/status")


def _mib(key: str) -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(key + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


@contextmanager
def phase(name: str, out: dict[str, Any]) -> Iterator[None]:
    """Run a block and put its figures into ``out[name]``. The kernel's high-water mark is reset at the start (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    start, cpu, wall = _mib("VmRSS"), time.process_time(), time.perf_counter()
    yield
    out[name] = {
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "rss_start_mib": start,
        "rss_peak_mib": _mib("VmHWM"),
    }


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started, and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(
    stage: str,
    figures: dict[str, Any],
    labels: int,
    *,
    tool_s: float = 0.0,
    product: str = "annobridge",
    note: str = "",
) -> None:
    """Print the figures of a stage, and append them to the file of rows if ``ROWS`` names one.

    Args:
        stage: what was done, and to what.
        figures: what ``phase`` measured.
        labels: how many labels went through.
        tool_s: of the CPU seconds, those of the tool or of what makes the input, by thread.
        product: what was measured.
        note: what else is to be said, in a few words.
    """
    own = round((figures["cpu_s"] - tool_s) * 1e6 / labels, 3) if labels >= _ENOUGH else None
    row = {
        "product": product,
        "stage": stage,
        "labels": labels,
        "cpu_s": figures["cpu_s"],
        "tool_s": round(tool_s, 3),
        "own_s_per_million": own,
        "wall_s": figures["wall_s"],
        "peak_mib": round(figures["rss_peak_mib"] - figures["rss_start_mib"], 1),
        "note": note,
    }
    per_million = "" if own is None else f", {own:.2f} s per million without it"
    print(
        f"{f'{product}: {stage}':60} {labels:>9,} labels {row['cpu_s']:8.2f} CPU s (tool {tool_s:.2f}{per_million}) "
        f"{row['wall_s']:8.2f} s wall {row['peak_mib']:6.0f} MiB  {note}",
        flush=True,
    )
    if path := os.environ.get(ROWS):
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")
