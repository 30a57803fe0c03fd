"""The annotation methods of datasets and views, with FiftyOne's names: annotate, load, and manage runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display import terminal
from ..display.progress import ProgressChoice
from ..store.stores import Stores
from ..store.views import Stage
from .chosen_samples import where_argument
from .no_new_attributes import NoNewAttributes

if TYPE_CHECKING:
    # The bridge is loaded when it is used: it needs more time and memory than the import of a small dataset.
    from ..bridge.loads import Decisions
    from ..bridge.reports import LoadReport
    from ..bridge.results import AnnotationResults
    from ..core.agreement.consensus import Consensus
    from ..core.merge.route import Choice
    from ..jobs.execution import ExecutorChoice


class AnnotationVerbs(NoNewAttributes):
    """The annotation methods of ``Dataset`` and ``View``. ``annotate`` sends the samples of the view; the other methods are about
    a run, and are the same on any view.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def stores(self) -> Stores:
        """The tables of the dataset."""

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The chain of stages that chooses the samples."""

    def annotate(
        self,
        anno_key: str,
        label_schema: Mapping[str, Any] | Sequence[str] | str | None = None,
        label_field: str | None = None,
        label_type: str | None = None,
        classes: Sequence[Any] | None = None,
        attributes: Any = True,
        mask_targets: Mapping[int, str] | None = None,
        allow_additions: bool = True,
        allow_deletions: bool = True,
        allow_label_edits: bool = True,
        allow_index_edits: bool = True,
        allow_spatial_edits: bool = True,
        media_field: str = "filepath",
        backend: str | None = None,
        launch_editor: bool = False,
        strict: bool = False,
        progress: ProgressChoice = None,
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
        **backend_options: Any,
    ) -> AnnotationResults:
        """Send these samples and their labels to an annotation tool, and record what was sent under ``anno_key``.

        The arguments are FiftyOne's. Everything is checked before anything is sent: the schema, the abilities of the backend,
        the options, the files and the labels. If sending is interrupted, ``resume_annotation`` sends the rest.

        Args:
            anno_key: the name of the run: letters, digits and ``_``.
            label_schema: field → type, classes, attributes and restrictions; or the names of fields that have labels, whose
                schema is inferred from these.
            label_field: the field, if it is one and ``label_schema`` is not given.
            label_type: its type, as ``"detections"``; inferred from its labels by default.
            classes: its classes; inferred from its labels by default. Labels of other classes are not sent.
            attributes: its attributes: ``True`` for those that its labels have, ``False`` for none, names, or name →
                definition.
            mask_targets: of a segmentation field: pixel value → class.
            allow_additions: whether a load takes new labels.
            allow_deletions: whether a load deletes labels that were deleted in the tool.
            allow_label_edits: whether a load takes other classes of labels that were sent.
            allow_index_edits: whether a load takes other track indexes of labels that were sent.
            allow_spatial_edits: whether a load takes other shapes of labels that were sent.
            media_field: the column of the samples that holds the files to send.
            backend: the tool, as ``"cvat"``; that of the settings by default.
            launch_editor: whether to open the tool in a browser afterwards.
            strict: whether labels that would not be sent are an error. They are counted in an ``UnsentWarning`` otherwise.
            progress: ``True`` or ``False`` for a progress bar or none, or a function that is called with
                (done, total); by default, a bar on a terminal or in a notebook.
            executor: where tasks are checked and sent, as in ``load_annotations``.
            workers: how many workers check and send at once; by default one for each core, and fewer for less than some hundred
                thousand labels. No more send at once than the tool takes tasks at once.
            executor_address: of a cluster, as in ``load_annotations``.
            **backend_options: settings of the backend for this run, as ``task_size`` or ``url``.

        Returns:
            The run: its tasks, their status, and the address of the editor.

        Raises:
            SchemaError: the schema is wrong, or the backend cannot do it.
            ConfigError: an option or credential is unknown, wrong or missing.
            RunExists: the key is in use.
            InvalidMedia: files cannot be read, or are not of the size that the dataset has.
            InvalidLabels: labels cannot be sent.
            BackendError: the tool refused, or cannot be reached.
            ExecutorError: the cluster is not there, or ended. What was sent is sent.
        """
        self.stores.database.require_writable()
        arguments = {
            "label_schema": label_schema, "label_field": label_field, "label_type": label_type, "classes": classes,
            "attributes": attributes, "mask_targets": mask_targets, "allow_additions": allow_additions,
            "allow_deletions": allow_deletions, "allow_label_edits": allow_label_edits,
            "allow_index_edits": allow_index_edits, "allow_spatial_edits": allow_spatial_edits,
        }  # fmt: skip
        from ..backend.checked import CheckedBackend
        from ..bridge import annotate
        from ..bridge.connect import connect
        from ..bridge.results import AnnotationResults
        from ..jobs.execution import Execution

        tool = connect(backend, backend_options)
        run = annotate.send(
            self.stores, self.stages, anno_key, arguments, CheckedBackend(tool), media_field, strict, progress,
            Execution.of({"executor": executor, "workers": workers, "executor_address": executor_address}),
        )  # fmt: skip
        sent = AnnotationResults(self.stores, run, tool)
        if launch_editor:
            sent.launch_editor()
        return sent

    def load_annotations(
        self,
        anno_key: str,
        dest_field: str | Mapping[str, str] | None = None,
        unexpected: Choice = "prompt",
        cleanup: bool = False,
        conflicts: str | Mapping[str, str] = "theirs",
        force: bool = False,
        invalid: str | None = None,
        progress: ProgressChoice = None,
        path: str | Path | None = None,
        format: str | None = None,  # noqa: A002
        decisions: Decisions = None,
        undecided: str = "take",
        where: AnnotationVerbs | Sequence[str] | None = None,
        reviewed_only: bool = False,
        since: str | datetime | None = None,
        annotator: str | None = None,
        consensus: Consensus | bool | None = None,
        executor: ExecutorChoice = None,
        workers: int | None = None,
        executor_address: str | None = None,
        **load_options: Any,
    ) -> LoadReport:
        """Merge the work on a run into the dataset, in one atomic commit.

        With ``path``, the answer is a file instead of the tool, which is not asked: an archive that a person exported there, or
        labels that another program wrote for the same images. All else is the same. Labels without an id that is known are
        matched by sample, frame, class and shape; the notes of the report say how. What the file does not hold stays as it is:
        attributes that none of its labels has, kinds of labels that do not occur in it, images that are not in it.

        Args:
            anno_key: the run.
            dest_field: the field into which the result goes, while the field that was sent stays as it is; or, for several
                fields, field → destination.
            unexpected: what to do with labels outside the schema: ``"prompt"`` (asks on a terminal; elsewhere an error, before
                anything is written), ``"keep"``, ``"ignore"``, ``"return"`` (lists them in the report), a dictionary of label type
                to field, or a function from the rows to a field name for each.
            cleanup: whether to remove the tasks from the server afterwards. They are kept if some of the work was not taken.
            conflicts: which side wins where both changed the same thing: ``"theirs"`` (the tool), ``"ours"``, or ``"fail"``
                for an error; or a dictionary of component to one of them, as ``{"*": "fail", "attributes": "theirs"}``. The
                components are ``existence``, ``label``, ``spatial``, ``index``, ``attributes`` and ``attributes.NAME``.
            force: whether to load even if most of the run would be deleted.
            invalid: shapes drawn over the border of their image are clipped to it (``"clip"``), refused and listed
                (``"refuse"``), or taken as they are (``"keep"``). By default they are clipped if they are up to a pixel outside,
                and refused otherwise.
            progress: as in ``annotate``.
            path: a zip, a folder or a file with labels. With backends that exchange files with people, it is their option.
            format: the name of its format, as ``"cvat"``; by default it is found by looking.
            decisions: what people decided about single changes: a file that the review page wrote, a table of such rows, or a plan.
                Those about changes that look different by now are stale: they are not applied, these changes are left for
                later, and the notes of the report count them.
            undecided: what happens to changes that nobody decided about: ``"take"`` loads them as they are proposed,
                ``"leave"`` leaves them for later.
            where: the samples to load, as a view or by their ids; by default all of the run. Labels of others stay as they are.
            reviewed_only: load only samples that people have reviewed, as the tool says.
            since: ``"last"`` leaves out tasks in which nothing changed since the last such load, without downloading them; a time
                (``datetime`` with a time zone), samples that did not change since then, as the tool says.
            annotator: whose answer is loaded, where several people answered the same samples; by default, the one that the tool
                takes. Samples that this person did not answer stay as they are.
            consensus: make one answer of those of all annotators, as an ``annobridge.Consensus`` says. What fewer than its quorum
                have is left for a decision: it is among the changes of the plan, and loaded only if somebody accepts it. By
                default, as the last load did; ``False`` for none.
            executor: where the tasks are downloaded and merged: ``"local"`` (processes of this machine), ``"dask"``, ``"ray"``, or
                another one that is installed; or an object with ``submit``, as those of ``concurrent.futures``. By default as the
                settings say, or ``"local"``. The result is the same with any.
            workers: how many of them work at once; by default as many as the machine has cores, and fewer for less than some
                hundred thousand labels, or as many as the cluster has.
            executor_address: where the cluster is, as ``"tcp://10.0.0.1:8786"``.
            **load_options: settings of the backend for this load, as ``url`` or a credential; with ``path``, options of the format.

        Returns:
            What was added, edited and deleted; what was refused, and why; the conflicts; and the new version of the labels.

        Raises:
            RunError: there is no such run, it was not sent in full, or another process holds it.
            MergeError: conflicts under ``"fail"``, unexpected labels under ``"prompt"`` without a terminal, too many deletions, or
                changes of a protected field that nobody decided about.
            InvalidOption: a decision is about another run, does not fit its change, or cannot be read (with file and line).
            BackendError: the tool refused, or cannot be reached. Nothing is written then.
            InvalidSource: the file cannot be read, or has no image of the run.
            ExecutorError: the workers cannot be reached, or ended. Nothing is written then.
        """
        from ..bridge import prompt, results

        run = results.loads_of(self.stores, anno_key, path, format, load_options)
        return run.load(
            cleanup, prompt.choose if terminal.on_stdin() else None, dest_field=dest_field,
            unexpected=unexpected, conflicts=conflicts, force=force, invalid=invalid, progress=progress,
            decisions=decisions, undecided=undecided, where=where_argument(self.stores, where),
            reviewed_only=reviewed_only, since=since, annotator=annotator, consensus=consensus, executor=executor,
            workers=workers, executor_address=executor_address,
        )  # fmt: skip

    def load_annotation_results(self, anno_key: str, **backend_options: Any) -> AnnotationResults:
        """The results object of a run, for its status, editor, plan and clean-up.

        Args:
            anno_key: the run.
            **backend_options: settings of the backend that replace those which the run stored.
        """
        from ..bridge.connect import reconnect
        from ..bridge.results import AnnotationResults

        self.stores.database.require_writable()
        run = self.stores.runs.get_settled(anno_key)
        return AnnotationResults(self.stores, run, reconnect(self.stores, run, backend_options))

    def list_annotation_runs(self) -> list[str]:
        """The keys of all runs, oldest first."""
        return self.stores.runs.keys()

    def has_annotation_run(self, anno_key: str) -> bool:
        """Whether there is a run with this key."""
        return anno_key in self.list_annotation_runs()

    def has_annotation_runs(self) -> bool:
        """Whether there is any run."""
        return bool(self.list_annotation_runs())

    def get_annotation_info(self, anno_key: str) -> dict[str, Any]:
        """The schema, options and state of a run as plain data; what was not sent; and what each load did."""
        from ..bridge import results

        return results.describe(self.stores.runs.get_settled(anno_key))

    def rename_annotation_run(self, anno_key: str, new_anno_key: str) -> None:
        """Rename a run. Raises ``RunExists`` if the new key is in use."""
        from ..bridge import annotate

        annotate.check_key(new_anno_key)
        with self.stores.runs.hold(self.stores.runs.get_idle(anno_key), "is being renamed") as (run, _):
            self.stores.runs.rename(run, new_anno_key)

    def delete_annotation_run(self, anno_key: str) -> None:
        """Delete a run and its history. Labels in the dataset and tasks on the server are kept."""
        self.stores.runs.delete_by_key(anno_key)

    def delete_annotation_runs(self) -> None:
        """Delete all runs. Labels in the dataset and tasks on the server are kept."""
        for key in self.list_annotation_runs():
            self.delete_annotation_run(key)
