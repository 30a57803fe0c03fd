"""Route: into which field does each label of the tool go, and which of them did nobody expect?

Unexpected is a type that the field does not have, and also a class or an attribute value outside the schema. A value that is
not JSON text cannot be stored whatever is chosen, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidOption
from .. import attributes, ids
from ..arrays import Bools, any_of, as_array, as_mask, equal, not_null
from ..checks.columns import malformed
from ..compare import equal_rows
from ..json_values import read
from ..labels import COMPONENTS, KIND_TYPES, REMOTE
from ..schema import FRAMES, Attribute, FieldSchema, LabelSchema, is_field_name
from . import findings
from .diff import PREFIX

Choice = str | Mapping[str, str | None] | Callable[[pa.Table], Sequence[str | None]]
MODES = ("keep", "ignore", "return", "prompt")
# A label of the tool, the component of it that is unexpected (as in ``FINDINGS``), what the tool has there, and why.
UNEXPECTED = pa.schema(
    [*REMOTE, *(findings.FINDINGS.field(name) for name in ("component", "theirs")), findings.FINDINGS.field("reason")]
)
Told = Mapping[str, tuple[pa.StringArray, Bools]]  # attribute → its values (JSON text), and at which labels they differ
_COMPARED = ("label_id", "kind", *COMPONENTS["label"], "attributes")
_SHOWN = 80  # characters of a value


@dataclass(frozen=True, slots=True)
class Routed:
    """``labels`` go on to the diff; the rest is for the report."""

    labels: pa.Table
    unexpected: pa.Table  # UNEXPECTED
    found: pa.Table  # FINDINGS: what is unexpected, and left out
    refused: pa.Table  # FINDINGS: what cannot be read


def route(theirs: pa.Table, base: pa.Table, schema: LabelSchema, choice: Choice) -> Routed:
    """Give each label its field, and deal with the unexpected as ``choice`` says.

    ``"keep"`` takes them in: a strange type into a field named after the type, a strange class or value where it is.
    ``"ignore"`` and ``"return"`` leave them out: a known label keeps the value it was sent with, and is never deleted.
    A mapping of label type to field, or a callable from the rows to field names (or ``None``), moves them.
    """
    theirs = with_fields(theirs, schema)
    sent = _sent(theirs, base, _COMPARED)
    told = _told(theirs, sent)
    theirs, refused = _readable(theirs, sent, told)
    if refused.num_rows:
        sent = _sent(theirs, base, _COMPARED)
        told = _told(theirs, sent)
    faults = _faults(theirs, sent, told, schema)
    bad = any_of((m for _, _, m in faults), theirs.num_rows)
    if not bad.any():
        return Routed(theirs, UNEXPECTED.empty_table(), findings.FINDINGS.empty_table(), refused)
    unexpected = pa.concat_tables(_unexpected(theirs, *fault) for fault in faults)
    strange = np.logical_or.reduce([bad & False, *(m for c, _, m in faults if c == "type")])
    targets = _targets(choice, theirs, bad, strange, schema)
    neutral = _neutral(theirs, _sent(theirs, base, theirs.column_names), faults)
    isnew = ~not_null(sent["label_id"])
    wanted = np.array([t is not None for t in targets]) & bad
    enters = wanted & (isnew | strange)  # a known label of another type is deleted, and added as what it is now
    barred = enters & ~_open(theirs, schema)
    out = ~wanted | barred
    found = pa.concat_tables([findings.of(theirs, m & out, c, r, theirs=theirs) for c, r, m in faults])
    found = pa.concat_tables([found, *_attributes_lost(theirs, sent, out & ~isnew, faults)])
    goes = enters & ~barred
    moved = _to_field(theirs.filter(pa.array(goes)), [t for t, g in zip(targets, goes, strict=True) if g])
    moved = _renamed(moved, ~isnew[goes], base)
    taken = theirs.filter(
        pa.array(wanted & ~enters | barred & isnew)
    )  # where it is, with what was found; or to be refused
    stays = neutral.filter(pa.array((~wanted | barred & ~isnew) & ~(isnew & (_whole(faults, isnew) | barred))))
    return Routed(pa.concat_tables([stays, taken, moved]), unexpected, found, refused)


def _sent(theirs: pa.Table, base: pa.Table, columns: Iterable[str]) -> pa.Table:
    """What each label was sent with; null where it is new."""
    return base.select(list(columns)).take(pc.index_in(theirs["label_id"], value_set=as_array(base["label_id"])))


def _readable(theirs: pa.Table, sent: pa.Table, told: Told) -> tuple[pa.Table, pa.Table]:
    """``theirs`` without the values that are not JSON text, and a finding for each. A known label has there what it was sent
    with; a new one lacks the attribute, or is left out if the value is the label itself.
    """
    faults: list[Fault] = []
    for name, (value, changed) in told.items():
        _add(faults, PREFIX + name, "", _unreadable(value, changed))
    data = as_mask(pc.is_in(theirs["kind"], pa.array(["scalar", "message"])))
    values = as_array(theirs["value"])
    broken = _unreadable(values, data & not_null(values) & ~equal(values, sent["value"]))
    _add(faults, "label", "", broken)
    refused = [
        findings.of(theirs, rows, component, _not_json(theirs, component), theirs=theirs)
        for component, _, rows in faults
    ]
    if faults:
        theirs = _neutral(theirs, sent, faults).filter(pa.array(~broken | not_null(sent["label_id"])))
    return theirs, pa.concat_tables([findings.FINDINGS.empty_table(), *refused])


def _unreadable(values: pa.StringArray, where: Bools) -> Bools:
    """Where values are not JSON text. The distinct ones are looked at, not those of every label."""
    distinct = pc.unique(values.filter(pa.array(where)))
    wrong = distinct.filter(pa.array(malformed("json", distinct)))
    return where & as_mask(pc.is_in(values, value_set=wrong))


def _not_json(theirs: pa.Table, component: str) -> pa.Array:
    """The reason for each row."""
    owner = f" of the attribute {component.removeprefix(PREFIX)!r}" if component.startswith(PREFIX) else ""
    value = (
        attributes.values(theirs["attributes"], component.removeprefix(PREFIX)) if owner else as_array(theirs["value"])
    )
    return pc.binary_join_element_wise(
        f"the value{owner} is not JSON text", pc.utf8_slice_codeunits(value, 0, _SHOWN), ": "
    )


def _told(theirs: pa.Table, sent: pa.Table) -> Told:
    """What the tool says of attributes that is not what was sent."""
    found = {}
    for name in sorted(attributes.names(theirs["attributes"])):
        value = attributes.values(theirs["attributes"], name)
        changed = not_null(value) & ~equal(value, attributes.values(sent["attributes"], name))
        if changed.any():
            found[name] = (value, changed)
    return found


def with_fields(theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """Labels without a field go to the first field of their kind that has their class, else the first of their kind,
    else to one named after their type.
    """
    field, kind, label = (theirs[c].combine_chunks() for c in ("field", "kind", "label"))
    if not field.null_count:
        return theirs
    for exact in (True, False):
        for spec in schema.fields.values():
            fits = pc.and_(field.is_null(), pc.equal(kind, spec.kind))
            if exact:
                classes = () if spec.type == "scalar" else spec.classes
                fits = pc.and_(fits, pc.is_in(label, value_set=pa.array(classes, pa.string())))
            field = pc.if_else(fits, spec.name, field)
    field = pc.coalesce(field, _named(kind, theirs["frame_number"].combine_chunks()))
    return theirs.set_column(theirs.column_names.index("field"), theirs.schema.field("field"), field)


def _named(kind: pa.Array, frame_number: pa.Array) -> pa.Array:
    """A field for each label of a strange kind: one named after the type, of frames where the label is on one."""
    coded = kind.dictionary_encode()
    names = pa.array([KIND_TYPES.get(k, k) for k in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
    return pc.if_else(frame_number.is_valid(), pc.binary_join_element_wise(FRAMES, names, ""), names)


Fault = tuple[str, str, np.ndarray]  # component, reason, rows


def _faults(theirs: pa.Table, sent: pa.Table, told: Told, schema: LabelSchema) -> list[Fault]:
    faults: list[Fault] = []
    in_schema = np.zeros(theirs.num_rows, bool)
    for spec in schema.fields.values():
        here = equal(theirs["field"], spec.name)
        in_schema |= here
        fits = equal(theirs["kind"], spec.kind)
        _add(faults, "type", f"not of the field's type ({spec.type})", here & ~fits)
        column = "value" if spec.type == "scalar" else "label"  # the classes of a scalar are its choices
        same = as_mask(pc.equal(theirs[column], sent[column]))
        if spec.classes:
            changed = here & fits & ~same
            other = (
                ~as_mask(pc.is_in(theirs["label"], value_set=pa.array(spec.classes, pa.string())))
                if column == "label"
                else ~_accepted(spec.value, as_array(theirs["value"]), changed & not_null(theirs["value"]))
            )
            strange = changed & other
            empty = ~not_null(theirs[column]) | equal(theirs[column], "")
            _add(faults, "label", "class not in the schema", strange & ~empty)
            _add(faults, "label", f"the label has no {'class' if column == 'label' else 'value'}", strange & empty)
        if spec.type != "messages":  # its attributes are the form of the message itself
            faults += _attribute_faults(told, theirs["label"], spec, here & fits)
    known = not_null(sent["label_id"])
    _add(faults, "type", "no field of the schema has this type", ~in_schema & ~known)
    _add(faults, "type", "not of the type it was sent with", ~in_schema & known & ~equal(theirs["kind"], sent["kind"]))
    return faults


def _attribute_faults(told: Told, label: pa.ChunkedArray, spec: FieldSchema, here: Bools) -> list[Fault]:
    """Each value is held against the attribute of the label's own class, as the tool returns it."""
    faults: list[Fault] = []
    for name, (value, changed) in told.items():
        rest, strange = here & changed, np.zeros(len(here), bool)
        for attribute, holders in attributes.held(spec, name, label):
            mine = rest & holders
            rest &= ~holders
            strange |= mine & ~_accepted(attribute, value, mine)
        _add(faults, PREFIX + name, "value not in the schema", strange)
        elsewhere = " of this class" if name in spec.all_attributes() else ""
        _add(faults, PREFIX + name, f"attribute not in the schema{elsewhere}", rest)
    return faults


