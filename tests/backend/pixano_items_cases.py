"""The tasks of the Pixano tests, less what the earlier generation has no table for."""

from __future__ import annotations

from typing import Any

from annobridge.backend import Task
from annobridge.core.rows import Label

from . import pixano_cases as cases

SCHEMA: dict[str, Any] = {name: spec for name, spec in cases.SCHEMA.items() if name not in ("areas", "lines")}


def labels() -> list[tuple[str, str, Label]]:
    return [item for item in cases.labels() if item[1] in SCHEMA]


def task(schema: dict[str, Any] | None = None, items: list[tuple[str, str, Label]] | None = None) -> Task:
    """A task of its own name, with everything in it unless a parameter says otherwise."""
    return cases.task(SCHEMA if schema is None else schema, labels() if items is None else items)


def boxes() -> Task:
    """A small task."""
    schema = {"objects": {"type": "detections", "classes": ["car"]}}
    return task(schema, [(s, "objects", cases.rows.Detection("car", [0.1, 0.2, 0.3, 0.4])) for s in ("s0", "s2")])
