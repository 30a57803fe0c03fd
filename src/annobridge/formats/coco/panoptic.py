"""COCO panoptic: a PNG for each image, in which each pixel has the number of its segment, and a list of the segments."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ...core.geometry import encode_rle, mask_box
from ...exceptions import InvalidSource
from .. import media
from ..common.archive import Archive
from ..common.items import Shapes
from ..common.report import ReadReport
from .attributes import lift
from .records import Annotation, Segment


class Panoptic:
    """Reads the masks of the segments of a file.

    Args:
        archive: The source.
        name: The JSON file, whose name the folder of the PNGs has.
        classes: The name of each category.
        report: Where what is skipped is told.
    """

    def __init__(self, archive: Archive, name: str, classes: Mapping[Any, str], report: ReadReport) -> None:
        self._archive, self._classes, self._report = archive, classes, report
        self._where = archive.where(name)
        path = PurePosixPath(name)
        self._folders = [str(path.with_suffix("")), str(path.parent), str(path.parent.parent / path.stem)]

    def tables(self, rows: Sequence[Annotation], items: np.ndarray) -> Iterator[pa.Table]:
        """The shapes of some annotations, each of an image."""
        shapes = Shapes()
        for row, item in zip(rows, items.tolist(), strict=True):
            place = f"{self._where} annotation of image {row.image_id}"
            if not row.segments_info:
                continue
            if item < 0:
                self._report.skip(place, "its image is not in the file", len(row.segments_info))
                continue
            self._add(shapes, row, item, place)
            yield from shapes.take_full()
        yield shapes.take()

    def _add(self, shapes: Shapes, row: Annotation, item: int, place: str) -> None:
        segments = row.segments_info or []
        name = msgspec.json.decode(row.file_name) if bytes(row.file_name) else None
        member = next((p for f in self._folders if (p := f"{f}/{name}".removeprefix("./")) in self._archive), None)
        if member is None:
            self._report.skip(place, "its PNG of segments is not in the source", len(segments))
            return
        numbers = segment_numbers(self._archive, member)
        for segment in segments:
            where = f"{place}, segment {segment.id}"
            pixels = numbers == segment.id
            if segment.category_id not in self._classes:
                self._report.skip(where, "its category is not in the file")
            elif not pixels.any():
                self._report.skip(where, "its segment has no pixel in the PNG")
            else:
                self._add_segment(shapes, segment, pixels, item, where)

    def _add_segment(self, shapes: Shapes, segment: Segment, pixels: np.ndarray, item: int, place: str) -> None:
        rle = encode_rle(pixels)
        box = np.round(np.array(mask_box(rle)) * np.tile(rle["size"][::-1], 2)).tolist()
        given = msgspec.json.decode(segment.attributes) if bytes(segment.attributes) else None
        values = given if isinstance(given, dict) else {}
        if segment.iscrowd:
            values["iscrowd"] = True
        lifted = lift(values, turns=False)
        label = self._classes[segment.category_id]
        shapes.add(item, "mask", label, values, mask=rle, bounding_box=box, place=place, **lifted)


def segment_numbers(archive: Archive, name: str) -> np.ndarray:
    """The number of each pixel's segment, which is R + 256 G + 65536 B. Raises ``InvalidSource`` for what is no picture."""
    try:
        with archive.open(name) as stream, media.open_image(io.BytesIO(stream.read())) as image:
            media.decode_pixels(image)
            colours = np.asarray(image.convert("RGB"), np.uint32)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidSource(
            f"{archive.where(name)} cannot be read as a PNG of segments ({error}); replace it."
        ) from None
    numbers: np.ndarray = colours @ np.array([1, 256, 65536], np.uint32)
    return numbers
