"""The classes and values that Pixano's page offers: ``features_values.json`` of a dataset, which no REST call writes.

The page reads the choices of records from the group ``item``, and the server from ``records``; so the file has both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from annobridge.backend.kit import plain
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Layout

from .api import Api

FILE = "features_values.json"
REMOTE_NOTE = (
    "Pixano's page does not offer the classes and choices of the schema, since its library is not on this machine: people type "
    "them. Send from the machine that the server runs on to have them offered."
)
_CHOICE_TYPES = ("select", "radio")
Constraint = dict[str, Any]


def choices_of(schema: LabelSchema, layout: Layout) -> dict[str, Any]:
    """The content of the file. The page has no choices for lists, numbers and booleans."""
    entities = list(_of_entities([f for f in schema.fields.values() if f.kind in SPATIAL], layout))
    records = list(_of_records(schema.fields, layout))
    return {"entities": {"entities": entities}, "records": {"records": records}, "item": {"item": records}}


def offer(api: Api, library: Path, name: str, dataset: str, content: Mapping[str, Any]) -> None:
    """Write the file of a dataset, and make the server read it. A file that has choices already stays as it is.

    Args:
        api: the server.
        library: the folder of its library, on this machine.
        name: the name of the dataset.
        dataset: its id.
        content: what ``choices_of`` returned.

    Raises:
        OSError: the file cannot be written.
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
        yield _constraint("category", classes, is_closed=True)
    for name, column in layout.attributes.items():
        defined = [a for f in fields for a in f.definitions() if a.name == name]
        if column.type == "str" and (values := [v for a in defined for v in _choices(a)]):
            yield _constraint(column.name, map(plain, values), is_closed=all(map(_choices, defined)))


def _choices(attribute: Attribute) -> tuple[Any, ...]:
    return attribute.values if attribute.type in _CHOICE_TYPES else ()


def _of_records(fields: Mapping[str, FieldSchema], layout: Layout) -> Iterator[Constraint]:
    for name, column in layout.records.items():
        if classes := fields[name].classes:
            if column.type == "str":
                yield _constraint(column.name, map(plain, classes), is_closed=True)
            elif column.type == "json":
                yield _constraint(column.name, map(json.dumps, classes), is_closed=True)


def _constraint(name: str, values: Iterable[str], *, is_closed: bool) -> Constraint:
    """The choices of a column; if they are closed, people can enter nothing else."""
    return {"name": name, "restricted": is_closed, "values": list(dict.fromkeys(values))}
