"""Merge: the three-way reconciliation of one task, as a pure function.

    base    what was sent, as the tool gave it back untouched, or as the last load left it
    theirs  what the tool has now
    ours    what the dataset has now

A label changed on one side takes that side; changed on both in different components, it takes both. Where both changed the
same component, ``conflicts`` decides, and the conflict is listed either way. A label that was deleted in the tool and differs
here from what was sent in any respect is such a conflict too. What is refused or lost stays out of the new baseline, so that the
next plan shows it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, any_of, as_array, as_mask, equal
from ..checks import validate
from ..compare import equal_rows
from ..labels import BASELINE, COMPONENTS, LABELS, LOCAL, conform
from ..schema import LabelSchema
from . import findings, single_label
from .diff import PREFIX, Changes, components_differ, diff, take
from .findings import FINDINGS
from .precision import keep_unchanged
from .restrict import Restricted

CHANGE_COLUMNS = [
    pa.field("action", pa.string()),
    pa.field("components", pa.list_(pa.string())),
]  # components of an edit; null: all
WRITES = pa.schema([*LABELS, *CHANGE_COLUMNS])
# What a write replaces: the label as it was, and where its row lies (null payload: it was not there).
BEFORE = pa.schema(
    [
        *(f.with_nullable(True) for f in LABELS),
        *CHANGE_COLUMNS,
        pa.field("task", pa.string()),
        pa.field("_rowaddr", pa.uint64()),
        pa.field("_rowid", pa.uint64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance that a load writes."""

    run: str
    run_id: str
    task: str
    load: int
    tool: str
    time: datetime
    versions: Mapping[int, int]  # of each load's part of the baseline: the version of ``labels`` that it stands for


@dataclass(frozen=True, slots=True)
class Wording:
    """What the reasons of conflicts say. The sides of a load are the tool and the dataset; those of an undo are others."""

    both_changed: str = "changed here and in the tool"
    deleted_there: str = "changed here and deleted in the tool"
    deleted_here: str = "deleted here and edited in the tool"
    present: str = "the same label is here with other values"
    kept: str = "{policy} is kept"


@dataclass(frozen=True, slots=True)
class Merged:
    """What one task comes to. ``writes`` are rows to put, ``before`` the rows they replace or delete."""

    writes: pa.Table  # WRITES
    before: pa.Table  # BEFORE
    baseline: pa.Table  # BASELINE
    refused: pa.Table  # FINDINGS
    conflicts: pa.Table  # FINDINGS


def merge(
    base: pa.Table, theirs: pa.Table, ours: pa.Table, returned: pa.Array,
    schema: LabelSchema, single: Collection[str], policy: str, stamp: Provenance, wording: Wording | None = None,
) -> Merged:  # fmt: skip
    """Merge one task. ``base`` is ``BASELINE``; ``theirs`` is ``REMOTE``, matched and routed; ``ours`` is ``LABELS`` with
    ``_rowaddr``. ``single`` names the fields of one label per sample, which may be more than those of ``schema``: what
    was let in already comes without one. ``policy`` is ``theirs`` or ``ours`` (``fail`` is for the caller, who sees
    ``conflicts``); ``wording`` is that of a load by default.
    """
    changes = diff(base, theirs, returned)
    return _Reconciliation(
        changes, Restricted(changes, schema), ours, single, policy, stamp, wording or Wording()
    ).result()


