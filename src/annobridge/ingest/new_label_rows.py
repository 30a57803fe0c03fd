"""New labels as rows of ``LABELS``, checked before they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.checks import validate
from ..core.did_you_mean import did_you_mean
from ..core.labels import LABEL_TYPES, LABELS, SINGULARS, conform
from ..exceptions import InvalidLabels, SchemaError
from ..store.labels import fill_missing_ids
from ..store.stores import Stores
from ..store.task_index import TaskIndex
from .new_labels import NewLabels
from .parse_labels import cast_column, require_columns


def clip_option(invalid: str) -> bool:
    """Whether the option ``invalid`` says that values outside the image are clipped. Raises ``SchemaError``."""
    if invalid not in ("refuse", "clip"):
        raise SchemaError(f"invalid={invalid!r} is not known; give 'refuse' or 'clip'.")
    return invalid == "clip"


def new_label_rows(table: pa.Table, constants: Mapping[str, Any], clip: bool, refusal: str) -> pa.Table:
    """Rows of ``LABELS`` with the revision 1, of which ids may be null.

    Args:
        table: columns of ``LABELS``.
        constants: values of columns that are the same for all rows.
        clip: whether values outside the image are clipped, and not refused.
        refusal: what precedes the problems in an error.

    Raises:
        InvalidLabels: labels cannot be stored.
    """
    require_columns(table.column_names)
    if "sample_id" not in table.column_names:
        raise InvalidLabels("", ["The labels do not say of which sample they are; add a column sample_id."])
    columns = {name: cast_column(name, table[name]) for name in table.column_names}
    rows = conform(pa.table(columns), LABELS, **constants, rev=1)
    for name in ("sample_id", "kind"):
        if rows[name].null_count:
            raise InvalidLabels("", [f"A label has no {name}; give every label one."])
    if clip:
        rows = validate.clip(rows)
    if problems := validate.problems(rows, checks=validate.NEW_LABEL_CHECKS):
        raise InvalidLabels(refusal, problems)
    return rows


class FieldRows:
    """New labels of one field as rows, table by table.

    Args:
        stores: the dataset.
        field: the field.
        label_type: the type of the labels, or ``None`` where the columns tell it. Raises ``SchemaError`` if it is unknown.
        clip: whether values outside the image are clipped, and not refused.
        sample_ids: the samples that may have labels.
        new_labels: what checks the ids of the labels.
        sizes: the sizes of new samples (``parse_samples.image_sizes``); by default, those of the dataset count.
    """

    def __init__(
        self, stores: Stores, field: str, label_type: str | None, clip: bool, sample_ids: pa.Array, new_labels: NewLabels,
        sizes: pa.Table | None = None,
    ) -> None:  # fmt: skip
        self._stores, self._field, self._clip = stores, field, clip
        self._kind = None if label_type is None else _kind_of_type(label_type)
        self._samples = TaskIndex(sample_ids, np.array([len(sample_ids)]))
        self._new_labels, self._sizes = new_labels, sizes

    def batches(self, tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """The rows, with an id each. Raises ``InvalidLabels`` and, for samples that are not there, ``SampleNotFound``."""
        for table in tables:
            yield from self._rows(table).to_batches()

    def _rows(self, table: pa.Table) -> pa.Table:
        refusal = f"These labels of {self._field!r} cannot be stored; nothing was added:"
        constants: dict[str, Any] = {"field": self._field}
        if self._kind or "kind" not in table.column_names:
            constants["kind"] = self._kind or _kind_of_columns(table)
        rows = new_label_rows(table, constants, self._clip, refusal)
        inside = self._samples.task_numbers(as_array(rows["sample_id"])) >= 0
        if not inside.all():
            self._stores.samples.require(rows["sample_id"].filter(pa.array(~inside)))
        sizes = self._sizes
        if wrong := mask_problems(self._stores, rows) if sizes is None else validate.mask_sizes(rows, sizes):
            raise InvalidLabels(refusal, wrong)
        if "label_id" in table.column_names:
            self._new_labels.check_ids(rows["label_id"])
        return fill_missing_ids(rows)


def mask_problems(stores: Stores, labels: pa.Table) -> list[str]:
    """What is wrong with the sizes of masks, given those of the images that the dataset knows."""
    with_mask = labels.filter(labels["mask"].is_valid())
    if not with_mask.num_rows:
        return []
    ids = as_array(pc.unique(with_mask["sample_id"]))
    return validate.mask_sizes(with_mask, stores.samples.rows(ids, ["sample_id", "width", "height"]))


def _kind_of_type(label_type: str) -> str:
    name = SINGULARS.get(label_type, label_type)
    if name not in LABEL_TYPES:
        raise SchemaError(f"{label_type!r} is not a label type; {did_you_mean(label_type, LABEL_TYPES)}")
    return LABEL_TYPES[name]


def _kind_of_columns(table: pa.Table) -> str:
    for column, kind in (("mask", "mask"), ("bounding_box", "box"), ("value", "scalar")):
        if column in table.column_names:
            return kind
    if "points" in table.column_names:
        raise InvalidLabels(
            "", ["Labels with points can be of several types; give label_type, as 'polygons' or 'keypoints'."]
        )
    return "classification"
