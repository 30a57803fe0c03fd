"""Label Studio's exports as a format: how they are recognised, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import BRIDGED, KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.json_stream import JsonStream, decode_whole
from ..common.report import ReadReport
from ..common.source import LabelSource
from . import brush_png, label_config, minimal
from .tasks import PREDICTIONS, Reader, Which, as_task, split_of_file
from .write import write

_HEAD = 1 << 16  # bytes by which a file is recognised
_LOOKED_AT = 20
_ONE = 256 << 20  # bytes of a file with one task
_ROWS = "rows of Label Studio"
_TABLES = (".csv", ".tsv")


class LabelStudioReadOptions(ReadOptions):
    """The options of reading Label Studio's exports."""

    results: Which = Field("all", description="read annotations, predictions, or both, each into fields of their own")
    annotations: Literal["all", "latest"] = Field(
        "all", description="of tasks that several people annotated: all annotations, or the latest of each"
    )
    keep_ids: bool = Field(False, description="make the ids of regions the ids of labels, each where it is first met")
    tasks: Path | None = Field(
        None, description="the JSON export with the images of the tasks that brush pictures name"
    )


class LabelStudioWriteOptions(WriteOptions):
    """The options of writing tasks for Label Studio."""

    results: Literal["annotations", "predictions"] = Field(
        "annotations",
        description="whether labels are annotations, or predictions, which people correct and submit; those of fields called "
        "predictions always are",
    )
    model_version: str = Field("annobridge", description="the name that predictions have")
    image_root: str = Field(
        "/data/local-files/?d=", description="what stands before an image's path in its address, as 's3://bucket/'"
    )


class LabelStudioFormat(FileFormat):
    """Tasks, rows or pictures of brushes."""

    name = "labelstudio"
    title = "Label Studio's export"
    unit = "relative"
    fidelity = Fidelity(
        kinds={
            **dict.fromkeys(
                ("box", "polygon", "polyline", "ellipse", "mask", "keypoints", "skeleton", "classification", "scalar"), KEPT
            ),
            "segmentation": "written as masks", "cuboid": "written as the polygons around them",
        },
        attributes=None, rotation=True, confidence=True, tracks=True, visibility=True, closed=True,
        without_holes=BRIDGED, splits=True,
        named_fields=frozenset({"classification", "scalar"}), own_fields=(PREDICTIONS,),
        notes=(
            "Label ids are written as ids of regions, and read with keep_ids=True.",
            "Keypoints are a region for each point; open lines are polygons that are not closed.",
        ),
    )  # fmt: skip
    reading = LabelStudioReadOptions
    writing = LabelStudioWriteOptions

    def detect(self, archive: Archive) -> str | None:
        for name in archive.by_suffix.get(".json", ())[:_LOOKED_AT]:
            with archive.open(name) as stream:
                if what := _what(stream.read(_HEAD)):
                    return f"{name} has {what}"
        for suffix in _TABLES:
            for name in archive.by_suffix.get(suffix, ())[:_LOOKED_AT]:
                with archive.open(name) as stream:
                    head = stream.read(_HEAD).partition(b"\n")[0]
                if all(mark.encode() in head for mark in minimal.MARKS):
                    return f"{name} has annotations in rows"
        pictures = brush_png.names(archive)
        return f"{pictures[0]} is a picture of a brush" if pictures else None

    def open_onto(self, source: Path, options: ReadOptions, known: Sequence[pa.Table]) -> LabelSource:
        """As an answer to labels that were sent: what people submitted last, with the ids of its regions."""
        answer = {"results": "annotations", "annotations": "latest", "keep_ids": True}
        chosen = {name: value for name, value in answer.items() if name not in options.model_fields_set}
        return super().open_onto(source, options.model_copy(update=chosen), known)

    def is_image(self, name: str) -> bool:
        return not brush_png.NAME.fullmatch(name.rpartition("/")[2]) and super().is_image(name)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        assert isinstance(options, LabelStudioReadOptions)  # noqa: S101 - the options of this format
        controls = label_config.read(archive)
        reader = Reader(
            items,
            report,
            options.results,
            options.annotations == "latest",
            options.keep_ids,
            tuple(controls.images.values()),
        )
        rows = (entry for *_, entry in _entries(archive, ReadReport(), only_rows=True) if minimal.is_row(entry))
        controls.of_regions |= minimal.columns_of_regions(rows)
        shapes, guessed, count = Shapes(), set[str](), 0
        for name, place, entry in _entries(archive, report):
            split, count = split_of_file(name), count + 1
            if minimal.is_row(entry):
                guessed |= minimal.add(reader, entry, place, split, shapes, controls)
            else:
                reader.add(entry, place, split, shapes, archive)
            yield from shapes.take_full()
        yield from _read_pictures(archive, reader, options.tasks, shapes, has_tasks=bool(count))
        yield shapes.take()
        _assume(report, reader, guessed)
        if not len(items):
            raise InvalidSource(
                f"{str(archive.path)!r} has no task of Label Studio that names an image; export it as JSON, or give another format."
            )

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        assert isinstance(options, LabelStudioWriteOptions)  # noqa: S101 - the options of this format
        write(data, self.image_folder, options.image_root, options.model_version, options.results == "predictions")


