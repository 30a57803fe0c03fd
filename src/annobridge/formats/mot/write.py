"""Write MOTChallenge's layout: ``gt/gt.txt``, ``gt/labels.txt`` and ``seqinfo.ini`` of each sequence."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array
from ...core.media import PICTURES
from ...spill.groups import Groups
from ..common.class_list import classes_text
from ..common.export import ExportData, ExportPart, image_sizes
from ..common.fidelity import NOTHING
from ..common.frames import VIDEOS
from ..common.items import ITEMS
from ..common.sequences import FrameSequence, Sequences
from ..common.source import to_relative
from ..common.xml_text import decimals
from ..common.yolo_text import boxes_around, with_area
from .layout import CLASSES, DET, GT, IMAGES, INFO, NAMES

_ROWS = pa.schema([("frame", pa.int64()), ("track", pa.int64()), ("text", pa.string())])
KINDS = ("box", "polygon", "polyline", "mask", "segmentation", "keypoints", "skeleton", "ellipse", "cuboid")
_FPS = 30  # where it is not known; readers want a number


def rename(data: ExportData) -> None:
    """Give images and videos the places that they have in the layout: ``img1/000001.jpg``, or ``train/NAME/img1/000001.jpg``."""
    sequences = Sequences(data, digits=True)
    alone = len(sequences.all) == 1 and data.splits == [None]
    folders = [""] if alone else _folders(sequences.all)
    names, videos = data.items["name"].to_pylist(), {}
    renamed = 0
    for folder, sequence in zip(folders, sequences.all, strict=True):
        prefix = "".join(f"{part}/" for part in (sequence.split, folder) if part)
        if sequence.video is not None:
            videos[sequence.split, sequence.video] = prefix + sequence.video.rpartition("/")[2]
            continue
        for item, frame in zip(sequence.items.tolist(), sequence.frames.tolist(), strict=True):
            base = names[item].rpartition("/")[2]
            new = f"{frame + 1:06d}{os.path.splitext(base)[1]}"
            renamed += base != new
            names[item] = f"{prefix}{IMAGES}/{new}"
    if renamed:
        data.notes.append(f"{renamed:,} images were renamed after the numbers of their frames.")
    splits, old = data.items["split"].to_pylist(), data.items["video"].to_pylist()
    data.items = _with(data.items, ITEMS, "name", names)
    data.items = _with(data.items, ITEMS, "video", [videos.get(key) for key in zip(splits, old, strict=True)])
    keys = zip(data.videos["split"].to_pylist(), data.videos["name"].to_pylist(), strict=True)
    data.videos = _with(data.videos, VIDEOS, "name", [videos[key] for key in keys])


def _with(table: pa.Table, schema: pa.Schema, name: str, values: list[str | None]) -> pa.Table:
    at = schema.names.index(name)
    return table.set_column(at, schema.field(at), pa.array(values, pa.string()))


def _folders(sequences: list[FrameSequence]) -> list[str]:
    """A folder for each sequence, without folders in it; unlike that of any other of its split."""
    taken: Counter[tuple[str | None, str]] = Counter()
    folders = []
    for sequence in sequences:
        folder = sequence.name.replace("/", "-") or "sequence"
        while (sequence.split, folder) in taken:
            folder += "_2"
        taken[sequence.split, folder] += 1
        folders.append(folder)
    return folders


def write(data: ExportData, detections: bool) -> None:
    """Write the text files. With ``detections``, boxes are those of a model, with confidences, in ``det/det.txt``."""
    sequences = Sequences(data, digits=True)
    classes = classes_text(data.classes)
    kind = DET if detections else GT
    with Groups(_ROWS) as rows:
        for part in data.parts():
            _add_lines(rows, part, data, sequences, detections)
        for number, sequence in enumerate(sequences.all):
            folder = data.folder / folder_of(sequence)
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / CLASSES).write_text(classes, "utf-8", newline="\n")
            write_names(folder / kind, data, sequence)
            _write_lines(folder / kind / f"{kind}.txt", rows.get(number))
            write_info(folder / INFO, data, sequence)


def folder_of(sequence: FrameSequence) -> str:
    """The folder of a sequence in the export, after ``rename``."""
    return sequence.name if sequence.video is None else sequence.name.rpartition("/")[0]


def _add_lines(rows: Groups, part: ExportPart, data: ExportData, sequences: Sequences, detections: bool) -> None:
    keep = pc.and_(pc.is_in(part.labels["kind"], value_set=pa.array(KINDS)), part.labels["label"].is_valid())
    labels = part.labels.filter(keep).combine_chunks()
    if not labels.num_rows:
        return
    items = labels["item"].to_numpy()
    sizes = image_sizes(part.items)[items - part.first]
    boxes = boxes_around(to_relative(labels, sizes), part.items, part.first) * np.tile(sizes, 2)
    at = np.flatnonzero(with_area(boxes))
    data.lose(NOTHING, len(boxes) - at.size)
    labels, items, boxes = labels.take(pa.array(at)).combine_chunks(), items[at], boxes[at]
    if not at.size:
        return
    frames = sequences.frame[items]
    tracks = pc.fill_null(as_array(labels["index"]).cast(pa.int64()), -1)
    numbers = pc.add(pc.index_in(labels["label"], value_set=pa.array(data.classes, pa.string())), 1).cast(pa.string())
    last = (
        [_confidences(labels), numbers, "-1", "-1"] if detections else [_flags(labels), numbers, _visibilities(labels)]
    )
    corners = [decimals(pa.array(boxes[:, column])) for column in range(4)]
    text = pc.binary_join_element_wise(
        pa.array(frames + 1).cast(pa.string()), tracks.cast(pa.string()), *corners, *map(_whole_column, last), ","
    )
    table = pa.table(
        {"frame": pa.array(frames), "track": tracks, "text": as_array(text)}, schema=_ROWS
    ).combine_chunks()
    for batch in table.to_batches():
        rows.add(batch, sequences.number[items])


def _whole_column(values: pa.Array | pa.ChunkedArray | str) -> pa.Array | str:
    """A column in one piece; a text that all rows share stays as it is."""
    return values if isinstance(values, str) else as_array(values)


def _confidences(labels: pa.Table) -> pa.Array:
    return pc.fill_null(as_array(labels["confidence"]).cast(pa.string()), "1")


def _flags(labels: pa.Table) -> pa.Array:
    """``0`` for what is to be ignored, else ``1``."""
    ignored = pc.equal(attributes.values(labels["attributes"], "ignored"), "true")
    return pc.if_else(pc.fill_null(ignored, False), "0", "1")


def _visibilities(labels: pa.Table) -> pa.Array:
    """The attribute ``visibility``; where there is none, 0 for what is occluded, else 1."""
    occluded = pc.fill_null(pc.equal(attributes.values(labels["attributes"], "occluded"), "true"), False)
    given = attributes.column(labels["attributes"], "visibility")
    is_number = pc.is_in(given.field("type"), value_set=pa.array(["int", "float"]))
    return pc.if_else(pc.fill_null(is_number, False), given.field("value"), pc.if_else(occluded, "0.0", "1.0"))


def write_names(folder: Path, data: ExportData, sequence: FrameSequence) -> None:
    """Write the names that images had, where they are not those of their frames."""
    if sequence.video is not None or not sequence.items.size:
        return
    at = pa.array(sequence.items)
    given, now = data.given_names.take(at).to_pylist(), data.items["name"].take(at).to_pylist()
    if all(old.rpartition("/")[2] == new.rpartition("/")[2] for old, new in zip(given, now, strict=True)):
        return
    lines = (
        f"{frame + 1} {name}\n" for frame, name in zip(sequence.frames.tolist(), given, strict=True) if "\n" not in name
    )
    (folder / NAMES).write_text("".join(lines), "utf-8", newline="\n")


def _write_lines(path: Path, rows: pa.Table) -> None:
    order = pc.sort_indices(rows, [("frame", "ascending"), ("track", "ascending")])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in rows["text"].take(order).chunks:
            file.write("".join(f"{line}\n" for line in batch.to_pylist()))


def write_info(path: Path, data: ExportData, sequence: FrameSequence) -> None:
    """Write ``seqinfo.ini``; nothing where the size of the images is not known."""
    if sequence.size is None:
        return
    suffix = ".jpg"
    if sequence.items.size and sequence.video is None:
        found = PurePosixPath(data.items["name"][int(sequence.items[0])].as_py()).suffix
        suffix = found if found.lower() in PICTURES else suffix
    last = int(sequence.frames[-1]) + 1 if sequence.frames.size else 0
    name = (sequence.video or sequence.name).rpartition("/")[2]
    lines = {
        "name": os.path.splitext(name)[0] if sequence.video else name or "sequence", "imDir": IMAGES,
        "frameRate": round(sequence.fps or _FPS), "seqLength": sequence.length or last, "imWidth": sequence.size[0],
        "imHeight": sequence.size[1], "imExt": suffix,
    }  # fmt: skip
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    path.write_text(f"[Sequence]\n{text}", "utf-8", newline="\n")
