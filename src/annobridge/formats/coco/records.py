"""The records of COCO's files, as they are decoded, and as they can be mended where they are not quite as they should be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from ...exceptions import InvalidSource
from ..common.json_stream import Chunk
from ..common.report import ReadReport

_UNKNOWN = re.compile(r"unknown field `(.*?)` - at `\$\[", re.DOTALL)
_MOST_EXTRAS = 200  # keys beside COCO's own
Id = int | str | None
NOTHING = msgspec.Raw(b"")  # the value of a key that is not there


class Rle(msgspec.Struct, gc=False):
    """A mask: ``size`` is [height, width]; ``counts`` are a list, or COCO's compressed text."""

    size: list[int]
    counts: list[int] | str


class Segment(msgspec.Struct):
    """An object of a panoptic image."""

    id: int
    category_id: Id = None
    iscrowd: int | bool = 0
    attributes: msgspec.Raw = NOTHING


class Annotation(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An annotation, or a result. Keys beside these are added in sub-classes: their values are attributes."""

    image_id: Id = None
    id: Id = None
    category_id: Id = None
    bbox: list[float] | None = None
    bbox_of: str | None = None  # "keypoints": the box is that around them, and no label of its own
    segmentation: list[list[float]] | Rle | None = None
    keypoints: list[float] | None = None
    score: float | list[float] | None = None
    iscrowd: int | bool | None = None
    attributes: msgspec.Raw = NOTHING
    area: msgspec.Raw = NOTHING
    num_keypoints: msgspec.Raw = NOTHING
    caption: msgspec.Raw = NOTHING
    file_name: msgspec.Raw = NOTHING
    segments_info: list[Segment] | None = None
    category_name: msgspec.Raw = NOTHING


class Image(msgspec.Struct):
    """An image of a document."""

    id: Id = None
    file_name: str | None = None
    width: float | None = None
    height: float | None = None


class Category(msgspec.Struct):
    """A class of a document."""

    id: Id = None
    name: str | int | float | None = None
    keypoints: list[str] | None = None
    skeleton: list[list[int]] | None = None


EXTRA = "extra_"  # what the fields for other keys begin with


@cache
def _decoder(extras: tuple[str, ...]) -> msgspec.json.Decoder[list[Annotation]]:
    fields = [(f"{EXTRA}{n}", msgspec.Raw, NOTHING) for n in range(len(extras))]
    kind: Any = Annotation
    if extras:
        kind = msgspec.defstruct(
            "Annotation", fields, bases=(Annotation,), gc=False,
            rename={name: key for (name, _, _), key in zip(fields, extras, strict=True)},
        )  # fmt: skip
    return msgspec.json.Decoder(list[kind])


class Annotations:
    """Decodes annotations, a chunk at a time. ``extras`` are the keys beside COCO's own that were seen so far."""

    def __init__(self, where: str, report: ReadReport) -> None:
        self.extras: tuple[str, ...] = ()
        self._where, self._report = where, report

    def of(self, chunk: Chunk) -> list[Annotation]:
        """The annotations of a chunk; those that cannot be read are skipped. Raises ``InvalidSource`` for broken JSON."""
        if b"NaN" in chunk.data or b"Infinity" in chunk.data:  # texts that are decoded later may hold them
            return list(self._one_by_one(chunk))
        while True:
            try:
                return chunk.decode(_decoder(self.extras))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not self._add_extra(error):
                    return list(self._one_by_one(chunk))

    def _add_extra(self, error: Exception) -> bool:
        match = _UNKNOWN.search(str(error))
        if match is None or len(self.extras) >= _MOST_EXTRAS or match[1] in self.extras:
            return False
        self.extras = (*self.extras, match[1])
        return True

    def _one_by_one(self, chunk: Chunk) -> Iterator[Annotation]:
        for number, line, text in chunk.elements():
            record = load(text, self._where, line)
            place = place_of(self._where, record, number)
            if problem := _mend(record):
                self._report.skip(place, problem)
                continue
            try:
                yield self.of_one(record)
            except msgspec.DecodeError as error:
                self._report.skip(place, f"it is not as COCO has it: {_path(error)}")

    def of_one(self, record: dict[str, Any]) -> Annotation:
        """A decoded record as an annotation."""
        text = json.dumps([record]).encode()
        while True:
            try:
                return _decoder(self.extras).decode(text)[0]
            except msgspec.DecodeError as error:
                if not self._add_extra(error):
                    raise


def decode(chunk: Chunk, decoder: msgspec.json.Decoder[list[Any]], what: str, report: ReadReport) -> list[Any]:
    """The images or categories of a chunk; those that cannot be read are skipped."""
    try:
        return chunk.decode(decoder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    found = []
    for number, line, text in chunk.elements():
        record = load(text, chunk.where, line)
        try:
            found += decoder.decode(json.dumps([record]).encode())
        except msgspec.DecodeError as error:
            report.skip(f"{chunk.where} {what} {record.get('id', number)}", f"it is not as COCO has it: {_path(error)}")
    return found


def load(text: bytes, where: str, line: int) -> dict[str, Any]:
    """A record as Python's own reader has it, which takes NaN. Raises ``InvalidSource`` with the line."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = line + getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", str(error))
        raise InvalidSource(f"{where} is not valid JSON, in line {at}: {reason}; correct the file.") from None
    if not isinstance(record, dict):
        raise InvalidSource(f"{where} has a list in line {line} where an object is needed; correct the file.")
    return record


def place_of(where: str, record: dict[str, Any], number: int) -> str:
    """How messages name an annotation."""
    return f"{where} annotation {record['id']}" if "id" in record else f"{where} annotation number {number + 1}"


def _mend(record: dict[str, Any]) -> str | None:
    """Bring a record into COCO's form where it is clear what it means; else what is wrong with it."""
    if not _is_finite(record):
        return "it has a number that is not finite"
    for key in ("bbox", "keypoints"):
        values = record.get(key)
        if isinstance(values, list):
            if values and all(isinstance(v, list) for v in values):
                values = [n for v in values for n in v]
            record[key] = [_number(v) for v in values]
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        if segmentation and not isinstance(segmentation[0], (list, dict)):
            segmentation = [segmentation]
        if segmentation and all(isinstance(p, list) and p and isinstance(p[0], list) for p in segmentation):
            segmentation = [[n for point in part for n in point] for part in segmentation]
        if segmentation and not isinstance(segmentation[0], dict):
            segmentation = [[_number(v) for v in part] if isinstance(part, list) else part for part in segmentation]
        record["segmentation"] = segmentation
    for key in ("id", "image_id", "category_id", "iscrowd"):
        value = record.get(key)
        if isinstance(value, float) and value.is_integer():
            record[key] = int(value)
    if isinstance(record.get("iscrowd"), str):
        record["iscrowd"] = int(record["iscrowd"] in ("1", "true", "True"))
    return None


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _path(error: Exception) -> str:
    """What ``msgspec`` says, about this record instead of a list of them."""
    return str(error).replace("`", "'").replace("$[0].", "").replace("$[0]", "the annotation").replace("$[...].", "")
