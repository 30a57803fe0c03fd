"""CPU seconds, wall seconds and peak memory of one phase in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
