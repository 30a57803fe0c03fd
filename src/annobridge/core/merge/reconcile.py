"""The merge of some tasks: the tool's changes reconciled with what the dataset has now. A pure function of three tables.

    base    what was sent, as the tool returned it before anybody worked on it, or as the last load left it
    theirs  what the tool has now
    ours    what the dataset has now

A label changed on one side takes that side; changed on both in different components, it takes both. Where both changed the
same component, the policy decides, and the conflict is listed either way. ``cases.Case`` has the table of all cases. What is
refused, or kept against the tool, stays out of the new baseline, so that the next plan shows it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, any_of, as_array, as_mask, take_rows
from ..checks import validate
from ..compare import equal_rows
from ..labels import ATTRIBUTE_PREFIX
from ..review.decisions import BOTH, LEAVE
from ..schema import LabelSchema
from . import findings, single_label
from .cases import Case, Decisions, classify, decide
from .diff import Changes, components_differ, diff
from .findings import FINDINGS
from .output import Merged, Provenance, RowBuilder, TaskNames
from .patch import with_columns, with_components
from .policy import Policy
from .proposed import PROPOSED, Review
from .restrict import Allowed, refuse, restrict, was_sent
from .sides import Sides, align, with_all_attributes
from .verdicts import Verdicts, choose_values, keep_both, restrict_to, verdicts_of


@dataclass(frozen=True, slots=True)
class Wording:
    """The reasons of conflicts. The sides of a load are the tool and the dataset; an undo has other ones."""

    both_changed: str = "changed here and in the tool"
    deleted_there: str = "changed here and deleted in the tool"
    deleted_here: str = "deleted here and edited in the tool"
    present: str = "the same label is here with other values"
    theirs_kept: str = "theirs is kept"
    ours_kept: str = "ours is kept"


def merge(
    base: pa.Table, theirs: pa.Table, ours: pa.Table, returned: pa.Array,
    schema: LabelSchema, single: Collection[str], policy: Policy, provenance: Provenance, wording: Wording | None = None,
    review: Review | None = None, overhang: bool = False,
) -> Merged:  # fmt: skip
    """Merge tasks, no two of which have one label: diff, restrict, apply what people decided, classify each label once, then act
    by case.

    Args:
        base: ``BASELINE``, what both sides started from.
        theirs: ``REMOTE`` and ``BASE_ROW``, matched and routed.
        ours: ``OURS``, the labels of the dataset with the address and version of each row.
        returned: the ids of the samples that the tool returned; labels of others are not deleted.
        schema: its restrictions apply; one without fields restricts nothing.
        single: the fields that hold one label per sample. They may be more than those of ``schema``.
        policy: who wins a conflict. (For ``fail``, the caller looks at ``conflicts``.)
        provenance: what is written into ``run``, ``tool`` and ``time``, and into the baseline.
        wording: the reasons of conflicts; those of a load by default.
        review: what people decided about the changes; without it, ``proposed`` stays empty.
        overhang: whether shapes that lie over the border of their image are taken as they are.
    """
    changes = diff(base, theirs, returned)
    allowed = restrict(changes, schema, overhang)
    sides = align(changes, allowed, ours, provenance.versions, schema)
    differs = components_differ(sides.exact, sides.ours, any_of(allowed.edit.values(), len(changes)) & sides.here)
    verdicts = _verdicts(review, changes, allowed, sides, differs, schema, provenance.tasks, policy)
    conflicts = _Conflicts(sides, policy, wording or Wording(), verdicts)
    allowed = restrict_to(verdicts, allowed, sides)
    conflicts.add(verdicts.where("existence", BOTH), "existence", conflicts.wording.present)
    proposed = sides
    allowed, sides = keep_both(verdicts, allowed, sides, provenance.run_id)
    sides = choose_values(verdicts, sides, allowed.edit)
    written = differs
    if sides is not proposed:  # other values were chosen than the tool's
        edited = any_of(allowed.edit.values(), len(changes))
        written = components_differ(sides.exact, sides.ours, edited & sides.here)
    edits = merge_components(sides, allowed, schema, conflicts, differs, written, verdicts)
    if schema.fields:
        _refuse_unstorable(edits, sides, allowed, overhang)
    case, different = _cases(changes, allowed, sides, edits.accepted, schema)
    theirs_wins = verdicts.theirs_wins("existence", policy.theirs_wins("existence"))
    accepted_base = with_components(sides.base, sides.theirs, edits.accepted)
    case = _refuse_occupied(case, sides, accepted_base, ours, single, theirs_wins, allowed)
    for conflict, reason in (
        (Case.ADDED_DIFFERENTLY, conflicts.wording.present),
        (Case.EDITED_AND_DELETED, conflicts.wording.deleted_here),
        (Case.DELETED_AND_EDITED, conflicts.wording.deleted_there),
    ):
        conflicts.add(case == conflict, "existence", reason)
    built = _build(
        case, decide(case, theirs_wins), sides, edits, different, accepted_base, provenance, allowed, conflicts
    )
    return replace(built, proposed=verdicts.proposed)


def _cases(
    changes: Changes, allowed: Allowed, sides: Sides, edits: Mapping[str, Bools], schema: LabelSchema
) -> tuple[np.ndarray, dict[str, Bools]]:
    """The ``Case`` of each label, with the edits that are made; and where a new label is here with other values, by component."""
    different = _of_sent_attributes(components_differ(sides.theirs, sides.ours, allowed.add & sides.here), schema)
    case = classify(
        add=allowed.add,
        edit=changes.on_both & any_of(edits.values(), len(changes)),
        delete=allowed.delete,
        here=sides.here,
        changed_here=any_of([*sides.changed_here.values(), sides.changed_locally], len(changes)),
        different=any_of(different.values(), len(changes)),
    )
    return case, different


def _verdicts(
    review: Review | None, changes: Changes, allowed: Allowed, sides: Sides, differs: Mapping[str, Bools],
    schema: LabelSchema, tasks: TaskNames, policy: Policy,
) -> Verdicts:  # fmt: skip
    """What people decided about each change that the tool proposes."""
    if review is None:
        return Verdicts.none(len(changes))
    case, _ = _cases(changes, allowed, sides, allowed.edit, schema)
    none = np.zeros(len(changes), bool)
    edits = {
        component: (permitted & differs.get(component, none), sides.changed_here.get(component, none))
        for component, permitted in allowed.edit.items()
    }
    return verdicts_of(review, sides, case, edits, tasks, policy)


class ComponentEdits(NamedTuple):
    """By component: at which rows the tool's value is accepted, and at which it differs from ours and is written."""

    accepted: dict[str, Bools]
    written: dict[str, Bools]


