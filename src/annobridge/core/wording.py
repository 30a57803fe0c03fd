"""Counts and lists in messages."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 20  # lines of a list that a message shows


def plural(count: int, noun: str) -> str:
    """``1 label``, ``2 labels``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(first: Sequence[str], count: int) -> list[str]:
    """The first lines of a list of ``count``, and one that says how many more there are.

    >>> listed(["a", "b"], 1_002)
    ['a', 'b', '… and 1,000 more']
    """
    shown = list(first[:LISTED])
    return [*shown, *([f"… and {count - len(shown):,} more"] if count > len(shown) else [])]
