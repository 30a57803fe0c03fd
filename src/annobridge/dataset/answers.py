"""The methods of datasets and views about the answers of several annotators: compare them, and merge them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..display.progress import ProgressChoice
from ..store.stores import Stores
from ..store.views import Stage
from .no_new_attributes import NoNewAttributes

if TYPE_CHECKING:
    from ..bridge.loads import Decisions
    from ..bridge.merge_plan import MergePlan
    from ..bridge.reports import LoadReport
    from ..bridge.results import AnnotationResults
    from ..core.agreement.consensus import Consensus


class AnswerVerbs(NoNewAttributes):
    """What ``Dataset`` and ``View`` do with the answers of several annotators. An answer is a label field, or the key of a run."""

    __slots__ = ()

    @property
    @abstractmethod
    def stores(self) -> Stores:
        """The tables of the dataset."""

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The chain of stages that chooses the samples."""

    def merge_annotations(
        self,
        answers: Sequence[str],
        into: str,
        consensus: Consensus | None = None,
        anno_key: str | None = None,
        label_field: str | None = None,
        decisions: Decisions = None,
        undecided: str = "take",
        conflicts: str = "theirs",
        force: bool = False,
        progress: ProgressChoice = None,
    ) -> LoadReport:
        """Merge the answers of several annotators into one field, in one atomic commit. The answers stay as they are.

        What fewer than the quorum have is left for a decision: ``annobridge review`` with the key of the run shows it, and
        ``undo_annotations`` takes the merge back.

        Args:
            answers: label fields, as ``["objects_alice", "objects_bob"]``, or keys of runs that were loaded.
            into: the field that gets the result. If it has labels, these are compared with the result, as by any load.
            consensus: how; by default, an ``annobridge.Consensus()``.
            anno_key: the key of the run that records the merge; with the key of an earlier one, the answers are merged again. By
                default, a new one.
            label_field: the field of runs that have several.
            decisions: as in ``load_annotations``.
            undecided: as in ``load_annotations``.
            conflicts: as in ``load_annotations``.
            force: as in ``load_annotations``.
            progress: as in ``annotate``.

        Returns:
            What was added, edited and deleted; ``anno_key`` is the key of the run.

        Raises:
            InvalidOption: there are fewer than two answers, or no such answer.
            InvalidSchema: the answers have labels of several types.
        """
        from ..core.agreement.consensus import Consensus

        return self._merging(answers, into, anno_key, label_field).load(
            decisions=decisions, undecided=undecided, conflicts=conflicts, force=force, progress=progress,
            consensus=consensus or Consensus(),
        )  # fmt: skip

    def plan_merge(
        self,
        answers: Sequence[str],
        into: str,
        consensus: Consensus | None = None,
        anno_key: str | None = None,
        label_field: str | None = None,
        **options: Any,
    ) -> MergePlan:
        """What ``merge_annotations`` would do. A run is recorded; no label is written.

        Args:
            answers: as in ``merge_annotations``.
            into: as in ``merge_annotations``.
            consensus: as in ``merge_annotations``.
            anno_key: as in ``merge_annotations``.
            label_field: as in ``merge_annotations``.
            **options: those of ``plan_annotations``.
        """
        from ..core.agreement.consensus import Consensus

        run = self._merging(answers, into, anno_key, label_field)
        return run.plan(consensus=consensus or Consensus(), **options)

    def _merging(
        self, answers: Sequence[str], into: str, anno_key: str | None, label_field: str | None
    ) -> AnnotationResults:
        from ..bridge import merge_answers

        self.stores.database.require_writable()
        return merge_answers.results(self.stores, self.stages, answers, into, anno_key, label_field)
