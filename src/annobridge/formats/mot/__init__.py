"""MOT 1.1: boxes of tracks, as MOTChallenge and CVAT have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.class_list import ClassList
from ..common.export import ExportData, is_line
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.report import ReadReport
from .layout import find_sequences, first_line, label_files
from .lines import is_mot_line
from .read import Classes, SequenceReader
from .write import KINDS, rename, write

_AS_BOXES = "written as the boxes around them"


class MotReading(ReadOptions):
    """How to read MOT."""

    classes: ClassList = Field(
        (), description="the classes in the order of their numbers, from 1, where there is no labels.txt or another one"
    )


class MotWriting(WriteOptions):
    """How to write MOT."""

    detections: bool = Field(
        False, description="write det/det.txt with confidences, as a model's output, and not gt/gt.txt"
    )


class MotFormat(FileFormat):
    """Boxes of tracks, of sequences of images or of videos."""

    name: ClassVar[str] = "mot"
    title: ClassVar[str] = "MOT"
    video: ClassVar[bool] = True
    reading: ClassVar[type[ReadOptions]] = MotReading
    writing: ClassVar[type[WriteOptions] | None] = MotWriting
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds=dict.fromkeys(KINDS, _AS_BOXES) | {"box": KEPT},
        attributes=frozenset({"visibility", "occluded", "ignored"}), tracks=True, splits=True, parts=True, decimals=6,
        defaults={"visibility": (0.0, 1.0), "occluded": False, "ignored": False},
        notes=(
            "All boxes are read back with visibility, ignored and occluded, which is true where visibility is 0.",
            "Images are renamed after the numbers of their frames.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """``gt.txt`` or ``det.txt`` with lines of MOT."""
        for name in label_files(archive):
            if is_mot_line(first_line(archive, name)):
                return f"{name} has lines of MOT"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Read ``gt.txt`` of each sequence; ``det.txt`` as predictions, or where there is nothing else."""
        assert isinstance(options, MotReading)  # noqa: S101 - the options of this format
        files = label_files(archive)
        if not files:  # what trackers write: a file for each sequence
            files = [name for name in archive.by_suffix.get(".txt", ()) if is_mot_line(first_line(archive, name))]
            scores = True
        else:
            scores = not any(name.rpartition("/")[2] == "gt.txt" for name in files)
        if not files:
            raise InvalidSource(
                f"{str(archive.path)!r} has no gt/gt.txt, and no other file of MOT; give another format."
            )
        unread = 0
        for sequence in find_sequences(archive, files):
            classes = Classes.of(archive, sequence, options.classes)
            is_score = scores or (options.as_predictions and sequence.det is not None)
            name = (sequence.det or sequence.gt) if is_score else sequence.gt
            reader = SequenceReader(archive, sequence, classes, items, report, is_score)
            if name is not None:
                yield from reader.read(name)
            unread += name is None and sequence.det is not None
        if unread:
            report.assumptions.append(
                f"{unread:,} sequences have det.txt alone, which is read with as_predictions=True."
            )

    def image_folder(self, split: str | None) -> str:
        """Names of images have all of the path."""
        return "."

    def video_folder(self, split: str | None) -> str | None:
        """A video is in the folder of its sequence, which its name has."""
        return "."

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Detections have confidences, and no attributes."""
        assert isinstance(options, MotWriting)  # noqa: S101 - the options of this format
        if options.detections:
            return replace(self.fidelity, confidence=True, attributes=frozenset(), defaults={})
        return self.fidelity

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Name images after their frames."""
        data.refuse_classes(is_line, "in a line of labels.txt")
        rename(data)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write ``gt/gt.txt`` or ``det/det.txt``, ``labels.txt`` and ``seqinfo.ini`` of each sequence."""
        assert isinstance(options, MotWriting)  # noqa: S101 - the options of this format
        write(data, options.detections)