def merge_components(
    sides: Sides, allowed: Allowed, schema: LabelSchema, conflicts: _Conflicts, differs: Mapping[str, Bools],
    written: Mapping[str, Bools], verdicts: Verdicts,
) -> ComponentEdits:  # fmt: skip
    """Decide the edits of labels that both sides have, component by component.

    the tool's change   our change        result
    ------------------  ----------------  -------------------------------------
    refused             any               ours stays, and is not accepted
    allowed             none              theirs is written
    allowed             the same          accepted; there is nothing to write
    allowed             another           a conflict: the policy decides, or people did

    ``differs`` has the rows at which the tool's value is not ours, by component; ``written`` those at which the chosen one is not.
    """
    none = np.zeros(len(sides.here), bool)
    edited = any_of(allowed.edit.values(), len(none))
    edits = ComponentEdits({}, {})
    our_class_stays = none  # rows at which the class in the tool is not taken
    for component in sorted(allowed.edit, key=lambda name: name != "label"):  # the class first: attributes depend on it
        refused, reasons = verdicts.refused(component)
        permitted = allowed.edit[component] & ~verdicts.where(component, LEAVE)
        refuse(allowed, sides.theirs, permitted & refused, component, reasons)
        permitted = permitted & ~refused
        if component.startswith(ATTRIBUTE_PREFIX):  # tools reset the attributes when the class is changed
            reason = "came with a class that is not taken over"
            refuse(allowed, sides.theirs, permitted & our_class_stays, component, reason)
            permitted = permitted & ~our_class_stays
        conflict = permitted & differs.get(component, none) & sides.changed_here.get(component, none)
        conflicts.add(conflict, component, conflicts.wording.both_changed)
        accepted = permitted & (~conflict | verdicts.theirs_wins(component, conflicts.policy.theirs_wins(component)))
        edits.accepted[component], edits.written[component] = accepted, accepted & written.get(component, none)
        if component == "label" and schema.fields:
            class_edited = ~equal_rows(sides.base["label"], sides.theirs["label"])
            our_class_stays = edited & ~accepted & class_edited
    return edits


def _refuse_unstorable(edits: ComponentEdits, sides: Sides, allowed: Allowed, overhang: bool) -> None:
    """Refuse edits that together with our values would give a label that cannot be stored: ours may be of another kind."""
    size = len(sides.here)
    at = np.flatnonzero(any_of(edits.written.values(), size))
    if not len(at):
        return
    rows = take_rows(with_components(sides.ours, sides.exact, edits.written), at)
    wrong = validate.unstorable(validate.clip(rows) if overhang else rows)
    if not wrong:
        return
    is_wrong, reasons = np.zeros(size, bool), np.full(size, None, object)
    for row, sentence in wrong.items():
        is_wrong[at[row]], reasons[at[row]] = True, f"cannot be stored with what was changed here: it {sentence}"
    for component, written in edits.written.items():
        refuse(allowed, sides.theirs, written & is_wrong, component, pa.array(reasons, pa.string()))
        edits.written[component] = written & ~is_wrong
        edits.accepted[component] = edits.accepted[component] & ~is_wrong


