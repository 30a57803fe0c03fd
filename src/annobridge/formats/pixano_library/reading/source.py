"""A Pixano dataset as the source of an import: it is examined when it is opened, and then read part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import Ints, as_array, as_mask, choose, index_of
from ....core.compare import equal_rows
from ....core.labels import REMOTE
from ....exceptions import InvalidSource
from ....spill.groups import Groups
from ... import media
from ...base import SKIPPED, Part
from ..codec import values
from ..codec.layout import Column
from ..codec.tables import ANNOTATIONS, FLOATS, MESSAGES, STRINGS
from ..sidecar import Sidecar
from .column_roles import ColumnRoles
from .dataset_folder import DatasetFolder
from .image_files import ImageFiles
from .label_rows import SPATIAL_TABLES, SampleRange, Skipped, read_labels
from .samples import Samples

_IDS = [("id", pa.string()), ("record_id", pa.string())]
_VIEW_COLUMNS = {"view_id": "", "frame_id": "", "frame_index": -1}  # and their defaults: not every table has them
_TABLES = {
    **{name: ANNOTATIONS[rest_name] for name, rest_name in SPATIAL_TABLES.items()},
    "messages": MESSAGES,
    "classifications": pa.schema([*_IDS, ("labels", STRINGS), ("confidences", FLOATS)]),
    "entity_dynamic_states": pa.schema([*_IDS, ("entity_id", pa.string())]),
    "entities": pa.schema(_IDS),
}
_OF_RECORD = frozenset({"messages", "classifications"})  # tables whose rows may belong to a record as a whole
_NOT_READ = {
    "videos": "video files",
    "texts": "texts",
    "point_clouds": "point clouds",
    "pdfs": "documents",
    "relations": "relations",
    "text_spans": "spans of text",
    "embeddings": "embeddings",
    "timeseries": "time series",
}


class LibrarySource:
    """A dataset. ``notes`` and ``assumptions`` are complete when all parts have been read."""

    skipped: pa.Table = SKIPPED.empty_table()

    def __init__(self, dataset: DatasetFolder, roles: ColumnRoles, sidecar: Sidecar | None, media_folder: Path) -> None:
        self._dataset, self._roles, self._sidecar = dataset, roles, sidecar
        for name in _TABLES:
            self._schema(name)
        columns = {"id", *(c.name for c in (*roles.samples.values(), *roles.layout.records.values()))}
        columns |= {"sample_id"} if roles.from_annobridge else set()
        records = dataset.read("records", [n for n in dataset.schema("records").names if n in columns])
        self._samples = Samples(dataset, records)
        self._check_samples()
        self._images = ImageFiles(dataset, self._samples, media_folder)
        self._keypoints_in_pixels = self._has_large_coordinates("keypoints")
        self._skipped = Skipped()
        self._turned = 0
        self.notes: list[str] = []
        self.assumptions: list[str] = []

    def _check_samples(self) -> None:
        """Raise ``InvalidSource`` for a dataset without images, or with two that cannot be told apart."""
        samples = self._samples
        if len(samples.records) and not len(samples):
            raise InvalidSource(
                f"{self._dataset.path} has no images (its tables are {', '.join(self._dataset.tables)}), and annobridge is "
                "for images; leave it out."
            )
        counts = pc.value_counts(samples.ids)
        if len(twice := counts.filter(pc.greater(counts.field("counts"), 1))):
            raise InvalidSource(
                f"{self._dataset.path} has several images {twice.field('values')[0].as_py()!r} (a record, its view and "
                "frame); give each image of a record a view or a frame of its own."
            )

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self._samples)

    def parts(self) -> Iterator[Part]:
        """The samples and labels. Each table is read once, and its rows are regrouped by part on disk."""
        self._skipped, self._turned = Skipped(), 0
        exported = self._sidecar.samples() if self._sidecar else None
        with ExitStack() as stack:
            groups = {name: stack.enter_context(_grouped(*self._stream(name))) for name in _TABLES}
            references = stack.enter_context(_grouped(REMOTE, self._reference()))
            for number, (start, stop) in enumerate(self._samples.parts):
                files = self._images.get(start, stop)
                samples = self._sample_range(start, stop, files)
                rows = {name: table.get(number).combine_chunks() for name, table in groups.items()}
                labels = read_labels(samples, rows, references.get(number), self._roles, self._skipped)
                yield Part(self._sample_rows(samples, files, exported), labels)
        self.notes, self.assumptions = list(self._all_notes()), list(self._all_assumptions())

    # --- tables -----------------------------------------------------------------------------------------------------

    def _schema(self, name: str) -> pa.Schema:
        """The columns of a table that are read. Raises ``InvalidSource`` if one that Pixano always has is missing."""
        there, required = self._dataset.schema(name), _TABLES[name]
        if there.names and (missing := [n for n in required.names if n not in there.names]):
            raise InvalidSource(
                f"The table {name} of {self._dataset.path} has no column {missing[0]!r}, which Pixano's have; "
                "restore it from a copy."
            )
        if name == "entities":
            wanted, types = there.names or required.names, required
        else:
            more = self._roles.annotation_attributes.get(name, {})
            more = self._roles.states if name == "entity_dynamic_states" else more
            view = [("view_id", pa.string()), ("frame_id", pa.string()), ("frame_index", pa.int64())]
            types = pa.schema([*required, *view])
            wanted = [*types.names, *(c.name for c in more.values())]
        return pa.schema([(n, (there if n in there.names else types).field(n).type) for n in wanted])

    def _stream(self, name: str) -> tuple[pa.Schema, Iterator[tuple[pa.RecordBatch, Ints]]]:
        """The rows of a table, and the part of each."""
        schema = self._schema(name)
        if name == "entities":
            batches = self._dataset.scan(name, schema.names)
            plain = (pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in batches)  # without Lance's metadata
            return schema, map(self._samples.spread, plain)
        return schema.append(pa.field("sample", pa.int64())), self._with_sample(name, schema)

    def _with_sample(self, name: str, schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        there = self._dataset.schema(name).names
        for batch in self._dataset.scan(name, [n for n in schema.names if n in there]):
            columns = [
                batch[f.name]
                if f.name in there
                else pa.repeat(pa.scalar(_VIEW_COLUMNS[f.name], f.type), batch.num_rows)
                for f in schema
            ]
            rows = pa.RecordBatch.from_arrays(columns, schema=schema)
            samples = self._samples.sample_of(rows, of_record=name in _OF_RECORD)
            self._skipped.orphans[name] += int((samples < 0).sum())
            yield rows.append_column("sample", pa.array(samples)), self._samples.part_of(samples)

    def _reference(self) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        """The labels as they were exported."""
        for rows in self._sidecar.labels() if self._sidecar else ():
            samples = index_of(rows["sample_id"], self._samples.ids).fill_null(-1).to_numpy().astype(np.int64)
            for batch in rows.to_batches():
                yield batch, self._samples.part_of(samples)

    def _has_large_coordinates(self, name: str) -> bool:
        """Whether a table has a coordinate beyond 1; then all of its coordinates are in pixels."""
        batches = self._dataset.scan(name, ["coords"]) if name in self._dataset.tables else ()
        return any((pc.max(pc.list_flatten(b["coords"])).as_py() or 0) > 1 for b in batches)

    # --- samples ----------------------------------------------------------------------------------------------------

    def _sample_range(self, start: int, stop: int, files: pa.Array) -> SampleRange:
        samples = self._samples
        sizes = self._sizes(samples.views.slice(start, stop - start), files)
        records = samples.records.take(pa.array(samples.record[start:stop])).combine_chunks()
        ids = samples.ids.slice(start, stop - start)
        return SampleRange(start, ids, records, sizes, samples.one_per_record, self._keypoints_in_pixels)

    def _sizes(self, views: pa.Table, files: pa.Array) -> Ints:
        """Width and height as shown. Pixano has those of the stored pixels, which differ where EXIF data turn an image."""
        sizes = np.stack([views[n].fill_null(0).to_numpy() for n in ("width", "height")], axis=1).astype(np.int64)
        local = np.flatnonzero(~as_mask(pc.match_substring(files, "://")))
        headers = media.known_headers(files.take(pa.array(local)).to_pylist())
        shown = np.zeros(sizes.shape, np.int64)
        shown[local] = np.array([h.shown if h else (0, 0) for h in headers], np.int64).reshape(-1, 2)
        turned = (sizes == shown[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
        self._turned += int(turned.sum())
        return np.where(turned[:, None], shown, sizes)

    def _sample_rows(self, samples: SampleRange, files: pa.Array, exported: pa.Table | None) -> pa.Table:
        views = self._samples.views.slice(samples.first, len(samples.ids))
        unknown = as_mask(views["width"].is_null())
        found = {
            "sample_id": samples.ids,
            "media_type": pa.repeat(pa.scalar("image"), len(samples.ids)),
            "filepath": files,
            "width": pa.array(samples.sizes[:, 0], pa.int32(), mask=unknown),
            "height": pa.array(samples.sizes[:, 1], pa.int32(), mask=unknown),
        }
        if not samples.one_per_record:
            found |= {"record": as_array(samples.records["id"]), "view": views["logical_name"]}
        if self._samples.is_frame.any():
            found |= {"frame_index": views["frame_index"], "timestamp": views["timestamp"]}
        at = None if exported is None else index_of(samples.ids, exported["sample_id"])
        for name, column in self._roles.samples.items():
            now = as_array(samples.records[column.name])
            if exported is not None and name in exported.column_names:
                found[name] = _restored(as_array(exported[name]).take(at), now, column)
            elif name not in found:
                found[name] = now
        return pa.table(found)

    # --- notes ------------------------------------------------------------------------------------------------------

    def _all_assumptions(self) -> Iterator[str]:
        if embedded := int(self._images.embedded.sum()):
            yield f"{embedded} images were inside of Pixano's tables; they are files in {self._images.folder} now."
        if self._turned:
            yield f"{self._turned} images are turned by their EXIF data; their width and height are those of the shown image."
        if not self._samples.is_frame.all() and not self._samples.one_per_record:
            yield "Records have several images here: each is a sample, and the columns record and view say which it is."
        if self._samples.is_frame.any():
            yield "Each frame of a sequence is a sample (column frame_index), and the tracks of its labels are their index."
        if self._keypoints_in_pixels:
            yield "The keypoints are in pixels: one of them is beyond 1."

    def _all_notes(self) -> Iterator[str]:
        yield from self._roles.notes
        if self._samples.without_image:
            yield f"{self._samples.without_image} records have no image, and were left out."
        if self._samples.without_record:
            yield f"{self._samples.without_record} images belong to no record, and were left out."
        yield from self._skipped.notes()
        if rows := self._dataset.count("tracklets"):
            yield f"{rows} tracklets became the index of their labels; when they begin and end was left out."
        for name, what in _NOT_READ.items():
            if rows := self._dataset.count(name):
                yield f"{rows} {what} of Pixano (table {name}) have no place here, and were left out."


def _grouped(schema: pa.Schema, batches: Iterable[tuple[pa.RecordBatch, Ints]]) -> Groups:
    """The rows of a table, grouped by part on disk."""
    groups = Groups(schema)
    for batch, parts in batches:
        groups.add(batch, parts)
    return groups


def _restored(exported: pa.Array, now: pa.Array, column: Column) -> pa.Array:
    """A column of the samples as it was exported, where Pixano still has that."""
    before, found = (values.encode_column(v, column.type) for v in (exported, now))
    unchanged = equal_rows(found, before.cast(found.type))
    return exported if unchanged.all() else choose(unchanged, exported, now)
