"""The verbs of a dataset about its runs: go on with one, plan and undo loads, extend it, and what people have reviewed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..core.did_you_mean import did_you_mean
from ..display.progress import ProgressChoice
from ..exceptions import InvalidOption
from ..ingest.add import add_samples
from ..store.stores import Stores
from .chosen_samples import stages_of, where_argument
from .no_new_attributes import NoNewAttributes
from .view import View

if TYPE_CHECKING:
    from ..backend.checked import CheckedBackend
    from ..bridge.adoption import Adoption
    from ..bridge.loads import Decisions
    from ..bridge.merge_plan import MergePlan
    from ..bridge.push_plan import PushPlan, PushReport
    from ..bridge.reports import Undone
    from ..bridge.results import AnnotationResults
    from ..core.agreement.consensus import Consensus
    from ..core.merge.route import Choice
    from ..jobs.execution import ExecutorChoice


class RunVerbs(NoNewAttributes):
    """The methods of ``Dataset`` about its runs; those that views have too are in ``AnnotationVerbs``."""

    __slots__ = ()

    @property
    @abstractmethod
    def stores(self) -> Stores:
        """The tables of the dataset."""

    def resume_annotation(
        self,
        anno_key: str,
        progress: ProgressChoice = None,
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
        **backend_options: Any,
    ) -> AnnotationResults:
        """Send the rest of a run whose sending was interrupted. Tasks that were sent are not sent again.

        Args:
            anno_key: the run.
            progress: as in ``annotate``.
            executor: as in ``annotate``.
            workers: as in ``annotate``.
            executor_address: as in ``annotate``.
            **backend_options: settings of the backend that replace those which the run stored.

        Raises:
            RunBusy: another process is sending the run.
        """
        from ..backend.checked import CheckedBackend
        from ..bridge import annotate
        from ..bridge.connect import reconnect
        from ..bridge.results import AnnotationResults
        from ..jobs.execution import Execution

        run = self.stores.runs.get_idle(anno_key)
        tool = reconnect(self.stores, run, backend_options)
        execution = Execution.of({"executor": executor, "workers": workers, "executor_address": executor_address})
        run = annotate.resume(self.stores, run, CheckedBackend(tool), progress, execution)
        return AnnotationResults(self.stores, run, tool)

    def abort_annotation(self, anno_key: str, **backend_options: Any) -> None:
        """Remove what a run made on the server, and delete the run. Labels in the dataset are kept.

        Raises:
            RunBusy: another process is sending or loading the run.
        """
        from ..backend.checked import CheckedBackend
        from ..bridge import annotate
        from ..bridge.connect import reconnect

        run = self.stores.runs.get_idle(anno_key)
        annotate.abort(self.stores, run, CheckedBackend(reconnect(self.stores, run, backend_options)))

    def plan_annotations(
        self,
        anno_key: str,
        dest_field: str | Mapping[str, str] | None = None,
        unexpected: Choice = "prompt",
        conflicts: str | Mapping[str, str] = "theirs",
        force: bool = False,
        invalid: str | None = None,
        progress: ProgressChoice = None,
        path: str | Path | None = None,
        format: str | None = None,  # noqa: A002
        decisions: Decisions = None,
        undecided: str = "take",
        where: View | Sequence[str] | None = None,
        reviewed_only: bool = False,
        since: str | datetime | None = None,
        annotator: str | None = None,
        consensus: Consensus | bool | None = None,
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
        **load_options: Any,
    ) -> MergePlan:
        """What ``load_annotations`` would do with the same arguments. Nothing is written.

        Returns:
            The plan, as tables; ``plan.apply()`` makes exactly that change, or raises ``StalePlan``.
        """
        from ..bridge import results

        return results.loads_of(self.stores, anno_key, path, format, load_options).plan(
            dest_field=dest_field, unexpected=unexpected, conflicts=conflicts, force=force, invalid=invalid,
            progress=progress, decisions=decisions, undecided=undecided, where=where_argument(self.stores, where),
            reviewed_only=reviewed_only, since=since, annotator=annotator, consensus=consensus, executor=executor,
            workers=workers, executor_address=executor_address,
        )  # fmt: skip

    def protect(self, pattern: str, review: str | None = "required") -> None:
        """Let loads into some label fields happen only with a decision of a person about every change.

        A load that has changes without a decision there raises ``ReviewRequired``, and writes nothing; with
        ``undecided="leave"``, it leaves them for later. Undoing a load stays allowed, and so are edits here.

        Args:
            pattern: the name of a field, or a pattern as ``"ground_truth*"``.
            review: ``"required"``; ``None`` removes the protection with this pattern.
        """
        if review not in ("required", None):
            raise InvalidOption(f"review={review!r} is not known; give 'required', or None to remove the protection.")
        if review is None and pattern not in self.protections():
            raise InvalidOption(
                f"Nothing is protected by {pattern!r}; {did_you_mean(pattern, list(self.protections()))}"
            )
        self.stores.protections.put(pattern, review)

    def protections(self) -> dict[str, str]:
        """The patterns of ``protect``, each with what it needs."""
        return self.stores.protections.all()

    def undo_annotations(self, anno_key: str) -> Undone:
        """Reverse the last load of a run, and only that. Labels that were edited in the dataset since then keep their edits."""
        from ..bridge import undo

        return undo.undo(self.stores, self.stores.runs.get_idle(anno_key))

    def extend_annotation(
        self,
        anno_key: str,
        view: View | Sequence[str],
        strict: bool = False,
        progress: ProgressChoice = None,
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
        **backend_options: Any,
    ) -> AnnotationResults:
        """Send further samples as tasks of the same run, with its schema and options. One load takes the work on all of them.

        Samples that the run has already are left out. If sending is interrupted, ``resume_annotation`` sends the rest, and
        ``abort_annotation`` takes this extension back.

        Args:
            anno_key: the run.
            view: samples of this dataset, as a view or by their ids; ``results.missing(view)`` is what would be sent.
            strict: as in ``annotate``.
            progress: as in ``annotate``.
            executor: as in ``annotate``.
            workers: as in ``annotate``.
            executor_address: as in ``annotate``.
            **backend_options: settings of the backend that replace those which the run stored.

        Raises:
            RunIncomplete: the run was not sent in full yet.
            RunBusy: another process is sending or loading the run.
            StoreError: the view has no sample that the run does not have.
            InvalidOption: a sample is given twice, or the view filters labels in another way than the run.
            SchemaError, InvalidMedia, InvalidLabels, BackendError: as in ``annotate``.
        """
        from ..backend.checked import CheckedBackend
        from ..bridge import extend
        from ..bridge.connect import reconnect
        from ..bridge.results import AnnotationResults
        from ..jobs.execution import Execution

        self.stores.database.require_writable()
        stages = stages_of(self.stores, view, "view")
        run = self.stores.runs.get_idle(anno_key)
        tool = reconnect(self.stores, run, backend_options)
        execution = Execution.of({"executor": executor, "workers": workers, "executor_address": executor_address})
        run = extend.extend(self.stores, run, stages, CheckedBackend(tool), strict, progress, execution)
        return AnnotationResults(self.stores, run, tool)

    def adopt_annotation(
        self,
        anno_key: str,
        backend: str | None = None,
        tasks: Sequence[str | int] | str | int = (),
        project: str | int | None = None,
        label_schema: Mapping[str, Any] | Sequence[str] | str = "infer",
        match: str | Callable[[Mapping[str, Any]], str | None] = "name",
        create: bool = False,
        media_field: str = "filepath",
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> Adoption:
        """Make tasks a run that people or other programs made in the tool. Afterwards it is as any other: plan, load, push, extend,
        review, undo. Nothing is changed in the tool, and the tasks stay there when the run is cleaned up or forgotten.

        Labels that both sides have are paired: by their ids where the tool has them, else by the assignment of the largest
        overlap. The next plan shows what is different: labels that only the tool has as additions, other values as edits.

        Args:
            anno_key: the name of the new run.
            backend: the tool, as ``"cvat"``; that of the settings by default.
            tasks: ids or names of the tasks; without any, all of the project.
            project: the id or name of the project.
            label_schema: as for ``annotate``; ``"infer"`` takes the classes and attributes that the tasks have.
            match: which sample is each image: ``"name"``, by the name of the file; ``"path"``, by as much of the path as both
                have; or a function from the image (``name``, ``media_type``, ``width``, …) to a sample id, or ``None``.
            create: whether to download the images and videos that are not in the dataset, and to add them as samples. If the
                adoption fails afterwards, a repetition uses these samples.
            media_field: the column of the samples that holds the files.
            progress: as in ``annotate``.
            **backend_options: settings of the backend, as ``url``.

        Returns:
            How the media and labels were matched; ``results`` of it is the run.

        Raises:
            Unsupported: tasks of this tool cannot be adopted.
            RunExists: the key is in use.
            RunError: another run holds one of the tasks.
            StoreError: images match no sample, or two; or two of them are one sample or one file.
            InvalidMedia: a file that was downloaded is not an image. No sample was added.
            InvalidOption: an argument is wrong.
            InvalidSchema: the tool has other classes or attributes than the schema.
            BackendError: there is no such task or project, or the tool cannot be reached.
        """
        from ..backend.checked import CheckedBackend
        from ..bridge import adopt
        from ..bridge.connect import connect
        from ..bridge.results import AnnotationResults

        self.stores.database.require_writable()
        tool = connect(backend, backend_options)
        adopt.require_adoptable(tool)
        request = adopt.Request(
            anno_key, adopt.task_names(tasks), None if project is None else str(project), label_schema, match,
            media_field,
        )  # fmt: skip
        add = self._add_media if create else None
        run, adoption = adopt.adopt(self.stores, request, CheckedBackend(tool), add, progress)
        adoption.results = AnnotationResults(self.stores, run, tool)
        return adoption

    def _add_media(self, samples: pa.Table) -> list[str]:
        """Add samples of files that were downloaded; returns their ids."""
        return add_samples(self.stores, samples, lambda _: {})

    def plan_push(
        self,
        anno_key: str,
        conflicts: str | Mapping[str, str] = "theirs",
        decisions: Decisions = None,
        undecided: str = "take",
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> PushPlan:
        """What ``push_annotations`` would change in the tool, as tables. Nothing is sent or written.

        Returns:
            The plan; ``plan.apply()`` makes exactly that change, or raises ``StalePlan``.
        """
        from ..bridge import push_plan

        given = {"conflicts": conflicts, "decisions": decisions, "undecided": undecided}
        return push_plan.plan(self.stores, anno_key, self._pushable(anno_key, backend_options), given, progress)

    def push_annotations(
        self,
        anno_key: str,
        conflicts: str | Mapping[str, str] = "theirs",
        force: bool = False,
        decisions: Decisions = None,
        undecided: str = "take",
        progress: ProgressChoice = None,
        **backend_options: Any,
    ) -> PushReport:
        """Send what changed here since to the tool: labels that were added, edited or deleted in the fields and on the samples of a
        run, as far as nobody changed the same component there. Labels keep their ids in the tool.

        If it is interrupted, the next push or load finds out what arrived; a push goes on with the rest. What the undo of an
        earlier load takes back is, of labels that were pushed since, a change here, which the next push sends.

        Args:
            anno_key: the run.
            conflicts: which side wins where both changed the same component: ``"theirs"`` keeps what the tool has, ``"ours"``
                pushes what is here, ``"fail"`` is an error; or a dictionary, as for ``load_annotations``.
            force: whether to push even if most of the run would be deleted in the tool, or samples would be changed that people
                have finished there.
            decisions: what people decided about single changes (``accept``, ``refuse``, ``ours``, ``theirs``), as for
                ``load_annotations``.
            undecided: what happens to changes that nobody decided about: ``"take"`` pushes them, ``"leave"`` does not.
            progress: as in ``annotate``.
            **backend_options: settings of the backend that replace those which the run stored.

        Returns:
            What was added, edited and deleted in the tool, the conflicts, and what was left out.

        Raises:
            Unsupported: labels cannot be changed in this tool once they are sent.
            InvalidLabels: labels cannot be stored in the tool, or a task there cannot be changed. Nothing is pushed then.
            MergeError: conflicts under ``"fail"``, too many deletions, or samples that people have finished.
            RunError: there is no such run, it was not sent in full, or another process holds it.
            BackendError: the tool refused, or cannot be reached.
        """
        from ..bridge import push_plan

        given = {"conflicts": conflicts, "decisions": decisions, "undecided": undecided}
        tool = self._pushable(anno_key, backend_options)
        return push_plan.push(self.stores, anno_key, tool, given, force, progress)

    def _pushable(self, anno_key: str, backend_options: Mapping[str, Any]) -> CheckedBackend:
        """The backend of a run, which can be pushed to."""
        from ..backend.checked import CheckedBackend
        from ..bridge import push_planning
        from ..bridge.connect import reconnect

        self.stores.database.require_writable()
        tool = reconnect(self.stores, self.stores.runs.get_idle(anno_key), backend_options)
        push_planning.require_pushable(tool)
        return CheckedBackend(tool)

    def reviewed(self, of: str) -> pa.Table:
        """What the tool said, at loads, about the progress of each sample; undoing a load does not change it.

        Args:
            of: the key of a run, or a label field, for all runs that have it.

        Returns:
            For each sample and run: ``sample_id``, ``run`` (its key), whether it is ``reviewed``, its ``state`` in the words of the
            tool, ``by`` whom, the ``time`` of the last change where the tool says so, and when that was ``seen`` by a load.
            ``match_reviewed`` selects these samples.

        Raises:
            StoreError: there is no such run, and no such field.
        """
        runs = {run.run_id: run.anno_key for run in self.stores.runs.all_readable()}
        stage = View(self.stores).match_reviewed(of).stages[-1]
        rows = self.stores.sample_states.of(stage.get("run_ids") or self.stores.runs.ids_of_field(stage["field"]))
        keys = pa.array([runs[run_id] for run_id in rows["run_id"].to_pylist()], pa.string())
        columns = {name: rows[name] for name in ("sample_id", "reviewed", "state", "by", "time", "seen")}
        return pa.table({"sample_id": columns.pop("sample_id"), "run": keys, **columns})
