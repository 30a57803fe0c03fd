"""Datasets: create, open and change them. A dataset is a view of all its samples that can also be written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core import labels_from_column
from ..core.nest import unnest
from ..exceptions import DatasetNotFound, SchemaError, StoreError
from ..formats import registry
from ..formats.base import Source
from ..ingest import add
from ..ingest.adopt_column import labels_in_column
from ..ingest.edit_labels import edited_labels
from ..ingest.importer import Importer, labels_of_field
from ..ingest.new_label_rows import clip_option
from ..ingest.parse_labels import parse_labels
from ..ingest.parse_samples import (
    check_sample_labels,
    labels_by_field,
    parse_samples,
    sample_table,
    with_media_type,
)
from ..store import fingerprints, staging
from ..store.stores import WAIT, Stores
from ..store.tables import Database, in_list, quote
from .media import MediaVerbs
from .run_verbs import RunVerbs
from .versions import VersionVerbs
from .view import View, listed

if TYPE_CHECKING:
    from ..doctor import DoctorReport


class Dataset(View, RunVerbs, VersionVerbs, MediaVerbs):
    """Images and their labels, in one LanceDB database."""

    __slots__ = ()

    @classmethod
    def from_arrow(
        cls,
        uri: str | Path,
        samples: Any,
        labels: Mapping[str, Any] | Sequence[str] = (),
        label_types: Mapping[str, str] | None = None,
        storage_options: dict[str, str] | None = None,
    ) -> Dataset:
        """Create a dataset from samples, and from labels by field: tables, streams or data frames with Arrow's interface.

        ``labels`` may also name columns of the samples that hold lists of label structs, as ``nested()`` returns them.
        Raises the errors of ``create_dataset``, ``add_samples`` and ``add_labels``; nothing is created then.
        """
        if not isinstance(labels, Mapping):
            samples, rows = unnest(pa.table(samples), labels)
            labels = {field: rows.filter(pc.equal(rows["field"], field)).drop(["field"]) for field in labels}
        tables = {field: parse_labels(rows) for field, rows in labels.items()}
        with staging.staged_database(str(uri), storage_options, replace=False) as database:
            rows = with_media_type(pa.table(samples))
            add.add_samples(Stores.open(database), rows, lambda _: tables, label_types)
        return load_dataset(uri, storage_options)

    @classmethod
    def from_pandas(
        cls, uri: str | Path, samples: Any, labels: Mapping[str, Any] | Sequence[str] = (), **arguments: Any
    ) -> Dataset:
        """As ``from_arrow``, from pandas data frames. Their index is ignored."""
        tables: Mapping[str, Any] | Sequence[str] = labels
        if isinstance(labels, Mapping):
            tables = {field: pa.Table.from_pandas(rows, preserve_index=False) for field, rows in labels.items()}
        return cls.from_arrow(uri, pa.Table.from_pandas(samples, preserve_index=False), tables, **arguments)

    @property
    def uri(self) -> str:
        """The path or URI of the dataset."""
        return self.stores.database.uri

    def add_samples(
        self, samples: Any, image_dir: str | Path | None = None, classes: Sequence[str] | None = None
    ) -> list[str]:
        """Add samples with their labels: ``Sample`` objects, dictionaries of columns, or any Arrow table (the fast way).

        Columns that the dataset lacks are added. Returns the sample ids. opsml's ``ImageMetadata`` and
        ``ImageRecord`` are accepted too: their file names are relative to ``image_dir``, and ``classes`` names
        classes that are numbers.

        Either all samples and labels are added or nothing is, even if the process is killed. Raises ``InvalidLabels`` for a sample
        whose ``sample_id`` (or, without one, whose file) the dataset already has.
        """
        from ..formats import opsml

        if opsml.is_records(samples):
            with self.stores.changing_samples(add.PURPOSE, WAIT):
                found = Importer(self.stores, tags=(), clip=False)
                found.read(_records(samples, image_dir, classes), progress=False)
                found.commit()
            return found.sample_ids
        if hasattr(samples, "__arrow_c_stream__"):
            return add.add_samples(self.stores, with_media_type(pa.table(samples)), lambda _: {})
        self.stores.samples.require_writable()
        given = parse_samples(samples)
        if not given:
            return []
        rows = sample_table(given)
        check_sample_labels(given, rows)
        files = fingerprints.of_places([sample.filepath for sample in given])
        return add.add_samples(self.stores, rows, lambda ids: labels_by_field(given, ids), files=files)

    def delete_samples(self, sample_ids: Sequence[str] | str) -> None:
        """Delete samples and their labels: either both or nothing."""
        ids = listed(sample_ids)
        if not ids:
            return
        self.stores.samples.require_writable()
        with self.stores.changing_samples("is having samples deleted", WAIT):
            self.stores.samples.require(pa.array(ids, pa.string()), "correct the id, or leave it out")
            self.stores.samples.delete(ids)
            self.stores.labels.delete_by_samples(pa.array(ids, pa.string()))
            self.stores.fingerprints.delete(ids)

    def add_labels(
        self,
        field: str,
        rows: Any,
        label_type: str | None = None,
        invalid: str = "refuse",
        image_dir: str | Path | None = None,
        classes: Sequence[str] | None = None,
    ) -> int:
        """Add labels to a field; returns how many.

        ``rows`` is an Arrow table or stream with columns of ``LABELS`` (the fast way; ``sample_id`` is needed, ``kind`` follows
        from ``label_type`` or from the columns), a dictionary of sample id to labels, or an iterable of labels or dictionaries.
        Raises ``InvalidLabels`` for invalid values (NaN, an empty box, a box outside the image), and adds nothing then;
        ``invalid="clip"`` clips boxes and points to the image instead. opsml's records are accepted as in ``add_samples``, for
        images that the dataset has.
        """
        from ..formats import opsml

        tables = parse_labels(rows)
        if opsml.is_records(rows):
            tables = labels_of_field(self.stores, _records(rows, image_dir, classes), "objects")
        return add.add_labels(self.stores, field, tables, label_type, clip_option(invalid))

    def adopt_labels(
        self,
        column: str,
        field: str | None = None,
        coordinates: str = "relative",
        box_format: str = "xywh",
        classes: Sequence[str] = (),
        invalid: str = "refuse",
    ) -> int:
        """Copy the labels in a column of the samples into a label field; returns how many. The column is kept.

        Samples that have labels in the field are skipped, so that the call can be repeated for new rows.

        Text becomes a classification (blank text none), a list of texts several, a number a scalar; a list of structs, or a
        struct of lists, becomes detections: ``bbox`` (or ``bounding_box``, …), ``label`` (or ``category``, …), ``score``, and all
        other members as attributes. ``field`` is the label field; by default, it has the name of the column. ``coordinates``
        are ``"relative"`` to the image or ``"pixels"`` of it as it is shown (EXIF orientation applied), boxes ``"xywh"`` or
        ``"xyxy"``; ``classes`` names classes that are numbers.
        """
        form = labels_from_column.ColumnFormat(coordinates, box_format, tuple(classes))
        tables = labels_in_column(self.stores, column, field or column, form)
        return add.add_labels(self.stores, field or column, tables, None, clip_option(invalid))

    def set_labels(self, rows: Any) -> int:
        """Change labels by ``label_id``: the given columns are replaced, the others are kept. Makes one version; returns how many.

        With a column ``rev``, each label must still have that revision; otherwise raises ``StalePlan``, and nothing is written.
        """
        version = self.stores.labels.version()
        edit = edited_labels(self.stores, version, rows)
        if edit is None:
            return 0
        before, after = edit
        self.stores.labels.commit(version, before, after.to_batches())
        return int(after.num_rows)

    def delete_labels(
        self, label_ids: Sequence[str] | None = None, field: str | None = None, where: str | None = None
    ) -> int:
        """Delete labels by id, of a field, or by an SQL condition, which are combined with "and". Returns how many."""
        conditions = [f"({where})"] if where else []
        if field is not None:
            conditions.append(f"field = {quote(field)}")
        if label_ids is not None:
            conditions.append(in_list("label_id", label_ids) if label_ids else "false")
        if not conditions:
            raise SchemaError("Say which labels to delete: give label_ids, a field, or a condition.")
        version = self.stores.labels.version()
        rows = self.stores.labels.rows_to_replace(" AND ".join(conditions), version)
        self.stores.labels.commit(version, rows)
        return int(rows.num_rows)

    def doctor(self, repair: bool = False, pixel_labels: str = "keep") -> DoctorReport:
        """Look for damage by earlier versions, crashes or other programs; with ``repair``, repair what can be repaired.

        ``pixel_labels`` decides about boxes and points, made in no tool, on images whose width and height were the wrong way
        round (EXIF orientations 5 to 8): ``"rescale"`` if they came in pixels of the image as it is shown, ``"keep"`` to leave
        them. Labels drawn in a tool are right, and stay; so do all on images of orientations 1 to 4.
        """
        from ..doctor import examine

        return examine(self.stores, repair, pixel_labels)


def _records(given: Any, image_dir: str | Path | None, classes: Sequence[str] | None) -> Source:
    from ..formats import opsml
    from ..formats.metadata.options import Reading

    chosen = registry.options(Reading, {"classes": classes}, "Reading opsml's records")
    return opsml.source_of(given, image_dir, chosen)


def create_dataset(uri: str | Path, storage_options: dict[str, str] | None = None) -> Dataset:
    """Create a dataset in a folder, or at ``s3://``, ``gs://``, ``az://``. Raises ``DatasetExists`` if there is one.

    An existing folder may have only LanceDB tables and hidden files; otherwise raises ``StoreError``, and creates nothing.
    """
    folder = Path(uri)
    if "://" not in str(uri) and folder.is_dir():
        names = sorted(p.name for p in folder.iterdir() if p.suffix != ".lance" and not p.name.startswith("."))
        if names:
            raise StoreError(
                f"The folder {str(uri)!r} holds {names[0]!r}, so no dataset is made in it; give a new folder."
            )
    return Dataset(Stores.open(Database.create(str(uri), storage_options)))


def load_dataset(uri: str | Path, storage_options: dict[str, str] | None = None) -> Dataset:
    """Open a dataset. Raises ``DatasetNotFound`` if there is none."""
    if "://" not in str(uri) and (aside := staging.find_replaced(Path(uri).resolve())) is not None:
        raise DatasetNotFound(
            f"There is no dataset at {str(uri)!r}. An import that was to replace it was interrupted. It lies at {str(aside)!r}; "
            "repeat the import, or move it back."
        )
    return Dataset(Stores.open(Database.open(str(uri), storage_options)))


def list_datasets(uri: str | Path) -> list[str]:
    """The names of the datasets in a folder."""
    root = Path(uri)
    if not root.is_dir():
        raise StoreError(f"There is no folder {str(uri)!r}; correct the path.")
    return sorted(p.name for p in root.iterdir() if (p / "annotation_runs.lance").is_dir())
