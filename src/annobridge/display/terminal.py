"""Whether somebody can answer at a terminal."""

from __future__ import annotations

import sys

ABSENT = ", and there is no terminal to ask on"


def present() -> bool:
    """Whether somebody can answer at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def absence() -> str:
    """What to add to an error that a question would have spared."""
    return "" if present() else ABSENT
