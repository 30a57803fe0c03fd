"""A Pixano dataset, opened: looked through, and then read part by part, each table once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.labels import REMOTE
from annobridge.exceptions import InvalidSource
from annobridge.formats import media
from annobridge.formats.base import Part
from annobridge.spill.groups import Groups

from .. import columns, wire
from ..arrays import FLOATS, STRINGS, bools, choose, find, one, same
from ..layout import Column
from . import part
from .images import Images
from .place import Place
from .rules import Rules
from .samples import Ints, Samples
from .sidecar import Sidecar

_ROW = [("id", pa.string()), ("record_id", pa.string())]
_PLACE = {"view_id": "", "frame_id": "", "frame_index": -1}  # columns that not every table has, and what is meant then
_TABLES = {
    **{name: wire.TABLES[ours] for name, ours in part.SPATIAL.items()},
    "messages": wire.MESSAGES,
    "classifications": pa.schema([*_ROW, ("labels", STRINGS), ("confidences", FLOATS)]),
    "entity_dynamic_states": pa.schema([*_ROW, ("entity_id", pa.string())]),
    "entities": pa.schema(_ROW),
}
_LOOSE = frozenset({"messages", "classifications"})  # these may be of a record as a whole
_UNREAD = {
    "videos": "video files",
    "texts": "texts",
    "point_clouds": "point clouds",
    "pdfs": "documents",
    "relations": "relations",
    "text_spans": "spans of text",
    "embeddings": "embeddings",
    "timeseries": "time series",
}


def _grouped(schema: pa.Schema, batches: Iterable[tuple[pa.RecordBatch, Ints]]) -> Groups:
    """The rows of a table by part."""
    groups = Groups(schema)
    for batch, parts in batches:
        groups.add(batch, parts)
    return groups


class LibrarySource:
    """One dataset of a library."""

    def __init__(self, place: Place, rules: Rules, sidecar: Sidecar | None, media: Path) -> None:
        self._place, self._rules, self._sidecar = place, rules, sidecar
        for name in _TABLES:
            self._schema(name)
        shown = {c.name for c in (*rules.samples.values(), *rules.layout.records.values())} | {"id"}
        shown |= {"sample_id"} if rules.ours else set()
        self._samples = Samples(place, place.read("records", [n for n in place.schema("records").names if n in shown]))
        self._check()
        self._images = Images(place, self._samples, media)
        self._pixels = self._beyond("keypoints")
        self._told = part.Told()
        self.notes: list[str] = []
        self.assumptions: list[str] = []

    def _check(self) -> None:
        """Raise ``InvalidSource`` for a dataset without images, or with two that cannot be told apart."""
        found = self._samples
        if len(found.records) and not len(found):
            raise InvalidSource(
                f"{self._place.folder} has no images (its tables are {', '.join(self._place.tables)}), and annobridge is for "
                "images; leave it out."
            )
        counts = pc.value_counts(found.ids)
        if len(twice := counts.filter(pc.greater(counts.field("counts"), 1))):
            raise InvalidSource(
                f"{self._place.folder} has several images {twice.field('values')[0].as_py()!r} (a record, its view and frame); "
                "give each image of a record a view or a frame of its own."
            )

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self._samples)

    def parts(self) -> Iterator[Part]:
        """The samples and labels."""
        self._told = part.Told()
        self._turned = 0
        old = self._sidecar.samples() if self._sidecar else None
        with ExitStack() as stack:
            groups = {name: stack.enter_context(_grouped(*self._stream(name))) for name in _TABLES}
            reference = stack.enter_context(_grouped(REMOTE, self._reference()))
            for number, (start, stop) in enumerate(self._samples.parts):
                files = self._images.of(start, stop)
                frame = self._frame(start, stop, files)
                rows = {name: g.get(number).combine_chunks() for name, g in groups.items()}
                labels = part.labels(frame, rows, reference.get(number), self._rules, self._told)
                yield Part(self._rows(frame, files, start, stop, old), labels)
        self.notes, self.assumptions = list(self._all_notes()), list(self._all_assumptions())

    # --- tables -----------------------------------------------------------------------------------------------------

    def _schema(self, name: str) -> pa.Schema:
        """The columns of a table that are read. Raises ``InvalidSource`` for one that should be there."""
        there, asked = self._place.schema(name), _TABLES[name]
        if there.names and (missing := [n for n in asked.names if n not in there.names]):
            raise InvalidSource(
                f"The table {name} of {self._place.folder} has no column {missing[0]!r}, which Pixano's have; "
                "restore it from a copy."
            )
        if name == "entities":
            wanted = there.names or asked.names
        else:
            more = self._rules.states if name == "entity_dynamic_states" else self._rules.extras.get(name, {})
            asked = pa.schema(
                [*asked, ("view_id", pa.string()), ("frame_id", pa.string()), ("frame_index", pa.int64())]
            )
            wanted = [*asked.names, *(c.name for c in more.values())]
        return pa.schema([(n, (there if n in there.names else asked).field(n).type) for n in wanted])

    def _stream(self, name: str) -> tuple[pa.Schema, Iterator[tuple[pa.RecordBatch, Ints]]]:
        schema = self._schema(name)
        if name == "entities":
            batches = self._place.scan(name, schema.names)
            plain = (pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in batches)  # less Lance's metadata
            return schema, map(self._samples.spread, plain)
        return schema.append(pa.field("sample", pa.int64())), self._of_samples(name, schema)

    def _of_samples(self, name: str, schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        """Rows with the number of their sample, and its part."""
        there = self._place.schema(name).names
        for batch in self._place.scan(name, [n for n in schema.names if n in there]):
            values = [
                batch[f.name] if f.name in there else pa.repeat(pa.scalar(_PLACE[f.name], f.type), batch.num_rows)
                for f in schema
            ]
            whole = pa.RecordBatch.from_arrays(values, schema=schema)
            numbers = self._samples.of(whole, loose=name in _LOOSE)
            self._told.orphans[name] += int((numbers < 0).sum())
            yield whole.append_column("sample", pa.array(numbers)), self._samples.part(numbers)

    def _reference(self) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        """The labels as they were exported."""
        for rows in self._sidecar.labels() if self._sidecar else ():
            numbers = find(one(rows["sample_id"]), self._samples.ids).fill_null(-1).to_numpy().astype(np.int64)
            for batch in rows.to_batches():
                yield batch, self._samples.part(numbers)

    def _beyond(self, name: str) -> bool:
        """Whether a table has a coordinate beyond 1, and so all in pixels."""
        batches = self._place.scan(name, ["coords"]) if name in self._place.tables else ()
        return any((pc.max(pc.list_flatten(b["coords"])).as_py() or 0) > 1 for b in batches)

    # --- samples ----------------------------------------------------------------------------------------------------

    def _frame(self, start: int, stop: int, files: pa.Array) -> part.Frame:
        found = self._samples
        sizes = self._sizes(found.views.slice(start, stop - start), files)
        records = found.records.take(pa.array(found.record[start:stop])).combine_chunks()
        return part.Frame(start, found.ids.slice(start, stop - start), records, sizes, found.single, self._pixels)

    def _sizes(self, views: pa.Table, files: pa.Array) -> Ints:
        """Width and height of the images as they are shown. Pixano has those of the stored pixels, whatever EXIF data say."""
        sizes = np.stack([views[n].fill_null(0).to_numpy() for n in ("width", "height")], axis=1).astype(np.int64)
        near = np.flatnonzero(~bools(pc.match_substring(files, "://")))
        shown = [h.shown if h else (0, 0) for h in media.known_headers(files.take(pa.array(near)).to_pylist())]
        turned = np.zeros(sizes.shape, np.int64)
        turned[near] = np.array(shown, np.int64).reshape(-1, 2)
        wrong = (sizes == turned[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
        self._turned += int(wrong.sum())
        return np.where(wrong[:, None], turned, sizes)

    def _rows(self, frame: part.Frame, files: pa.Array, start: int, stop: int, old: pa.Table | None) -> pa.Table:
        views = self._samples.views.slice(start, stop - start)
        unsized = bools(views["width"].is_null())
        found = {
            "sample_id": frame.ids,
            "media_type": pa.repeat(pa.scalar("image"), len(frame.ids)),
            "filepath": files,
            **{n: pa.array(frame.sizes[:, i], pa.int32(), mask=unsized) for i, n in enumerate(("width", "height"))},
        }
        if not self._samples.single:
            found |= {"record": one(frame.records["id"]), "view": views["logical_name"]}
        if self._samples.frames.any():
            found |= {"frame_index": views["frame_index"], "timestamp": views["timestamp"]}
        at = None if old is None else find(frame.ids, old["sample_id"])
        for name, c in self._rules.samples.items():
            now = one(frame.records[c.name])
            if old is not None and name in old.column_names:
                found[name] = _restored(one(old[name]).take(at), now, c)
            elif name not in found:
                found[name] = now
        return pa.table(found)

    # --- notes ------------------------------------------------------------------------------------------------------

    def _all_assumptions(self) -> Iterator[str]:
        if inside := int(self._images.embedded.sum()):
            yield f"{inside} images lay inside of Pixano's tables; they are files in {self._images.folder} now."
        if self._turned:
            yield f"{self._turned} images are turned by their EXIF data; their width and height are those of the shown image."
        if not self._samples.frames.all() and not self._samples.single:
            yield "Records have several images here: each is a sample, and the columns record and view say which it is."
        if self._samples.frames.any():
            yield "Each frame of a sequence is a sample (column frame_index), and the tracks of its labels are their index."
        if self._pixels:
            yield "The keypoints are in pixels: one of them is beyond 1."

    def _all_notes(self) -> Iterator[str]:
        yield from self._rules.notes
        if self._samples.bare:
            yield f"{self._samples.bare} records have no image, and were left out."
        if self._samples.strays:
            yield f"{self._samples.strays} images belong to no record, and were left out."
        yield from part.notes(self._told)
        if rows := self._place.count("tracklets"):
            yield f"{rows} tracklets became the index of their labels; when they begin and end was left out."
        for name, what in _UNREAD.items():
            if rows := self._place.count(name):
                yield f"{rows} {what} of Pixano (table {name}) have no place here, and were left out."


def _restored(old: pa.Array, now: pa.Array, c: Column) -> pa.Array:
    """A column with what it held when it was exported, where Pixano still has that."""
    kept = same(columns.held(old, c.type), columns.held(now, c.type)) & bools(pa.array(np.ones(len(old), bool)))
    return old if kept.all() else choose(kept, old, now.cast(old.type))
