"""Loads of one run: plans, and loads that plan and apply, from the tool or from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.did_you_mean import did_you_mean
from ..exceptions import InvalidOption, StalePlan
from ..store.run import Run
from ..store.stores import Stores
from . import apply as loading
from . import plan as planning
from .download import Answers
from .file_answer import FileAnswer
from .outcome import Options
from .reports import LoadReport, MergePlan


class Loads:
    """What loads of a run have in common, wherever the work comes from."""

    def __init__(self, stores: Stores, run: Run, answers: Answers) -> None:
        self._stores, self.run, self._answers = stores, run, answers

    @property
    def anno_key(self) -> str:
        """The run's key."""
        return self.run.anno_key

    def plan(self, **options: Any) -> MergePlan:
        """What a load would do now. Options are those of ``Dataset.plan_annotations``."""
        return self._plan(options, with_digests=True)

    def _plan(self, options: dict[str, Any], with_digests: bool) -> MergePlan:
        options = dict(options)
        progress = options.pop("progress", None)
        for name in options:
            if name not in Options.__slots__:
                raise InvalidOption(f"{name!r} is not an option of a load; {did_you_mean(name, Options.__slots__)}")
        self.run = self._stores.runs.get_idle(self.anno_key)
        outcome = planning.make(self._stores, self.run, self._answers, Options(**options), progress, with_digests)
        outcome.notes += self._notes()
        return MergePlan(self._stores, self._answers, outcome)

    def _notes(self) -> Iterable[str]:
        """How the answers were read, if there is something to say."""
        return ()

    def _load(self, ask: Callable[[MergePlan], str] | None, options: dict[str, Any]) -> LoadReport:
        for attempt in range(1, loading.MAX_PLANS + 1):
            plan = self._plan(options, with_digests=False)
            if options.get("unexpected", "prompt") == "prompt" and plan.outcome.streams.rows["unexpected"] and ask:
                options["unexpected"] = ask(plan)
                plan = self._plan(options, with_digests=False)
            try:
                report = LoadReport(plan.outcome, loading.apply(self._stores, plan.outcome))
                break
            except StalePlan:
                if attempt == loading.MAX_PLANS:
                    raise
        self.run = self._stores.runs.get_idle(self.anno_key)
        return report


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
        super().__init__(stores, run, self._file)

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
