"""A dataset written as FiftyOne exports its own."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from ...core.labels import SAMPLES
from ...exceptions import InvalidMedia, Unsupported
from ...store.media import FileMedia
from ..base import Options, Part
from ..spool import Spool
from . import columns, encode, plan, schema, values
from .decode import OURS

_DATASET = values.object_id("dataset")
Grouped = dict[str, dict[int, dict[plan.Slot, list[encode.Row]]]]


class Writing(Options):
    """``export_media``: copy the media (``True``), link to them (``"symlink"``), or only say where they are (``False``).

    ``fields``: the label fields to write; all, by default.
    """

    export_media: bool | Literal["symlink"] = True
    fields: tuple[str, ...] | None = None


def write(parts: Iterable[Part], folder: Path, options: Writing) -> list[str]:
    """Write the parts into a folder; returns notes. Raises ``Unsupported``, ``InvalidMedia`` for an absent file."""
    draft = _Draft(folder, options)
    stats, scalars = plan.look(draft.labels(parts))
    names, frame_names = plan.Names(columns.OWN), plan.Names({"id", "frame_number", *columns.OWN})
    slots = plan.slots(stats, scalars, names, frame_names)
    return draft.write(slots, names)


class _Draft:
    """The parts, put by while they are looked at, and then written."""

    def __init__(self, folder: Path, options: Writing) -> None:
        self._folder, self._options = folder, options
        self._spool, self._parts = Spool(), list[tuple[int, int]]()
        self._schema, self._media_types, self._ours = pa.schema([]), set[str](), False
        self._notes: Counter[str] = Counter()
        self._files = _Files(folder, options.export_media)

    def labels(self, parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
        """The labels of the parts, which are put by."""
        for part in parts:
            labels = part.labels.select(encode.COLUMNS)
            if self._options.fields is not None:
                labels = labels.filter(pc.is_in(labels["field"], value_set=pa.array(self._options.fields, pa.string())))
            self._parts.append((self._spool.add(part.samples), self._spool.add(labels)))
            self._schema = part.samples.schema
            self._media_types |= {kind or "image" for kind in pc.unique(part.samples["media_type"]).to_pylist()}
            self._ours |= not all(map(values.is_object_id, part.samples["sample_id"].to_pylist()))
            yield from labels.combine_chunks().to_batches()
        if len(self._media_types) > 1:
            raise Unsupported(
                "",
                [
                    "The samples are images and videos, and a FiftyOne dataset has one kind of media; "
                    "write each by itself, as ds.match(\"media_type = 'image'\")."
                ],
            )

    def write(self, slots: Mapping[tuple[str, str], plan.Slot], names: plan.Names) -> list[str]:
        """Write all files; returns the notes."""
        (media_type,) = self._media_types or {"image"}
        chosen = self._columns(names)
        for name, slot in sorted({(name, slot.name) for (name, _), slot in slots.items()}):
            if slot != name.removeprefix("frames."):
                self._notes[f"Labels of {name!r} are in the field {slot!r} there"] = 0
        about = schema.dataset(media_type, chosen, dict.fromkeys(slots.values()), self._ours)
        (self._folder / "metadata.json").write_text(json.dumps(about), encoding="utf-8")
        with ExitStack() as stack:
            samples = stack.enter_context(_List(self._folder / "samples.json", "samples"))
            is_video = media_type == "video"
            frames = stack.enter_context(_List(self._folder / "frames.json", "frames")) if is_video else None
            for rows, labels in self._parts:
                found = self._grouped(self._spool.get(labels), slots)
                for row in self._spool.get(rows).to_pylist():
                    document = self._sample(row, media_type, chosen)
                    for number, fields in sorted(found.get(row["sample_id"], {}).items()):
                        content = {s.name: encode.value(s, labels_, self._notes) for s, labels_ in fields.items()}
                        if number and frames is not None:
                            frames.add(_frame(document["_id"]["$oid"], number) | content)
                        else:
                            document |= content
                    samples.add(document)
        return [f"{count} {what}." if count else f"{what}." for what, count in self._notes.items()]

    def _grouped(self, labels: pa.Table, slots: Mapping[tuple[str, str], plan.Slot]) -> Grouped:
        """The labels by sample, frame (0: none) and field there."""
        found: Grouped = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        for row in labels.to_pylist():
            slot, number = slots[row["field"], row["kind"]], row["frame_number"] or 0
            if slot.is_frame != bool(number) or (number and "video" not in self._media_types):
                self._notes[
                    f"labels of {row['field']!r} were left out: there, frames.… of videos have a frame_number, and no other"
                ] += 1
                continue
            found[row["sample_id"]][number][slot].append(row)
        return found

    def _columns(self, names: plan.Names) -> dict[str, pa.Field]:
        """The columns of the samples that become fields, by their names there."""
        found = {}
        for field in self._schema:
            if field.name in SAMPLES.names:
                continue
            if schema.type_of(field.type) is None:
                self._notes[f"The column {field.name!r} was left out: FiftyOne has no field for {field.type}"] = 0
                continue
            name = names.give(field.name)
            found[name] = field
            if name != field.name:
                self._notes[f"The column {field.name!r} is called {name!r} there"] = 0
        return found

    def _sample(self, row: Mapping[str, Any], media_type: str, chosen: Mapping[str, pa.Field]) -> dict[str, Any]:
        oid = values.object_id(row["sample_id"])
        document: dict[str, Any] = {
            "_id": oid,
            "filepath": self._files.put(row),
            "tags": row.get("tags") or [],
            "_media_type": media_type,
            "_rand": int(oid["$oid"][-13:], 16) / 16**13,
            "_dataset_id": _DATASET,
        }
        if oid["$oid"] != row["sample_id"]:
            document[OURS] = row["sample_id"]
        document["metadata"] = _metadata(row, media_type)
        return document | {name: _cell(row[field.name]) for name, field in chosen.items()}


def _metadata(row: Mapping[str, Any], media_type: str) -> dict[str, Any] | None:
    if row.get("width") is None:
        return None
    if media_type == "image":
        return {"_cls": "ImageMetadata", "width": row["width"], "height": row["height"]}
    size = {"frame_width": row["width"], "frame_height": row["height"]}
    return {"_cls": "VideoMetadata", **size, "frame_rate": row.get("fps"), "total_frame_count": row.get("frames")}


def _frame(sample: str, number: int) -> dict[str, Any]:
    return {
        "_id": values.object_id(f"{sample}/{number}"),
        "frame_number": number,
        "_sample_id": {"$oid": sample},
        "_dataset_id": _DATASET,
    }


def _cell(value: Any) -> Any:
    match value:
        case float():
            return values.number(value)
        case list():
            return [_cell(v) for v in value]
        case datetime():
            return values.date(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date():
            return values.date(datetime.combine(value, time(), UTC))
    return value


class _List:
    """A JSON file ``{key: [document, …]}``, written one document at a time."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._file: TextIO
        self._next = ""

    def __enter__(self) -> _List:
        self._file = self._path.open("w", encoding="utf-8")
        self._file.write(f'{{"{self._key}": [')
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write("]}")
        self._file.close()

    def add(self, document: Mapping[str, Any]) -> None:
        self._file.write(self._next + json.dumps(document))
        self._next = ",\n"


