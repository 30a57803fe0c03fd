"""Suggestions for error messages about unknown names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """``did you mean …?`` with the closest known name; if none is close, a list of all known names. ``least`` is how much of a name
    has to be the same, from 0 to 1.

    >>> did_you_mean("labelbox", ["labelstudio"]), did_you_mean("labelbox", ["labelstudio"], least=0.75)
    ("did you mean 'labelstudio'?", "there is 'labelstudio'.")
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1, least)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(map(repr, names)) or 'none'}."