def _refuse_occupied(
    case: np.ndarray, sides: Sides, accepted_base: pa.Table, ours: pa.Table,
    single: Collection[str], theirs_wins: Bools, allowed: Allowed,
) -> np.ndarray:  # fmt: skip
    """Refuse labels that would be the second one of their sample, in fields that hold one. Those that are deleted make room."""
    decisions, columns = decide(case, theirs_wins), single_label.COLUMNS
    rows = with_columns(accepted_base.select(columns), sides.theirs, columns, decisions.add)
    in_single = as_mask(pc.is_in(rows["field"], value_set=pa.array(single, pa.string())))
    arriving = (decisions.add | decisions.restore) & in_single
    if not arriving.any():
        return case
    deleted = as_array(sides.ours["label_id"].filter(pa.array(decisions.delete)))
    staying = ours.filter(pc.invert(pc.is_in(ours["label_id"], value_set=deleted)))
    occupied = single_label.occupied(rows, arriving, staying)
    reason = "the field holds one label per sample, and there is one"
    refuse(allowed, sides.theirs, occupied, "existence", reason)
    return np.where(occupied, int(Case.REFUSED), case)


class _Conflicts:
    """The conflicts found, and who wins them."""

    def __init__(self, sides: Sides, policy: Policy, wording: Wording, verdicts: Verdicts) -> None:
        self.policy, self.wording = policy, wording
        self.found: list[pa.Table] = []
        self._sides, self._verdicts = sides, verdicts

    def add(self, where: Bools, component: str, reason: str) -> None:
        if where.any():
            base, theirs, ours = self._sides.base, self._sides.theirs, self._sides.ours
            rows = pa.table({n: pc.coalesce(base[n], theirs[n]) for n in ("label_id", "sample_id", "field")})
            wins = self._verdicts.theirs_wins(component, self.policy.theirs_wins(component))
            ends = self._verdicts.outcomes(component, np.where(wins, self.wording.theirs_kept, self.wording.ours_kept))
            text = pc.binary_join_element_wise(reason, ends, "; ")
            self.found.append(findings.of(rows, where, component, text, base=base, ours=ours, theirs=theirs))


def _build(
    case: np.ndarray, decisions: Decisions, sides: Sides, edits: ComponentEdits, different: dict[str, Bools],
    accepted_base: pa.Table, provenance: Provenance, allowed: Allowed, conflicts: _Conflicts,
) -> Merged:  # fmt: skip
    """Turn decisions into rows: what is written, what that replaces, and the baseline of the next load."""
    is_edit = case == Case.EDIT
    components = {name: rows & is_edit for name, rows in edits.written.items()}
    for name, rows in different.items():
        components[name] = (rows & decisions.overwrite) | components.get(name, False)
    edited = any_of(components.values(), len(case))
    build = RowBuilder(sides, provenance)
    edited_rows = build.edited(components, edited)
    revision = build.revision(edited | ~sides.here)
    return Merged(
        writes=pa.concat_tables(
            [
                edited_rows,
                build.added(sides.theirs, decisions.add),
                build.added(with_all_attributes(accepted_base), decisions.restore),
            ]
        ),
        replaced=pa.concat_tables(
            [
                build.replaced(edited, "edit", edited_rows["components"]),
                build.replaced(
                    decisions.delete, "delete", pa.nulls(int(decisions.delete.sum()), pa.list_(pa.string()))
                ),
            ]
        ),
        baseline=pa.concat_tables(
            [
                build.baseline(accepted_base, is_edit | decisions.restore, revision, gone=False),
                build.baseline(sides.theirs, decisions.agreed, revision, gone=False),
                build.baseline(sides.base, decisions.settled, revision, gone=True),
            ]
        ),
        refused=pa.concat_tables([FINDINGS.empty_table(), *allowed.refused]),
        conflicts=pa.concat_tables([FINDINGS.empty_table(), *conflicts.found]),
        proposed=PROPOSED.empty_table(),
    )


def _of_sent_attributes(different: dict[str, Bools], schema: LabelSchema) -> dict[str, Bools]:
    """The components without the attributes that were not sent: the tool cannot have changed them."""
    return {
        component: rows
        for component, rows in different.items()
        if not component.startswith(ATTRIBUTE_PREFIX) or was_sent(component.removeprefix(ATTRIBUTE_PREFIX), schema)
    }
