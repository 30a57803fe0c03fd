"""The changes that the tool proposes, before anybody decides about them: a row for each label and component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import ids
from ..arrays import Bools, Ints, as_array, as_mask, set_columns
from ..review import decisions, legal
from ..review.decisions import ACCEPT, LEAVE, OPEN
from ..review.values import EXISTENCE, SIDE, as_side, bound_to, texts
from ..schema import LabelSchema
from .cases import Case
from .disputed import DISPUTES, reasons
from .output import TaskNames
from .policy import Policy
from .sides import Sides, with_all_attributes

_DECIDED = ("state", "verdict", "value", "by", "note")
PROPOSED = pa.schema(
    [
        pa.field("change_id", pa.string()),
        pa.field("task", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("label_id", pa.string()),
        pa.field("component", pa.string()),  # existence | label | spatial | index | attributes.NAME
        # add | edit | delete; conflicts: add/add | edit/edit | edit/delete | delete/edit
        pa.field("kind", pa.string()),
        pa.field("proposal", pa.string()),  # what happens if nobody decides: accept | theirs | ours | leave
        pa.field("dispute", pa.string()),  # why it is left unless somebody accepts it; null where it is not
        pa.field("base", SIDE),
        pa.field("ours", SIDE),
        pa.field("theirs", SIDE),
        *(decisions.STATES.field(name) for name in _DECIDED),
        pa.field("problem", pa.string()),  # why the verdict cannot be carried out, as a sentence
    ]
)
_KINDS = {
    Case.ADD: "add", Case.ADDED_DIFFERENTLY: "add/add", Case.EDITED_AND_DELETED: "edit/delete", Case.DELETE: "delete",
    Case.DELETED_AND_EDITED: "delete/edit",
}  # fmt: skip


class Review(NamedTuple):
    """What people decided about the changes of a run, and what happens to those that nobody decided about."""

    run_id: str
    decisions: pa.Table  # DECISIONS, the oldest first
    recorded: int  # how many of them, from the first on, are of earlier loads
    undecided: str  # a member of UNDECIDED
    schema: LabelSchema  # of the run, with the destinations of its fields; verdicts with a value must fit it
    fields: frozenset[str] = frozenset()  # fields whose changes are not reviewed, as they go to another field
    is_of_push: bool = False  # the changes are those of the dataset: they have ids of their own, and fewer verdicts
    disputes: pa.Table = DISPUTES.empty_table()  # changes that are left unless somebody accepts them

    def without(self, fields: frozenset[str]) -> Review:
        """The same for all fields but these."""
        return self._replace(fields=fields)


def propose(
    review: Review, sides: Sides, case: Ints, edits: Mapping[str, tuple[Bools, Bools]], tasks: TaskNames, policy: Policy
) -> tuple[Ints, pa.Table]:
    """What the tool proposes in a merge: ``PROPOSED``, and the row of the merge that each proposal is about.

    Args:
        review: the decisions.
        sides: the labels that the tool changed.
        case: the ``Case`` of each, before anybody decides.
        edits: component → the rows at which it would be edited, and those at which it was changed here too.
        tasks: the task of each sample.
        policy: who wins a conflict that nobody decides.
    """
    found = [(np.flatnonzero(case == kind_of), EXISTENCE, name) for kind_of, name in _KINDS.items()]
    for component, (edited, changed_here) in edits.items():
        edited = edited & (case == Case.EDIT)
        found.append((np.flatnonzero(edited & ~changed_here), component, "edit"))
        found.append((np.flatnonzero(edited & changed_here), component, "edit/edit"))
    rows = np.concatenate([at for at, _, _ in found])
    sizes = [len(at) for at, _, _ in found]
    components, kinds = (np.repeat([part[n] for part in found], sizes) for n in (1, 2))
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    kind = pa.array(kinds[order], pa.string())
    at = pa.array(rows)
    base, theirs, ours = (side.take(at) for side in (with_all_attributes(sides.base), sides.exact, sides.ours))
    columns = {n: as_array(pc.coalesce(base[n], theirs[n])) for n in ("label_id", "sample_id")}
    columns["field"] = as_array(pc.coalesce(ours["field"], base["field"], theirs["field"]))  # labels may be moved here
    in_tool = pc.coalesce(base["sample_id"], theirs["sample_id"])
    component = pa.array(components[order], pa.string())
    what = "push" if review.is_of_push else "change"
    dispute = reasons(review.disputes, columns["label_id"], component)
    default = pc.if_else(legal.are_conflicts(kind), policy.winners(component), ACCEPT)
    columns |= {
        "change_id": change_ids(review.run_id, columns["label_id"], component, what), "task": tasks.of(in_tool),
        "component": component, "kind": kind, "proposal": pc.if_else(dispute.is_valid(), LEAVE, default), "dispute": dispute,
        "base": as_side(base, base["label_id"].is_valid().to_numpy()),
        "ours": as_side(ours, sides.here[rows]),
        "theirs": as_side(theirs, theirs["kind"].is_valid().to_numpy()),
    }  # fmt: skip
    arrays = [columns.get(f.name, pa.nulls(len(rows), f.type)) for f in PROPOSED]
    table = pa.Table.from_arrays(arrays, schema=PROPOSED)
    reviewed = pc.invert(pc.is_in(table["field"], value_set=pa.array(sorted(review.fields), pa.string())))
    return rows[reviewed.to_numpy()], _with_states(table.filter(reviewed), review)


def change_ids(run_id: str, label_ids: pa.Array, components: pa.Array, what: str = "change") -> pa.Array:
    """The id of each change: the same in every plan of the run for ``what``."""
    return ids.derive(run_id, ids.join_columns(pa.repeat(what, len(label_ids)), label_ids, components))


def _with_states(proposed: pa.Table, review: Review) -> pa.Table:
    """With what is decided. What there is to look at is hashed only where somebody decided."""
    about = pc.is_in(review.decisions["change_id"], value_set=as_array(proposed["change_id"]))
    of_task = review.decisions.filter(about).combine_chunks()
    recorded = int(as_mask(about)[: review.recorded].sum())
    known = pc.is_in(proposed["change_id"], value_set=as_array(of_task["change_id"]))
    subject = proposed.filter(known)
    found = decisions.states(subject["change_id"], bindings(subject), of_task, recorded)
    # What a load refused earlier, and what changed since, is open again. A stale decision of now says that nobody saw it as it is.
    given = pc.is_in(subject["change_id"], value_set=as_array(of_task["change_id"].slice(recorded)))
    is_open = pc.and_(pc.equal(found["state"], decisions.STALE), pc.invert(given))
    found = set_columns(found, state=pc.if_else(is_open, OPEN, found["state"]))
    verdict, among = as_array(found["verdict"]), legal.OF_PUSHES if review.is_of_push else decisions.VERDICTS
    if not review.is_of_push:
        verdict = legal.fitting(verdict, as_array(subject["kind"]))
    in_force = pc.if_else(pc.equal(found["state"], decisions.DECIDED), verdict, None)
    problems = legal.problems(subject, in_force, as_array(found["value"]), review.schema, among)
    columns = {
        **{name: found[name] for name in _DECIDED},
        "verdict": verdict,
        "problem": pa.array(problems, pa.string()),
    }
    index = pc.index_in(as_array(proposed["change_id"]), value_set=as_array(subject["change_id"]))
    for name, column in columns.items():
        proposed = proposed.set_column(proposed.column_names.index(name), PROPOSED.field(name), column.take(index))
    return set_columns(proposed, state=pc.fill_null(proposed["state"], OPEN))


def bindings(proposed: pa.Table) -> pa.Array:
    """What there is to look at of each change, as a hash."""
    sides = (texts(proposed[name], proposed["component"]) for name in ("base", "ours", "theirs"))
    return bound_to(as_array(proposed["kind"]), *sides)
