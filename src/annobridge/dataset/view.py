"""Views: lazy selections of the samples of a dataset, with the annotation methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from ..core.did_you_mean import did_you_mean
from ..core.labels import LABELS
from ..core.nest import nest, nested_schema
from ..core.schema import infer
from ..display import html
from ..display.progress import ProgressChoice
from ..exceptions import InvalidOption, StoreError
from ..formats.common.fidelity import Loss
from ..formats.parts import SampleParts
from ..store.labels import field_condition
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from ..store.views import Selection, Stage, label_condition, resolve
from .answers import AnswerVerbs
from .arrow_stream import ArrowStream
from .export import ExportReport, losses, write
from .queries import LabelCount


class View(AnswerVerbs):
    """Samples of a dataset, selected by a chain of stages that LanceDB evaluates on each access."""

    __slots__ = ("__weakref__", "_stages", "_stores")

    def __init__(self, stores: Stores, stages: Sequence[Stage] = ()) -> None:
        self._stores = stores
        self._stages = tuple(stages)

    @property
    def stores(self) -> Stores:
        """The tables of the dataset, for annobridge's own packages."""
        return self._stores

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The chain of stages, as a run stores it."""
        return self._stages

    # Selecting samples: every method returns a new view.

    def _then(self, verb: str, **arguments: Any) -> View:
        return View(self.stores, (*self._stages, {"verb": verb, **arguments}))

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
        """As ``match_labels``; besides, the view has only those labels of the field that meet the condition.

        Only these labels are sent, and seen by later stages: after two filters on one field, both conditions hold.
        """
        return self._then("filter_labels", field=field, where=where)

    def match_run(self, anno_key: str) -> View:
        """Samples that were sent with a run. Raises ``RunNotFound``."""
        return self._then("in_run", run_id=self.stores.runs.get_settled(anno_key).run_id, inside=True)

    def exclude_run(self, anno_key: str) -> View:
        """All samples except those that were sent with a run. Raises ``RunNotFound``."""
        return self._then("in_run", run_id=self.stores.runs.get_settled(anno_key).run_id, inside=False)

    def match_reviewed(self, of: str) -> View:
        """Samples that people have reviewed in the tool, as loads were told: those of a run, by its key; or of all runs of a label
        field. So "looked at, and empty" is not "never looked at". Raises ``StoreError`` if there is neither.
        """
        return self._then("match_reviewed", **self._runs_of(of), reviewed=True)

    def exclude_reviewed(self, of: str) -> View:
        """All samples except those that ``match_reviewed`` selects."""
        return self._then("match_reviewed", **self._runs_of(of), reviewed=False)

    def _runs_of(self, of: str) -> dict[str, Any]:
        """The run of this key, or the label field, as arguments of a stage."""
        if not isinstance(of, str):
            raise InvalidOption(f"of= is {of!r}; give the key of a run, or the name of a label field.")
        if self.has_annotation_run(of):
            return {"run_ids": [self.stores.runs.get_settled(of).run_id]}
        try:
            self._require_fields([of])
        except StoreError as e:
            known = [*self.label_fields(), *self.list_annotation_runs()]
            raise StoreError(f"The dataset has no run and no label field {of!r}; {did_you_mean(of, known)}") from e
        return {"field": of}

    def select(self, sample_ids: Sequence[str] | str, ordered: bool = False) -> View:
        """The samples with these ids, in the order of the view, or of the ids if ``ordered``.

        Raises ``SampleNotFound`` for an id that the dataset does not have.
        """
        return self._then("select", ids=self._present(sample_ids), ordered=ordered)

    def exclude(self, sample_ids: Sequence[str] | str) -> View:
        """All samples except these. Raises ``SampleNotFound`` for an id that the dataset does not have."""
        return self._then("exclude", ids=self._present(sample_ids))

    def _present(self, sample_ids: Sequence[str] | str) -> list[str]:
        """The ids as a list. They are checked here only: samples may be deleted later, and the view of a run must still work."""
        ids = listed(sample_ids)
        self.stores.samples.require(pa.array(ids, pa.string()), "correct the id, or leave it out")
        return ids

    def limit(self, count: int) -> View:
        """The first ``count`` samples."""
        return self._then("limit", count=_check_count(count))

    def skip(self, count: int) -> View:
        """All samples except the first ``count``."""
        return self._then("skip", count=_check_count(count))

    def take(self, count: int, seed: int = 51) -> View:
        """``count`` random samples; the same ones for the same seed."""
        return self._then("take", count=_check_count(count), seed=seed)

    def sort_by(self, by: str | LabelCount, reverse: bool = False) -> View:
        """The samples sorted by a column, an SQL expression on columns (``"width * height"``), or the number of labels
        (``LabelCount``). Equal ones keep the order of the view; null comes last.
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
        return resolve(self.stores, self._stages)

    def sample_ids(self) -> list[str]:
        """The ids of the samples, in order."""
        ids: list[str] = self._selection().sample_ids.to_pylist()
        return ids

    def __len__(self) -> int:
        return len(self._selection().sample_ids) if self._stages else self.stores.samples.count()

    def first(self) -> dict[str, Any]:
        """The row of the first sample. Raises ``StoreError`` for an empty view."""
        rows = self.limit(1).samples().to_pylist()
        if not rows:
            raise StoreError("The view is empty, so it has no first sample; widen its conditions.")
        return rows[0]

    def samples(self, columns: Sequence[str] | None = None) -> ArrowStream:
        """The rows of the samples."""
        schema = self.stores.samples.schema()
        if columns is not None:
            if unknown := [c for c in columns if c not in schema.names]:
                raise StoreError(f"The samples have no column {unknown[0]!r}; they have {', '.join(schema.names)}.")
            schema = pa.schema([schema.field(c) for c in columns])
        return ArrowStream(schema, lambda: self._sample_batches(schema.names))

    def _sample_batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if not self._stages:
            yield from self.stores.samples.scan(None, columns)
        else:
            yield from self.stores.samples.rows(self._selection().sample_ids, columns).to_batches()

    def labels(self, field: str | Sequence[str] | None = None, where: str | None = None) -> ArrowStream:
        """The labels of the samples: of one field, several, or all; ``where`` is an SQL condition on columns of ``LABELS``.

        Raises ``StoreError`` for a field that has no labels and was never sent, unless the dataset has no labels.
        """
        if field is not None:
            self._require_fields(listed(field))
        return ArrowStream(LABELS, lambda: self._label_batches(field, where, self.stores.labels.scan))

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
        yield from filter_by_samples(scan(" AND ".join(conditions) or None), selection.sample_ids)

    def _require_fields(self, fields: Sequence[str]) -> None:
        labels = self.stores.labels
        absent = [name for name in fields if not labels.exists(field_condition([name]))]
        if not absent or not labels.count():
            return
        known = {*self.label_fields(), *(name for run in self.stores.runs.all_readable() for name in run.fields)}
        if unknown := [name for name in absent if name not in known]:
            raise StoreError(
                f"The dataset has no label field {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}"
            )

    def nested(self, fields: str | Sequence[str] | None = None) -> ArrowStream:
        """The rows of the samples, with a column for each field (of some, or of all) that has lists of label structs."""
        names = self.label_fields() if fields is None else listed(fields)
        self._require_fields(names)
        schema = nested_schema(self.stores.samples.schema(), LABELS, names)
        return ArrowStream(schema, lambda: self._nested_batches(names))

    def _nested_batches(self, fields: list[str]) -> Iterator[pa.RecordBatch]:
        with self.sample_parts(fields) as content:
            for part in content.parts():
                yield from nest(part.samples, part.labels, fields).to_batches()

    def sample_parts(self, fields: Sequence[str] | None = None, reviewed: pa.Array | None = None) -> SampleParts:
        """The samples with their labels, of some fields or all, in parts of bounded memory. Use it in a ``with`` statement.

        Samples whose ids are in ``reviewed`` get the tag ``reviewed``.
        """
        labels = self._label_batches(fields, None, self.stores.labels.scan_with_row_id)
        return SampleParts(self.stores.samples, self._selection().sample_ids, labels, reviewed)

    def export(
        self,
        path: str | Path,
        format: str,  # noqa: A002 - the word that everybody looks for
        fields: Sequence[str] | str | None = None,
        progress: ProgressChoice = None,
        reviewed: str | None = None,
        **options: Any,
    ) -> ExportReport:
        """Write the samples with their labels in the format of another tool. It appears when it is complete, or not at all.

        Args:
            path: a folder that does not exist yet, or is empty; or a name that ends with ``.zip``.
            format: the name of the format, as ``"coco"``, ``"yolo"``, ``"cvat"``, ``"folder"`` or ``"fiftyone"``.
            fields: the label fields that are written; all by default.
            progress: whether to show a progress bar; by default, on a terminal. Or a function that is called with the number
                of samples that are done, and of all samples.
            reviewed: a run or label field, as for ``match_reviewed``: samples that people have reviewed in it get the tag
                ``reviewed``. In ``"yolo"``, an image without labels has a label file only if it is reviewed. Where the format has
                neither, the notes count them.
            **options: the options of the format, as ``save_media=False`` (or ``"link"``), ``classes=[…]`` for the order of the
                classes, ``strict=True`` for an error where something would be lost.

        Returns:
            What was written, and notes on what was left out or changed.

        Raises:
            InvalidOption: there is no such format or option.
            StoreError: the folder is not empty, there is no such field, or the disk is full.
            Unsupported: the format cannot hold some labels.
            InvalidMedia: a file that is to be copied cannot be read.
        """
        with self._chosen_parts(fields, reviewed) as samples:
            return write(samples, path, format, progress, options)

    def export_losses(
        self,
        format: str,  # noqa: A002 - as in ``export``
        fields: Sequence[str] | str | None = None,
        reviewed: str | None = None,
        **options: Any,
    ) -> list[Loss]:
        """What ``export`` with these arguments would lose, counted without writing anything.

        Pixels that other labels cover are only known once masks are painted; the notes of the export report them.

        Returns:
            Field, what happens, and to how many labels or images; ``str`` of one is the sentence that is in the notes of the
            export. An empty list if all survives.

        Raises:
            InvalidOption: there is no such format or option, or the format tells its losses only when it is written.
            Unsupported: the export would be refused.
        """
        with self._chosen_parts(fields, reviewed) as samples:
            return losses(samples, format, options)

    def _chosen_parts(self, fields: Sequence[str] | str | None, reviewed: str | None) -> SampleParts:
        names = listed(fields) if fields is not None else None
        self._require_fields(names or ())
        seen = None if reviewed is None else self.match_reviewed(reviewed)._selection().sample_ids
        return self.sample_parts(names, seen)

    def label_fields(self) -> list[str]:
        """The names of the label fields of the dataset."""
        found: set[str] = set()
        labels = self.stores.labels.scan(None, ["field", "sample_id"])
        for batch in filter_by_samples(labels, self.stores.samples.ids()):
            found.update(pc.unique(batch["field"]).to_pylist())
        return sorted(found)

    def count_labels(self, field: str | None = None) -> int:
        """The number of labels on the samples, of one field or all."""
        labels = self.stores.labels
        return sum(
            batch.num_rows
            for batch in self._label_batches(field, None, lambda where: labels.scan(where, ["sample_id"]))
        )

    def load_annotation_view(self, anno_key: str) -> View:
        """The view that was sent with a run, without samples that were deleted since."""
        return View(self.stores, self.stores.runs.get_settled(anno_key).view)

    def __repr__(self) -> str:
        chain = "".join(
            f".{s['verb']}({', '.join(f'{k}={v!r}' for k, v in s.items() if k != 'verb')})" for s in self._stages
        )
        database = self.stores.database
        at = f".at({database.snapshot!r})" if database.snapshot is not None else ""
        return f"{type(self).__name__}({database.uri!r}){at}{chain}: {len(self)} samples"

    def _repr_html_(self) -> str:
        scan = self.stores.labels.scan
        found = infer.describe(self._label_batches(None, None, lambda where: scan(where, infer.COLUMNS)))
        names = ["field", "type", "labels", "classes", "attributes"]
        table = html.table(names, infer.summary_rows(found)) if found else html.line("no labels")
        return html.titled(repr(self), table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close; a view can be used in a ``with`` statement."""


def _check_count(count: int) -> int:
    if count < 0:
        raise StoreError(f"A view cannot hold {count} samples; give 0 or more.")
    return int(count)


def listed(names: str | Sequence[str]) -> list[str]:
    """One name or several as a list without duplicates."""
    return [names] if isinstance(names, str) else list(dict.fromkeys(str(n) for n in names))