def _accepted(attribute: Attribute, values: pa.StringArray, where: Bools) -> Bools:
    """At which of the rows the attribute takes the value (JSON text): its distinct ones are looked at, not every label."""
    distinct = pc.unique(values.filter(pa.array(where))).to_pylist()
    good = pa.array([text for text in distinct if attribute.accepts(read(text))], pa.string())
    return where & as_mask(pc.is_in(values, value_set=good))


def _add(faults: list[Fault], component: str, reason: str, rows: np.ndarray) -> None:
    if rows.any():
        faults.append((component, reason, rows))


def _unexpected(theirs: pa.Table, component: str, reason: str, where: Bools) -> pa.Table:
    rows = theirs.filter(pa.array(where)).select(REMOTE.names)
    told = [pa.repeat(component, rows.num_rows), findings.text(rows, component), pa.repeat(reason, rows.num_rows)]
    return pa.Table.from_arrays([*rows.columns, *told], schema=UNEXPECTED)


def _open(theirs: pa.Table, schema: LabelSchema) -> np.ndarray:
    """Whether additions are allowed in the field that the tool found each label for."""
    closed = [f.name for f in schema.fields.values() if not f.flags.allow_additions]
    return ~as_mask(pc.is_in(theirs["field"], value_set=pa.array(closed, pa.string())))


