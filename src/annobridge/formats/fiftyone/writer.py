"""Writes a dataset as FiftyOne exports its own."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from ...core.labels import SAMPLES
from ...exceptions import InvalidMedia, Unsupported
from ...spill.tables import Tables
from ...store.media import Media
from .. import media
from ..base import Options, Part
from . import dataset_document, encode, extended_json, sample_columns, target_fields
from .decode import ID_KEY

_DATASET = extended_json.object_id("dataset")
_CURE = "put it there, or write the paths only with export_media=False"
Grouped = dict[str, dict[int, dict[target_fields.TargetField, list[encode.Row]]]]


class Writing(Options):
    """Options of writing.

    Attributes:
        export_media: copy the media (``True``), link to them (``"symlink"``), or write their paths only (``False``).
    """

    export_media: bool | Literal["symlink"] = True


def write(parts: Iterable[Part], folder: Path, options: Writing) -> list[str]:
    """Write the parts into a folder; returns notes on what was left out or changed.

    Raises ``Unsupported``, and ``InvalidMedia`` for media that cannot be read.
    """
    draft = _Draft(folder, options)
    return draft.write(target_fields.choose(*target_fields.survey(draft.labels(parts))))


class _Draft:
    """The parts: kept on disk while their labels are surveyed, and then written."""

    def __init__(self, folder: Path, options: Writing) -> None:
        self._folder, self._options = folder, options
        self._tables, self._parts = Tables(), list[tuple[int, int, Media | None]]()
        self._schema, self._media_types, self._has_ids = pa.schema([]), set[str](), False
        self._notes: Counter[str] = Counter()
        self._files = _Files(folder, options.export_media)

    def labels(self, parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
        """The labels of the parts, which are kept on disk."""
        for part in parts:
            labels = part.labels.select(encode.LABEL_COLUMNS)
            self._parts.append((self._tables.add(part.samples), self._tables.add(labels), media.embedded(part)))
            self._schema = part.samples.schema
            self._media_types |= {kind or "image" for kind in pc.unique(part.samples["media_type"]).to_pylist()}
            self._has_ids |= not all(map(extended_json.is_object_id, part.samples["sample_id"].to_pylist()))
            yield from labels.combine_chunks().to_batches()
        if len(self._media_types) > 1:
            raise Unsupported(
                "",
                [
                    "The samples are images and videos, and a FiftyOne dataset has one kind of media; "
                    "write each by itself, as ds.match(\"media_type = 'image'\")."
                ],
            )

    def write(self, targets: Mapping[tuple[str, str], target_fields.TargetField]) -> list[str]:
        """Write all files; returns notes."""
        (media_type,) = self._media_types or {"image"}
        chosen = self._columns({target.name for target in targets.values() if not target.is_frame})
        for name, target in sorted({(name, target.name) for (name, _), target in targets.items()}):
            if target != name.removeprefix("frames."):
                self._notes[f"Labels of {name!r} are in the field {target!r} there"] = 0
        about = dataset_document.build(media_type, chosen, dict.fromkeys(targets.values()), self._has_ids)
        (self._folder / "metadata.json").write_text(json.dumps(about), encoding="utf-8")
        with ExitStack() as stack:
            samples = stack.enter_context(_ListFile(self._folder / "samples.json", "samples"))
            is_video = media_type == "video"
            frames = stack.enter_context(_ListFile(self._folder / "frames.json", "frames")) if is_video else None
            for samples_table, labels_table, embedded in self._parts:
                found = self._grouped(self._tables.get(labels_table), targets)
                about_samples = self._tables.get(samples_table)
                opener = media.of(about_samples, embedded)
                for row in about_samples.to_pylist():
                    place = self._files.add(row["sample_id"], row["filepath"], opener, media.are_files(opener))
                    document = _sample(row, place, media_type, chosen)
                    for number, fields in sorted(found.get(row["sample_id"], {}).items()):
                        content = {t.name: encode.value(t, rows, self._notes) for t, rows in fields.items()}
                        if number and frames is not None:
                            frames.add(_frame(document["_id"]["$oid"], number) | content)
                        else:
                            document |= content
                    samples.add(document)
        return [f"{count} {what}." if count else f"{what}." for what, count in self._notes.items()]

    def _grouped(self, labels: pa.Table, targets: Mapping[tuple[str, str], target_fields.TargetField]) -> Grouped:
        """The labels by sample, frame (0 for none) and target field."""
        found: Grouped = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        for row in labels.to_pylist():
            target, number = targets[row["field"], row["kind"]], row["frame_number"] or 0
            if target.is_frame != bool(number) or (number and "video" not in self._media_types):
                self._notes[
                    f"labels of {row['field']!r} were left out: there, frames.… of videos have a frame_number, and no other"
                ] += 1
                continue
            found[row["sample_id"]][number][target].append(row)
        return found

    def _columns(self, taken: Collection[str]) -> dict[str, pa.Field]:
        """The columns that become fields of samples, by the names of these. ``taken`` are names of label fields."""
        fields = {f.name: f for f in self._schema if f.name not in SAMPLES.names}
        for field in [f for f in fields.values() if dataset_document.type_of(f.type) is None]:
            self._notes[f"The column {field.name!r} was left out: FiftyOne has no field for {field.type}"] = 0
            del fields[field.name]
        names = target_fields.legal_names(
            {name: name for name in fields}, {*sample_columns.RESERVED, *SAMPLES.names, *taken}
        )
        for name in fields:
            if names[name] != name:
                self._notes[f"The column {name!r} is called {names[name]!r} there"] = 0
        return {names[name]: field for name, field in fields.items()}


def _sample(row: Mapping[str, Any], place: str, media_type: str, chosen: Mapping[str, pa.Field]) -> dict[str, Any]:
    oid = extended_json.object_id(row["sample_id"])
    document: dict[str, Any] = {
        "_id": oid,
        "filepath": place,
        "tags": row.get("tags") or [],
        "_media_type": media_type,
        "_rand": int(oid["$oid"][-13:], 16) / 16**13,
        "_dataset_id": _DATASET,
    }
    if oid["$oid"] != row["sample_id"]:
        document[ID_KEY] = row["sample_id"]
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
        "_id": extended_json.object_id(f"{sample}/{number}"),
        "frame_number": number,
        "_sample_id": {"$oid": sample},
        "_dataset_id": _DATASET,
    }


def _cell(value: Any) -> Any:
    match value:
        case float():
            return extended_json.encode_number(value)
        case list():
            return [_cell(v) for v in value]
        case datetime():
            return extended_json.encode_date(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date():
            return extended_json.encode_date(datetime.combine(value, time(), UTC))
    return value


class _ListFile:
    """A JSON file ``{key: [document, …]}``, written one document at a time."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._file: TextIO
        self._next = ""

    def __enter__(self) -> _ListFile:
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
    """Copies or links the media into ``data/``, each under a name of its own."""

    def __init__(self, folder: Path, mode: bool | str) -> None:
        self._folder, self._mode = folder, mode
        self._taken: set[str] = set()
        if mode:
            (folder / "data").mkdir()

    def add(self, sample_id: str, place: str | None, opener: Media, is_outside: bool) -> str:
        """Copy or link the file of a sample, if media are exported; returns the path that its document has."""
        if place is None:
            raise InvalidMedia(f"The sample {sample_id!r} has no filepath, and FiftyOne needs one.")
        path = opener.path(sample_id)
        if not self._mode:
            if path is None and not is_outside:
                raise InvalidMedia(
                    f"The image of sample {sample_id!r} lies in a table, not in a file that could be named; "
                    "leave export_media=False out."
                )
            return place if path is None else str(path.absolute())
        name = self._free(media.without_secrets(place).rsplit("/", 1)[-1] or "file")
        target = self._folder / "data" / name
        if self._mode == "symlink" and path is not None:
            if not path.is_file():
                raise media.unreadable(sample_id, place, FileNotFoundError(), _CURE)
            target.symlink_to(path.absolute())
        else:
            cure = _CURE if is_outside else "put its bytes there, or leave the sample out of the view"
            with target.open("wb") as copy:
                copy.writelines(media.read_chunks(opener, sample_id, place if is_outside else "", cure))
        return f"data/{name}"

    def _free(self, name: str) -> str:
        path, number, free = Path(name), 1, name
        while free.casefold() in self._taken:
            number += 1
            free = f"{path.stem}-{number}{path.suffix}"
        self._taken.add(free.casefold())
        return free
