"""Which samples a dataset has: one for each image, and for each frame of a sequence.

A record with one image is a sample of the same id. Where records have several images, or sequences of frames, the id is
``<record>:<view>``, ``<record>:<frame>`` or ``<record>:<view>:<frame>``, and columns say which view and frame it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.formats.base import PART

from ..arrays import bools, choose, find, one
from .place import Place

Ints = npt.NDArray[np.int64]
KINDS = ("images", "sequence_frames")
STAND_IN = (
    r"^(sample|label)\.[0-9a-f]+_*$"  # ids that are given where Pixano cannot have ours, which is an attribute then
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
    """The samples in their order, which is that of the records. ``records`` are the rows of that table."""

    def __init__(self, place: Place, records: pa.Table) -> None:
        self.records = records
        found = pa.concat_tables([_views(place, name) for name in KINDS]).combine_chunks()
        at = find(one(found["record_id"]), records["id"])
        self.strays = at.null_count
        found = found.append_column("record", at).filter(at.is_valid())
        order = [("record", "ascending"), ("logical_name", "ascending"), ("frame_index", "ascending")]
        self.views = found.sort_by(order).combine_chunks()
        self.record = self.views["record"].to_numpy().astype(np.int64)  # of each sample: its row in ``records``
        self.bare = len(records) - len(np.unique(self.record))  # records without an image
        self.frames = bools(pc.greater_equal(self.views["frame_index"], 0))
        # Whether a sample is a record: then it has the record's id, and labels need not say which view they are of.
        self.single = len(np.unique(self.record)) == len(self.record) and not self.frames.any()

    def __len__(self) -> int:
        return len(self.record)

    @cached_property
    def ids(self) -> pa.Array:
        """The id of each sample."""
        records = self.records.take(pa.array(self.record))
        ids = one(records["id"])
        if "sample_id" in records.column_names:
            ours = one(records["sample_id"])
            stands_in = bools(pc.match_substring_regex(ids, STAND_IN)) & bools(pc.not_equal(ours, ""))
            ids = choose(stands_in, ours, ids)
        if self.single:
            return ids
        if self.several:
            ids = pc.binary_join_element_wise(ids, one(self.views["logical_name"]), ":")
        frames = pc.binary_join_element_wise(ids, one(self.views["frame_index"]).cast(pa.string()), ":")
        return choose(self.frames, frames, ids)

    @cached_property
    def several(self) -> bool:
        """Whether a record has views of several names."""
        names = self.views.group_by(["record", "logical_name"]).aggregate([])
        return len(names) > len(np.unique(self.record))

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Ranges of samples. A record is not divided, unless it is a long sequence."""
        starts = np.flatnonzero(np.diff(self.record, prepend=-1))
        out, at = [], 0
        while at < len(self):
            end = min(at + PART, len(self))
            if end < len(self) and (last := int(starts[np.searchsorted(starts, end, "right") - 1])) > at:
                end = last
            out.append((at, end))
            at = end
        return out

    def part(self, samples: Ints) -> Ints:
        """The part of each sample; -1 for none."""
        starts = np.array([start for start, _ in self.parts], np.int64)
        return np.where(samples < 0, -1, np.searchsorted(starts, samples, "right") - 1)

    def of(self, rows: pa.RecordBatch, *, loose: bool = False) -> Ints:
        """The sample that each row of an annotation table is of; -1 where that cannot be told.

        ``loose`` rows, of the record as a whole, are of its first sample.
        """
        out = np.full(rows.num_rows, -1, np.int64)
        by_record = self._by_record["first" if loose or self.single else "only"]
        if not self.single:
            ids, index = one(self.views["id"]), rows["frame_index"]
            keys = pc.binary_join_element_wise(rows["record_id"], index.cast(pa.string()), ":")
            # A sequence's annotations name its first frame as their view, and their own as their frame.
            view = np.where(index.to_numpy() < 0, _at(rows["view_id"], ids), -1)
            for found in (_at(rows["frame_id"], ids), _at(keys, self._of_frames), view):
                out = np.where(out < 0, found, out)
        return np.where(out < 0, _looked_up(by_record, _at(rows["record_id"], one(self.records["id"]))), out)

    def spread(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, Ints]:
        """Rows of entities, once for each part that has samples of their record; and that part."""
        record = _at(rows["record_id"], one(self.records["id"]))
        first, last = (_looked_up(self._by_record[name], record) for name in ("first", "last"))
        first, last = self.part(first), self.part(last)
        times = np.where(first < 0, 0, last - first + 1)
        at = np.repeat(np.arange(len(first)), times)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(times) - times, times)
        return rows.take(pa.array(at)), first[at] + nth

    @cached_property
    def _by_record(self) -> Mapping[str, Ints]:
        """The first, the last, and the only sample of each record; -1 where there is none."""
        first, last = np.full((2, len(self.records)), -1, np.int64)
        last[self.record] = np.arange(len(self))
        first[self.record[::-1]] = np.arange(len(self))[::-1]
        return {"first": first, "last": last, "only": np.where(first == last, first, -1)}

    @cached_property
    def _of_frames(self) -> pa.Array:
        """``<record>:<frame>`` of each sample; null where that is not one sample alone."""
        frames = one(self.views["frame_index"]).cast(pa.string())
        keys = pc.binary_join_element_wise(one(self.views["record_id"]), frames, ":")
        return pa.nulls(len(keys), pa.string()) if self.several else keys


def _views(place: Place, table: str) -> pa.Table:
    """The views in one table, without their pixels."""
    columns = [n for n in _VIEW.names if n in place.schema(table).names]
    rows = place.read(table, columns)
    given = {"table": pa.repeat(pa.scalar(table), len(rows)), "row": pa.array(np.arange(len(rows)))}
    given |= {n: rows[n].cast(_VIEW.field(n).type) for n in columns}
    defaults = {"frame_index": -1, "timestamp": 0.0, "uri": "", "format": "", "logical_name": ""}
    for field in _VIEW:
        if field.name not in given:
            given[field.name] = pa.repeat(pa.scalar(defaults.get(field.name), field.type), len(rows))
    return pa.table([given[n] for n in _VIEW.names], schema=_VIEW)


def _at(values: pa.Array, within: pa.Array) -> Ints:
    """Where each value stands; -1 where it does not."""
    return np.asarray(find(one(values), within).fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _looked_up(table: Ints, at: Ints) -> Ints:
    return np.where(at < 0, -1, table[at]) if len(table) else np.full(len(at), -1, np.int64)
