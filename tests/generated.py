"""How many examples Hypothesis generates for a test, where that is not the number of the profile: see ``tests/conftest.py``."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

QUICK = 20


def examples(quick: int, **more: Any) -> settings:
    """So many examples in the profile ``quick``, and ten times as many in ``full``."""
    return settings(max_examples=quick * settings.default.max_examples // QUICK, **more)