def _what(head: bytes) -> str | None:
    """What a JSON file that begins so has; ``None`` for other files."""
    head = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] not in (b"[", b"{"):
        return None
    if b'"from_name"' in head and b'"to_name"' in head:
        return "results of Label Studio"
    if head[:1] == b"[" and all(f'"{mark}"'.encode() in head for mark in minimal.MARKS):
        return _ROWS
    has_answers = any(mark in head for mark in (b'"annotations"', b'"predictions"', b'"completions"'))
    is_task = head[:1] == b"[" or b'"result"' in head
    return "tasks of Label Studio" if b'"data"' in head and has_answers and is_task else None


def _entries(archive: Archive, report: ReadReport, only_rows: bool = False) -> Iterator[tuple[str, str, Any]]:
    """The tasks and rows of all files: file, place and content. ``only_rows`` passes over files that have tasks."""
    for name in archive.by_suffix.get(".json", ()):
        where = archive.where(name)
        with archive.open(name) as stream:
            head = stream.read(_HEAD)
        if only_rows and _what(head) != _ROWS:
            continue
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
            entry = _one(archive, name)
            if as_task(entry) is not None:
                yield name, where, entry
            else:
                report.skip(where, "it is no task of Label Studio")
            continue
        with archive.open(name) as stream:
            for number, entry in enumerate(JsonStream(stream, where).elements("is no list of tasks; export it again.")):
                yield name, f"{where} task {number}", entry
    for suffix in _TABLES:
        for name in archive.by_suffix.get(suffix, ()):
            for number, row in minimal.rows(archive, name):
                if minimal.is_row(row):
                    yield name, f"{archive.where(name)} row {number}", row


def _one(archive: Archive, name: str) -> Any:
    """The content of a JSON file with one task."""
    where = archive.where(name)
    if archive.size(name) > _ONE:
        raise InvalidSource(f"{where} has {archive.size(name):,} bytes, and is one task; {_ONE:,} are the most.")
    return decode_whole(archive.read(name), where, "export it again")


def _read_pictures(
    archive: Archive, reader: Reader, tasks: Path | None, shapes: Shapes, has_tasks: bool
) -> Iterator[pa.Table]:
    """The masks of pictures of brushes. Beside a JSON export they are copies of what is in it."""
    pictures = brush_png.names(archive)
    if has_tasks:
        if pictures:
            reader.report.note(
                "pictures of brushes are beside tasks, and were not read, as the tasks have their masks", len(pictures)
            )
        return
    numbers: dict[int, int] = {}
    images = _images_of(tasks) if tasks is not None and pictures else {}
    for name in pictures:
        brush_png.add(archive, name, images, numbers, reader.items, shapes, reader.report)
        yield from shapes.take_full()


def _images_of(tasks: Path) -> dict[int, tuple[str, str | None]]:
    """The image of each task of a JSON export."""
    if not tasks.exists():
        raise InvalidSource(f"tasks={str(tasks)!r} does not exist; correct the path.")
    reader = Reader(Items(), ReadReport(), which="predictions")
    with Archive(tasks) as archive:
        for name, place, entry in _entries(archive, reader.report):
            reader.add(entry, place, split_of_file(name), Shapes(), archive)
    return reader.images


def _assume(report: ReadReport, reader: Reader, guessed: set[str]) -> None:
    if reader.several:
        report.assumptions.append(
            f"{reader.several:,} tasks have annotations of several people; all were read, each label with its annotator. "
            "annotations='latest' reads the last of each task."
        )
    if guessed:
        report.assumptions.append(
            f"Texts in {', '.join(map(repr, sorted(guessed)))} were read as answers about the image; they may be data of its task."
        )


__all__: Sequence[str] = ["LabelStudioFormat"]
