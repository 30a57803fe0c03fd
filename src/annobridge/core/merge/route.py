"""Route: what happens to labels that are not in the schema, as the caller chooses, and to which field each label goes.

``unexpected`` finds them; here, each label gets one ``Routing`` case, and is dealt with by case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidOption
from .. import attributes, ids
from ..arrays import Bools, Ints, any_of, as_array, as_mask, not_null, set_columns
from ..compare import equal_rows
from ..labels import ATTRIBUTE_PREFIX, KIND_TYPES, REMOTE
from ..schema import LabelSchema, is_field_name
from . import findings, unexpected
from .diff import BASE_ROW
from .fields import named_after_type, set_field, with_fields
from .findings import FINDINGS
from .unexpected import COMPARED, UNEXPECTED, Fault

Choice = str | Mapping[str, str | None] | Callable[[pa.Table], Sequence[str | None]]
MODES = ("keep", "ignore", "return", "prompt")


class Routing(IntEnum):
    """What is done with one label.

        the label                                   choice       its field        case
        ------------------------------------------  -----------  ---------------  -----------
        is expected                                 –            –                SENT_VALUES (there is nothing to replace)
        is new; its type or class is unexpected     leave out    any              LEFT_OUT
        has anything else that is unexpected        leave out    any              SENT_VALUES
        is known, and still of its type             take         any              TAKEN
        is new, or of another type than was sent    take         takes additions  ADDED
        is new                                      take         takes none       NOT_ALLOWED
        is known, and of another type               take         takes none       SENT_VALUES

    "Its field" is the one in which it is in the tool, and not the one that was chosen for it.
    """

    SENT_VALUES = 0  # goes on with what was sent in place of unexpected values
    LEFT_OUT = 1
    TAKEN = 2  # goes on as it is in the tool
    ADDED = 3  # goes on as a new label of the chosen field
    NOT_ALLOWED = 4  # goes on as it is, to be refused by ``restrict``


@dataclass(frozen=True, slots=True)
class Routed:
    """``labels`` go on to the diff; the rest is for the report."""

    labels: pa.Table
    unexpected: pa.Table  # UNEXPECTED
    found: pa.Table  # FINDINGS: unexpected values that are not taken
    refused: pa.Table  # FINDINGS: values that are not JSON text


def route(theirs: pa.Table, base: pa.Table, schema: LabelSchema, choice: Choice) -> Routed:
    """Give each label its field, and deal with unexpected ones.

    Args:
        theirs: ``REMOTE`` and ``BASE_ROW``, matched with the baseline.
        base: ``BASELINE``.
        schema: of the run.
        choice: ``"keep"`` takes unexpected labels: those of another type into a field named after the type, others in their
            field. ``"ignore"`` and ``"return"`` leave them out: a known label keeps the values that were sent, and is never
            deleted. A mapping of label type to field, or a function from the rows to field names, takes them into these
            fields, and leaves out those for which it has ``None``.

    Raises:
        InvalidOption: the mapping or function names a field that labels cannot go to.
    """
    theirs = with_fields(theirs, schema)
    sent = _sent(theirs, base, COMPARED)
    changed = unexpected.changed_attributes(theirs, sent)
    theirs, refused = unexpected.without_malformed(theirs, sent, changed)
    if refused.num_rows:
        sent = _sent(theirs, base, COMPARED)
        changed = unexpected.changed_attributes(theirs, sent)
    faults = unexpected.find_faults(theirs, sent, changed, schema)
    if not faults:
        return Routed(theirs, UNEXPECTED.empty_table(), FINDINGS.empty_table(), refused)
    targets = _targets(choice, theirs, faults, schema)
    known = not_null(sent["label_id"])
    case = _classify(theirs, faults, targets, known, schema)
    not_taken = np.isin(case, [Routing.SENT_VALUES, Routing.LEFT_OUT, Routing.NOT_ALLOWED])
    found = [findings.of(theirs, f.rows & not_taken, f.component, f.reason, theirs=theirs) for f in faults]
    found += _attributes_of_refused_classes(theirs, sent, not_taken & known, faults)
    with_sent = unexpected.with_sent_values(theirs, _sent(theirs, base, REMOTE.names), faults)
    as_returned = np.isin(case, [Routing.TAKEN, Routing.NOT_ALLOWED])
    labels = [
        with_sent.filter(pa.array(case == Routing.SENT_VALUES)),
        theirs.filter(pa.array(as_returned)),
        _added(theirs, case == Routing.ADDED, targets, known, base),
    ]
    rows = pa.concat_tables(unexpected.listed(theirs, fault) for fault in faults)
    return Routed(pa.concat_tables(labels), rows, pa.concat_tables(found), refused)


def _sent(theirs: pa.Table, base: pa.Table, columns: Iterable[str]) -> pa.Table:
    """What was sent of each label; null where it is new."""
    return base.select(list(columns)).take(theirs[BASE_ROW.name])


def _rows_with(faults: Sequence[Fault], *components: str) -> Bools:
    """The labels with a fault in one of the components; in any component, if none is given."""
    chosen = (fault.rows for fault in faults if not components or fault.component in components)
    return any_of(chosen, len(faults[0].rows))


def _classify(
    theirs: pa.Table, faults: Sequence[Fault], targets: list[str | None], known: Bools, schema: LabelSchema
) -> Ints:
    """The ``Routing`` of each label; see the table there."""
    other_type = _rows_with(faults, "type")
    taken = np.array([target is not None for target in targets]) & _rows_with(faults)
    closed = [spec.name for spec in schema.fields.values() if not spec.flags.allow_additions]
    takes_additions = ~as_mask(pc.is_in(theirs["field"], value_set=pa.array(closed, pa.string())))
    is_addition = ~known | other_type  # a known label of another type is deleted, and added as what it is now
    table = [
        (~taken & ~known & _rows_with(faults, "type", "label"), Routing.LEFT_OUT),
        (taken & ~is_addition, Routing.TAKEN),
        (taken & is_addition & takes_additions, Routing.ADDED),
        (taken & ~known & ~takes_additions, Routing.NOT_ALLOWED),
    ]
    return np.select([where for where, _ in table], [int(case) for _, case in table], int(Routing.SENT_VALUES))


def _added(theirs: pa.Table, where: Bools, targets: list[str | None], known: Bools, base: pa.Table) -> pa.Table:
    """New labels of the chosen fields. Known ones, whose type changed, get an id of their own."""
    chosen = [target for target, is_added in zip(targets, where, strict=True) if is_added]
    rows = set_field(theirs.filter(pa.array(where)), pa.array(chosen, pa.string()))
    known = known[where]
    if not known.any():
        return rows
    # Names of four parts, which no name of ``match`` has. Copies of a label have the same remote id, so its own id is a part.
    names = ids.join_columns(*(as_array(rows[name]) for name in ("remote_id", "sample_id", "kind", "label_id")))
    new = ids.derive(base["run_id"][0].as_py(), names)
    label_ids = pc.if_else(pa.array(known), new, rows["label_id"].combine_chunks())
    rows = set_columns(rows, **{BASE_ROW.name: None})
    return rows.set_column(0, rows.schema.field("label_id"), label_ids)


def _targets(choice: Choice, theirs: pa.Table, faults: Sequence[Fault], schema: LabelSchema) -> list[str | None]:
    """The field that is chosen for each unexpected label; ``None`` to leave it out. Those of expected labels mean nothing."""
    if choice == "keep":
        other_type, by_type = _rows_with(faults, "type"), named_after_type(theirs)
        kept: list[str | None] = pc.if_else(pa.array(other_type), by_type, as_array(theirs["field"])).to_pylist()
        return kept
    if isinstance(choice, str):
        return [None] * theirs.num_rows
    is_unexpected = _rows_with(faults)
    rows = theirs.filter(pa.array(is_unexpected))
    if callable(choice):
        given = list(choice(rows) or [])
        if len(given) != rows.num_rows:
            raise InvalidOption(
                f"The callable given as unexpected= answered {len(given)} names for {rows.num_rows} labels; "
                "return one for each, or None."
            )
    else:
        given = [choice.get(KIND_TYPES.get(kind, kind)) for kind in rows["kind"].to_pylist()]
    _check_targets(set(zip(given, rows["kind"].to_pylist(), strict=True)), schema)
    targets: list[str | None] = [None] * theirs.num_rows
    for row, target in zip(np.flatnonzero(is_unexpected), given, strict=True):
        targets[int(row)] = target
    return targets


def _check_targets(pairs: Iterable[tuple[object, str]], schema: LabelSchema) -> None:
    """Raise ``InvalidOption`` for a chosen field that is not a field name, or that the schema has for another kind."""
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


def _attributes_of_refused_classes(
    theirs: pa.Table, sent: pa.Table, where: Bools, faults: Sequence[Fault]
) -> Iterator[pa.Table]:
    """Findings for attributes that the tool changed together with a class that is not taken."""
    where = where & _rows_with(faults, "label")
    if not where.any():
        return
    for name in sorted(attributes.names(theirs["attributes"]) | attributes.names(sent["attributes"])):
        same = equal_rows(attributes.values(theirs["attributes"], name), attributes.values(sent["attributes"], name))
        reason = "came with a class that is not taken over"
        yield findings.of(theirs, where & ~same, ATTRIBUTE_PREFIX + name, reason, base=sent, theirs=theirs)
