"""Loads of one run: plans, and loads that plan and apply, from the tool or from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from ..core.agreement.consensus import Consensus
from ..core.arrow_memory import give_back, system_memory
from ..core.did_you_mean import did_you_mean
from ..core.merge import destination
from ..core.review.decisions import DECISIONS
from ..display.progress import ProgressChoice
from ..exceptions import InvalidOption, RunNotFound
from ..jobs.execution import Execution
from ..store.run import Run
from ..store.stores import Stores
from . import apply as loading
from . import decision_file
from . import plan as planning
from .decidable import Decidable, not_decisions, require_of_run
from .download import Answers
from .file_answer import FileAnswer
from .merge_plan import MergePlan
from .outcome import Options
from .plan_file import FROM_TOOL, Source
from .reports import LoadReport

Decisions: TypeAlias = (
    str | Path | pa.Table | Sequence[Mapping[str, Any]] | Decidable | None
)  # see ``Dataset.load_annotations``


class _Planning(NamedTuple):
    """How a load is planned."""

    progress: ProgressChoice
    execution: Execution
    notes: list[str]  # about the decisions


class Loads:
    """What loads of a run have in common, wherever the work comes from."""

    def __init__(self, stores: Stores, run: Run, answers: Answers, source: Source = FROM_TOOL) -> None:
        self._stores, self.run, self.answers, self._source = stores, run, answers, source

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self.run.anno_key

    def plan(self, **options: Any) -> MergePlan:
        """What a load would do now. Options are those of ``Dataset.plan_annotations``."""
        return self._plan(*self._options(options), handed_out=True)

    def _options(self, given: dict[str, Any]) -> tuple[Options, _Planning]:
        """The options of a load, and how it is planned."""
        options, progress, decisions, execution = _split(given)
        consensus = options.pop("consensus", None)
        table, notes = decisions_of(decisions, self.run)
        found = Options(**options, consensus=None if consensus is False else consensus, decisions=table)
        if consensus is None and found.annotator is None and not self.answers.is_file:
            found, more = self._with_last_consensus(found)
            notes = [*notes, *more]
        return found, _Planning(progress, execution, notes)

    def _with_last_consensus(self, options: Options) -> tuple[Options, list[str]]:
        """With the consensus that the last load into the same fields took, and a note about it: without it, the next one would
        take its result back.
        """
        destinations = destination.resolve(options.dest_field, self.run.schema)
        last = self.run.consensus(destinations)
        if last is None:
            return options, []
        note = "The consensus of all annotators is taken, as by an earlier load; give consensus=False for none."
        return replace(options, consensus=Consensus(**last)), [note] if self.run.last_readings(destinations) else []

    def _plan(self, options: Options, how: _Planning, handed_out: bool = False) -> MergePlan:
        self.run = self._stores.runs.get_idle(self.anno_key)
        with system_memory():
            outcome = planning.make(
                self._stores, self.run, self.answers, options, how.progress, handed_out, how.execution
            )
            give_back()
        outcome.notes += [*self._notes(), *how.notes]
        return MergePlan(self._stores, self.answers, outcome, self._source)

    def _notes(self) -> Iterable[str]:
        """How the answers were read, if there is something to say."""
        return ()

    def _load(self, ask: Callable[[MergePlan], str] | None, given: dict[str, Any]) -> LoadReport:
        options, how = self._options(given)

        def plan_and_apply() -> LoadReport:
            nonlocal options  # the answer holds for the next plan, too
            plan = self._plan(options, how)
            if options.unexpected == "prompt" and plan.outcome.streams.rows["unexpected"] and ask:
                options = replace(options, unexpected=ask(plan))
                plan = self._plan(options, how)
            with system_memory():
                return LoadReport(plan.outcome, loading.apply(self._stores, plan.outcome))

        report = loading.until_not_stale(plan_and_apply)
        with suppress(RunNotFound):  # the load has happened, whatever others do with the run now
            self.run = self._stores.runs.get_settled(self.anno_key)
        return report


class _Given(NamedTuple):
    """The arguments of a plan or load."""

    options: dict[str, Any]  # those of ``Options``, without the decisions
    progress: ProgressChoice
    decisions: Decisions
    execution: Execution


def _split(given: Mapping[str, Any]) -> _Given:
    """Arguments of a plan or load by what they are for. Raises ``InvalidOption`` for one that there is not."""
    options = dict(given)
    progress, decisions = options.pop("progress", None), options.pop("decisions", None)
    execution = Execution.of(options)
    for name in options:
        if name not in Options.__slots__:
            raise InvalidOption(f"{name!r} is not an option of a load; {did_you_mean(name, Options.__slots__)}")
    return _Given(options, progress, decisions, execution)


def check_options(given: Mapping[str, Any]) -> None:
    """Raise ``InvalidOption`` or ``ConfigError`` for arguments that no load takes. Decisions are not read."""
    options = _split(given).options
    Options(**{**options, "consensus": options.get("consensus") or None})


def decisions_of(given: Decisions, run: Run) -> tuple[pa.Table, list[str]]:
    """Decisions from a file, a table or a plan (``DECISIONS``), and what is to be told about them."""
    if given is None:
        return DECISIONS.empty_table(), []
    if isinstance(given, Decidable):
        return require_of_run(given.decisions, run), []
    if isinstance(given, str | Path):
        return decision_file.read(Path(given).expanduser(), run)
    try:
        table = given if isinstance(given, pa.Table) else pa.Table.from_pylist(list(given))
    except (AttributeError, TypeError, ValueError, pa.ArrowException) as error:
        raise not_decisions(error) from error
    return require_of_run(table, run), []


class FileLoads(Loads):
    """Loads of a run from a file that was exported in the tool, or written by another one. The tool is not asked."""

    def __init__(
        self,
        stores: Stores,
        run: Run,
        path: str | Path,
        format_name: str | None,
        options: Mapping[str, Any],
    ) -> None:
        self._file = FileAnswer(stores, run, path, format_name, options)
        super().__init__(stores, run, self._file, Source(str(path), format_name))

    def _notes(self) -> Iterable[str]:
        return self._file.notes()

    def load(self, cleanup: bool = False, ask: Callable[[MergePlan], str] | None = None, **options: Any) -> LoadReport:
        """As ``AnnotationResults.load``. ``cleanup`` is refused, as the tool may have more than the file."""
        if cleanup:
            raise InvalidOption(
                "cleanup=True removes the tasks from the tool, which is not asked when a file is loaded; leave it out, and remove "
                "them with results.cleanup() when nothing there is needed any more."
            )
        return self._load(ask, options)
