"""The question that ``unexpected="prompt"`` asks."""

from __future__ import annotations

from .reports import MergePlan


def choose(plan: MergePlan) -> str:
    """What to do with unexpected labels, asked of the person at the terminal."""
    from rich.prompt import Prompt

    count, why = len(plan.unexpected), plan.unexpected_reasons
    question = f"{count} labels are outside the schema ({why}). What shall be done with them?"
    return Prompt.ask(question, choices=["keep", "ignore", "return"], default="return")
