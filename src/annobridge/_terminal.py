"""Is there anybody to ask? And what is asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reports import MergePlan

ABSENT = ", and there is no terminal to ask on"


def present() -> bool:
    """Whether somebody can answer at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def absence() -> str:
    """What to add to an error that a question would have spared."""
    return "" if present() else ABSENT


def choose(plan: MergePlan) -> str:
    """What to do with unexpected labels, asked of the person at the terminal."""
    from rich.prompt import Prompt

    count, why = len(plan.unexpected), plan.unexpected_reasons
    question = f"{count} labels are outside the schema ({why}). What shall be done with them?"
    return Prompt.ask(question, choices=["keep", "ignore", "return"], default="return")
