"""The methods of datasets and views about the answers of several annotators: compare them, and merge them."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.did_you_mean import did_you_mean
from ..display.progress import ProgressChoice
from ..exceptions import InvalidOption
from .annotation import AnnotationVerbs
from .chosen_samples import where_argument

if TYPE_CHECKING:
    from ..agreement.agreement import Agreement
    from ..agreement.parts import Answers
    from ..agreement.quality import Quality
    from ..bridge.loads import Decisions
    from ..bridge.merge_answers import Merge
    from ..bridge.merge_plan import MergePlan
    from ..bridge.reports import LoadReport
    from ..core.agreement.consensus import Consensus
    from ..core.merge.route import Choice
    from ..jobs.execution import ExecutorChoice


class AnswerVerbs(AnnotationVerbs):
    """What ``Dataset`` and ``View`` do with the answers of several annotators. An answer is a label field, or the key of a run."""

    __slots__ = ()

    @abstractmethod
    def select(self, sample_ids: Sequence[str] | str, ordered: bool = False) -> AnswerVerbs:
        """The samples with these ids."""

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
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
    ) -> LoadReport:
        """Merge the answers of several annotators into one field, in one atomic commit. The answers stay as they are.

        What fewer than the quorum have is left for a decision: ``annobridge review`` with the key of the run shows it, and
        ``undo_annotations`` takes the merge back.

        Args:
            answers: label fields, as ``["objects_alice", "objects_bob"]``, or keys of runs that were loaded.
            into: the field that gets the result. If it has labels, these are compared with the result, as by any load.
            consensus: how; by default, as the last time with this key, or an ``annobridge.Consensus()``.
            anno_key: the key of the run that records the merge; with the key of an earlier one, the answers are merged again, on
                the samples of this view. By default, a new one.
            label_field: the field of runs that have several.
            decisions: as in ``load_annotations``.
            undecided: as in ``load_annotations``.
            conflicts: as in ``load_annotations``.
            force: as in ``load_annotations``.
            progress: as in ``annotate``.
            executor: as in ``load_annotations``.
            workers: as in ``load_annotations``.
            executor_address: as in ``load_annotations``.

        Returns:
            What was added, edited and deleted; ``anno_key`` is the key of the run.

        Raises:
            InvalidOption: there are fewer than two answers, or no such answer.
        """
        options: dict[str, Any] = {
            "decisions": decisions, "undecided": undecided, "conflicts": conflicts, "force": force, "progress": progress,
            "consensus": consensus, "executor": executor, "workers": workers, "executor_address": executor_address,
        }  # fmt: skip
        merge = self._merging(answers, into, anno_key, label_field, options)
        return merge.results.load(**merge.options)

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
        where = where_argument(self.stores, options.get("where"))
        merge = self._merging(answers, into, anno_key, label_field, {**options, "consensus": consensus, "where": where})
        return merge.results.plan(**merge.options)

    def compare_annotations(
        self,
        answers: Sequence[str] | str,
        iou: float = 0.5,
        label_field: str | None = None,
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> Agreement:
        """How far the answers of several annotators agree: by pair, class, attribute and image.

        Args:
            answers: label fields, or keys of runs that were loaded; or the key of one run that several people answer in its tool.
            iou: how alike two shapes have to be to be one object: the intersection over union, or the similarity of points.
            label_field: the field of runs that have several.
            progress: as in ``annotate``.
            **backend_options: settings of the backend of a run that is compared in its tool.

        Raises:
            InvalidOption: there is no such answer, or one only.
        """
        from ..agreement.agreement import Agreement, compared

        found = self._answers(answers, None, label_field, backend_options)
        counts, names, _ = compared(self.stores, found, iou, False, progress)
        if len(names) < 2:
            who = f"is one answer only, {names[0]}" if names else "is no answer to these samples"
            raise InvalidOption(f"There {who}, so there is nothing to compare; give two at least.")
        return Agreement(counts, names, iou, self.select)

    def annotation_quality(
        self,
        answers: Sequence[str] | str,
        truth: str | None = None,
        iou: float = 0.5,
        label_field: str | None = None,
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> Quality:
        """How good each annotator is, against the truth: by class and attribute, with intervals.

        Args:
            answers: as in ``compare_annotations``.
            truth: a label field, or the key of a run, that is trusted. For the answers of one run in its tool, by default what
                the tool takes for the truth, as CVAT's ground-truth job.
            iou: as in ``compare_annotations``.
            label_field: as in ``compare_annotations``.
            progress: as in ``annotate``.
            **backend_options: as in ``compare_annotations``.

        Raises:
            InvalidOption: there is no such answer, or no truth.
        """
        from ..agreement.agreement import compared
        from ..agreement.quality import Quality

        found = self._answers(answers, truth, label_field, backend_options)
        counts, _, used = compared(self.stores, found, iou, True, progress)
        if used is None:
            raise InvalidOption("There is no truth to compare with; give truth=, a label field that is trusted.")
        return Quality(counts, used, iou)

    def load_answers(
        self,
        anno_key: str,
        dest_field: str = "{field}_{annotator}",
        unexpected: Choice = "prompt",
        conflicts: str | Mapping[str, str] = "theirs",
        invalid: str | None = None,
        force: bool = False,
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> dict[str, LoadReport]:
        """Load the answer of each annotator of a run into a field of its own; the field that was sent stays as it is.

        Args:
            anno_key: the run.
            dest_field: the name of each field, with ``{field}`` and ``{annotator}``. In a name, what is not a letter, a digit or
                ``_`` becomes ``_``.
            unexpected: as in ``load_annotations``.
            conflicts: as in ``load_annotations``.
            invalid: as in ``load_annotations``.
            force: as in ``load_annotations``.
            progress: as in ``annotate``.
            **backend_options: settings of the backend, as ``url`` or a credential.

        Returns:
            Annotator → what was loaded.

        Raises:
            InvalidOption: the tool has one answer for each sample, or two annotators would share a field.
        """
        run = self.load_annotation_results(anno_key, **backend_options)
        fields = run.run.schema.fields
        places = {name: {field: _destination(dest_field, field, name) for field in fields} for name in run.annotators()}
        if not places:
            raise InvalidOption(f"Nobody has answered the run {anno_key!r} by name, so there is nothing to load.")
        taken = [place for of_one in places.values() for place in of_one.values()]
        if twice := [place for place in taken if taken.count(place) > 1]:
            raise InvalidOption(
                f"Two answers would go to the field {twice[0]!r}; give dest_field= with {{field}} and {{annotator}}."
            )
        return {
            name: self.load_annotations(
                anno_key, dest_field=place, annotator=name, unexpected=unexpected, conflicts=conflicts, invalid=invalid,
                force=force, progress=progress, **backend_options,
            )
            for name, place in places.items()
        }  # fmt: skip

    def _answers(
        self, names: Sequence[str] | str, truth: str | None, label_field: str | None, backend_options: dict[str, Any]
    ) -> Answers:
        from ..agreement.parts import OfFields, OfRun
        from ..bridge import field_answers
        from ..store import views

        given = field_answers.names_of([names] if isinstance(names, str) else names)
        if len(given) == 1 and self.has_annotation_run(given[0]):
            run = self.load_annotation_results(given[0], **backend_options)
            return OfRun(self.stores, run, views.resolve(self.stores, self.stages).sample_ids, truth, label_field)
        if unknown := sorted(backend_options):
            raise InvalidOption(
                f"{unknown[0]!r} is not an option for answers that are in the dataset; "
                f"{did_you_mean(unknown[0], ['answers', 'iou', 'label_field', 'progress', 'truth'])}"
            )
        samples = views.resolve(self.stores, self.stages).sample_ids
        return OfFields(self.stores, samples, given if truth is None else [*given, truth], truth, label_field)

    def _merging(
        self, answers: Sequence[str], into: str, anno_key: str | None, label_field: str | None, options: Mapping[str, Any]
    ) -> Merge:  # fmt: skip
        from ..bridge import merge_answers
        from ..core.agreement.consensus import Consensus

        consensus = options["consensus"]
        if not isinstance(consensus, Consensus | None):
            raise InvalidOption(f"consensus={consensus!r} is not known; give an annobridge.Consensus.")
        self.stores.database.require_writable()
        return merge_answers.prepare(self.stores, self.stages, answers, into, anno_key, label_field, options)


def _destination(template: str, field: str, annotator: str) -> str:
    """The field of the answer of an annotator. Raises ``InvalidOption`` for what is no template."""
    try:
        return template.format(field=field, annotator=re.sub(r"\W", "_", annotator))
    except (AttributeError, LookupError, ValueError, TypeError) as error:
        raise InvalidOption(
            f"dest_field={template!r} names no field; write a name with {{field}} and {{annotator}} in it, as "
            "'{field}_{annotator}'."
        ) from error
