"""Whether there is a terminal: to ask on (standard input), and to show progress on (standard error)."""

from __future__ import annotations

import sys

NOT_ASKED = ", and there is no terminal to ask on"


def on_stdin() -> bool:
    """Whether standard input is a terminal, so that somebody can answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


def on_stderr() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def why_not_asked() -> str:
    """The end of an error message where a question on the terminal would have avoided the error; empty on a terminal."""
    return "" if on_stdin() else NOT_ASKED