def _renamed(rows: pa.Table, known: np.ndarray, base: pa.Table) -> pa.Table:
    """An id of its own for a known label that became one of another type."""
    if not known.any():
        return rows
    columns = (rows[name].to_pylist() for name in ("remote_id", "sample_id", "kind", "label_id"))
    names = [ids.name(*row) for row in zip(*columns, strict=True)]  # of four parts: copies bear one remote id
    new = ids.derive(base["run_id"][0].as_py(), names)
    return rows.set_column(
        0, rows.schema.field("label_id"), pc.if_else(pa.array(known), new, rows["label_id"].combine_chunks())
    )


def _targets(
    choice: Choice, theirs: pa.Table, bad: np.ndarray, strange: np.ndarray, schema: LabelSchema
) -> list[str | None]:
    if choice == "keep":
        named = _named(theirs["kind"].combine_chunks(), theirs["frame_number"].combine_chunks()).to_pylist()
        return [
            new if odd else name for new, name, odd in zip(named, theirs["field"].to_pylist(), strange, strict=True)
        ]
    if isinstance(choice, str):
        return [None] * theirs.num_rows
    rows = theirs.filter(pa.array(bad))
    if callable(choice):
        given = list(choice(rows) or [])
        if len(given) != rows.num_rows:
            raise InvalidOption(
                f"The callable given as unexpected= answered {len(given)} names for {rows.num_rows} labels; "
                "return one for each, or None."
            )
    else:
        given = [choice.get(KIND_TYPES.get(k, k)) for k in rows["kind"].to_pylist()]
    _check_targets(set(zip(given, rows["kind"].to_pylist(), strict=True)), schema)
    targets: list[str | None] = [None] * theirs.num_rows
    for at, target in zip(np.flatnonzero(bad), given, strict=True):
        targets[int(at)] = target
    return targets


