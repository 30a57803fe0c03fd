"""Which verdicts a change can get, and whether the values that are given can be stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import json_values
from ..arrays import equal
from ..labels import ATTRIBUTE_PREFIX
from ..schema import Attribute, FieldSchema, LabelSchema
from .decisions import ACCEPT, BASE, BOTH, OPEN, OURS, REFUSE, THEIRS, VALUE, VERDICTS
from .values import LABEL

_SAME = {  # the verdict that means the same for conflicts, and for other changes
    True: {ACCEPT: THEIRS, REFUSE: OURS},
    False: {THEIRS: ACCEPT, OURS: REFUSE, BASE: REFUSE},
}
OF_PUSHES = (ACCEPT, REFUSE, OURS, THEIRS, OPEN)  # a push takes no other values than those here, and those in the tool
_SHOWN, _LISTED = 200, 10  # characters of a value, and problems, in a message


def is_conflict(kind: str) -> bool:
    """Whether a kind of change is a conflict, as ``"edit/edit"``."""
    return "/" in kind


def are_conflicts(kinds: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``is_conflict`` of each kind."""
    return pc.match_substring(kinds, "/")


def choices(kind: str, component: str, among: Collection[str] = VERDICTS) -> list[str]:
    """The verdicts of ``among`` that a change can get, beside ``"open"``.

    >>> choices("edit", "label"), choices("add/add", "existence")
    (['accept', 'refuse', 'value'], ['ours', 'theirs', 'both'])
    """
    value = [VALUE] if component == LABEL or component.startswith(ATTRIBUTE_PREFIX) else []
    if kind == "edit/edit":
        found = [BASE, OURS, THEIRS, *value]
    elif kind == "add/add":
        found = [OURS, THEIRS, BOTH]
    elif is_conflict(kind):
        found = [OURS, THEIRS]
    else:
        found = [ACCEPT, REFUSE, *value] if kind == "edit" else [ACCEPT, REFUSE]
    return [verdict for verdict in found if verdict in among]


def fitting(verdicts: pa.Array, kinds: pa.Array) -> pa.Array:
    """The verdicts in the words that fit the kinds of change: of conflicts, who wins; of others, accept or refuse."""
    conflict = are_conflicts(kinds).to_numpy(zero_copy_only=False)
    found = verdicts.to_numpy(zero_copy_only=False)
    for is_one, words in _SAME.items():
        for word, same in words.items():
            found = np.where((conflict == is_one) & equal(verdicts, word), same, found)
    return pa.array(found, pa.string())


def listed(sentences: Sequence[str]) -> str:
    """The first of these sentences as the lines of a message, and how many more there are."""
    more = [f"… and {len(sentences) - _LISTED} more"] if len(sentences) > _LISTED else []
    return "".join(f"\n  - {text}" for text in [*sentences[:_LISTED], *more])


def problems(
    changes: pa.Table, verdicts: pa.Array, values: pa.Array, schema: LabelSchema, among: Collection[str] = VERDICTS
) -> list[str | None]:
    """For each row, a sentence if the change cannot get the verdict, or if the value cannot be stored.

    Args:
        changes: rows with change_id, kind, component and field.
        verdicts: the verdict of each, in the words that fit; null where there is none.
        values: JSON text of the verdicts ``"value"``.
        schema: of the run, with the destinations of its fields.
        among: the verdicts that there are; fewer for a push.
    """
    names = ("kind", "component", "field", "change_id")
    rows = zip(*(changes[n].to_pylist() for n in names), verdicts.to_pylist(), values.to_pylist(), strict=True)
    return [_problem(row, schema, among) for row in rows]


def _problem(row: tuple[Any, ...], schema: LabelSchema, among: Collection[str]) -> str | None:
    kind, component, field, change_id, verdict, value = row
    legal = choices(kind, component, among)
    if verdict not in (*legal, OPEN, None):
        return f"The verdict {verdict!r} does not fit the change {change_id} ({kind} of {component}); give {' | '.join(legal)}."
    if verdict == VALUE and (why := _bad_value(value, component, schema.fields.get(field))):
        shown = value if value is None or len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        return f"The value {shown} for the change {change_id} ({component} of {field}) {why}"
    return None


def _bad_value(text: str | None, component: str, spec: FieldSchema | None) -> str | None:
    """Why a value cannot be stored; ``None`` if it can."""
    try:
        value = json_values.read(text or "")
    except ValueError:
        return "is not JSON; write a text in quotes, a number, true or false."
    if json_values.is_deeper(value):
        return f"has lists or objects that are nested more than {json_values.DEEPEST} deep; flatten them."
    if not json_values.is_unicode(value):
        return "has half of a character (a surrogate), which cannot be stored; write the whole character."
    if component == LABEL:
        return _bad_class(value, spec)
    if component.startswith(ATTRIBUTE_PREFIX):
        definitions = spec.definitions() if spec is not None else ()
        return _bad_attribute(value, [a for a in definitions if ATTRIBUTE_PREFIX + a.name == component])
    return None


def _bad_class(value: Any, spec: FieldSchema | None) -> str | None:
    if spec is not None and spec.kind == "scalar":
        if not isinstance(value, str | int | float):
            return "is not the value of a scalar; write a text in quotes, a number, true or false."
    elif not isinstance(value, str) or not value.strip():
        return "is not a class; write it in quotes."
    if spec is not None and spec.classes and not any(json_values.same(value, known) for known in spec.classes):
        return f"is not a class of the schema; it has {', '.join(map(str, spec.classes))}."
    return None


def _bad_attribute(value: Any, definitions: list[Attribute]) -> str | None:
    if value is None:
        return "is no value of an attribute; write a text in quotes, a number, true or false."
    if definitions and not any(a.accepts(value) for a in definitions):
        return f"is not what the schema has; it has to be {' or '.join(a.expects for a in definitions)}."
    return None
