"""Unexpected: what the tool returned that is not in the schema: types, classes, attributes and their values.

Only what the tool changed is checked; what was sent, and came back the same, is accepted. Values that are not JSON text are
separate: they cannot be stored, whatever the caller chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, as_array, as_mask, equal, not_null
from ..checks.value_checks import is_malformed
from ..json_values import read
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS, REMOTE
from ..schema import Attribute, FieldSchema, LabelSchema
from . import findings

# A label of the tool, the component of it that is unexpected (as in ``FINDINGS``), its value in the tool, and the reason.
UNEXPECTED = pa.schema(
    [*REMOTE, *(findings.FINDINGS.field(name) for name in ("component", "theirs")), findings.FINDINGS.field("reason")]
)
COMPARED = ("label_id", "kind", *COMPONENTS["label"], "attributes")  # the columns that ``sent`` needs
_SHOWN = 80  # characters of a value


class Fault(NamedTuple):
    """A component that is not in the schema, why, and of which labels."""

    component: str  # "type", "label" (the class, or the value of a scalar), or an attribute
    reason: str
    rows: Bools


class ChangedAttribute(NamedTuple):
    """An attribute in the tool: its values (JSON text), and at which labels they are not those that were sent."""

    values: pa.StringArray
    rows: Bools


def changed_attributes(theirs: pa.Table, sent: pa.Table) -> dict[str, ChangedAttribute]:
    """The attributes, by name, of which the tool has other values than were sent. A removed value is not one."""
    found = {}
    for name in sorted(attributes.names(theirs["attributes"])):
        values = attributes.values(theirs["attributes"], name)
        changed = not_null(values) & ~equal(values, attributes.values(sent["attributes"], name))
        if changed.any():
            found[name] = ChangedAttribute(values, changed)
    return found


def without_malformed(
    theirs: pa.Table, sent: pa.Table, changed: Mapping[str, ChangedAttribute]
) -> tuple[pa.Table, pa.Table]:
    """``theirs`` without the values that are not JSON text, and a finding for each.

    In their place, a known label has the value that was sent. A new label lacks the attribute; it is left out where the
    value is that of the label itself.
    """
    faults: list[Fault] = []
    for name, (values, rows) in changed.items():
        _add(faults, ATTRIBUTE_PREFIX + name, "", _malformed_at(values, rows))
    has_value = as_mask(pc.is_in(theirs["kind"], pa.array(["scalar", "message"])))
    values = as_array(theirs["value"])
    malformed = _malformed_at(values, has_value & not_null(values) & ~equal(values, sent["value"]))
    _add(faults, "label", "", malformed)
    refused = [
        findings.of(theirs, rows, component, _not_json(theirs, component), theirs=theirs)
        for component, _, rows in faults
    ]
    if faults:
        theirs = with_sent_values(theirs, sent, faults).filter(pa.array(~malformed | not_null(sent["label_id"])))
    return theirs, pa.concat_tables([findings.FINDINGS.empty_table(), *refused])


def _malformed_at(values: pa.StringArray, where: Bools) -> Bools:
    """At which of the rows the value is not JSON text. Each distinct value is parsed once."""
    distinct = pc.unique(values.filter(pa.array(where)))
    malformed = distinct.filter(pa.array(is_malformed("json", distinct)))
    return where & as_mask(pc.is_in(values, value_set=malformed))


def _not_json(theirs: pa.Table, component: str) -> pa.Array:
    """The reason for each row."""
    name = component.removeprefix(ATTRIBUTE_PREFIX)
    is_attribute = component.startswith(ATTRIBUTE_PREFIX)
    values = attributes.values(theirs["attributes"], name) if is_attribute else as_array(theirs["value"])
    of_attribute = f" of the attribute {name!r}" if is_attribute else ""
    shown = pc.utf8_slice_codeunits(values, 0, _SHOWN)
    return pc.binary_join_element_wise(f"the value{of_attribute} is not JSON text", shown, ": ")


def find_faults(
    theirs: pa.Table, sent: pa.Table, changed: Mapping[str, ChangedAttribute], schema: LabelSchema
) -> list[Fault]:
    """What is not in the schema.

    Args:
        theirs: ``REMOTE``, with a field for each label.
        sent: aligned with ``theirs``: what was sent, with the columns ``COMPARED``; null where a label is new.
        changed: the attributes that the tool changed.
        schema: of the run.
    """
    faults: list[Fault] = []
    in_schema = np.zeros(theirs.num_rows, bool)
    for spec in schema.fields.values():
        in_field = equal(theirs["field"], spec.name)
        in_schema |= in_field
        of_type = equal(theirs["kind"], spec.kind)
        _add(faults, "type", f"not of the field's type ({spec.type})", in_field & ~of_type)
        if spec.classes:
            faults += _class_faults(theirs, sent, spec, in_field & of_type)
        if spec.type != "messages":  # a message has attributes of its own, which no schema lists
            faults += _attribute_faults(changed, theirs["label"], spec, in_field & of_type)
    known = not_null(sent["label_id"])
    other_type = ~in_schema & known & ~equal(theirs["kind"], sent["kind"])
    _add(faults, "type", "no field of the schema has this type", ~in_schema & ~known)
    _add(faults, "type", "not of the type it was sent with", other_type)
    return faults


def _class_faults(theirs: pa.Table, sent: pa.Table, spec: FieldSchema, where: Bools) -> list[Fault]:
    faults: list[Fault] = []
    column = "value" if spec.type == "scalar" else "label"  # the classes of a scalar are its choices
    changed = where & ~as_mask(pc.equal(theirs[column], sent[column]))
    if column == "label":
        not_in_schema = ~as_mask(pc.is_in(theirs["label"], value_set=pa.array(spec.classes, pa.string())))
    else:
        not_in_schema = ~_accepted(spec.value, as_array(theirs["value"]), changed & not_null(theirs["value"]))
    empty = ~not_null(theirs[column]) | equal(theirs[column], "")
    _add(faults, "label", "class not in the schema", changed & not_in_schema & ~empty)
    noun = "class" if column == "label" else "value"
    _add(faults, "label", f"the label has no {noun}", changed & not_in_schema & empty)
    return faults


def _attribute_faults(
    changed: Mapping[str, ChangedAttribute], label: pa.ChunkedArray, spec: FieldSchema, where: Bools
) -> list[Fault]:
    """Compare each value with the attribute of the label's class in the tool."""
    faults: list[Fault] = []
    for name, (values, rows) in changed.items():
        undefined, not_accepted = where & rows, np.zeros(len(where), bool)
        for attribute, of_class in attributes.definitions(spec, name, label):
            defined = undefined & of_class
            undefined &= ~of_class
            not_accepted |= defined & ~_accepted(attribute, values, defined)
        _add(faults, ATTRIBUTE_PREFIX + name, "value not in the schema", not_accepted)
        elsewhere = " of this class" if name in spec.all_attributes() else ""
        _add(faults, ATTRIBUTE_PREFIX + name, f"attribute not in the schema{elsewhere}", undefined)
    return faults


