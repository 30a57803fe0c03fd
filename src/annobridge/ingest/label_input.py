"""Incoming: samples and labels of any form on their way into a dataset, made fit and looked at before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import any_of, as_array
from ..core.checks import validate
from ..core.compare import equal_rows
from ..core.did_you_mean import did_you_mean
from ..core.labels import LABEL_TYPES, LABELS, SAMPLES, SINGULARS, conform
from ..core.media import media_types
from ..core.rows import Label, Sample
from ..exceptions import InvalidLabels, SchemaError, StalePlan
from ..store import media
from ..store.labels import ROW_KEYS, fill_missing_ids
from ..store.stores import Stores
from .new_labels import NewLabels

_PART = 65_536  # rows made ready at a time
_IDS = ("sample_id", "label_id")
_PLACED = ("field", "frame_number", "label")  # what ``validate.PLACEMENT_CHECKS`` looks at
_FORMS = {  # of columns whose Arrow type says little
    "attributes": "a list of {'name': …, 'type': …, 'value': JSON text}, which Detection(…) and the like write for you",
    "bounding_box": "[x, y, width, height], four numbers relative to the image",
    "mask": "{'size': [height, width], 'counts': …}",
    "points": "a list of parts, each a list of [x, y]",
}
_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)  # what Arrow raises for a value of another type


def sample_rows(samples: Sequence[Sample]) -> pa.Table:
    """Columns of samples; width and height are read from the headers of the files that are there."""
    names = sorted({name for s in samples for name in s.columns})
    columns = {
        "sample_id": ids.from_python(s.sample_id for s in samples),
        "filepath": pa.array([s.filepath for s in samples], pa.string()),
        "tags": pa.array([list(s.tags) for s in samples], pa.list_(pa.string())),
        **{name: [s.columns.get(name) for s in samples] for name in names},
    }
    if not {"width", "height"} & set(names):
        sizes = media.known_sizes([Path(s.filepath) for s in samples])
        for at, name in enumerate(("width", "height")):
            columns[name] = pa.array([size and size[at] for size in sizes], SAMPLES.field(name).type)
    return with_media_type(pa.table({name: _sample_column(name, values) for name, values in columns.items()}))


def _sample_column(name: str, values: Any) -> Any:
    try:
        return pa.array(values)
    except _UNFIT as e:
        raise SchemaError(
            f"The column {name!r} of the samples cannot be stored: {_said(e)}; give values of one type."
        ) from None


def edit(stores: Stores, version: int, rows: Any) -> tuple[pa.Table, pa.Table] | None:
    """What ``set_labels`` replaces (``ROW_KEYS``) and the labels as they will be; ``None`` for no rows."""
    given, said = _changes(rows)
    if not given.num_rows:
        return None
    if "label_id" not in given.column_names or given["label_id"].null_count:
        raise InvalidLabels("", ["set_labels needs the label_id of every row; add_labels makes new labels."])
    wanted = ids.as_texts(given["label_id"]).combine_chunks()
    now = stores.labels.get_by_ids(pc.unique(wanted), version)
    place = pc.index_in(wanted, value_set=now["label_id"].combine_chunks())
    if place.null_count or len(pc.unique(wanted)) != len(wanted):
        missing = wanted.filter(pc.is_null(place))
        what = f"There is no label {missing[0].as_py()!r}" if len(missing) else "A label_id is given twice"
        raise InvalidLabels("", [f"{what}; set_labels changes each label once."])
    now = now.take(place)
    if "rev" in given.column_names and not pc.all(pc.equal(given["rev"], now["rev"])).as_py():
        raise StalePlan("A label was changed by somebody else since it was read; read the labels again.")
    new = _overlaid(now, given, said)
    for name in ("sample_id", "field", "kind"):
        if new[name].null_count:
            raise InvalidLabels("", [f"A label has no {name}; give one, or leave the column out."])
    if "sample_id" in given.column_names:
        stores.samples.require(new["sample_id"])
    if problems := validate.problems(new) or mask_problems(stores, new):
        raise InvalidLabels("These labels cannot be stored:", problems)
    moved = any_of((~equal_rows(as_array(now[name]), as_array(new[name])) for name in _PLACED), new.num_rows)
    if problems := validate.problems(new.filter(pa.array(moved)), checks=validate.PLACEMENT_CHECKS):
        raise InvalidLabels("These labels cannot be stored:", problems)
    return now.select(ROW_KEYS.names), new


def _overlaid(now: pa.Table, given: pa.Table, said: Mapping[str, np.ndarray]) -> pa.Table:
    """The labels as they are, with what is given put over, one revision further."""
    new = now.select(LABELS.names)
    for name in given.column_names:
        if name not in LABELS.names:
            raise InvalidLabels("", [f"{name!r} is not a column of labels; {did_you_mean(name, LABELS.names)}"])
        new = new.set_column(
            LABELS.get_field_index(name),
            LABELS.field(name),
            _mixed(_cast(name, given[name]), new[name], said.get(name)),
        )
    return new.set_column(LABELS.get_field_index("rev"), LABELS.field("rev"), pc.add(now["rev"], 1))


class LabelParts:
    """Labels of one field made ready to store, part by part, for samples that are there or that come with them."""

    def __init__(
        self, stores: Stores, field: str, label_type: str | None, clip: bool, samples: pa.Array, given: NewLabels,
        sizes: pa.Table | None = None,
    ) -> None:  # fmt: skip
        self.stores, self.field, self.clip = stores, field, clip
        self.kind = _kind(label_type)
        self.samples, self.given = samples, given
        self.sizes = sizes  # of the samples that come with them

    def batches(self, given: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """``LABELS`` batches of labels in columns."""
        for table in given:
            yield from self._ready(table).to_batches()

    def _ready(self, table: pa.Table) -> pa.Table:
        constants: dict[str, Any] = {"field": self.field}
        if self.kind or "kind" not in table.column_names:
            constants["kind"] = self.kind or _kind_of(table)
        rows = ready(
            table, constants, self.clip, f"These labels of {self.field!r} cannot be stored; nothing was added:"
        )
        inside = pc.is_in(rows["sample_id"], value_set=self.samples)
        if not pc.all(inside).as_py():
            self.stores.samples.require(rows["sample_id"].filter(pc.invert(inside)))
        if wrong := self._mask_problems(rows):
            raise InvalidLabels(f"These labels of {self.field!r} cannot be stored; nothing was added:", wrong)
        if "label_id" in table.column_names:
            self.given.add(rows["label_id"])
        return fill_missing_ids(rows)

    def _mask_problems(self, rows: pa.Table) -> list[str]:
        return mask_problems(self.stores, rows) if self.sizes is None else validate.mask_sizes(rows, self.sizes)


def mask_problems(stores: Stores, labels: pa.Table) -> list[str]:
    """What is wrong with the sizes of masks, given those of the images that the dataset knows."""
    masked = labels.filter(labels["mask"].is_valid())
    if not masked.num_rows:
        return []
    ids = as_array(pc.unique(masked["sample_id"]))
    return validate.mask_sizes(masked, stores.samples.rows(ids, ["sample_id", "width", "height"]))


def clips(invalid: str) -> bool:
    """Whether values outside the image are to be cut, and not refused."""
    if invalid not in ("refuse", "clip"):
        raise SchemaError(f"invalid={invalid!r} is not known; give 'refuse' or 'clip'.")
    return invalid == "clip"


def ready(table: pa.Table, constants: Mapping[str, Any], clip: bool, refusal: str) -> pa.Table:
    """New labels as ``LABELS`` rows that can be stored. Raises ``InvalidLabels``, with ``refusal`` before what is wrong."""
    if unknown := [n for n in table.column_names if n not in LABELS.names]:
        raise InvalidLabels("", [f"{unknown[0]!r} is not a column of labels; {did_you_mean(unknown[0], LABELS.names)}"])
    if "sample_id" not in table.column_names:
        raise InvalidLabels("", ["The labels do not say of which sample they are; add a column sample_id."])
    rows = _conformed(table, {**constants, "rev": 1})
    if clip:
        rows = validate.clip(rows)
    if problems := validate.problems(rows, checks=validate.NEW_LABEL_CHECKS):
        raise InvalidLabels(refusal, problems)
    return rows


def _conformed(table: pa.Table, constants: Mapping[str, Any]) -> pa.Table:
    columns = {name: _cast(name, table[name]) for name in table.column_names}
    rows = conform(pa.table(columns), LABELS, **constants)
    for name in ("sample_id", "kind"):
        if rows[name].null_count:
            raise InvalidLabels("", [f"A label has no {name}; give every label one."])
    return rows


def _cast(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if name in _IDS:
        return ids.as_texts(values)
    try:
        return values.cast(LABELS.field(name).type)
    except _UNFIT as e:
        raise _unfit(name, e) from None


def _unfit(name: str, error: Exception) -> InvalidLabels:
    form = _FORMS.get(name, f"of the type {LABELS.field(name).type}")
    return InvalidLabels("", [f"The column {name!r} should be {form}: {_said(error)}."])


def _said(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def samples(given: Any) -> list[Sample]:
    """Samples given as such, or as dictionaries of columns."""
    if isinstance(given, Sample | Mapping | str) or not isinstance(given, Iterable):
        raise SchemaError(
            f"{given!r} is not a list of samples; give [Sample(…), …], dictionaries of columns, or an Arrow table."
        )
    return [each if isinstance(each, Sample) else _sample(each) for each in given]


def _sample(row: Any) -> Sample:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise SchemaError(f"{row!r} is not a sample; give Sample(…), or a dictionary of columns.")
    if row.get("filepath") is None:
        raise SchemaError(f"A sample has no filepath: {dict(row)!r}; give the path or URI of its image.")
    return Sample(**row)


def _changes(rows: Any) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """The rows of ``set_labels``; and, for columns that not every row has, which rows have it."""
    if hasattr(rows, "__arrow_c_stream__"):
        parts = list(tables(rows))
        return (pa.concat_tables(parts, promote_options="permissive") if parts else LABELS.empty_table()), {}
    dictionaries = list(_dictionaries(rows))
    given = _from_dictionaries(dictionaries)
    said = {n: np.array([n in row for row in dictionaries]) for n in given.column_names}
    return given, {n: where for n, where in said.items() if not where.all()}


def _mixed(given: pa.ChunkedArray, now: pa.ChunkedArray, said: np.ndarray | None) -> pa.ChunkedArray:
    if said is None:
        return given
    rows = np.arange(len(said)) + np.where(said, len(said), 0)
    return pa.chunked_array([*now.chunks, *given.chunks], now.type).take(pa.array(rows))


def _kind(label_type: str | None) -> str | None:
    if label_type is None:
        return None
    name = SINGULARS.get(label_type, label_type)
    if name not in LABEL_TYPES:
        raise SchemaError(f"{label_type!r} is not a label type; {did_you_mean(label_type, LABEL_TYPES)}")
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


def tables(rows: Any) -> Iterator[pa.Table]:
    """Rows of any form as tables of bounded size."""
    if isinstance(rows, Mapping) and "sample_id" in rows:  # columns
        rows = _from_columns(rows)
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
    if unknown := sorted(names - set(LABELS.names), key=str):
        raise InvalidLabels(
            "", [f"{unknown[0]!r} is not a column of labels; {did_you_mean(str(unknown[0]), LABELS.names)}"]
        )
    columns = {}
    for field in LABELS:
        if field.name in names:
            try:
                values = [row.get(field.name) for row in rows]
                columns[field.name] = ids.from_python(values) if field.name in _IDS else pa.array(values, field.type)
            except _UNFIT as e:
                raise _unfit(field.name, e) from None
    return pa.table(columns)


def _from_columns(columns: Mapping[str, Any]) -> pa.Table:
    length = len(columns["sample_id"]) if _is_column(columns["sample_id"]) else 0
    for name, values in columns.items():
        if not _is_column(values) or len(values) != length:
            raise InvalidLabels("", [f"The column {name!r} is {values!r}; give a list, as long as that of sample_id."])
    return _from_dictionaries([{n: values[i] for n, values in columns.items()} for i in range(length)])


def _is_column(values: Any) -> bool:
    return isinstance(values, Sized) and not isinstance(values, str | Mapping)


def _dictionaries(rows: Any) -> Iterator[dict[str, Any]]:
    pairs = rows.items() if isinstance(rows, Mapping) else [(None, rows)]
    for sample_id, labels in pairs:
        if isinstance(labels, str) or not isinstance(labels, Iterable | Label):
            raise _no_label(labels)
        for label in [labels] if isinstance(labels, Label) else labels:
            if not isinstance(label, Label | Mapping):
                raise _no_label(label)
            row = label.row() if isinstance(label, Label) else dict(label)
            yield row if sample_id is None else {**row, "sample_id": sample_id}


def _no_label(given: Any) -> InvalidLabels:
    cure = "give labels as Detection(…) makes them, dictionaries of columns, or an Arrow table"
    return InvalidLabels("", [f"{given!r} is not a label; {cure}."])


def labels_by_field(samples: Sequence[Sample], sample_ids: Sequence[str]) -> dict[str, Iterator[pa.Table]]:
    """The labels of samples, by field, with the ids that the samples have here."""
    fields: dict[str, dict[str, list[Label]]] = {}
    for sample, sample_id in zip(samples, sample_ids, strict=True):
        for name, labels in sample.fields.items():
            fields.setdefault(name, {})[sample_id] = labels
    return {name: tables(labels) for name, labels in fields.items()}


def check_labels(samples: Sequence[Sample], columns: pa.Table) -> None:
    """Raise ``InvalidLabels`` for labels of new samples (``columns``) that cannot be stored, naming samples by their files."""
    rows = [
        {
            **label.row(),
            "sample_id": s.filepath,
            "label_id": str(n) if label.label_id is None else label.label_id,
            "field": name,
        }
        for n, (s, name, label) in enumerate(
            (s, f, x) for s in samples for f, labels in s.fields.items() for x in labels
        )
    ]
    labels = conform(_from_dictionaries(rows), LABELS, rev=1) if rows else LABELS.empty_table()
    sizes = with_sizes(columns, "filepath")
    if problems := validate.problems(labels, checks=validate.NEW_LABEL_CHECKS) or validate.mask_sizes(labels, sizes):
        raise InvalidLabels("These labels cannot be stored; nothing was added:", problems)


def with_sizes(samples: pa.Table, key: str = "sample_id") -> pa.Table:
    """The sizes of samples, by a column; unknown where the samples do not say them."""
    sizes = {name: pa.nulls(samples.num_rows, pa.int32()) for name in ("width", "height")}
    sizes |= {n: samples[n] for n in sizes if n in samples.column_names and pa.types.is_integer(samples[n].type)}
    return pa.table({"sample_id": samples[key].cast(pa.string()), **sizes})


def with_media_type(rows: pa.Table) -> pa.Table:
    """Image or video, as the name of the file says, for rows that do not say it."""
    if "media_type" in rows.column_names:
        return rows
    places = rows["filepath"] if "filepath" in rows.column_names else pa.nulls(rows.num_rows, pa.string())
    return rows.append_column("media_type", media_types(places))
