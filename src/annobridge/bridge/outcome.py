"""The options of a load, the outcome of planning it, and what forbids to apply that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.agreement.consensus import Consensus
from ..core.arrays import as_array
from ..core.codes import repeated_codes
from ..core.did_you_mean import did_you_mean
from ..core.digest import digest
from ..core.hashes import text_hashes
from ..core.labels import LABEL_TYPES
from ..core.merge import border, destination, findings
from ..core.merge.policy import THEIRS, Policy
from ..core.merge.proposed import bindings
from ..core.merge.route import MODES, Choice
from ..core.review.decisions import DECISIONS, TAKE, UNDECIDED
from ..core.schema import LabelSchema
from ..display.terminal import why_not_asked
from ..exceptions import (
    Conflict,
    FinishedWork,
    InvalidOption,
    MergeError,
    ReviewRequired,
    TooManyDeletions,
    UnexpectedLabels,
)
from ..jobs.execution import LOCAL, Execution
from ..spill.streams import Streams
from ..store.decisions import protected
from ..store.run import ANNOTATOR_READING, CONSENSUS_OPTION, FILE_READING, Run, is_remembered
from .counts import Counts, total

DELETIONS_ALLOWED = 0.5  # of the run, before a load asks for ``force``
_FEW = 10  # deletions that never need it
_SHOWN = 5
LAST = "last"
LOAD, PUSH = "load", "push"  # what is planned


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a load; see ``Dataset.load_annotations``."""

    dest_field: str | Mapping[str, str] | None = None
    unexpected: Choice = "prompt"
    conflicts: str | Mapping[str, str] = THEIRS  # see ``Policy``
    force: bool = False
    invalid: str | None = None  # shapes over the border, one of border.MODES; None: clip up to a pixel, refuse the rest
    decisions: pa.Table = field(default_factory=DECISIONS.empty_table)  # of people, about single changes
    undecided: str = TAKE  # what happens to the changes that nobody decided about
    where: pa.Array | None = None  # the ids of the samples that are loaded; None: all
    reviewed_only: bool = False  # whether only samples are loaded that people have reviewed
    annotator: str | None = None  # whose answer is loaded; None: the one that the tool takes
    consensus: Consensus | None = None  # how the answers of all annotators become one
    # LAST: only tasks that changed since the last load are loaded; a time: only samples that did since
    since: str | datetime | None = None

    def __post_init__(self) -> None:
        """Raise ``InvalidOption`` for unknown values."""
        if self.undecided not in UNDECIDED:
            raise InvalidOption(
                f"undecided={self.undecided!r} is not known; give 'take' to load what nobody decided about as it is proposed, or "
                "'leave' to leave it for later."
            )
        if not isinstance(self.since, datetime | None) and self.since != LAST:
            raise InvalidOption(f"since={self.since!r} is not known; give 'last', or a datetime with its time zone.")
        if isinstance(self.since, datetime) and self.since.tzinfo is None:
            raise InvalidOption(f"since={self.since.isoformat()} has no time zone; give one, as datetime.now(UTC) has.")
        if not isinstance(self.reviewed_only, bool):
            raise InvalidOption(f"reviewed_only={self.reviewed_only!r} is not known; give True or False.")
        if not isinstance(self.dest_field, str | Mapping | None):
            raise InvalidOption(
                f"dest_field={self.dest_field!r} is not known; give a name, or a dictionary of field to field."
            )
        if self.invalid is not None and self.invalid not in border.MODES:
            raise InvalidOption(
                f"invalid={self.invalid!r} is not known; give one of {', '.join(map(repr, border.MODES))}, or nothing to clip "
                "what is up to a pixel outside and refuse the rest."
            )
        if not isinstance(self.consensus, Consensus | None):
            raise InvalidOption(f"consensus={self.consensus!r} is not known; give an annobridge.Consensus.")
        if self.annotator is not None and (self.consensus is not None or not isinstance(self.annotator, str)):
            raise InvalidOption(
                f"annotator={self.annotator!r} does not fit: it is one name, and consensus= takes all answers; give one of them."
            )
        Policy.parse(self.conflicts)
        for name in self.unexpected if isinstance(self.unexpected, Mapping) else ():
            if name not in LABEL_TYPES:
                raise InvalidOption(
                    f"unexpected= names the type {name!r}, which is not a label type; {did_you_mean(name, LABEL_TYPES)}"
                )
        if not isinstance(self.unexpected, str | Mapping) and not callable(self.unexpected):
            raise InvalidOption(
                f"unexpected={self.unexpected!r} is not known; give a word, a dictionary of type to field, or a callable."
            )
        if isinstance(self.unexpected, str) and self.unexpected not in MODES:
            modes = ", ".join(map(repr, MODES))
            raise InvalidOption(
                f"unexpected={self.unexpected!r} is not known; give one of {modes}, a dictionary of type to field, or a callable."
            )

    @property
    def reading(self) -> dict[str, Any]:
        """Whose answers are read, of a tool; as ``Load.reading`` has it."""
        if self.annotator is not None:
            return {ANNOTATOR_READING: self.annotator}
        return {} if self.consensus is None else {CONSENSUS_OPTION: asdict(self.consensus)}

    @property
    def policy(self) -> Policy:
        """Who wins a conflict."""
        return Policy.parse(self.conflicts)


