"""Checks of plans: functions from what a load would do to findings, which a person, or CI, looks at before the load.

A package adds one by an entry point of the group ``annobridge.checks`` that names a function (``docs/extend/check.md``).
"""

from .base import Evidence, Finding
from .registry import broken, get, names, run

__all__ = ["Evidence", "Finding", "broken", "get", "names", "run"]
