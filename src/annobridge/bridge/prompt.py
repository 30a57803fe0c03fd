"""The question that ``unexpected="prompt"`` asks."""

from __future__ import annotations

from .merge_plan import MergePlan


def choose(plan: MergePlan) -> str:
    """Ask on the terminal what to do with the unexpected labels of a plan: ``"keep"``, ``"ignore"`` or ``"return"``.

    The question goes to stderr, since stdout may be the data of a command.
    """
    from rich.console import Console
    from rich.prompt import Prompt

    count = plan.to_dict()["unexpected"]
    labels = "1 label is" if count == 1 else f"{count:,} labels are"
    question = f"{labels} outside the schema ({plan.unexpected_reasons}). What shall be done with them?"
    console = Console(stderr=True, highlight=False)
    return Prompt.ask(question, choices=["keep", "ignore", "return"], default="return", console=console)
