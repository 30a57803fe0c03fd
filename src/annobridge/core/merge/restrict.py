"""Restrict: which of the tool's changes are allowed? For each field, each kind of change and each read-only attribute."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes, frames
from ..arrays import Bools, any_of, as_array, equal, not_null
from ..checks import validate
from ..checks.validate import CLIP
from ..labels import ATTRIBUTE
from ..rows import attribute
from ..schema import Attribute, FieldSchema, Flags, LabelSchema
from . import findings
from .diff import PREFIX, Changes

_EDITS = {"label": "allow_label_edits", "spatial": "allow_spatial_edits", "index": "allow_index_edits"}


class Restricted:
    """The changes with what is not allowed marked: ``allowed[component]``, ``add``, ``delete``; refusals are ``found``."""

    def __init__(self, changes: Changes, schema: LabelSchema) -> None:
        self.schema = schema
        self.found: list[pa.Table] = []
        self.theirs = changes.theirs
        field = pc.coalesce(changes.base["field"], changes.theirs["field"])
        codes = as_array(field).dictionary_encode()
        self.codes, self.fields = codes.indices.to_numpy(zero_copy_only=False), codes.dictionary.to_pylist()
        new, gone = changes.in_theirs & ~changes.in_base, changes.in_base & ~changes.in_theirs
        self.add = new & self._flag("allow_additions")
        self.delete = gone & self._flag("allow_deletions")
        self.refuse(changes.theirs, new & ~self.add, "existence", "additions are not allowed")
        self.refuse(changes.base, gone & ~self.delete, "existence", "deletions are not allowed")
        self.allowed = {c: self._allow(changes, c, rows) for c, rows in changes.edited.items()}
        if schema.fields:  # what comes from a tool; what comes from the dataset itself was looked at before
            self._refuse_unsound(changes)
            self._refuse_misplaced(changes)
        self._reset_read_only()

    def _per_field(self, value: Callable[[FieldSchema | None], bool]) -> np.ndarray:
        table = np.array([value(self.schema.fields.get(name)) for name in self.fields], bool)
        return table[self.codes] if len(table) else np.zeros(0, bool)

    def _flag(self, name: str) -> np.ndarray:
        flags = [spec.flags for spec in self.schema.fields.values()] or [Flags()]
        elsewhere = any(getattr(f, name) for f in flags)  # a field outside the schema has what some field of it has
        return self._per_field(lambda spec: getattr(spec.flags, name) if spec else elsewhere)

    def _allow(self, changes: Changes, component: str, rows: np.ndarray) -> np.ndarray:
        if component in _EDITS:
            allowed: Bools = rows & self._flag(_EDITS[component])
            reason = f"{component} edits are not allowed"
        else:
            name = component.removeprefix(PREFIX)
            allowed = rows & ~(self._read_only(name, changes.base) | self._read_only(name, changes.theirs))
            reason = "the attribute is read-only"
        refused: Bools = rows & ~allowed
        if refused.any():
            sides = {"base": changes.base, "theirs": changes.theirs}
            self.found.append(findings.of(changes.base, refused, component, reason, **sides))
        return allowed

    def refuse(self, rows: pa.Table, where: np.ndarray, component: str, reason: str | pa.Array) -> None:
        """List changes that are not made."""
        if where.any():
            self.found.append(findings.of(rows, where, component, reason))

    def _refuse_unsound(self, changes: Changes) -> None:
        """A box of NaN, a line without points: what could not be stored is refused, and the rest goes on.

        Of an edit, only the component in which it is; a new label is refused as a whole.
        """
        at = np.flatnonzero(any_of([self.add, *self.allowed.values()], len(changes)))
        rows = changes.theirs.take(pa.array(at))
        for part in validate.PARTS:
            wrong = validate.unstorable(rows, [part])
            if not wrong:
                continue
            bad, reasons = np.zeros(len(changes), bool), np.full(len(changes), None, object)
            for row, sentence in wrong.items():
                bad[at[row]] = True
                reasons[at[row]] = f"cannot be stored: it {sentence.replace(CLIP, 'correct it there')}"
            for component, allowed in [("existence", self.add), *self.allowed.items()]:
                if component in ("existence", part) or (part == "attributes" and component.startswith(PREFIX)):
                    self.refuse(changes.theirs, allowed & bad, component, pa.array(reasons, pa.string()))
                    allowed &= ~bad

    def _refuse_misplaced(self, changes: Changes) -> None:
        """Labels on a frame belong to fields of frames, and no others do."""
        for reason, bad in frames.misplaced(changes.base, changes.theirs):
            for component, allowed in (("existence", self.add), ("spatial", self.allowed.get("spatial"))):
                if allowed is not None:
                    self.refuse(changes.theirs, allowed & bad, component, reason)
                    allowed &= ~bad

    def _rows_of(self, name: str, labels: pa.Table) -> Iterator[tuple[Attribute, np.ndarray]]:
        """The attributes of this name in the schema, each with the rows for which it holds: a class's own before a field's."""
        for spec in self.schema.fields.values():
            here = self._per_field(lambda s, spec=spec: s is spec)  # type: ignore[misc]
            yield from ((a, here & rows) for a, rows in attributes.held(spec, name, labels["label"]))

    def _read_only(self, name: str, labels: pa.Table) -> np.ndarray:
        """Where the attribute may not change; a class that does not have it is as strict as any class that does."""
        found, defined = np.zeros(len(self.add), bool), np.zeros(len(self.add), bool)
        for attribute_, rows in self._rows_of(name, labels):
            found |= rows & attribute_.read_only
            defined |= rows
        strict = self._per_field(
            lambda spec: (
                spec is not None
                and any(a.name == name and a.read_only for group in spec.class_attributes.values() for a in group)
            )
        )
        return found | (strict & ~defined)

    def knows(self, name: str) -> bool:
        """Whether an attribute was sent: it is in the schema, or there is no schema, or it is of the form of messages."""
        fields = self.schema.fields.values()
        return not fields or any(f.kind == "message" or name in f.all_attributes() for f in fields)

    def _reset_read_only(self) -> None:
        """A new label has the default of a read-only attribute, whatever was typed in the tool."""
        groups = [g for f in self.schema.fields.values() for g in (f.attributes, *f.class_attributes.values())]
        for name in sorted({a.name for group in groups for a in group if a.read_only}):
            value = attributes.values(self.theirs["attributes"], name)
            for found, rows in self._rows_of(name, self.theirs):
                kept = equal(value, json.dumps(found.default))
                wrong = self.add & rows & found.read_only & not_null(value) & ~kept
                if wrong.any():
                    self._reset(name, found.default, wrong)

    def _reset(self, name: str, default: object, where: np.ndarray) -> None:
        reason = "the attribute is read-only"
        self.found.append(findings.of(self.theirs, where, PREFIX + name, reason, theirs=self.theirs))
        one = pa.scalar(attribute(name, default) if default is not None else None, ATTRIBUTE)  # type: ignore[arg-type]
        new = attributes.replace(self.theirs["attributes"], {name: (where, pa.repeat(one, len(where)))})
        self.theirs = self.theirs.set_column(self.theirs.column_names.index("attributes"), "attributes", new)