def _accepted(attribute: Attribute, values: pa.StringArray, where: Bools) -> Bools:
    """At which of the rows the attribute accepts the value (JSON text). Each distinct value is parsed once."""
    distinct = pc.unique(values.filter(pa.array(where))).to_pylist()
    accepted = pa.array([text for text in distinct if attribute.accepts(read(text))], pa.string())
    return where & as_mask(pc.is_in(values, value_set=accepted))


def _add(faults: list[Fault], component: str, reason: str, rows: Bools) -> None:
    if rows.any():
        faults.append(Fault(component, reason, rows))


def listed(theirs: pa.Table, fault: Fault) -> pa.Table:
    """``UNEXPECTED``: the labels of a fault, as the tool returned them."""
    rows = theirs.filter(pa.array(fault.rows)).select(REMOTE.names)
    size, value = rows.num_rows, findings.text(rows, fault.component)
    added = [pa.repeat(fault.component, size), value, pa.repeat(fault.reason, size)]
    return pa.Table.from_arrays([*rows.columns, *added], schema=UNEXPECTED)


def with_sent_values(theirs: pa.Table, sent: pa.Table, faults: Sequence[Fault]) -> pa.Table:
    """``theirs`` with the values that were sent in place of unexpected ones. New labels lose unexpected attributes; they keep
    an unexpected type or class, with which the caller leaves them out.
    """
    for component, _, rows in faults:
        if component.startswith(ATTRIBUTE_PREFIX):
            name = component.removeprefix(ATTRIBUTE_PREFIX)
            old = attributes.column(sent["attributes"], name)
            new = attributes.replace(theirs["attributes"], {name: (rows, old)})
            theirs = theirs.set_column(theirs.column_names.index("attributes"), "attributes", new)
            continue
        # Tools reset the attributes when the class is changed: they are not answers about the class that is kept.
        columns = (*COMPONENTS["label"], "attributes") if component == "label" else REMOTE.names
        known = rows & not_null(sent["label_id"])
        index = pa.array(np.where(known, theirs.num_rows, 0) + np.arange(theirs.num_rows))
        for column in columns:
            both = pa.chunked_array([*theirs[column].chunks, *sent[column].chunks], theirs[column].type)
            at = theirs.column_names.index(column)
            theirs = theirs.set_column(at, theirs.schema.field(at), both.take(index))
    return theirs
