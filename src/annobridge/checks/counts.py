"""Counts of classes and of values of attributes, before and after a load."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import attributes
from .base import ATTRIBUTES, CLASSES

_COUNT = "labels"


def of_classes(labels: pa.Table | pa.RecordBatch) -> pa.Table:
    """How many labels each field has of each class: field, label, labels. ``labels`` needs the columns field and label.

    >>> of_classes(pa.table({"field": ["a", "a"], "label": ["car", "car"]})).to_pylist()
    [{'field': 'a', 'label': 'car', 'labels': 2}]
    """
    return _counted(pa.table({name: labels[name] for name in ("field", "label")}))


def of_attributes(labels: pa.Table | pa.RecordBatch) -> pa.Table:
    """How many labels each field has with each value of each attribute: field, name, value, labels. ``labels`` needs the columns
    field and attributes.
    """
    rows, flat = attributes.flattened(labels["attributes"])
    of_field = labels["field"].take(pa.array(rows, pa.int64()))
    return _counted(pa.table({"field": of_field, "name": flat.field("name"), "value": flat.field("value")}))


def _counted(keys: pa.Table) -> pa.Table:
    counts = keys.group_by(keys.column_names, use_threads=False).aggregate([([], "count_all")])
    return counts.rename_columns([*keys.column_names, _COUNT])


def classes(
    in_dataset: Iterable[pa.Table], before: Iterable[pa.Table], changed: Iterable[pa.Table], after: Iterable[pa.Table]
) -> pa.Table:
    """``CLASSES``, from counts (``of_classes``) of the labels of the dataset, of those of the run's samples, and of those of the
    samples that have changes, before (``changed``) and after the load.
    """
    return _combined(CLASSES, [
        (in_dataset, (1, 0, 0)), (before, (0, 1, 1)), (changed, (0, 0, -1)), (after, (0, 0, 1)),
    ])  # fmt: skip


def attribute_values(before: Iterable[pa.Table], changed: Iterable[pa.Table], after: Iterable[pa.Table]) -> pa.Table:
    """``ATTRIBUTES``, from counts (``of_attributes``) of labels as ``classes`` takes them."""
    return _combined(ATTRIBUTES, [(before, (1, 1)), (changed, (0, -1)), (after, (0, 1))])


def _combined(schema: pa.Schema, parts: list[tuple[Iterable[pa.Table], tuple[int, ...]]]) -> pa.Table:
    """One row for each combination of the texts of ``schema``; its numbers are sums of the counts, each times its factor."""
    keys = [field.name for field in schema if field.type == pa.string()]
    numbers = schema.names[len(keys) :]
    tables = [schema.empty_table()]
    for counts, factors in parts:
        for part in counts:
            columns = [part[name] for name in keys]
            columns += [pc.multiply(part[_COUNT], pa.scalar(factor, pa.int64())) for factor in factors]
            tables.append(pa.table(columns, schema.names).cast(schema))
    summed = pa.concat_tables(tables).group_by(keys, use_threads=False).aggregate([(name, "sum") for name in numbers])
    table = summed.select([*keys, *(f"{name}_sum" for name in numbers)]).rename_columns(schema.names).cast(schema)
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in keys])
    return table.take(order if len(order) else pa.array(np.zeros(0, np.int64)))
