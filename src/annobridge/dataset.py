"""Datasets: made, opened and filled. A dataset is a view of all its samples that can also be written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .core import validate
from .core.labels import LABEL_TYPES, LABELS, SINGULARS, conform
from .core.rows import Label, Sample
from .core.text import near
from .exceptions import InvalidLabels, SchemaError, StalePlan, StoreError
from .store import media
from .store.labels import OURS, with_ids
from .store.stores import Stores
from .store.tables import Database, among, quote
from .view import View

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
_PART = 65_536


class Dataset(View):
    """Images and their labels, in one LanceDB database."""

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self._stores.db.uri

    def add_images(self, folder: str | Path, tags: Sequence[str] = ()) -> list[str]:
        """Add every image below a folder, sizes read from the headers. Returns the sample ids.

        Raises ``InvalidMedia`` with all files that cannot be read; nothing is added then.
        """
        root = Path(folder).expanduser().resolve()
        if not root.is_dir():
            raise StoreError(f"There is no folder {str(folder)!r}; correct the path.")
        paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGES and p.is_file())
        if not paths:
            raise StoreError(f"There is no image below {str(folder)!r} ({', '.join(sorted(IMAGES))}).")
        sizes = media.sizes_of(paths)
        rows = pa.table(
            {
                "media_type": pa.repeat("image", len(paths)),
                "filepath": [str(p) for p in paths],
                "width": pa.array([w for w, _ in sizes], pa.int32()),
                "height": pa.array([h for _, h in sizes], pa.int32()),
                "tags": pa.array([list(tags)] * len(paths), pa.list_(pa.string())),
            }
        )
        return self._stores.samples.add(rows).to_pylist()  # type: ignore[no-any-return]

    def add_samples(self, samples: Any) -> list[str]:
        """Add samples with their labels: ``Sample`` objects, dictionaries of columns, or any Arrow table (the fast way).

        Columns that the dataset does not have are made. Returns the sample ids.
        """
        if hasattr(samples, "__arrow_c_stream__"):
            return self._stores.samples.add(_with_media_type(pa.table(samples))).to_pylist()  # type: ignore[no-any-return]
        given = [s if isinstance(s, Sample) else _sample(s) for s in samples]
        if not given:
            return []
        columns = {name for s in given for name in s.columns}
        rows = {
            "sample_id": pa.array([s.sample_id for s in given], pa.string()),
            "filepath": pa.array([s.filepath for s in given], pa.string()),
            "tags": pa.array([list(s.tags) for s in given], pa.list_(pa.string())),
            **{name: [s.columns.get(name) for s in given] for name in sorted(columns)},
        }
        _check_samples_labels(self._stores, given)
        ids = self._stores.samples.add(_with_media_type(pa.table(rows))).to_pylist()
        fields: dict[str, dict[str, list[Label]]] = {}
        for sample, sample_id in zip(given, ids, strict=True):
            for name, labels in sample.fields.items():
                fields.setdefault(name, {})[sample_id] = labels
        for name, labels_of in fields.items():
            self.add_labels(name, labels_of)
        return ids  # type: ignore[no-any-return]

    def delete_samples(self, sample_ids: Sequence[str] | str) -> None:
        """Delete samples and their labels."""
        ids = [sample_ids] if isinstance(sample_ids, str) else list(sample_ids)
        self._stores.samples.require(pa.array(ids, pa.string()))
        self._stores.db.delete("labels", among("sample_id", ids))
        self._stores.db.delete("samples", among("sample_id", ids))

    def add_labels(self, field: str, rows: Any, label_type: str | None = None, invalid: str = "refuse") -> int:
        """Add labels to a field; returns how many.

        ``rows`` is an Arrow table or stream with columns of ``LABELS`` (the fast way; ``sample_id`` is needed, ``kind`` follows
        from ``label_type`` or from the columns), a dictionary of sample id to labels, or an iterable of labels or dictionaries.
        Raises ``InvalidLabels`` for values that mean nothing (NaN, an empty box, a box outside the image); ``invalid="clip"``
        cuts boxes and points to the image. Nothing is added then.
        """
        if invalid not in ("refuse", "clip"):
            raise SchemaError(f"invalid={invalid!r} is not known; give 'refuse' or 'clip'.")
        parts = _LabelParts(self._stores, field, _kind(label_type), invalid == "clip")
        batches = parts.batches(_tables(rows))
        first = next(batches, None)
        if first is None:
            return 0
        reader = pa.RecordBatchReader.from_batches(LABELS, chain([first], batches))
        try:
            self._stores.labels.append(reader)
        except Exception:
            if parts.error is not None:  # Lance wraps what the stream raised
                raise parts.error from None
            raise
        return parts.count

    def set_labels(self, rows: Any) -> int:
        """Change labels by ``label_id``: the columns given replace, the others stay. One version; returns how many.

        With a column ``rev``, each label must still have that revision; else ``StalePlan``, and nothing is written.
        """
        given, said = _changes(rows)
        if not given.num_rows:
            return 0
        if "label_id" not in given.column_names or given["label_id"].null_count:
            raise InvalidLabels("", ["set_labels needs the label_id of every row; add_labels makes new labels."])
        ids = given["label_id"].cast(pa.string()).combine_chunks()
        version = self._stores.labels.version()
        now = self._stores.labels.of_ids(pc.unique(ids), version)
        place = pc.index_in(ids, value_set=now["label_id"].combine_chunks())
        if place.null_count or len(pc.unique(ids)) != len(ids):
            missing = ids.filter(pc.is_null(place))
            what = f"There is no label {missing[0].as_py()!r}" if len(missing) else "A label_id is given twice"
            raise InvalidLabels("", [f"{what}; set_labels changes each label once."])
        now = now.take(place)
        if "rev" in given.column_names and not pc.all(pc.equal(given["rev"], now["rev"])).as_py():
            raise StalePlan("A label was changed by somebody else since it was read; read the labels again.")
        new = now.select(LABELS.names)
        for name in given.column_names:
            if name not in LABELS.names:
                raise InvalidLabels("", [f"{name!r} is not a column of labels; {near(name, LABELS.names)}"])
            new = new.set_column(
                LABELS.get_field_index(name), LABELS.field(name), _mixed(given[name], new[name], said.get(name))
            )
        new = new.set_column(LABELS.get_field_index("rev"), LABELS.field("rev"), pc.add(now["rev"], 1))
        for name in ("sample_id", "field", "kind"):
            if new[name].null_count:
                raise InvalidLabels("", [f"A label has no {name}; give one, or leave the column out."])
        if "sample_id" in given.column_names:
            self._stores.samples.require(new["sample_id"])
        if problems := validate.problems(new):
            raise InvalidLabels("These labels cannot be stored:", problems)
        self._stores.labels.commit(version, now.select(["label_id", "rev", "_rowaddr"]), new.to_reader())
        return int(new.num_rows)

    def delete_labels(
        self, label_ids: Sequence[str] | None = None, field: str | None = None, where: str | None = None
    ) -> int:
        """Delete labels by id, of a field, or by an SQL condition; what is given must all hold. Returns how many."""
        conditions = [f"({where})"] if where else []
        if field is not None:
            conditions.append(f"field = {quote(field)}")
        if label_ids is not None:
            conditions.append(among("label_id", label_ids) if label_ids else "false")
        if not conditions:
            raise SchemaError("Say which labels to delete: give label_ids, a field, or a condition.")
        version = self._stores.labels.version()
        columns = ["label_id", "rev"]
        found = list(self._stores.labels.scan(" AND ".join(conditions), columns, version, address=True))
        rows = pa.Table.from_batches(found) if found else OURS.empty_table().select([*columns, "_rowaddr"])
        if rows.num_rows:
            self._stores.labels.commit(version, rows, None)
        return int(rows.num_rows)

    def optimize(self) -> None:
        """Put the small files of many writes together; reading gets faster, nothing else changes."""
        self._stores.db.optimize()


def create_dataset(uri: str | Path, storage_options: dict[str, str] | None = None) -> Dataset:
    """Make a dataset in a new folder, or at ``s3://``, ``gs://``, ``az://``. Raises ``DatasetExists``."""
    return Dataset(Stores.of(Database.create(str(uri), storage_options)))


