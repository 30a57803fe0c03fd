"""Ultralytics YOLO: a text file of labels for each image, and a YAML file with the classes and splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from pydantic import BeforeValidator, Field

from ...exceptions import InvalidOption, InvalidSource
from ..base import Options
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import BRIDGED, KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.images import Context, image_names
from ..common.items import Items, frame_of
from ..common.report import ReadReport
from ..common.source import RELATIVE, LabelSource
from ..common.yolo_lines import LineRules, Task, read_lines
from ..imagenet import ImagenetFormat
from . import write
from .config import Config, find_config, read_class_list, read_config, read_notes_keypoints
from .layout import Layout, is_label_text

_LOOKED_AT = 20  # text files by which a folder without a YAML file is recognised
_TASKS = ("detect", "segment", "pose", "obb")


def _listed(value: object) -> object:
    """A list as a command line has it: ``car,person``."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class YoloReading(ReadOptions):
    """How to read YOLO."""

    task: Task | Literal["classify"] = Field(
        "auto", description="what lines are, where their length does not tell: `segment` or `obb` for eight numbers"
    )
    classes: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="the classes in the order of their numbers, where the source has no list or another one"
    )
    kpt_shape: Annotated[tuple[int, int] | None, BeforeValidator(_listed)] = Field(
        None, description="number of keypoints, and 2 or 3 numbers for each, where the YAML file has none"
    )


class YoloWriting(WriteOptions):
    """How to write YOLO."""

    task: Task = Field("auto", description="what lines are to be; by default what the labels need")
    confidence: bool = Field(False, description="write confidences as a last column, as predictions have them")


class YoloFormat(FileFormat):
    """Ultralytics YOLO, all tasks."""

    name: ClassVar[str] = "yolo"
    title: ClassVar[str] = "an Ultralytics YOLO dataset"
    unit: ClassVar[str] = RELATIVE
    reading: ClassVar[type[ReadOptions]] = YoloReading
    writing: ClassVar[type[WriteOptions] | None] = YoloWriting
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={
            "box": KEPT, "polygon": KEPT, "keypoints": KEPT, "mask": write.AS_POLYGONS, "segmentation": write.AS_POLYGONS,
            "skeleton": "written as keypoints", "ellipse": write.AS_BOXES, "cuboid": write.AS_BOXES,
            "polyline": write.AS_BOXES,
        },
        rotation=True, visibility=True, splits=True, reviewed=True, without_holes=BRIDGED,
        notes=(
            "A dataset has one task. Of labels of several kinds, those that the task does not have are written as what it has.",
            "Confidences survive with confidence=True.",
            "A box and its keypoints are tied by the attribute `group`; its numbers are those of the lines after a round trip.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """A YAML file with names of classes; or label files with a list of classes, or for images."""
        if any(name.rpartition("/")[2] in ("obj.names", "obj.data") for name in archive.names):
            return None
        texts = archive.by_suffix.get(".txt", [])
        if (config := find_config(archive)) is not None and (texts or image_names(archive)):
            return f"{config} has the names of classes"
        labels = [name for name in texts if "labels" in name.split("/")[:-1]]
        if not labels:
            stems = {name.rpartition(".")[0] for name in image_names(archive)}
            labels = [name for name in texts if name.rpartition(".")[0] in stems]
        heads = [(name, _head(archive, name)) for name in labels[:_LOOKED_AT]]
        full = [(name, head) for name, head in heads if head.strip()]
        if full and all(is_label_text(head) for _, head in full):
            return f"{full[0][0]} has lines of a class and relative positions"
        return None

    def recognises(self, source: Path) -> bool:
        """Whether it is such a dataset, or the YAML file of one."""
        return super().recognises(_folder_of(source))

    def reason(self, source: Path) -> str | None:
        """What ``detect`` says of it."""
        return super().reason(_folder_of(source))

    def open(self, source: Path, options: Options, context: Context | None = None) -> LabelSource:
        """Read a dataset, given as folder, archive or YAML file."""
        return super().open(_folder_of(source), options, context)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Read the label file of each image."""
        assert isinstance(options, YoloReading)  # noqa: S101 - the options of this format
        if options.task == "classify":
            yield from ImagenetFormat().read(archive, items, options, report)
            return
        name = find_config(archive)
        config = read_config(archive, name) if name is not None else Config()
        rules = _rules(archive, config, options, report)
        entries = [
            (items.add(entry.name, entry.split, frame=frame_of(entry.name), file=entry.image), entry.labels)
            for entry in Layout(archive, config, report).entries()
        ]
        if not any(labels for _, labels in entries):
            raise InvalidSource(
                f"{str(archive.path)!r} has no label files (labels/….txt for images/…); for folders of classes, give "
                "task='classify'."
            )
        yield from read_lines(archive, ((n, labels) for n, labels in entries if labels is not None), rules, report)

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """What survives of this export, by its task."""
        assert isinstance(options, YoloWriting)  # noqa: S101 - the options of this format
        return replace(write.FIDELITY[write.task_of(data, options.task)], confidence=options.confidence)

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give each image a label file of its own."""
        write.require_splits(data)
        data.unique_stems()
        assert isinstance(options, YoloWriting)  # noqa: S101 - the options of this format
        if write.task_of(data, options.task) == "pose":
            write.lose_groups(data)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write ``labels/`` and ``data.yaml``."""
        assert isinstance(options, YoloWriting)  # noqa: S101 - the options of this format
        write.write_dataset(data, write.task_of(data, options.task), options.confidence)


def _rules(archive: Archive, config: Config, options: YoloReading, report: ReadReport) -> LineRules:
    """Classes, task and keypoints: as the options say, else the YAML file, else other files beside it."""
    classes = dict(enumerate(options.classes)) if options.classes else config.names
    if classes is None and (listed := read_class_list(archive)) is not None:
        classes = listed[1]
    if classes is None:
        report.assumptions.append(
            "There is no list of classes, so each has its number as a name; classes=[…] names them."
        )
    task = options.task if options.task != "auto" else config.task if config.task in _TASKS else "auto"
    keypoints = options.kpt_shape or config.keypoints
    if task in ("auto", "pose") and keypoints is None and (count := read_notes_keypoints(archive)) is not None:
        keypoints = (count, 3)
    if task == "pose" and keypoints is None:
        raise InvalidOption(
            f"The YAML file of {str(archive.path)!r} does not say how many keypoints there are; give kpt_shape=(17, 3), or as many."
        )
    if task == "auto" and keypoints is not None:
        task = "pose"
    return LineRules(classes, task, keypoints)  # type: ignore[arg-type]


def _head(archive: Archive, name: str) -> bytes:
    with archive.open(name) as stream:
        return stream.read(4096)


def _folder_of(source: Path) -> Path:
    return source.parent if source.suffix.lower() in (".yaml", ".yml") and source.is_file() else source
