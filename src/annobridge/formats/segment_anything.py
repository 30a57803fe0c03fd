"""Segment Anything: a JSON file for each image, with masks that have no class, as the data set SA-1B has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from ..core import geometry
from ..exceptions import InvalidLabels, InvalidSource
from .common.archive import Archive
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes, frame_of
from .common.json_stream import JsonStream
from .common.report import ReadReport

_HEAD = 4_096  # bytes by which a file is recognised
_IMAGE = re.compile(rb'"image"\s*:\s*\{')
_LIST = msgspec.json.Decoder(list[Any])
_NUMBERS = ("predicted_iou", "stability_score")  # attributes
_LISTS = ("point_coords", "crop_box")


class SegmentAnythingFormat(FileFormat):
    """Files of masks. They are read only."""

    name: ClassVar[str] = "segment-anything"
    title: ClassVar[str] = "Segment Anything (SA-1B)"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"mask": KEPT}, attributes=frozenset({*_NUMBERS, *_LISTS}), notes=("Masks have no class.",)
    )
    writing: ClassVar[type[WriteOptions] | None] = None

    def detect(self, archive: Archive) -> str | None:
        """JSON of one image with annotations."""
        for name in archive.by_suffix.get(".json", ())[:20]:
            with archive.open(name) as stream:
                head = stream.read(_HEAD)
            if _IMAGE.search(head) and b'"segmentation"' in head and b'"images"' not in head and b'"file_name"' in head:
                return f"{name} has one image with masks"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each file is an image."""
        shapes = Shapes()
        for file in archive.by_suffix.get(".json", ()):
            where = archive.where(file)
            item: int | None = None
            waiting: list[tuple[int, Any]] = []
            for number, annotation in _members(archive, file, where):
                if number is None:
                    item = _add_image(archive, items, file, annotation)
                    if item is None:
                        report.skip(where, "its image has no file_name")
                        break
                else:
                    waiting.append((number, annotation))
            if item is not None:
                for number, annotation in waiting:
                    _add_mask(shapes, item, annotation, f"{where} annotation {number}", report)
            elif waiting:
                report.skip(where, "its image is missing", len(waiting))
            yield from shapes.take_full()
        yield shapes.take()


def _members(archive: Archive, file: str, where: str) -> Iterator[tuple[int | None, Any]]:
    """The image, with ``None``, and the annotations of a file, with their numbers from 0."""
    with archive.open(file) as stream:
        number = 0
        for key, value in JsonStream(stream, where).members():
            try:
                if key == "image" and isinstance(value, bytes):
                    yield None, msgspec.json.decode(value)
                elif key == "annotations" and not isinstance(value, bytes):
                    for chunk in value:
                        for annotation in chunk.decode(_LIST):
                            yield number, annotation
                            number += 1
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                raise InvalidSource(f"{where} is not JSON ({error}); download it again.") from None


def _add_image(archive: Archive, items: Items, file: str, image: Any) -> int | None:
    name = image.get("file_name") if isinstance(image, dict) else None
    if not isinstance(name, str) or not name:
        return None
    width, height = (
        value if isinstance(value, int) and 0 < value < 2**31 else None
        for value in (image.get("width"), image.get("height"))
    )
    folder, slash, _ = file.rpartition("/")
    beside = f"{folder}{slash}{name}"
    return items.add(name, None, width, height, frame_of(name), file=beside if beside in archive else None)


def _add_mask(shapes: Shapes, item: int, annotation: Any, place: str, report: ReadReport) -> None:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("segmentation"), dict):
        report.skip(place, "its segmentation is no RLE, with size and counts")
        return
    try:
        mask = geometry.as_rle(annotation["segmentation"])
    except (InvalidLabels, ValueError, TypeError, OverflowError):
        report.skip(place, "its segmentation is no RLE, with size and counts")
        return
    if not all(0 < side < 2**31 for side in mask["size"]):
        report.skip(place, "the size of its RLE is no height and width")
        return
    values = {name: annotation[name] for name in _NUMBERS if _is_number(annotation.get(name))}
    values |= {name: annotation[name] for name in _LISTS if _has_numbers(annotation.get(name))}
    shapes.add(item, "mask", None, values, mask=dict(mask), place=place)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_numbers(value: Any) -> bool:
    """Whether a list holds a number that is not 0: writers that know nothing write ``[[]]`` or ``[0, 0, 0, 0]``."""
    return isinstance(value, list) and bool(re.search(r"[1-9]", json.dumps(value)))