def load_dataset(uri: str | Path, storage_options: dict[str, str] | None = None) -> Dataset:
    """Open a dataset. Raises ``DatasetNotFound`` for a place that is not one."""
    return Dataset(Stores.of(Database.open(str(uri), storage_options)))


def list_datasets(uri: str | Path) -> list[str]:
    """The names of the datasets in a folder."""
    root = Path(uri)
    if not root.is_dir():
        raise StoreError(f"There is no folder {str(uri)!r}; correct the path.")
    return sorted(p.name for p in root.iterdir() if (p / "annotation_runs.lance").is_dir())


class _LabelParts:
    """Label rows made ready to store, part by part; remembers what was wrong, since the writer hides it."""

    def __init__(self, stores: Stores, field: str, kind: str | None, clip: bool) -> None:
        self.stores, self.field, self.kind, self.clip = stores, field, kind, clip
        self.samples = stores.samples.ids()
        self.count = 0
        self.given: list[pa.Array] = []  # the ids that were given
        self.error: Exception | None = None

    def batches(self, tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """``LABELS`` batches."""
        try:
            for table in tables:
                rows = self._ready(table)
                self.count += rows.num_rows
                yield from rows.to_batches()
            self._check_ids()
        except Exception as e:
            self.error = e
            raise

    def _ready(self, table: pa.Table) -> pa.Table:
        unknown = [n for n in table.column_names if n not in LABELS.names]
        if unknown:
            raise InvalidLabels("", [f"{unknown[0]!r} is not a column of labels; {near(unknown[0], LABELS.names)}"])
        if "sample_id" not in table.column_names:
            raise InvalidLabels("", ["The labels do not say of which sample they are; add a column sample_id."])
        constants: dict[str, Any] = {"field": self.field, "rev": 1}
        if self.kind or "kind" not in table.column_names:
            constants["kind"] = self.kind or _kind_of(table)
        given_ids = "label_id" in table.column_names
        rows = _conformed(table, constants)
        if self.clip:
            rows = validate.clip(rows)
        problems = validate.problems(rows)
        if problems:
            raise InvalidLabels(f"These labels of {self.field!r} cannot be stored; nothing was added:", problems)
        inside = pc.is_in(rows["sample_id"], value_set=self.samples)
        if not pc.all(inside).as_py():
            self.stores.samples.require(rows["sample_id"].filter(pc.invert(inside)))
        if given_ids:
            self.given.append(rows["label_id"].combine_chunks().drop_null())
            _require_new(self.stores, self.given[-1])
        return with_ids(rows)

    def _check_ids(self) -> None:
        """Each part was looked at by itself; an id may still be in two."""
        everything = pa.chunked_array(self.given, pa.string())
        if len(self.given) > 1 and pc.count_distinct(everything).as_py() < len(everything):
            twice = next(v["values"].as_py() for v in pc.value_counts(everything) if v["counts"].as_py() > 1)
            raise InvalidLabels("", [f"The id {twice!r} is given more than once; give every label an id of its own."])


def _require_new(stores: Stores, label_ids: pa.Array) -> None:
    found = stores.labels.of_ids(label_ids)
    if found.num_rows:
        first = found["label_id"][0].as_py()
        raise InvalidLabels("", [f"There is a label {first!r} already; set_labels changes it, or leave label_id out."])


def _conformed(table: pa.Table, constants: Mapping[str, Any]) -> pa.Table:
    columns = {}
    for name in table.column_names:
        try:
            columns[name] = table[name].cast(LABELS.field(name).type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
            raise _unfit(name, e) from None
    rows = conform(pa.table(columns), LABELS, **constants)
    for name in ("sample_id", "kind"):
        if rows[name].null_count:
            raise InvalidLabels("", [f"A label has no {name}; give every label one."])
    return rows


def _unfit(name: str, error: Exception) -> InvalidLabels:
    return InvalidLabels(
        "", [f"The column {name!r} should be {LABELS.field(name).type}: {str(error).splitlines()[0]}."]
    )


def _sample(row: Mapping[str, Any]) -> Sample:
    if row.get("filepath") is None:
        raise SchemaError(f"A sample has no filepath: {dict(row)!r}; give the path or URI of its image.")
    return Sample(**row)


def _changes(rows: Any) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """The rows of ``set_labels``; and, for columns that not every row has, which rows have it."""
    if hasattr(rows, "__arrow_c_stream__"):
        tables = list(_tables(rows))
        return (pa.concat_tables(tables, promote_options="permissive") if tables else LABELS.empty_table()), {}
    dictionaries = list(_dictionaries(rows))
    given = _from_dictionaries(dictionaries)
    said = {n: np.array([n in row for row in dictionaries]) for n in given.column_names}
    return given, {n: where for n, where in said.items() if not where.all()}


def _mixed(given: pa.ChunkedArray, now: pa.ChunkedArray, said: np.ndarray | None) -> pa.ChunkedArray:
    given = given.cast(now.type)
    if said is None:
        return given
    rows = np.arange(len(said)) + np.where(said, len(said), 0)
    return pa.chunked_array([*now.chunks, *given.chunks], now.type).take(pa.array(rows))


def _kind(label_type: str | None) -> str | None:
    if label_type is None:
        return None
    name = SINGULARS.get(label_type, label_type)
    if name not in LABEL_TYPES:
        raise SchemaError(f"{label_type!r} is not a label type; {near(label_type, LABEL_TYPES)}")
    return LABEL_TYPES[name]


def _kind_of(table: pa.Table) -> str:
    for column, kind in (("mask", "mask"), ("bounding_box", "box"), ("value", "scalar")):
        if column in table.column_names:
            return kind
    if "points" in table.column_names:
        raise InvalidLabels(
            "", ["Labels with points can be of several types; give label_type, as 'polygons' or 'keypoints'."]
        )
    return "classification"


def _tables(rows: Any) -> Iterator[pa.Table]:
    """Rows of any form as tables of bounded size."""
    if hasattr(rows, "__arrow_c_stream__"):
        for batch in pa.RecordBatchReader.from_stream(rows):
            for at in range(0, batch.num_rows, _PART):
                yield pa.Table.from_batches([batch.slice(at, _PART)])
        return
    part: list[dict[str, Any]] = []
    for row in _dictionaries(rows):
        part.append(row)
        if len(part) == _PART:
            yield _from_dictionaries(part)
            part = []
    if part:
        yield _from_dictionaries(part)


def _from_dictionaries(rows: list[dict[str, Any]]) -> pa.Table:
    names = {name for row in rows for name in row}
    if unknown := sorted(names - set(LABELS.names)):
        raise InvalidLabels("", [f"{unknown[0]!r} is not a column of labels; {near(unknown[0], LABELS.names)}"])
    columns = {}
    for field in LABELS:
        if field.name in names:
            try:
                columns[field.name] = pa.array([row.get(field.name) for row in rows], field.type)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
                raise _unfit(field.name, e) from None
    return pa.table(columns)


def _dictionaries(rows: Any) -> Iterator[dict[str, Any]]:
    pairs = rows.items() if isinstance(rows, Mapping) else [(None, rows)]
    for sample_id, labels in pairs:
        for label in [labels] if isinstance(labels, Label) else labels:
            row = label.row() if isinstance(label, Label) else dict(label)
            yield row if sample_id is None else {**row, "sample_id": sample_id}


def _check_samples_labels(stores: Stores, samples: Sequence[Sample]) -> None:
    """The labels of new samples, looked at before the samples are added."""
    rows = [
        {**label.row(), "sample_id": s.filepath, "label_id": label.label_id or str(n), "field": name}
        for n, (s, name, label) in enumerate(
            (s, f, x) for s in samples for f, labels in s.fields.items() for x in labels
        )
    ]
    if rows and (problems := validate.problems(conform(_from_dictionaries(rows), LABELS, rev=1))):
        raise InvalidLabels("These labels cannot be stored; nothing was added:", problems)
    ids = [x.label_id for s in samples for labels in s.fields.values() for x in labels if x.label_id is not None]
    if ids:
        _require_new(stores, pa.array(ids, pa.string()))


def _with_media_type(rows: pa.Table) -> pa.Table:
    if "media_type" in rows.column_names:
        return rows
    return rows.append_column("media_type", pa.repeat("image", rows.num_rows))