def _check_targets(pairs: Iterable[tuple[object, str]], schema: LabelSchema) -> None:
    """Fields that unexpected labels may go to: plain names, and of the labels' own type where the schema knows them."""
    for target, kind in pairs:
        if target is None:
            continue
        if not is_field_name(target):
            raise InvalidOption(f"unexpected= names {target!r}, which is not a field name; give a plain name, or None.")
        spec = schema.fields.get(target)
        if spec is not None and spec.kind != kind:
            name = KIND_TYPES.get(kind, kind)
            raise InvalidOption(
                f"unexpected= sends {name} to {target!r}, a field of {spec.type}; choose another field."
            )


def _to_field(rows: pa.Table, names: list[str | None]) -> pa.Table:
    return rows.set_column(rows.column_names.index("field"), rows.schema.field("field"), pa.array(names, pa.string()))


def _whole(faults: list[Fault], isnew: np.ndarray) -> np.ndarray:
    """Where the label itself is unexpected, and not just one attribute of it."""
    return any_of((m for c, _, m in faults if c in ("type", "label")), len(isnew))


def _attributes_lost(theirs: pa.Table, sent: pa.Table, where: np.ndarray, faults: list[Fault]) -> Iterator[pa.Table]:
    """Findings for attributes that came with a class that is not taken over."""
    where = where & any_of((m for c, _, m in faults if c == "label"), len(where))
    if not where.any():
        return
    for name in sorted(attributes.names(theirs["attributes"]) | attributes.names(sent["attributes"])):
        same = equal_rows(attributes.values(theirs["attributes"], name), attributes.values(sent["attributes"], name))
        reason = "came with a class that is not taken over"
        yield findings.of(theirs, where & ~same, f"attributes.{name}", reason, base=sent, theirs=theirs)


def _neutral(theirs: pa.Table, sent: pa.Table, faults: list[Fault]) -> pa.Table:
    """``theirs`` with the unexpected taken out: a known label has there what it was sent with, a new one nothing."""
    for component, _, where in faults:
        if component.startswith(PREFIX):
            name = component.removeprefix(PREFIX)
            new = attributes.replace(theirs["attributes"], {name: (where, attributes.column(sent["attributes"], name))})
            theirs = theirs.set_column(theirs.column_names.index("attributes"), "attributes", new)
            continue
        # Tools reset the attributes when the class is changed: they are not answers about the class that stays.
        columns = (*COMPONENTS["label"], "attributes") if component == "label" else theirs.column_names
        was = where & not_null(sent["label_id"])
        pick = pa.array(np.where(was, theirs.num_rows, 0) + np.arange(theirs.num_rows))
        for c in columns:
            both = pa.chunked_array([*theirs[c].chunks, *sent[c].chunks], theirs[c].type)
            theirs = theirs.set_column(theirs.column_names.index(c), theirs.schema.field(c), both.take(pick))
    return theirs
