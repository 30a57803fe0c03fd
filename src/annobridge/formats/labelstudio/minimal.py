"""JSON_MIN, CSV and TSV: rows with one column for each control, and the data of the task beside them.

Nothing in a row says which columns are answers. Lists of shapes are; a text is the answer of a control if it does not look like
data of the task, or if a labelling configuration beside it says so.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.items import Shapes, frame_of
from . import answers, regions, results
from .label_config import Controls
from .tasks import Reader, person, split_of, time_of
from .urls import image_key, image_name, is_picture

_COLUMNS = frozenset({
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "split", "subset", "agreement", "review_result",
})  # fmt: skip
MARKS = ("annotation_id", "annotator")  # columns that every row has
_CELL = 1 << 28  # characters of a cell
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
_CHOICE = 100  # characters of a choice; what is longer is a text
_NOWHERE = {"x": None, "y": None}  # of an answer about a region that is not named


def is_row(entry: Any) -> bool:
    """Whether an entry of a JSON list is a row of JSON_MIN."""
    return isinstance(entry, dict) and "data" not in entry and any(mark in entry for mark in MARKS)


def rows(archive: Archive, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV or TSV file, each with its number from 1; cells with JSON are decoded."""
    limit = csv.field_size_limit(_CELL)
    try:
        reader = csv.DictReader(
            io.StringIO(archive.text(name), newline=""), delimiter="\t" if name.endswith(".tsv") else ","
        )
        for number, row in enumerate(reader, 1):
            yield (
                number,
                {key: _cell(value) for key, value in row.items() if key is not None and value not in (None, "")},
            )
    except csv.Error as error:
        raise InvalidSource(f"{archive.where(name)} is no CSV ({error}); export it again.") from None
    finally:
        csv.field_size_limit(limit)


def columns_of_regions(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """The columns of controls that ask about regions: a row with several regions has a list of texts there."""
    return {column for row in entries for column, value in row.items() if _is_list_of_texts(value)}


def add(
    reader: Reader, row: Mapping[str, Any], place: str, split: str | None, shapes: Shapes, controls: Controls
) -> set[str]:
    """Add the image and the labels of a row; returns the columns whose texts were read as answers without being declared.

    Args:
        reader: reads the tasks of the source.
        row: the columns.
        place: where the row is, for messages.
        split: that of the file.
        shapes: what the labels are added to.
        controls: those of a labelling configuration.
    """
    key = image_key(row, reader.image_keys)
    address = row[key] if key is not None else None
    name = image_name(address) if isinstance(address, str) else None
    if name is None:
        reader.report.skip(place, "its row has no image")
        return set()
    found, guessed = list[dict[str, Any]](), set[str]()
    for column, value in row.items():
        tag = controls.tags.get(column)
        is_data = bool(controls.tags) and tag is None and not isinstance(value, list | dict)
        if column == key or column in _COLUMNS or is_data:
            continue
        made = list(_results(column, value, tag, column in controls.of_regions))
        if made and tag is None and isinstance(value, str) and column not in controls.of_regions:
            guessed.add(column)
        found += made
    _tie(found)
    width, height = results.size_of(found) or (None, None)
    item = reader.items.add(name, split_of(row) or split, width, height, frame_of(name.rpartition("/")[2]))
    time = time_of(row.get("updated_at") or row.get("created_at"))
    # A task that several people annotated is a row for each; which of them is the last one is not known here.
    annotation = results.Annotation(found, place, None, person(row.get("annotator")), time)
    results.add(annotation, [item], shapes, reader.report)
    return guessed


def _tie(found: list[dict[str, Any]]) -> None:
    """Give answers about a region the id of the region, which rows do not have: that of the same place, or the only one."""
    shapes = [entry for entry in found if regions.shape_name(entry["type"], entry["value"])]
    places: dict[str, list[str]] = {}
    for number, entry in enumerate(shapes):
        entry["id"] = f"region {number}"
        places.setdefault(_place_of(entry["value"]), []).append(entry["id"])
    counts = Counter(entry["from_name"] for entry in found)
    for entry in found:
        if "id" in entry or not regions.is_of_region(entry["value"]):
            continue
        same = places.get(_place_of(entry["value"]), [])
        is_only = len(shapes) == 1 and counts[entry["from_name"]] == 1 and _NOWHERE.items() <= entry["value"].items()
        if len(same) == 1 or is_only:
            entry["id"] = same[0] if len(same) == 1 else shapes[0]["id"]


def _place_of(value: Mapping[str, Any]) -> str:
    keys = ("x", "y", "width", "height", "radiusX", "radiusY", "rotation", "points", "vertices")
    return repr([value.get(key) for key in keys])


def _results(column: str, value: Any, tag: str | None, of_region: bool) -> Iterator[dict[str, Any]]:
    """A column's value as results of the JSON export."""
    about = _NOWHERE if of_region else {}
    if isinstance(value, list):
        for entry in value:
            if isinstance(entry, str):
                yield _text_result(column, entry, tag, _NOWHERE)
            elif isinstance(entry, dict):
                yield from _result(column, entry)
    elif isinstance(value, dict):
        yield from _result(column, value)
    elif isinstance(value, str) and (tag is not None or of_region or _is_answer(value)):
        yield _text_result(column, value, tag, about)
    elif isinstance(value, int | float) and not isinstance(value, bool) and tag in ("number", "rating"):
        yield {"from_name": column, "type": tag, "value": {tag: value, **about}}


def _text_result(column: str, text: str, tag: str | None, about: Mapping[str, Any]) -> dict[str, Any]:
    kind = tag if tag in ("choices", "textarea", "datetime") else "choices"
    if tag is None and (len(text) > _CHOICE or "\n" in text):
        kind = "textarea"
    return {"from_name": column, "type": kind, "value": {"text" if kind == "textarea" else kind: [text], **about}}


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, str) for entry in value)


def _result(column: str, value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shape = regions.shape_name(None, value)
    kind = None if shape else answers.kind_of(None, value)
    type_ = f"{shape}labels" if shape else kind
    if type_ is not None:
        sides = {side: value.get(side) for side in ("original_width", "original_height", "item_index") if side in value}
        yield {"from_name": column, "type": type_, "value": value, **sides}


def _is_answer(value: str) -> bool:
    """Whether a text can be a choice or a text that a person wrote: no address, no image, no time, no number."""
    is_data = "://" in value or value.startswith("/") or _TIME.fullmatch(value) or _NUMBER.fullmatch(value)
    return bool(value.strip()) and not is_data and not is_picture(value)


def _cell(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return text
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text