class Added(Protocol):
    """Rows by the name of their stream."""

    def add(self, name: str, rows: pa.Table, /) -> None:
        """Append rows to a stream."""
        ...


@dataclass(kw_only=True)
class Tally:
    """Counts and notes of what the planning found in some tasks. Those of several parts of a run are added up."""

    looked_at: int = 0  # labels of the baseline
    unanswered: int = 0  # samples of which the tool said nothing
    skipped: int = 0  # samples that the options leave out
    reviewed: int = 0  # samples that people have reviewed, as the tool says
    duplicates: int = 0  # labels that the baseline has twice
    of_files: int = 0  # labels that came from a file, and are not in the tool
    clipped: int = 0  # labels that were cut back to their image
    overhanging: int = 0  # labels that lie over the border of their image, and stay so
    counts: Counts = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)  # field → changes without a decision, where it was asked
    failing: int = 0  # conflicts that forbid to apply this, as nobody decided about them
    stale: int = 0  # changes that were decided about, and looked different then
    disputed: int = 0  # changes that nobody decided about, and that the annotators do not agree about
    agreed: Counter[str] = field(default_factory=Counter)  # of ``core.agreement.agreed.sentences``
    annotators: Counter[str] = field(default_factory=Counter)  # tasks that each annotator answered
    problems: list[str] = field(default_factory=list)  # of decisions that cannot be carried out
    seen: list[pa.Array] = field(default_factory=list)  # the ids of the changes, where anything is decided
    decided: list[pa.Array] = field(default_factory=list)  # of those, the decided ones
    gone: list[str] = field(default_factory=list)  # why a task is not on the server
    not_taken: list[str] = field(default_factory=list)  # tasks of which something is not taken
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)  # task → of what the tool had, of a plan that is handed out

    def add(self, other: Tally) -> None:
        """Add that of other tasks."""
        for each in fields(Tally):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, dict):  # a Counter, too, whose numbers are added up
                mine.update(theirs)
            else:
                setattr(self, each.name, mine + theirs)


