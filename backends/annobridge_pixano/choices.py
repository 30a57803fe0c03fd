"""The classes and values that Pixano's page offers: ``features_values.json`` of a dataset, which no route writes.

The page reads choices of records from the group ``item``, and the server names that group ``records``; the file has both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from .api import Api
from .layout import SPATIAL, Layout

FILE = "features_values.json"
REMOTE_NOTE = (
    "Pixano's page does not offer the classes and choices of the schema, since its library is not on this machine: people type "
    "them. Send from the machine that the server runs on to have them offered."
)
_ONE_OF = ("select", "radio")
Constraint = dict[str, Any]


def of_task(schema: LabelSchema, layout: Layout) -> dict[str, Any]:
    """The content of the file; of lists, numbers and booleans the page has no choices."""
    entities = list(_of_entities([f for f in schema.fields.values() if f.kind in SPATIAL], layout))
    records = list(_of_records(schema.fields, layout))
    return {"entities": {"entities": entities}, "records": {"records": records}, "item": {"item": records}}


def offer(api: Api, library: Path, name: str, dataset: str, content: Mapping[str, Any]) -> None:
    """Write the file of a dataset, and make the server read it. A file that has choices is somebody's, and stays.

    Raises ``OSError`` if it cannot be written.
    """
    path = library / name / FILE
    there = json.loads(path.read_text("utf-8"))
    if any(table for group in there.values() for table in group.values()):
        return
    draft = path.with_name(f".{FILE}.annobridge")
    draft.write_text(json.dumps(there | content, indent=4, ensure_ascii=False), "utf-8")
    os.replace(draft, path)
    api.reload(dataset)


def _of_entities(fields: list[FieldSchema], layout: Layout) -> Iterator[Constraint]:
    if classes := [c for f in fields for c in f.classes]:
        yield _constraint("category", classes, closed=True)
    for name, column in layout.attributes.items():
        defined = [a for f in fields for a in f.definitions() if a.name == name]
        if column.type == "str" and (values := [v for a in defined for v in _choices(a)]):
            yield _constraint(column.name, map(_text, values), closed=all(map(_choices, defined)))


def _choices(attribute: Attribute) -> tuple[Any, ...]:
    return attribute.values if attribute.type in _ONE_OF else ()


def _of_records(fields: Mapping[str, FieldSchema], layout: Layout) -> Iterator[Constraint]:
    for name, column in layout.records.items():
        if classes := fields[name].classes:
            if column.type == "str":
                yield _constraint(column.name, map(_text, classes), closed=True)
            elif column.type == "json":
                yield _constraint(column.name, map(json.dumps, classes), closed=True)


def _constraint(name: str, values: Iterable[str], *, closed: bool) -> Constraint:
    return {"name": name, "restricted": closed, "values": list(dict.fromkeys(values))}


def _text(value: Any) -> str:
    """A choice as the column holds it."""
    return value if isinstance(value, str) else json.dumps(value)
