"""Views: a part of a dataset, lazily; and every verb of annotation, which works on any part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.guarded import Guarded
from ..bridge import annotate as sending
from ..bridge import prompt, results
from ..bridge import undo as undoing
from ..bridge.connect import connect, reconnect
from ..bridge.reports import LoadReport, MergePlan, Undone
from ..bridge.results import AnnotationResults
from ..core.did_you_mean import did_you_mean
from ..core.labels import LABELS
from ..core.merge.route import Choice
from ..core.nest import nest, nested_schema
from ..core.schema import infer
from ..display import html, terminal
from ..display.progress import ProgressChoice
from ..exceptions import StoreError
from ..formats.parts import SampleParts
from ..store.labels import of_fields
from ..store.locate import of_samples
from ..store.stores import Stores
from ..store.views import Selection, Stage, label_condition, resolve
from .arrow_stream import ArrowStream
from .fixed import Fixed
from .queries import LabelCount


class View(Fixed):
    """Samples of a dataset, chosen by a chain of stages that run in LanceDB when they are needed."""

    __slots__ = ("__weakref__", "_stages", "_stores")

    def __init__(self, stores: Stores, stages: Sequence[Stage] = ()) -> None:
        self._stores = stores
        self._stages = tuple(stages)

    # Choosing samples: every verb gives a new view.

    def _then(self, verb: str, **arguments: Any) -> View:
        return View(self._stores, (*self._stages, {"verb": verb, **arguments}))

    def match(self, where: str) -> View:
        """Samples that meet an SQL condition on their columns, as ``"split = 'train'"``."""
        return self._then("match", where=where)

    def match_tags(self, *tags: str) -> View:
        """Samples with at least one of the tags."""
        return self._then("match_tags", tags=list(tags))

    def match_labels(self, field: str, where: str = "true") -> View:
        """Samples with at least one label of a field, among those left in the view, that meets an SQL condition on the columns
        of ``LABELS``.
        """
        return self._then("match_labels", field=field, where=where)

    def filter_labels(self, field: str, where: str) -> View:
        """As ``match_labels``; and of that field, only the labels that meet the condition are in the view, and sent.

        Later stages see these labels only: two filters on one field leave the labels that meet both conditions.
        """
        return self._then("filter_labels", field=field, where=where)

    def select(self, sample_ids: Sequence[str] | str, ordered: bool = False) -> View:
        """Some samples by id, in the order of the view, or of the ids when ``ordered``.

        Raises ``SampleNotFound`` for an id that the dataset does not have.
        """
        return self._then("select", ids=self._present(sample_ids), ordered=ordered)

    def exclude(self, sample_ids: Sequence[str] | str) -> View:
        """All samples but these. Raises ``SampleNotFound`` for an id that the dataset does not have."""
        return self._then("exclude", ids=self._present(sample_ids))

    def _present(self, sample_ids: Sequence[str] | str) -> list[str]:
        """The ids as a list. Looked up now and not later: the view of a run outlives samples that are deleted."""
        ids = listed(sample_ids)
        self._stores.samples.require(pa.array(ids, pa.string()), "correct the id, or leave it out")
        return ids

    def limit(self, count: int) -> View:
        """The first samples."""
        return self._then("limit", count=_whole(count))

    def skip(self, count: int) -> View:
        """All but the first samples."""
        return self._then("skip", count=_whole(count))

    def take(self, count: int, seed: int = 51) -> View:
        """Random samples; the same for the same seed."""
        return self._then("take", count=_whole(count), seed=seed)

    def sort_by(self, by: str | LabelCount, reverse: bool = False) -> View:
        """The samples in the order of a column, of an SQL expression on columns (``"width * height"``), or of how many
        labels they have (``LabelCount``). Equal ones keep the order of the view; those without a value come last.
        """
        if isinstance(by, LabelCount):
            self._require_fields([by.field])
            return self._then("sort_by", by=repr(by), field=by.field, where=by.where, reverse=reverse)
        if not isinstance(by, str):
            raise StoreError(
                f"The samples cannot be sorted by {by!r}; give a column, an SQL expression, or a LabelCount."
            )
        return self._then("sort_by", by=by, reverse=reverse)

    # Reading

    def _selection(self) -> Selection:
        return resolve(self._stores.samples, self._stores.labels, self._stages)

    def sample_ids(self) -> list[str]:
        """The ids of the samples, in order."""
        ids: list[str] = self._selection().sample_ids.to_pylist()
        return ids

    def __len__(self) -> int:
        return len(self._selection().sample_ids) if self._stages else self._stores.samples.count()

    def first(self) -> dict[str, Any]:
        """The row of the first sample. Raises ``StoreError`` for a view of none."""
        rows = self.limit(1).samples().to_pylist()
        if not rows:
            raise StoreError("The view is empty, so it has no first sample; widen its conditions.")
        return rows[0]

    def samples(self, columns: Sequence[str] | None = None) -> ArrowStream:
        """The rows of the samples."""
        schema = self._stores.samples.schema()
        if columns is not None:
            if unknown := [c for c in columns if c not in schema.names]:
                raise StoreError(f"The samples have no column {unknown[0]!r}; they have {', '.join(schema.names)}.")
            schema = pa.schema([schema.field(c) for c in columns])
        return ArrowStream(schema, lambda: self._sample_batches(schema.names))

    def _sample_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if not self._stages:
            yield from self._stores.samples.scan(None, columns)
        else:
            yield from self._stores.samples.rows(self._selection().sample_ids, columns).to_batches()

    def labels(self, field: str | Sequence[str] | None = None, where: str | None = None) -> ArrowStream:
        """The labels of the samples: of one field, some, or all; ``where`` is an SQL condition on ``LABELS``.

        Raises ``StoreError`` for a field that neither has labels nor was ever sent, unless there are no labels at all.
        """
        if field is not None:
            self._require_fields(listed(field))
        return ArrowStream(LABELS, lambda: self._label_batches(field, where, self._stores.labels.scan))

    def _label_batches(
        self,
        field: str | Sequence[str] | None,
        where: str | None,
        scan: Callable[[str | None], Iterator[pa.RecordBatch]],
    ) -> Iterator[pa.RecordBatch]:
        conditions = [f"({where})"] if where else []
        selection = self._selection()
        fields = listed(field) if field is not None else None
        if fields is None and selection.label_filters:
            fields = self.label_fields()
        if fields is not None:
            if not fields:
                return
            conditions.append(f"({label_condition(fields, selection.label_filters)})")
        yield from of_samples(scan(" AND ".join(conditions) or None), selection.sample_ids)

    def _require_fields(self, fields: Sequence[str]) -> None:
        labels = self._stores.labels
        absent = [name for name in fields if not labels.any(of_fields([name]))]
        if not absent or not labels.count():
            return
        known = {*self.label_fields(), *(name for run in self._stores.runs.every() for name in run.fields)}
        if unknown := [name for name in absent if name not in known]:
            raise StoreError(
                f"The dataset has no label field {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}"
            )

    def nested(self, fields: str | Sequence[str] | None = None) -> ArrowStream:
        """The rows of the samples, with a list of label structs in a column for each field: of all fields, or of some."""
        names = self.label_fields() if fields is None else listed(fields)
        self._require_fields(names)
        schema = nested_schema(self._stores.samples.schema(), LABELS, names)
        return ArrowStream(schema, lambda: self._nested_batches(names))

    def _nested_batches(self, fields: list[str]) -> Iterator[pa.RecordBatch]:
        with self._content(fields) as content:
            for part in content.parts():
                yield from nest(part.samples, part.labels, fields).to_batches()

    def _content(self, fields: Sequence[str] | None = None) -> SampleParts:
        labels = self._label_batches(fields, None, self._stores.labels.ordered)
        return SampleParts(self._stores.samples, self._selection().sample_ids, labels)

    def label_fields(self) -> list[str]:
        """The names of the label fields of the dataset."""
        found: set[str] = set()
        labels = self._stores.labels.scan(None, ["field", "sample_id"])
        for batch in of_samples(labels, self._stores.samples.ids()):
            found.update(pc.unique(batch["field"]).to_pylist())
        return sorted(found)

    def count_labels(self, field: str | None = None) -> int:
        """How many labels there are."""
        labels = self._stores.labels
        return sum(
            batch.num_rows
            for batch in self._label_batches(field, None, lambda where: labels.scan(where, ["sample_id"]))
        )

    # Annotation

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
        **backend_options: Any,
    ) -> AnnotationResults:
        """Send these samples and their labels to an annotation tool, and remember what was sent under ``anno_key``.

        The arguments are FiftyOne's. Everything is checked before anything is sent: the schema, the backend's
        abilities, the options (an unknown one is an error), the files and the labels. What is left behind, as labels of classes
        outside the schema, is counted in an ``UnsentWarning`` and in ``get_annotation_info``; ``strict`` makes it an error.
        Raises a ``SchemaError``, ``ConfigError``, ``RunExists``, ``InvalidMedia`` or ``BackendError``; after the last,
        ``resume_annotation`` goes on.
        """
        arguments = {
            "label_schema": label_schema, "label_field": label_field, "label_type": label_type, "classes": classes,
            "attributes": attributes, "mask_targets": mask_targets, "allow_additions": allow_additions,
            "allow_deletions": allow_deletions, "allow_label_edits": allow_label_edits,
            "allow_index_edits": allow_index_edits, "allow_spatial_edits": allow_spatial_edits,
        }  # fmt: skip
        tool = connect(backend, backend_options)
        run = sending.send(
            self._stores, self._stages, anno_key, arguments, Guarded(tool), media_field, strict, progress
        )
        found = AnnotationResults(self._stores, run, tool)
        if launch_editor:
            found.launch_editor()
        return found

    def resume_annotation(
        self, anno_key: str, progress: ProgressChoice = None, **backend_options: Any
    ) -> AnnotationResults:
        """Finish sending a run that stopped half-way. What arrived is not sent again."""
        run = self._stores.runs.get(anno_key)
        tool = reconnect(run, backend_options)
        return AnnotationResults(self._stores, sending.resume(self._stores, run, Guarded(tool), progress), tool)

    def abort_annotation(self, anno_key: str, **backend_options: Any) -> None:
        """Remove what a run made on the server, and forget the run. Labels here stay as they are."""
        run = self._stores.runs.get(anno_key)
        sending.abort(self._stores, run, Guarded(reconnect(run, backend_options)))

    def load_annotation_results(self, anno_key: str, **backend_options: Any) -> AnnotationResults:
        """The results object of a run: its status, editor, plan and clean-up."""
        run = self._stores.runs.look(anno_key)
        return AnnotationResults(self._stores, run, reconnect(run, backend_options))

    def plan_annotations(
        self,
        anno_key: str,
        dest_field: str | Mapping[str, str] | None = None,
        unexpected: Choice = "prompt",
        conflicts: str = "theirs",
        force: bool = False,
        invalid: str | None = None,
        progress: ProgressChoice = None,
        **load_options: Any,
    ) -> MergePlan:
        """What ``load_annotations`` would do. Nothing is written; ``plan.apply()`` makes exactly that change."""
        found = self.load_annotation_results(anno_key, **load_options)
        return found.plan(
            dest_field=dest_field,
            unexpected=unexpected,
            conflicts=conflicts,
            force=force,
            invalid=invalid,
            progress=progress,
        )

    def load_annotations(
        self,
        anno_key: str,
        dest_field: str | Mapping[str, str] | None = None,
        unexpected: Choice = "prompt",
        cleanup: bool = False,
        conflicts: str = "theirs",
        force: bool = False,
        invalid: str | None = None,
        progress: ProgressChoice = None,
        **load_options: Any,
    ) -> LoadReport:
        """Merge the work of a run back, in one atomic commit, and report what was done, refused, and in conflict.

        ``unexpected``: what to do with labels outside the schema: ``"prompt"`` (asks on a terminal; elsewhere an error, before
        anything is written), ``"keep"``, ``"ignore"``, ``"return"``, a dictionary of type to field, or a callable from the rows
        to field names. ``conflicts``: which side wins where both changed one thing, ``"theirs"`` (the tool), ``"ours"`` or
        ``"fail"``. ``force`` lifts the guard against a load that deletes most of the run. ``invalid``: shapes that were drawn
        over the border of their image are cut back to it (``"clip"``), or left out and listed (``"refuse"``); by default they are
        cut if they are up to a pixel outside.
        """
        found = self.load_annotation_results(anno_key, **load_options)
        return found.load(
            cleanup, prompt.choose if terminal.on_stdin() else None, dest_field=dest_field,
            unexpected=unexpected, conflicts=conflicts, force=force, invalid=invalid, progress=progress,
        )  # fmt: skip

    def undo_annotations(self, anno_key: str) -> Undone:
        """Take back the last load of a run, and only that; labels edited here since then keep their edits."""
        return undoing.undo(self._stores, self._stores.runs.get(anno_key))

    # Runs

    def list_annotation_runs(self) -> list[str]:
        """The keys of all runs, oldest first."""
        return self._stores.runs.keys()

    def has_annotation_run(self, anno_key: str) -> bool:
        """Whether there is a run of that key."""
        return anno_key in self.list_annotation_runs()

    def has_annotation_runs(self) -> bool:
        """Whether there is any run."""
        return bool(self._stores.runs.keys())

    def get_annotation_info(self, anno_key: str) -> dict[str, Any]:
        """What was asked, when, and what each load did, or is doing."""
        return results.describe(self._stores.runs.look(anno_key))

    def load_annotation_view(self, anno_key: str) -> View:
        """The view that was sent."""
        return View(self._stores, self._stores.runs.look(anno_key).view)

    def rename_annotation_run(self, anno_key: str, new_anno_key: str) -> None:
        """Give a run another key. Raises ``RunExists`` when that one is in use."""
        sending.check_key(new_anno_key)
        with self._stores.runs.hold(self._stores.runs.get(anno_key), "is being renamed") as (run, _):
            self._stores.runs.rename(run, new_anno_key)

    def delete_annotation_run(self, anno_key: str) -> None:
        """Forget a run and its history; neither labels here nor tasks on the server are touched."""
        self._stores.runs.forget(anno_key)

    def delete_annotation_runs(self) -> None:
        """Forget all runs."""
        for key in self.list_annotation_runs():
            self.delete_annotation_run(key)

    def __repr__(self) -> str:
        chain = "".join(
            f".{s['verb']}({', '.join(f'{k}={v!r}' for k, v in s.items() if k != 'verb')})" for s in self._stages
        )
        return f"{type(self).__name__}({self._stores.db.uri!r}){chain}: {len(self)} samples"

    def _repr_html_(self) -> str:
        scan = self._stores.labels.scan
        found = infer.describe(self._label_batches(None, None, lambda where: scan(where, infer.COLUMNS)))
        names = ["field", "type", "labels", "classes", "attributes"]
        table = html.table(names, infer.rows(found)) if found else html.line("no labels")
        return html.titled(repr(self), table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open; this is for ``with``."""


def _whole(count: int) -> int:
    if count < 0:
        raise StoreError(f"A view cannot hold {count} samples; give 0 or more.")
    return int(count)


def listed(names: str | Sequence[str]) -> list[str]:
    """One name or several as a list, each once."""
    return [names] if isinstance(names, str) else list(dict.fromkeys(str(n) for n in names))
