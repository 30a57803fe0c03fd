"""Verdicts: what people decided about the rows of a merge, and what follows for the sides of the merge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes, ids
from ..arrays import Bools, Ints, any_of, as_array, equal, replace_values, set_columns, take_rows
from ..labels import ATTRIBUTE, ATTRIBUTE_PREFIX
from ..review.decisions import BASE, BOTH, DECIDED, LEAVE, OURS, REFUSE, STALE, VALUE, VERDICTS
from ..review.values import EXISTENCE
from ..rows import attribute
from .output import TaskNames
from .patch import with_components
from .policy import Policy
from .proposed import PROPOSED, Review, propose
from .restrict import Allowed, refuse
from .sides import Sides

_KEPT = {BASE: "the value before was chosen", VALUE: "another value was chosen", BOTH: "both are kept"}


class Verdicts:
    """What is decided about the rows of a merge, by component."""

    def __init__(self, size: int, proposed: pa.Table, rows: Ints, leaves: bool) -> None:
        self._size = size
        self.proposed = proposed
        undecided = LEAVE if leaves else pc.if_else(pc.equal(proposed["proposal"], LEAVE), LEAVE, None)
        verdicts = pc.if_else(_in_force(proposed), proposed["verdict"], undecided)
        verdicts = pc.if_else(pc.equal(proposed["state"], STALE), LEAVE, verdicts)  # nobody saw it as it is now
        self._rows: dict[str, tuple[Ints, pa.Table]] = {}
        table = proposed.select(["component", "value", "by", "note"]).append_column("verdict", verdicts)
        for component in pc.unique(table["component"]).to_pylist():
            at = pc.equal(table["component"], component)
            self._rows[component] = rows[at.to_numpy()], table.filter(at)

    @classmethod
    def none(cls, size: int) -> Verdicts:
        """No verdicts about any of ``size`` rows."""
        return cls(size, PROPOSED.empty_table(), np.zeros(0, np.int64), leaves=False)

    def where(self, component: str, *verdicts: str) -> Bools:
        """The rows of the merge at which one of the verdicts is given."""
        out = np.zeros(self._size, bool)
        if component in self._rows:
            rows, table = self._rows[component]
            out[rows[pc.is_in(table["verdict"], value_set=pa.array(verdicts)).to_numpy()]] = True
        return out

    def given(self, component: str) -> Iterator[tuple[int, dict[str, str | None]]]:
        """Row, and verdict, value, by and note, of what is decided about a component."""
        rows, table = self._rows.get(component, (np.zeros(0, np.int64), self.proposed.slice(0, 0)))
        for row, decision in zip(rows.tolist(), table.to_pylist(), strict=True):
            if decision["verdict"] not in (None, LEAVE):
                yield row, decision

    def theirs_wins(self, component: str, by_policy: bool) -> Bools:
        """Where a conflict is decided for the tool, or for a value that is not ours; elsewhere the policy decides."""
        taken = self.where(component, *(v for v in VERDICTS if v != OURS))
        return taken | (np.full(self._size, by_policy) & ~self.where(component, OURS, LEAVE))

    def values(self, component: str) -> dict[int, str | None]:
        """Row → JSON text of the value that was given."""
        return {row: d["value"] for row, d in self.given(component) if d["verdict"] == VALUE}

    def refused(self, component: str) -> tuple[Bools, pa.Array]:
        """The rows at which a component is refused, and who did so, as a reason for each row of the merge."""
        rows = self.where(component, REFUSE)
        if not rows.any():
            return rows, pa.nulls(self._size, pa.string())
        reasons = np.full(self._size, None, object)
        for row, given in self.given(component):
            reasons[row] = _by("refused", given)
        return rows, pa.array(reasons, pa.string())

    def outcomes(self, component: str, kept: npt.NDArray[np.str_]) -> pa.Array:
        """How a conflict ends, as a text for each row of the merge; ``kept`` are the texts where nobody decided."""
        texts = kept.astype(object)
        for row, given in self.given(component):
            verdict = given["verdict"] or ""
            texts[row] = _by(_KEPT.get(verdict, f"{verdict} was chosen"), given)
        return pa.array(texts, pa.string())


def verdicts_of(
    review: Review, sides: Sides, case: Ints, edits: Mapping[str, tuple[Bools, Bools]], tasks: TaskNames, policy: Policy
) -> Verdicts:
    """The verdicts about what the tool proposes in a merge (see ``propose``)."""
    rows, proposed = propose(review, sides, case, edits, tasks, policy)
    return Verdicts(len(case), proposed, rows, review.undecided == LEAVE)


def _in_force(proposed: pa.Table) -> pa.ChunkedArray:
    return pc.and_(pc.equal(proposed["state"], DECIDED), pc.is_null(proposed["problem"]))


def _by(text: str, decision: dict[str, str | None]) -> str:
    """A text with who decided, and the note."""
    who = f"{text} by {decision['by']}" if decision["by"] else f"{text} in the review"
    return f"{who}: {decision['note']}" if decision["note"] else who


def restrict_to(verdicts: Verdicts, allowed: Allowed, sides: Sides) -> Allowed:
    """The changes that are neither refused nor left undecided, as far as labels come or go as a whole."""
    refused, reasons = verdicts.refused(EXISTENCE)
    stays = refused | verdicts.where(EXISTENCE, LEAVE)
    if not stays.any():
        return allowed
    names = ("label_id", "sample_id", "field")
    rows = pa.table({n: pc.coalesce(sides.base[n], sides.theirs[n]) for n in names})
    refuse(allowed, rows, refused, EXISTENCE, reasons)
    edit = {component: rows & ~stays for component, rows in allowed.edit.items()}
    return replace(allowed, add=allowed.add & ~stays, delete=allowed.delete & ~stays, edit=edit)


def choose_values(verdicts: Verdicts, sides: Sides, components: Iterable[str]) -> Sides:
    """The sides with the values that people chose in place of the tool's, where they chose the one before, or another."""
    from_base = {c: rows for c in components if (rows := verdicts.where(c, BASE)).any()}
    given = {c: values for c in components if (values := verdicts.values(c))}
    if not from_base and not given:
        return sides
    exact = with_components(sides.exact, sides.base, from_base)
    for component, values in given.items():
        exact = _with_values(exact, component, values)
    chosen = any_of(
        [*from_base.values(), *(_at(values, len(sides.here)) for values in given.values())], len(sides.here)
    )
    # What is written is not what the tool has, so the next load compares our value with the tool's.
    return sides._replace(exact=exact, differs_here=sides.differs_here | chosen)


