"""Write CVAT for video 1.1: tracks of videos, or of images in the order of their names."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array
from ...core.labels import LABELS
from ...spill.groups import Groups
from ..common.export import ExportData
from ..common.sequences import FrameSequence, Sequences
from ..common.xml_text import escape
from .declared import Declared, write_labels
from .track_rows import TrackRows
from .write import HEAD, written
from .write_rows import KINDS, elements

_ROWS = pa.schema(
    [*(f.with_nullable(True) for f in LABELS), pa.field("item", pa.int32()), pa.field("frame", pa.int64())]
)
_SHAPES = pa.array([kind for kind in KINDS if kind != "classification"])


def write_tracks(data: ExportData) -> None:
    """Write ``annotations.xml``; of several videos or folders of images, ``labels/NAME.xml`` for each."""
    sequences = Sequences(data, digits=False)
    declared = Declared(data)
    untracked = 0
    with Groups(_ROWS) as rows, tempfile.TemporaryDirectory() as folder:
        for part in data.parts():
            labels = written(part, declared)
            items = labels["item"].to_numpy()
            labels = labels.append_column("frame", pa.array(sequences.frame[items], pa.int64()))
            columns = [as_array(labels[f.name]).cast(f.type) for f in _ROWS]
            for batch in pa.Table.from_arrays(columns, schema=_ROWS).to_batches():
                rows.add(batch, sequences.number[batch["item"].to_numpy()])
        bodies = [Path(folder) / str(number) for number in range(len(sequences.all))]
        for number, (sequence, body) in enumerate(zip(sequences.all, bodies, strict=True)):
            with body.open("w", encoding="utf-8", newline="\n") as file:
                untracked += _write_body(file, data, sequence, rows.get(number).combine_chunks(), declared)
        for name, sequence, body in zip(_names(sequences.all), sequences.all, bodies, strict=True):
            _write_file(data, name, sequence, body, declared)
    if untracked:
        data.notes.append(f"{untracked:,} labels of no track became tracks of one frame, with numbers of their own.")


def _names(sequences: list[FrameSequence]) -> Iterator[str]:
    """The name of each file."""
    if len(sequences) == 1 and sequences[0].split is None:
        yield "annotations.xml"
        return
    taken: Counter[str] = Counter()
    for sequence in sequences:
        name = "labels/" + "".join(f"{part}/" for part in (sequence.split,) if part) + _title(sequence)
        while name in taken:
            name += "_2"
        taken[name] += 1
        yield f"{name}.xml"


def _title(sequence: FrameSequence) -> str:
    """What a sequence is called; images that are in no folder by that of all images."""
    return sequence.name or sequence.split or "images"


def _write_file(data: ExportData, name: str, sequence: FrameSequence, body: Path, declared: Declared) -> None:
    path = data.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        _write_meta(file, data, sequence, declared)
        with body.open(encoding="utf-8", newline="\n") as tracks:
            shutil.copyfileobj(tracks, file)
        file.write("</annotations>\n")


def _write_meta(file: TextIO, data: ExportData, sequence: FrameSequence, declared: Declared) -> None:
    title = sequence.video or _title(sequence)
    file.write(f"  <meta>\n    <task>\n      <name>{escape(title)}</name>\n")
    if sequence.length is not None:
        file.write(f"      <size>{sequence.length}</size>\n")
    file.write(f"      <mode>interpolation</mode>\n      <subset>{escape(sequence.split or 'default')}</subset>\n")
    file.write("      <start_frame>0</start_frame>\n")
    if sequence.length is not None:
        file.write(f"      <stop_frame>{max(sequence.length - 1, 0)}</stop_frame>\n")
    write_labels(file, data.classes, declared)
    if sequence.size is not None:
        width, height = sequence.size
        file.write(f"      <original_size>\n        <width>{width}</width>\n        <height>{height}</height>\n")
        file.write("      </original_size>\n")
    if sequence.video is not None:
        file.write(f"      <source>{escape(sequence.video)}</source>\n")
    file.write("    </task>\n  </meta>\n")


def _write_body(
    file: IO[str], data: ExportData, sequence: FrameSequence, labels: pa.Table, declared: Declared
) -> int:  # fmt: skip
    """Write the tags of the frames and the tracks; returns how many labels are of no track."""
    is_tag = pc.equal(labels["kind"], "classification")
    tags = labels.filter(is_tag).combine_chunks()
    if sequence.video is None or tags.num_rows:
        _write_images(file, data, sequence, tags)
    shapes = labels.filter(pc.is_in(labels["kind"], value_set=_SHAPES)).combine_chunks()
    if not shapes.num_rows:
        return 0
    tracks = TrackRows(shapes, sequence.length)
    for name, attributes in tracks.mutable().items():
        declared.mutable[name] |= attributes
    for text in tracks.texts():
        file.write(text)
    return tracks.untracked


def _write_images(file: IO[str], data: ExportData, sequence: FrameSequence, tags: pa.Table) -> None:
    """Write an element for each image, with its name and tags; of a video, for each frame that has tags. Tracks have neither."""
    by_item: dict[int, list[str]] = defaultdict(list)
    for item, text in zip(tags["item"].to_pylist(), elements(tags, "classification").to_pylist(), strict=True):
        by_item[item].append(text)
    rows = data.items.take(pa.array(sequence.items)).to_pylist()
    for item, frame, row in zip(sequence.items.tolist(), sequence.frames.tolist(), rows, strict=True):
        if sequence.video is not None and item not in by_item:
            continue
        name = row["name"] if sequence.video is None else f"frame_{frame:06d}"
        size = f'width="{row["width"] or 0}" height="{row["height"] or 0}"'
        file.write(f'  <image id="{frame}" name="{escape(name)}" {size}>\n{"".join(by_item[item])}  </image>\n')
