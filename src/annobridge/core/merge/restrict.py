"""Restrict: which changes of the tool are allowed, by field, by kind of change, and by read-only attribute."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, any_of, as_array, equal, not_null, take_rows
from ..checks import validate
from ..checks.shape_checks import CLIP
from ..labels import ATTRIBUTE, ATTRIBUTE_PREFIX
from ..rows import attribute
from ..schema import Attribute, FieldSchema, Flags, LabelSchema
from . import findings, frames
from .diff import Changes

_FLAGS = {"label": "allow_label_edits", "spatial": "allow_spatial_edits", "index": "allow_index_edits"}
_READ_ONLY = "the attribute is read-only"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The changes that may be made, by row of ``Changes``, and a finding for each that may not."""

    theirs: pa.Table  # the rows of the tool, with the defaults of read-only attributes in new labels
    add: Bools
    delete: Bools
    edit: dict[str, Bools]  # by component
    refused: list[pa.Table]  # FINDINGS


def restrict(changes: Changes, schema: LabelSchema, overhang: bool = False) -> Allowed:
    """Apply the restrictions of a schema.

    A schema without fields restricts nothing; undos and copies into other fields use one, as their rows were checked before.
    Values that could not be stored (a box of NaN, a line without points) are refused too, whatever the schema allows; shapes
    over the border of their image unless ``overhang`` is true.
    """
    rules = _Rules(changes, schema)
    allowed = Allowed(
        changes.theirs,
        add=changes.added & rules.flag("allow_additions"),
        delete=changes.deleted & rules.flag("allow_deletions"),
        edit={component: rules.may_edit(component, rows) for component, rows in changes.edited.items()},
        refused=[],
    )
    refuse(allowed, changes.theirs, changes.added & ~allowed.add, "existence", "additions are not allowed")
    refuse(allowed, changes.base, changes.deleted & ~allowed.delete, "existence", "deletions are not allowed")
    for component, rows in changes.edited.items():
        reason = f"{component} edits are not allowed" if component in _FLAGS else _READ_ONLY
        sides = {"base": changes.base, "theirs": changes.theirs}
        refuse(allowed, changes.base, rows & ~allowed.edit[component], component, reason, **sides)
    if not schema.fields:
        return allowed
    _refuse_unstorable(allowed, changes, overhang)
    _refuse_misplaced(allowed, changes)
    return _with_read_only_defaults(allowed, rules)


def refuse(
    allowed: Allowed, rows: pa.Table, where: Bools, component: str, reason: str | pa.Array, **sides: pa.Table
) -> None:
    """Add findings for changes that are refused."""
    if where.any():
        allowed.refused.append(findings.of(rows, where, component, reason, **sides))


def was_sent(name: str, schema: LabelSchema) -> bool:
    """Whether the tool was given an attribute: it is in the schema, or there is no schema, or it belongs to messages."""
    fields = schema.fields.values()
    return not fields or any(f.kind == "message" or name in f.all_attributes() for f in fields)


