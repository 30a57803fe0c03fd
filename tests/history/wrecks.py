"""What child processes do that are killed in the middle."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.children import die_at

import annobridge as ab


def run(folder: Path, verb: str, what: str, nth: int, when: str) -> None:
    """Make or delete the snapshot "v1", or clean up, and be killed at a step."""
    die_at(what, nth, when)
    ds = ab.load_dataset(folder)
    if verb == "snapshot":
        ds.snapshot("v1")
    elif verb == "delete":
        ds.delete_snapshot("v1")
    else:
        ds.optimize(timedelta(0))
