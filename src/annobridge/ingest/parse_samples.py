"""Samples in any form that users give, parsed into tables of samples and, by field, of their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core import ids
from ..core.checks import validate
from ..core.labels import LABELS, SAMPLES, conform
from ..core.media import media_types
from ..core.rows import Label, Sample
from ..exceptions import InvalidLabels, SchemaError
from ..store import media
from .parse_labels import WRONG_TYPE, first_line, parse_labels, table_of_dictionaries


def parse_samples(given: Any) -> list[Sample]:
    """Samples from an iterable of ``Sample`` objects or dictionaries of columns. Raises ``SchemaError``."""
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


def sample_table(samples: Sequence[Sample]) -> pa.Table:
    """The columns of samples. If none says its size, it is read from the headers of the files that exist."""
    names = sorted({name for s in samples for name in s.columns})
    columns = {
        "sample_id": ids.from_python(s.sample_id for s in samples),
        "filepath": pa.array([s.filepath for s in samples], pa.string()),
        "tags": pa.array([list(s.tags) for s in samples], pa.list_(pa.string())),
        **{name: [s.columns.get(name) for s in samples] for name in names},
    }
    if not {"width", "height"} & set(names):
        sizes = media.known_sizes([Path(s.filepath) for s in samples])
        for axis, name in enumerate(("width", "height")):
            columns[name] = pa.array([size and size[axis] for size in sizes], SAMPLES.field(name).type)
    return with_media_type(pa.table({name: _sample_column(name, values) for name, values in columns.items()}))


def _sample_column(name: str, values: Any) -> Any:
    try:
        return pa.array(values)
    except WRONG_TYPE as e:
        raise SchemaError(
            f"The column {name!r} of the samples cannot be stored: {first_line(e)}; give values of one type."
        ) from None


def labels_by_field(samples: Sequence[Sample], sample_ids: Sequence[str]) -> dict[str, Iterator[pa.Table]]:
    """The labels of samples by field, with the ids that the samples got in the dataset."""
    fields: dict[str, dict[str, list[Label]]] = {}
    for sample, sample_id in zip(samples, sample_ids, strict=True):
        for name, labels in sample.fields.items():
            fields.setdefault(name, {})[sample_id] = labels
    return {name: parse_labels(labels) for name, labels in fields.items()}


def check_sample_labels(samples: Sequence[Sample], columns: pa.Table) -> None:
    """Raise ``InvalidLabels`` for labels of new samples that cannot be stored, naming samples by their files.

    Args:
        samples: the samples.
        columns: what ``sample_table`` made of them.
    """
    labels = [(s, name, label) for s in samples for name, labels in s.fields.items() for label in labels]
    rows = []
    for number, (sample, name, label) in enumerate(labels):
        label_id = str(number) if label.label_id is None else label.label_id
        rows.append({**label.row(), "sample_id": sample.filepath, "label_id": label_id, "field": name})
    table = conform(table_of_dictionaries(rows), LABELS, rev=1) if rows else LABELS.empty_table()
    sizes = image_sizes(columns, "filepath")
    problems = validate.problems(table, checks=validate.NEW_LABEL_CHECKS) or validate.mask_sizes(table, sizes)
    if problems:
        raise InvalidLabels("These labels cannot be stored; nothing was added:", problems)


def image_sizes(samples: pa.Table, key: str = "sample_id") -> pa.Table:
    """``sample_id`` (from the column ``key``), ``width`` and ``height`` of samples; null where a size is not known."""
    sizes = {name: pa.nulls(samples.num_rows, pa.int32()) for name in ("width", "height")}
    sizes |= {n: samples[n] for n in sizes if n in samples.column_names and pa.types.is_integer(samples[n].type)}
    return pa.table({"sample_id": samples[key].cast(pa.string()), **sizes})


def with_media_type(samples: pa.Table) -> pa.Table:
    """Samples with a column ``media_type``; where it is missing, it follows from the names of the files."""
    if "media_type" in samples.column_names:
        return samples
    paths = samples["filepath"] if "filepath" in samples.column_names else pa.nulls(samples.num_rows, pa.string())
    return samples.append_column("media_type", media_types(paths))