@dataclass
class Outcome(Tally):
    """What the planning found: the rows by what happens to them, and counts of them."""

    streams: Streams
    version: int
    run: Run
    load: int
    options: Options
    destinations: Mapping[str, str]
    execution: Execution = LOCAL  # where it was planned, and is written
    is_file: bool = False  # whether the tool was not asked
    processes: int = 1  # of this machine, that planned it
    samples_version: int | None = None  # of the samples, from before it was planned
    verb: str = LOAD
    marks: dict[str, str] = field(default_factory=dict)  # task → ``Status.mark``, where it is not recorded yet
    left: int = 0  # changes that are left for later
    # The decisions that are carried out, and not recorded yet
    used: pa.Table = field(default_factory=DECISIONS.empty_table)
    patterns: Collection[str] = ()  # of fields that need a review
    finished: int = 0  # of a push: samples that it would change, and that people have reviewed

    @property
    def schema(self) -> LabelSchema:
        """The schema of the run, with the destinations of its fields."""
        return destination.with_destinations(self.run.schema, self.destinations)

    @property
    def reading(self) -> dict[str, Any]:
        """Whose answers are loaded, as ``Load.reading`` has it."""
        return {FILE_READING: True} if self.is_file else self.options.reading

    @property
    def changes_consensus(self) -> bool:
        """Whether later loads take another consensus, or none, because of this one."""
        taken = self.reading
        return is_remembered(taken) and taken.get(CONSENSUS_OPTION) != self.run.consensus(self.destinations)

    def content(self) -> str:
        """What there is to decide about, as a digest."""
        proposed = self.streams.table("proposed")
        return digest(pa.table({"change_id": proposed["change_id"], "bound_to": bindings(proposed)}))

    def require_applicable(self, force: bool = False) -> None:
        """Raise the ``MergeError`` that forbids to apply this: undecided unexpected labels, conflicts under ``"fail"``, or,
        unless ``force`` is given, deletions of most of the run or changes of what people have finished.
        """
        rows = self.streams.rows
        if self.options.unexpected == "prompt" and rows["unexpected"]:
            why = findings.summary(self.streams.batches("unexpected"))
            raise UnexpectedLabels(
                f"The tool returned {rows['unexpected']} unexpected labels ({why}){why_not_asked()}; say what to do with them: "
                "unexpected='keep', 'ignore', 'return', a dictionary of type to field, or a callable."
            )
        self._require_review()
        if self.failing:
            first = self.streams.table("conflicts", _SHOWN).to_pylist()
            listed = "; ".join(f"{c['label_id']} ({c['component']})" for c in first)
            raise Conflict(
                f"{self.failing} changes were made both here and in the tool: {listed}. "
                f"Look at plan.conflicts, and decide about them in a review, or {self.verb} with conflicts='theirs' or 'ours'."
            )
        deletions = total(self.counts, "delete")
        if not (force or self.options.force) and deletions > _FEW and deletions > DELETIONS_ALLOWED * self.looked_at:
            raise TooManyDeletions(
                f"The {self.verb} would delete {deletions} of the {self.looked_at} labels that it looks at; if that is what people "
                f"did, {self.verb} with force=True."
            )
        if self.finished and not (force or self.options.force):
            raise FinishedWork(
                f"The push would change {self.finished} samples that people have finished in the tool; if they are to see "
                "the changes, push with force=True."
            )

    def _require_review(self) -> None:
        found = protected((field for field, count in self.undecided.items() if count), self.patterns)
        if found and self.options.undecided == TAKE:
            listed = ", ".join(f"{self.undecided[f]} of {f!r}" for f in found)
            raise ReviewRequired(
                f"Changes without a decision: {listed}. The pattern {next(iter(found.values()))!r} protects what it "
                f"matches, so decide about them (annobridge review {self.run.anno_key}), or leave them for later with "
                "undecided='leave'."
            )


def require_unique(streams: Streams) -> None:
    """Raise ``MergeError`` when two labels would be written under one id. In memory are 8 bytes for each that is written."""
    hashes = [text_hashes(as_array(batch["label_id"])) for batch in streams.columns("writes", ["label_id"])]
    repeated = repeated_codes(np.concatenate([np.zeros(0, np.uint64), *hashes]))
    if not len(repeated):  # different ids may have one hash, and then the ids are compared
        return
    found = [pa.array([], pa.string())]
    for batch, of_batch in zip(streams.columns("writes", ["label_id"]), hashes, strict=True):
        found.append(as_array(batch["label_id"]).filter(pa.array(np.isin(of_batch, repeated))))
    counts = pc.value_counts(pa.concat_arrays(found))
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        raise MergeError(
            f"The load would write {len(twice)} label ids more than once (first: {twice[0].as_py()!r}), so nothing was "
            "written. Where the dataset itself has two labels of one id, delete one of them, or give it another id; "
            "otherwise this is a defect of annobridge, so please report it."
        )