class _Files:
    """The media in ``data/``, each under a name of its own."""

    def __init__(self, folder: Path, mode: bool | str) -> None:
        self._folder, self._mode = folder, mode
        self._taken: set[str] = set()
        if mode:
            (folder / "data").mkdir()

    def put(self, row: Mapping[str, Any]) -> str:
        """Where the medium of a sample is, as a document says it."""
        place = row["filepath"]
        if place is None:
            raise InvalidMedia(f"The sample {row['sample_id']!r} has no filepath, and FiftyOne needs one.")
        if not self._mode:
            return place if "://" in place else str(Path(place).absolute())
        name = self._free(place.rsplit("/", 1)[-1])
        target = self._folder / "data" / name
        if self._mode == "symlink" and "://" not in place:
            target.symlink_to(Path(place).absolute())
        else:
            self._copy(row["sample_id"], place, target)
        return f"data/{name}"

    def _free(self, name: str) -> str:
        path, number, free = Path(name), 1, name
        while free.casefold() in self._taken:
            number += 1
            free = f"{path.stem}-{number}{path.suffix}"
        self._taken.add(free.casefold())
        return free

    def _copy(self, sample_id: str, place: str, target: Path) -> None:
        try:
            with FileMedia({sample_id: place}).open(sample_id) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except FileNotFoundError:
            raise InvalidMedia(
                f"{place!r} of sample {sample_id!r} does not exist; put it there, or write the paths only with "
                "export_media=False."
            ) from None
