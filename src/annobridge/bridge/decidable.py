"""What plans of loads and of pushes have in common: a table of changes, and the decisions of people about them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.did_you_mean import did_you_mean
from ..core.labels import conform
from ..core.review import decisions as deciding
from ..core.review import legal
from ..core.review.decisions import DECISIONS, VALUE, VERDICTS
from ..core.review.values import to_json
from ..core.schema import LabelSchema
from ..exceptions import InvalidOption
from ..processes import user_name
from ..store.run import Run
from ..store.select_rows import select_rows
from ..store.stores import Stores

_ALL = "all changes"  # the rule of decisions that no condition limits


class Decidable:
    """A plan about whose changes people decide, one by one or many at once."""

    _stores: Stores
    _given: pa.Table  # DECISIONS, those about this plan
    _verdicts: Collection[str] = VERDICTS  # that there are

    @property
    @abstractmethod
    def run(self) -> Run:
        """The run."""

    @property
    @abstractmethod
    def changes(self) -> pa.Table:
        """What would be changed, a row for each label and component (``annobridge.core.review.changes.CHANGES``)."""

    @property
    @abstractmethod
    def _schema(self) -> LabelSchema:
        """The fields, which values that people give must fit."""

    @cached_property
    def _standing(self) -> pa.Table:
        return self._stores.decisions.standing(self.run)

    @property
    def decisions(self) -> pa.Table:
        """The decisions that count for this plan, the oldest first: those of earlier loads that still hold, and the given ones."""
        return pa.concat_tables([self._standing, self._given]).combine_chunks()

    def states(self) -> pa.Table:
        """What is decided about each change, in the order of ``changes``: ``annobridge.core.review.decisions.STATES``."""
        table = self.changes
        recorded = self._standing.num_rows
        return deciding.states(table["change_id"], table["bound_to"], self.decisions, recorded)

    def decide(
        self,
        where: str | pc.Expression | None = None,
        verdict: str = "accept",
        value: Any = None,
        note: str = "",
        by: str | None = None,
    ) -> int:
        """Decide about changes, all or some. With what nobody decides about, happens what is proposed.

        Args:
            where: which: an SQL condition on the columns of ``changes``, as ``"kind = 'delete' AND label = 'car'"``, or an Arrow
                expression. All of them by default.
            verdict: ``"accept"`` or ``"refuse"``; of conflicts, ``"ours"``, ``"theirs"``, ``"base"`` or ``"both"``;
                ``"value"`` sets another class or attribute; ``"open"`` withdraws what was decided. The column ``choices``
                says which a change can get.
            value: for ``"value"``: a text, a number or a boolean.
            note: for the annotator, and for the record.
            by: who decides; the user of this computer by default.

        Returns:
            How many changes that is.

        Raises:
            InvalidOption: the verdict does not fit one of them, the value cannot be stored, or an argument is of another type.
                Nothing is decided then.
            StoreError: the condition cannot be run.
        """
        texts = {"verdict": verdict, "note": note, "by": by or ""}
        if wrong := [name for name, text in texts.items() if not isinstance(text, str)]:
            raise InvalidOption(f"{wrong[0]}={texts[wrong[0]]!r} is not a text; give one.")
        chosen = self.changes if where is None else select_rows(self.changes, where)
        rule = _ALL if where is None else str(where)
        constants = {
            "run_id": self.run.run_id, "verdict": verdict, "value": _json_of(value) if verdict == VALUE else None,
            "by": by or user_name() or "unknown", "at": datetime.now(UTC), "note": note, "rule": rule,
        }  # fmt: skip
        ids = {name: chosen[name] for name in ("change_id", "bound_to")}
        columns = {n: pa.repeat(pa.scalar(v, DECISIONS.field(n).type), chosen.num_rows) for n, v in constants.items()}
        self.add_decisions(pa.table([{**columns, **ids}[name] for name in DECISIONS.names], schema=DECISIONS))
        return int(chosen.num_rows)

    def add_decisions(self, decisions: pa.Table) -> None:
        """Add decisions (``DECISIONS``), as of a file. Raises ``InvalidOption`` if one does not fit, and then adds none."""
        decisions = require_of_run(decisions, self.run)
        at = pc.index_in(as_array(decisions["change_id"]), value_set=as_array(self.changes["change_id"]))
        known = decisions.filter(at.is_valid())
        about = self.changes.take(at.drop_null())
        verdicts = as_array(known["verdict"])
        if self._verdicts is VERDICTS:
            verdicts = legal.fitting(verdicts, as_array(about["kind"]))
        fits = pc.if_else(pc.equal(known["bound_to"], about["bound_to"]), verdicts, None)
        found = legal.problems(about, fits, as_array(known["value"]), self._schema, self._verdicts)
        if problems := [text for text in found if text]:
            raise InvalidOption(f"Some decisions do not fit, so none was added:{legal.listed(problems)}")
        self._given = pa.concat_tables([self._given, decisions]).combine_chunks()


def require_of_run(decisions: pa.Table, run: Run) -> pa.Table:
    """Decisions as a table of ``DECISIONS``.

    Raises ``InvalidOption`` if it has other columns or lacks some, is about another run, or has unknown verdicts.
    """
    try:
        decisions = conform(decisions, DECISIONS)
    except (AttributeError, KeyError, ValueError, pa.ArrowException) as error:
        raise not_decisions(error) from error
    for column in (f.name for f in DECISIONS if not f.nullable):
        if decisions[column].null_count:
            raise InvalidOption(
                f"Some decisions have no {column!r}, so they are not about a change; give all of their columns."
            )
    if others := set(decisions["run_id"].unique().to_pylist()) - {run.run_id}:
        raise InvalidOption(
            f"Some decisions are about another run (its id is {min(others)}, that of {run.anno_key!r} is {run.run_id}); give the "
            "decisions of this run."
        )
    if unknown := set(decisions["verdict"].unique().to_pylist()) - set(VERDICTS):
        raise InvalidOption(f"The verdict {min(unknown)!r} is not known; {did_you_mean(min(unknown), VERDICTS)}")
    return decisions


def not_decisions(why: object) -> InvalidOption:
    """The error for a table that is not one of decisions."""
    return InvalidOption(
        f"decisions= is not a table of decisions ({why}); give a file, a plan, or a table with the columns "
        f"{', '.join(DECISIONS.names)}."
    )


def _json_of(value: Any) -> str:
    try:
        text = to_json(value.item() if isinstance(value, np.generic) else value)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidOption(f"value={value!r} cannot be stored; give a text, a number, True or False.") from None
    return text
