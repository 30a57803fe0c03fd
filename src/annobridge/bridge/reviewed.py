"""What is reviewed in a plan: the decisions that hold for it, and what became of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..core.agreement.consensus import Consensus
from ..core.arrays import Bools, as_array, as_mask, equal, row_keys
from ..core.merge.policy import Policy
from ..core.merge.proposed import Review
from ..core.review import legal
from ..core.review.decisions import DECIDED, LEAVE, OPEN, STALE, contradicted, latest
from ..exceptions import InvalidOption
from .outcome import PUSH, Added, Options, Outcome, Tally

_KEY = ("change_id", "verdict", "value", "bound_to")


class Looking(NamedTuple):
    """What has to be found out about the changes of a plan, task by task."""

    review: Review | None  # None: nobody asks about single changes
    policy: Policy
    handed_out: bool  # people look at the plan, so each change is kept for them
    keeps_ids: bool  # decisions are given, so the ids of the changes are needed

    def note(self, tally: Tally, streams: Added, proposed: pa.Table, conflicts: pa.Table) -> None:
        """Note the changes of some tasks, ``PROPOSED``, and their conflicts, ``FINDINGS``."""
        failing = conflicts.filter(pa.array(self.policy.fails(conflicts["component"])))
        tally.failing += failing.num_rows
        if self.review is None or not proposed.num_rows:
            return
        if self.handed_out:
            streams.add("proposed", proposed)
        decided = equal(proposed["state"], DECIDED)
        tally.failing -= _among(failing, proposed.filter(pa.array(decided)))
        is_open = pa.array(equal(proposed["state"], OPEN))
        tally.disputed += len(proposed["dispute"].filter(is_open).drop_null())
        for pair in pc.value_counts(as_array(proposed["field"].filter(is_open))).to_pylist():
            tally.undecided[pair["values"]] += pair["counts"]
        tally.stale += int(equal(proposed["state"], STALE).sum())
        tally.problems += proposed["problem"].drop_null().to_pylist()
        if self.keeps_ids:
            ids = as_array(proposed["change_id"])
            tally.seen.append(ids)
            tally.decided.append(ids.filter(pa.array(decided)))


class Reviewed:
    """The decisions about the changes of one plan.

    Args:
        outcome: the plan. What is found out about the decisions is noted in it.
        standing: decisions of earlier loads that still count, as ``DECISIONS``.
        handed_out: whether people look at the plan, so that each change is kept for them.
    """

    def __init__(self, outcome: Outcome, standing: pa.Table, handed_out: bool) -> None:
        self._out = outcome
        given = outcome.options.decisions
        # Any field may be changed: labels are moved here, and unexpected ones go where the caller says.
        is_asked = handed_out or bool(standing.num_rows or given.num_rows or outcome.patterns)
        is_asked |= outcome.options.consensus is not None
        leaves = outcome.options.undecided == LEAVE
        decisions = pa.concat_tables([standing, given]).combine_chunks()
        review = (
            Review(
                outcome.run.run_id,
                decisions,
                standing.num_rows,
                outcome.options.undecided,
                outcome.schema,
                is_of_push=outcome.verb == PUSH,
            )
            if is_asked or leaves
            else None
        )
        self._last = latest(decisions)
        self.looking = Looking(review, outcome.options.policy, handed_out, keeps_ids=bool(self._last.num_rows))
        # A file of decisions that is given again has those that were recorded.
        self._is_new = ~as_mask(pc.is_in(row_keys(self._last, _KEY), value_set=row_keys(standing, _KEY)))
        # Refusals that were recorded count until they are withdrawn, so that is recorded, too.
        self._withdraws = equal(self._last["verdict"], OPEN) & as_mask(
            pc.is_in(self._last["change_id"], value_set=as_array(standing["change_id"]))
        )

    def finish(self) -> None:
        """Tell what became of the decisions. Raises ``InvalidOption`` if some of them cannot be carried out."""
        out = self._out
        if out.problems:
            raise InvalidOption(
                f"Some decisions cannot be carried out, so nothing was written:{legal.listed(out.problems)}"
            )
        seen, used = self._last_about(out.seen), self._last_about(out.decided)
        recorded = used | (self._withdraws & seen)
        out.used = self._last.filter(pa.array(recorded & self._is_new))
        given = out.options.decisions
        repeated = given.num_rows > latest(given).num_rows and contradicted(given.to_pylist())
        notes = {
            "{} decided about in different ways; the latest decision counts.": repeated,
            f"{{}} refused in an earlier {out.verb}, and did not change since; kept out again.": int(
                (used & ~self._is_new).sum()
            ),
            "{} decided about, and looked different then; the decisions are stale, and the changes were left for later.": (
                out.stale
            ),
            "{} decided about, and not among the changes any more; those decisions had no effect.": int(
                (self._is_new & ~seen).sum()
            ),
        }
        out.notes += [text.format(_changes(count)) for text, count in notes.items() if count > 0]
        left = sum(out.undecided.values()) if self.looking.review and out.options.undecided == LEAVE else 0
        out.left = max(left, out.disputed) + out.stale
        if left:
            out.notes.append(f"{_changes(left)} not decided about; left for later.")
        elif out.disputed:
            command = shlex.join(["annobridge", "review", out.run.anno_key, *words_of(out.options)])
            out.notes.append(
                f'{_changes(out.disputed)} left for a decision, as the annotators do not agree: "{command}".'
            )

    def _last_about(self, change_ids: list[pa.Array]) -> Bools:
        """Which of the last decisions are about these changes."""
        wanted = pa.concat_arrays([pa.array([], pa.string()), *change_ids])
        return as_mask(pc.is_in(self._last["change_id"], value_set=wanted))


def _among(conflicts: pa.Table, decided: pa.Table) -> int:
    """How many of the conflicts are decided."""
    if not conflicts.num_rows or not decided.num_rows:
        return 0
    keys = [row_keys(rows, ("label_id", "component")) for rows in (conflicts, decided)]
    return int(as_mask(pc.is_in(keys[0], value_set=keys[1])).sum())


def words_of(options: Options) -> list[str]:
    """The options of the command line that say where a load puts labels, and with which consensus: decisions are about these."""
    places = [options.dest_field] if isinstance(options.dest_field, str) else []
    if isinstance(options.dest_field, Mapping):
        places = [f"{field}={place}" for field, place in options.dest_field.items()]
    given = [("--dest-field", place) for place in places]
    if options.consensus is not None:
        given += [("--consensus", text) for text in _consensus_texts(options.consensus)]
    return [word for pair in given for word in pair]


def _consensus_texts(consensus: Consensus) -> list[str]:
    """The options of a consensus that are not as by default, each as the command line has it."""
    plain, given = asdict(Consensus()), asdict(consensus)
    weights = [f"weights.{name}={weight}" for name, weight in given.pop("weights").items()]
    return [*(f"{name}={value}" for name, value in given.items() if value != plain[name]), *weights] or ["default"]


def _changes(count: int) -> str:
    return "1 change was" if count == 1 else f"{count} changes were"