class _Rules:
    """The restrictions of a schema, for each row of the changes. A row belongs to the field from which it was sent."""

    def __init__(self, changes: Changes, schema: LabelSchema) -> None:
        self.fields = schema.fields
        self._changes = changes
        codes = as_array(pc.coalesce(changes.base["field"], changes.theirs["field"])).dictionary_encode()
        self._codes, self._names = codes.indices.to_numpy(zero_copy_only=False), codes.dictionary.to_pylist()

    def per_field(self, value: Callable[[FieldSchema | None], bool]) -> Bools:
        """A value of the field of each row; of ``None`` where the schema does not have the field."""
        table = np.array([value(self.fields.get(name)) for name in self._names], bool)
        return table[self._codes] if len(table) else np.zeros(0, bool)

    def flag(self, name: str) -> Bools:
        """A flag of the field of each row. Outside the schema, a change is allowed if any field of the schema allows it."""
        flags = [spec.flags for spec in self.fields.values()] or [Flags()]
        elsewhere = any(getattr(f, name) for f in flags)
        return self.per_field(lambda spec: getattr(spec.flags, name) if spec else elsewhere)

    def may_edit(self, component: str, rows: Bools) -> Bools:
        """At which of the rows a component may be edited."""
        if component in _FLAGS:
            return rows & self.flag(_FLAGS[component])
        name = component.removeprefix(ATTRIBUTE_PREFIX)
        return rows & ~(self._read_only(name, self._changes.base) | self._read_only(name, self._changes.theirs))

    def definitions(self, name: str, labels: pa.Table) -> Iterator[tuple[Attribute, Bools]]:
        """The definitions of an attribute, each with the rows for which it holds: that of the class, else that of the field."""
        for spec in self.fields.values():
            in_field = self.per_field(lambda s, spec=spec: s is spec)  # type: ignore[misc]
            yield from ((a, in_field & rows) for a, rows in attributes.definitions(spec, name, labels["label"]))

    def _read_only(self, name: str, labels: pa.Table) -> Bools:
        """Where an attribute is read-only. For a class that does not define it, it is if any class of the field says so."""
        read_only, defined = np.zeros(labels.num_rows, bool), np.zeros(labels.num_rows, bool)
        for definition, rows in self.definitions(name, labels):
            read_only |= rows & definition.read_only
            defined |= rows
        read_only_in_a_class = self.per_field(
            lambda spec: (
                spec is not None
                and any(a.name == name and a.read_only for group in spec.class_attributes.values() for a in group)
            )
        )
        return read_only | (read_only_in_a_class & ~defined)


def _refuse_unstorable(allowed: Allowed, changes: Changes, overhang: bool) -> None:
    """Refuse values that cannot be stored: new labels as a whole; of edits, only the invalid component."""
    at = np.flatnonzero(any_of([allowed.add, *allowed.edit.values()], len(changes)))
    rows = take_rows(changes.theirs, at)
    rows = validate.clip(rows) if overhang else rows
    for part in validate.PARTS:
        wrong = validate.unstorable(rows, [part])
        if not wrong:
            continue
        is_wrong, reasons = np.zeros(len(changes), bool), np.full(len(changes), None, object)
        for row, sentence in wrong.items():
            is_wrong[at[row]] = True
            reasons[at[row]] = f"cannot be stored: it {sentence.replace(CLIP, 'correct it there')}"
        for component, where in [("existence", allowed.add), *allowed.edit.items()]:
            if component in ("existence", part) or (part == "attributes" and component.startswith(ATTRIBUTE_PREFIX)):
                refuse(allowed, changes.theirs, where & is_wrong, component, pa.array(reasons, pa.string()))
                where &= ~is_wrong


def _refuse_misplaced(allowed: Allowed, changes: Changes) -> None:
    """Refuse labels on a frame of a video outside of fields of frames, and labels without a frame in such fields."""
    for reason, misplaced in frames.misplaced(changes.base, changes.theirs):
        for component, where in (("existence", allowed.add), ("spatial", allowed.edit.get("spatial"))):
            if where is not None:
                refuse(allowed, changes.theirs, where & misplaced, component, reason)
                where &= ~misplaced


def _with_read_only_defaults(allowed: Allowed, rules: _Rules) -> Allowed:
    """New labels get the defaults of read-only attributes, whatever value the tool has."""
    theirs = allowed.theirs
    groups = [g for f in rules.fields.values() for g in (f.attributes, *f.class_attributes.values())]
    for name in sorted({a.name for group in groups for a in group if a.read_only}):
        values = attributes.values(theirs["attributes"], name)
        for definition, rows in rules.definitions(name, theirs):
            other_value = not_null(values) & ~equal(values, json.dumps(definition.default))
            reset = allowed.add & rows & definition.read_only & other_value
            if not reset.any():
                continue
            refuse(allowed, theirs, reset, ATTRIBUTE_PREFIX + name, _READ_ONLY, theirs=theirs)
            default = attribute(name, definition.default) if definition.default is not None else None
            column = pa.repeat(pa.scalar(default, ATTRIBUTE), len(reset))
            new = attributes.replace(theirs["attributes"], {name: (reset, column)})
            theirs = theirs.set_column(theirs.column_names.index("attributes"), "attributes", new)
    return Allowed(theirs, allowed.add, allowed.delete, allowed.edit, allowed.refused)