class _Reconciliation:
    """Holds the aligned sides while they are reconciled. Rows of every array are the changes, in one order."""

    def __init__(
        self,
        changes: Changes,
        restricted: Restricted,
        ours: pa.Table,
        single: Collection[str],
        policy: str,
        stamp: Provenance,
        wording: Wording,
    ) -> None:
        self.c, self.r, self.policy, self.stamp, self.wording = changes, restricted, policy, stamp, wording
        self.everyone, self.single = ours, pa.array(single, pa.string())
        self.base, self.theirs = changes.base, restricted.theirs
        ids = pc.coalesce(self.base["label_id"], self.theirs["label_id"])
        place = pc.index_in(ids, value_set=ours["label_id"].combine_chunks()).fill_null(-1).to_numpy()
        self.ours, self.here = take(ours, place), place >= 0
        self.conflicts: list[pa.Table] = []
        self.touched = touched = self.here & self._written_since()
        self.moved = components_differ(_whole(self.base), self.ours, touched)  # what we changed ourselves
        self.edit = changes.in_base & changes.in_theirs
        # What is written has the bits of ours where the tool changed nothing; the baseline has what the tool says.
        moved = changes.edited.get("spatial", np.zeros(len(changes), bool)) & self.here & ~self._moved("spatial")
        self.exact = keep_unchanged(self.theirs, changes.base, self.ours, moved & bool(restricted.schema.fields))
        self.new = changes.in_theirs & ~changes.in_base

    def _known(self, differ: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Less the attributes that were not sent: the tool says nothing about them."""
        return {
            component: rows
            for component, rows in differ.items()
            if not component.startswith(PREFIX) or self.r.knows(component.removeprefix(PREFIX))
        }

    def _written_since(self) -> np.ndarray:
        """Which of our rows somebody wrote since the baseline: by revision, and by the store for writers that keep none."""
        loads, numbers = self.base["load"].fill_null(0).to_numpy(), list(self.stamp.versions)
        known = np.zeros(max([0, *numbers]) + 1, np.uint64)
        known[numbers] = list(self.stamp.versions.values())
        updated = self.ours["_row_last_updated_at_version"].fill_null(0).to_numpy()
        since: Bools = ~equal(self.ours["rev"], self.base["rev"]) | (updated > known[loads])
        return since

    def result(self) -> Merged:
        edits, accepted = self._edits()
        gone, settled = self._deletions()
        known = self._patched(self.base, accepted)
        back = self._arrivals(known, self.edit & ~self.here & any_of(accepted.values(), len(self.c)), gone)
        met = self.r.add & self.here  # the tool's new label is here already: loaded before, or put back
        apart = self._known(components_differ(self.theirs, self.ours, met))
        self._conflict(any_of(apart.values(), len(self.c)), "existence", self.wording.present)
        if self.policy == "theirs":
            edits |= {name: rows | edits.get(name, False) for name, rows in apart.items()}
            apart = {}
        edited = any_of(edits.values(), len(self.c))
        self.written = edited | ~self.here
        writes = [
            self._edited(edits, edited),
            self._added(self.theirs, self.r.add & ~self.here),
            self._added(_whole(known), back),
        ]
        before = [
            self._before(edited, "edit", writes[0]["components"]),
            self._before(gone, "delete", pa.nulls(int(gone.sum()), pa.list_(pa.string()))),
            self._marks(writes[1:]),
        ]
        agreed = self.edit & any_of(accepted.values(), len(self.c)) & (self.here | back)
        baseline = [
            self._baseline(known, agreed, False),
            self._baseline(self.theirs, self.r.add & ~any_of(apart.values(), len(self.c)), False),
            self._baseline(self.base, settled, True),
        ]
        return Merged(
            pa.concat_tables(writes), pa.concat_tables(before), pa.concat_tables(baseline),
            pa.concat_tables([FINDINGS.empty_table(), *self.r.found]),
            pa.concat_tables([FINDINGS.empty_table(), *self.conflicts]),
        )  # fmt: skip

    def _edits(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Per component: at which rows the tool's value is written, and at which it is accepted (written, or equal)."""
        edits: dict[str, np.ndarray] = {}
        accepted: dict[str, np.ndarray] = {}
        both = self.edit & self.here
        differs = components_differ(self.exact, self.ours, both)
        none = np.zeros(len(self.c), bool)
        kept_class = none
        for component in sorted(self.r.allowed, key=lambda name: name != "label"):
            allowed = self.r.allowed[component]
            if component.startswith(PREFIX):  # tools reset the attributes when the class is changed
                self.r.refuse(self.theirs, allowed & kept_class, component, "came with a class that is not taken over")
                allowed = allowed & ~kept_class
            apart = differs.get(component, none)
            conflict = allowed & both & self.moved.get(component, none) & apart
            self._conflict(conflict, component, self.wording.both_changed)
            taken = allowed & ~conflict if self.policy == "ours" else allowed
            edits[component], accepted[component] = taken & both & apart, taken
            if component == "label" and self.r.schema.fields:
                kept_class = self.edit & ~taken & ~equal_rows(self.base["label"], self.theirs["label"])
        self._refuse_unstorable(edits, accepted)
        return edits, accepted

    def _refuse_unstorable(self, edits: dict[str, np.ndarray], accepted: dict[str, np.ndarray]) -> None:
        """Refuse the edits of labels that could not be stored with them, whatever each side is by itself."""
        at = np.flatnonzero(any_of(edits.values(), len(self.c)))
        if not self.r.schema.fields or not len(at):
            return
        wrong = validate.unstorable(patched(self.ours, self.exact, edits).take(pa.array(at)))
        if not wrong:
            return
        bad, reasons = np.zeros(len(self.c), bool), np.full(len(self.c), None, object)
        for row, sentence in wrong.items():
            bad[at[row]], reasons[at[row]] = True, f"cannot be stored with what was changed here: it {sentence}"
        for component in edits:
            self.r.refuse(self.theirs, edits[component] & bad, component, pa.array(reasons, pa.string()))
            edits[component], accepted[component] = edits[component] & ~bad, accepted[component] & ~bad

    def _arrivals(self, known: pa.Table, lost: np.ndarray, gone: np.ndarray) -> np.ndarray:
        """Which labels that were edited in the tool and deleted here (``lost``) are put back. An arrival, new or put
        back, that finds the one place of its sample taken is refused.
        """
        back = lost & (self.policy == "theirs")
        new = self.r.add & ~self.here
        coming = replaced(known.select([*single_label.COLUMNS]), self.theirs, single_label.COLUMNS, new)
        come = (new | back) & as_mask(pc.is_in(coming["field"], value_set=self.single))
        if come.any():
            leaving = pc.is_in(
                self.everyone["label_id"], value_set=as_array(self.ours["label_id"].filter(pa.array(gone)))
            )
            over = single_label.occupied(coming, come, self.everyone.filter(pc.invert(leaving)))
            self.r.refuse(self.theirs, over, "existence", "the field holds one label per sample, and there is one")
            self.r.add, lost, back = self.r.add & ~over, lost & ~over, back & ~over
        self._conflict(lost, "existence", self.wording.deleted_here)
        return back

    def _deletions(self) -> tuple[np.ndarray, np.ndarray]:
        """At which rows a label is deleted, and at which the deletion is settled (nothing left to delete, too)."""
        changed = any_of([*self.moved.values(), self._changed_locally()], len(self.c))
        conflict = self.r.delete & self.here & changed
        self._conflict(conflict, "existence", self.wording.deleted_there)
        settled = self.r.delete & ~conflict if self.policy == "ours" else self.r.delete
        return settled & self.here, settled

    def _changed_locally(self) -> np.ndarray:
        """Where we changed what no tool is asked about."""
        columns = [(self.base[name].combine_chunks(), self.ours[name].combine_chunks()) for name in LOCAL]
        changed: Bools = self.touched & any_of((~equal_rows(*pair) for pair in columns), len(self.c))
        return changed

    def _conflict(self, where: np.ndarray, component: str, reason: str) -> None:
        if where.any():
            sides = {"base": self.base, "ours": self.ours, "theirs": self.theirs}
            rows = pa.table({n: pc.coalesce(self.base[n], self.theirs[n]) for n in ("label_id", "sample_id", "field")})
            told = f"{reason}; {self.wording.kept.format(policy=self.policy)}"
            self.conflicts.append(findings.of(rows, where, component, told, **sides))

    def _patched(self, rows: pa.Table, taken: dict[str, np.ndarray]) -> pa.Table:
        return patched(rows, self.theirs, taken)

    def _moved(self, component: str) -> Bools:
        found: Bools = self.moved.get(component, np.zeros(len(self.c), bool))
        return found

    def _edited(self, edits: dict[str, np.ndarray], where: np.ndarray) -> pa.Table:
        rows = replaced(patched(self.ours, self.exact, edits), self.theirs, ["annotator", "time"], where)
        rows = self._stamped(rows.filter(pa.array(where)))
        return _with(rows, action=pa.repeat("edit", rows.num_rows), components=_component_lists(edits, where))

    def _added(self, rows: pa.Table, where: np.ndarray) -> pa.Table:
        rows = self._stamped(rows.filter(pa.array(where)))
        return _with(
            rows, action=pa.repeat("add", rows.num_rows), components=pa.nulls(rows.num_rows, pa.list_(pa.string()))
        )

    def _stamped(self, rows: pa.Table) -> pa.Table:
        """Provenance, and the revision: one more than it was, or 1."""
        rows = rows.select(LABELS.names)
        rev = pc.add(pc.max_element_wise(rows["rev"], 0), 1)
        stamp = self.stamp
        return _set(
            conform(rows.drop_columns(["run", "tool", "rev"]), LABELS, run=stamp.run, tool=stamp.tool, rev=0),
            rev=rev,
            time=pc.fill_null(rows["time"], stamp.time),
        )

    def _before(self, where: np.ndarray, action: str, components: pa.Array | pa.ChunkedArray) -> pa.Table:
        rows = self.ours.filter(pa.array(where)).select([*LABELS.names, "_rowaddr", "_rowid"])
        return conform(rows.append_column(CHANGE_COLUMNS[1], components), BEFORE, action=action, task=self.stamp.task)

    def _marks(self, added: list[pa.Table]) -> pa.Table:
        """An addition replaces nothing; its mark says which label to take back."""
        rows = pa.concat_tables(added).select(["label_id", "sample_id", "field", "kind", "rev"])
        return conform(rows, BEFORE, action="add", task=self.stamp.task)

    def _baseline(self, rows: pa.Table, where: np.ndarray, gone: bool) -> pa.Table:
        keep = pa.array(where)
        stamp = self.stamp
        rev = pc.coalesce(self.ours["rev"], self.base["rev"], self.theirs["rev"], pa.scalar(0, pa.int64()))
        equal_to = np.where(self.here & self.touched, -1, np.maximum(rev.to_numpy(), 0) + self.written)
        remote = pc.coalesce(self.base["remote_id"], self.theirs["remote_id"]).filter(keep)
        names = [n for n in (*LABELS.names, "unsent") if n in rows.column_names and n != "rev"]
        mine = {"run_id": stamp.run_id, "task": stamp.task, "load": stamp.load, "gone": gone}
        rows = conform(rows.filter(keep).select(names), BASELINE, rev=0, remote_id="", **mine)
        return _set(rows, rev=pa.array(equal_to[where]), remote_id=remote)


def _whole(base: pa.Table) -> pa.Table:
    """A baseline with the attributes that were not sent among the others."""
    if base["unsent"].null_count == base.num_rows:
        return base
    both = [attributes.flattened(base[name]) for name in ("attributes", "unsent")]
    rows, values = np.concatenate([rows for rows, _ in both]), pa.concat_arrays([values for _, values in both])
    column = attributes.build(rows, values, base.num_rows)
    return base.set_column(base.column_names.index("attributes"), base.schema.field("attributes"), column)


def patched(rows: pa.Table, other: pa.Table, taken: dict[str, np.ndarray]) -> pa.Table:
    """``rows`` with components of ``other`` (aligned with it), each at the rows where it is taken."""
    changes = {}
    for component, where in taken.items():
        if component.startswith(PREFIX):
            name = component.removeprefix(PREFIX)
            changes[name] = (where, attributes.column(other["attributes"], name))
        elif where.any():
            rows = replaced(rows, other, COMPONENTS[component], where)
    if changes:
        column = attributes.replace(rows["attributes"], changes)
        rows = rows.set_column(rows.column_names.index("attributes"), "attributes", column)
    return rows


def replaced(rows: pa.Table, other: pa.Table, columns: Iterable[str], where: np.ndarray) -> pa.Table:
    """``rows`` with some columns of ``other`` at some rows."""
    pick = pa.array(np.arange(len(where)) + np.where(where, len(where), 0))
    for name in columns:
        both = pa.chunked_array([*rows[name].chunks, *other[name].chunks], rows[name].type)
        rows = rows.set_column(rows.column_names.index(name), name, both.take(pick))
    return rows


def _component_lists(edits: dict[str, np.ndarray], where: np.ndarray) -> pa.Array:
    """The names of the components that were written, as a list for each row of ``where``."""
    at = [np.flatnonzero(rows[where]) for rows in edits.values()]
    rows = np.concatenate([*at, np.zeros(0, np.int64)]).astype(np.int64)
    codes = np.repeat(np.arange(len(edits)), [len(a) for a in at])
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=int(where.sum())))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(list(edits), pa.string()).take(pa.array(codes[order])))


def _set(table: pa.Table, **columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    for name, column in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(at), column)
    return table


def _with(rows: pa.Table, **columns: pa.Array) -> pa.Table:
    return pa.Table.from_arrays([*rows.columns, *columns.values()], schema=WRITES)