def _with_values(rows: pa.Table, component: str, values: dict[int, str | None]) -> pa.Table:
    """``rows`` with new values (JSON text) of a class, the value of a scalar, or an attribute, in some rows."""
    at = np.array(list(values))
    if component.startswith(ATTRIBUTE_PREFIX):
        name = component.removeprefix(ATTRIBUTE_PREFIX)
        new = pa.array([attribute(name, json.loads(v or "null")) for v in values.values()], ATTRIBUTE)
        column = replace_values(pa.nulls(rows.num_rows, ATTRIBUTE), at, new)
        return set_columns(
            rows, attributes=attributes.replace(rows["attributes"], {name: (_at(values, rows.num_rows), column)})
        )
    texts, is_scalar = list(values.values()), equal(rows["kind"], "scalar")[at]
    classes = [json.loads(texts[n] or "null") for n in np.flatnonzero(~is_scalar)]
    chosen = {
        "value": (is_scalar, pa.array(texts).filter(pa.array(is_scalar))),
        "label": (~is_scalar, pa.array(classes)),
    }
    for name, (where, new) in chosen.items():
        rows = set_columns(rows, **{name: replace_values(as_array(rows[name]), at[where], new.cast(pa.string()))})
    return rows


def _at(values: dict[int, str | None], size: int) -> Bools:
    rows = np.zeros(size, bool)
    rows[list(values)] = True
    return rows


def keep_both(verdicts: Verdicts, allowed: Allowed, sides: Sides, run_id: str) -> tuple[Allowed, Sides]:
    """The sides with the tool's label as one of its own, with a new id, where both of two labels are to be kept."""
    both = verdicts.where(EXISTENCE, BOTH)
    if not both.any():
        return allowed, sides
    at = np.flatnonzero(both)
    label_ids = as_array(sides.theirs["label_id"])
    new = ids.derive(run_id, ids.join_columns(pa.repeat("both", len(at)), label_ids.take(pa.array(at))))
    label_ids = replace_values(label_ids, at, new)
    theirs, exact = (set_columns(rows, label_id=label_ids) for rows in (allowed.theirs, sides.exact))
    ours = take_rows(sides.ours, np.where(both, -1, np.arange(len(both))))
    changed = {component: rows & ~both for component, rows in sides.changed_here.items()}
    sides = sides._replace(
        theirs=theirs, exact=exact, ours=ours, here=sides.here & ~both, changed_here=changed,
        differs_here=sides.differs_here & ~both, changed_locally=sides.changed_locally & ~both,
    )  # fmt: skip
    return replace(allowed, theirs=theirs), sides
