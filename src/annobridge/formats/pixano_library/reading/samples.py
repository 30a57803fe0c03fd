"""The samples of a dataset: one for each image, and one for each frame of a sequence.

A record with one image is a sample of the same id. Where records have several images, or sequences of frames, the id is
``<record>:<view>``, ``<record>:<frame>`` or ``<record>:<view>:<frame>``, and columns give the view and the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import Ints, as_array, as_mask, choose, index_of
from ...base import PART
from .dataset_folder import DatasetFolder

VIEW_TABLES = ("images", "sequence_frames")
PLACEHOLDER_ID = (
    r"^(sample|label)\.[0-9a-f]+_*$"  # replaces an id that Pixano cannot address, which is an attribute then
)
_VIEW = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("record_id", pa.string()),
        pa.field("logical_name", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),
        pa.field("frame_index", pa.int64()),
        pa.field("timestamp", pa.float64()),
        pa.field("table", pa.string()),
        pa.field("row", pa.int64()),  # in that table
    ]
)


class Samples:
    """The samples, in the order of their records; within a record, by view and frame.

    Attributes:
        records: the table of records.
        views: the image or frame of each sample, without pixels.
        record: the row in ``records`` of each sample.
        is_frame: whether each sample is a frame of a sequence.
        one_per_record: whether samples are records: then they have the record's id, and annotations need not name a view.
        without_record: the number of images that belong to no record.
        without_image: the number of records without an image.
    """

    def __init__(self, dataset: DatasetFolder, records: pa.Table) -> None:
        self.records = records
        found = pa.concat_tables([_views(dataset, name) for name in VIEW_TABLES]).combine_chunks()
        at = index_of(found["record_id"], records["id"])
        self.without_record = at.null_count
        found = found.append_column("record", at).filter(at.is_valid())
        order = [("record", "ascending"), ("logical_name", "ascending"), ("frame_index", "ascending")]
        self.views = found.sort_by(order).combine_chunks()
        self.record: Ints = self.views["record"].to_numpy().astype(np.int64)
        self.without_image = len(records) - len(np.unique(self.record))
        self.is_frame = as_mask(pc.greater_equal(self.views["frame_index"], 0))
        self.one_per_record = len(np.unique(self.record)) == len(self.record) and not self.is_frame.any()

    def __len__(self) -> int:
        return len(self.record)

    @cached_property
    def ids(self) -> pa.Array:
        """The id of each sample."""
        records = self.records.take(pa.array(self.record))
        ids = as_array(records["id"])
        if "sample_id" in records.column_names:
            sent = as_array(records["sample_id"])
            replaced = as_mask(pc.match_substring_regex(ids, PLACEHOLDER_ID)) & as_mask(pc.not_equal(sent, ""))
            ids = choose(replaced, sent, ids)
        if self.one_per_record:
            return ids
        if self.has_several_views:
            ids = pc.binary_join_element_wise(ids, as_array(self.views["logical_name"]), ":")
        frames = pc.binary_join_element_wise(ids, as_array(self.views["frame_index"]).cast(pa.string()), ":")
        return choose(self.is_frame, frames, ids)

    @cached_property
    def has_several_views(self) -> bool:
        """Whether a record has views of several names."""
        names = self.views.group_by(["record", "logical_name"]).aggregate([])
        return len(names) > len(np.unique(self.record))

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Ranges of samples to read at a time. A record is not divided, unless it is a long sequence."""
        starts = np.flatnonzero(np.diff(self.record, prepend=-1))
        out, at = [], 0
        while at < len(self):
            end = min(at + PART, len(self))
            if end < len(self) and (last := int(starts[np.searchsorted(starts, end, "right") - 1])) > at:
                end = last
            out.append((at, end))
            at = end
        return out

    def part_of(self, samples: Ints) -> Ints:
        """The number of the part of each sample; -1 for -1."""
        starts = np.array([start for start, _ in self.parts], np.int64)
        return np.where(samples < 0, -1, np.searchsorted(starts, samples, "right") - 1)

    def sample_of(self, rows: pa.RecordBatch, *, of_record: bool = False) -> Ints:
        """The number of the sample that each row of an annotation table belongs to; -1 where that cannot be told.

        Args:
            rows: rows with ``record_id``, ``view_id``, ``frame_id`` and ``frame_index``.
            of_record: rows that name no view belong to the record as a whole, and so to its first sample.
        """
        found = np.full(rows.num_rows, -1, np.int64)
        by_record = self._by_record["first" if of_record or self.one_per_record else "only"]
        if not self.one_per_record:
            ids, index = as_array(self.views["id"]), rows["frame_index"]
            keys = pc.binary_join_element_wise(rows["record_id"], index.cast(pa.string()), ":")
            # The annotations of a sequence have its first frame as their view, and their own frame as their frame.
            by_view = np.where(index.to_numpy() < 0, _index(rows["view_id"], ids), -1)
            for candidates in (_index(rows["frame_id"], ids), _index(keys, self._frame_keys), by_view):
                found = np.where(found < 0, candidates, found)
        return np.where(found < 0, _take(by_record, self._record_index(rows)), found)

    def spread(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, Ints]:
        """Rows that name a record only, repeated for each part that has samples of the record; and that part."""
        record = self._record_index(rows)
        first, last = (self.part_of(_take(self._by_record[name], record)) for name in ("first", "last"))
        times = np.where(first < 0, 0, last - first + 1)
        at = np.repeat(np.arange(len(first)), times)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(times) - times, times)
        return rows.take(pa.array(at)), first[at] + nth

    def _record_index(self, rows: pa.RecordBatch) -> Ints:
        return _index(rows["record_id"], as_array(self.records["id"]))

    @cached_property
    def _by_record(self) -> Mapping[str, Ints]:
        """The first, the last, and the only sample of each record; -1 where there is none."""
        first, last = np.full((2, len(self.records)), -1, np.int64)
        last[self.record] = np.arange(len(self))
        first[self.record[::-1]] = np.arange(len(self))[::-1]
        return {"first": first, "last": last, "only": np.where(first == last, first, -1)}

    @cached_property
    def _frame_keys(self) -> pa.Array:
        """``<record>:<frame>`` of each sample; null where a record has several views, and so a frame is not one sample."""
        frames = as_array(self.views["frame_index"]).cast(pa.string())
        keys = pc.binary_join_element_wise(as_array(self.views["record_id"]), frames, ":")
        return pa.nulls(len(keys), pa.string()) if self.has_several_views else keys


def _views(dataset: DatasetFolder, table: str) -> pa.Table:
    """The views in one table, without their pixels."""
    columns = [n for n in _VIEW.names if n in dataset.schema(table).names]
    rows = dataset.read(table, columns)
    given = {"table": pa.repeat(pa.scalar(table), len(rows)), "row": pa.array(np.arange(len(rows)))}
    given |= {n: rows[n].cast(_VIEW.field(n).type) for n in columns}
    defaults = {"frame_index": -1, "timestamp": 0.0, "uri": "", "format": "", "logical_name": ""}
    for field in _VIEW:
        if field.name not in given:
            given[field.name] = pa.repeat(pa.scalar(defaults.get(field.name), field.type), len(rows))
    return pa.table([given[n] for n in _VIEW.names], schema=_VIEW)


def _index(values: pa.Array, within: pa.Array) -> Ints:
    """``index_of``, with -1 for null."""
    return np.asarray(index_of(values, within).fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _take(values: Ints, at: Ints) -> Ints:
    """The values at some positions; -1 at -1."""
    return np.where(at < 0, -1, values[at]) if len(values) else np.full(len(at), -1, np.int64)
