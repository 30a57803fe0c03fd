"""Parsing: an image of the export or a task of the API -> the geometries and classifications on it, in one form for both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from annobridge.exceptions import Broken

from .api import Api
from .classifications import Answer
from .vocabulary import Vocabulary

Json = dict[str, Any]
Path = tuple[str, ...]
SHAPES = ("rectangle", "polygon", "line", "point", "image_segmentation")
UNTYPED = "geometry"  # the key of all shapes in exports of older versions
_CLASSIFICATIONS = ("SELECT", "CHECKLIST", "FREETEXT")
_MALFORMED = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError)
CONCURRENT_CALLS = 4
TASKS_IN_MEMORY = 64


@dataclass(slots=True, eq=False)
class Geometry:
    """One geometry at DataGym.

    Attributes:
        image: the index of its image in the task.
        path: the keys of the label configuration from the root to its entry.
        parts: its flat coordinates in pixels, one list for each polygon of a segmentation; empty where DataGym's are not valid.
        answers: the answers to its classifications, by their keys.
        label_id: the id that it shows, which is that of the label it was sent for, or copied from.
        point_number: of a keypoint, which of its label's points it shows to be.
        value_id: the server's id, which only tasks tell.
        exact: whether the coordinates are exact; the export truncates them to whole pixels.
        parent: the geometry that it is nested in.
    """

    image: int
    path: Path
    type: str
    parts: list[list[float]]
    answers: dict[str, Answer]
    label_id: str | None = None
    point_number: int | None = None
    value_id: str | None = None
    exact: bool = False
    annotator: str | None = None
    parent: Geometry | None = None


@dataclass(slots=True)
class ImageLabels:
    """What is on one image.

    Attributes:
        image: its index in the task.
        state: the state of its task, in lower case.
        has_geometries: whether anything is said of geometries; ``False`` is no information.
        classifications: by the key of each global classification that is listed, the answers to it and to those nested in it.
    """

    image: int
    state: str
    annotator: str | None
    geometries: list[Geometry] = field(default_factory=list)
    has_geometries: bool = True
    classifications: dict[str, dict[str, Answer]] = field(default_factory=dict)


# --- the export ---------------------------------------------------------------------------------------------------------


def parse_export_item(
    item: Mapping[str, Any], image: int, vocabulary: Vocabulary, types: Mapping[str, str]
) -> ImageLabels:
    """Parse an image of the export.

    Args:
        item: its element of the export.
        image: its index in the task.
        vocabulary: the entries of the run.
        types: the geometry types of all classes that the export lists.

    Raises:
        Broken: if it is not in DataGym's form.
    """
    try:
        found = ImageLabels(image, str(item["status"]), _annotator(item))
        found.classifications = {
            key: _export_answers({key: answer}) for key, answer in item.get("global_classifications", {}).items()
        }
        found.has_geometries = "labels" in item
        for key, labels in item.get("labels", {}).items():
            for label in labels:
                outer = _export_geometry(label, (key,), found, vocabulary, types, None)
                found.geometries.append(outer)
                for inner_key, inner in (label.get("nested_geometries") or {}).items():
                    found.geometries += [
                        _export_geometry(one, (key, inner_key), found, vocabulary, types, outer) for one in inner
                    ]
    except _MALFORMED as error:
        name = str(item.get("external_media_ID", "?")) if isinstance(item, dict) else "?"
        raise Broken(
            f"datagym: the export is not in its form at the image {name!r} ({type(error).__name__}: {error}); was it edited? "
            "Download it again."
        ) from error
    return found


def _export_geometry(
    label: Json, path: Path, of: ImageLabels, vocabulary: Vocabulary, types: Mapping[str, str], parent: Geometry | None
) -> Geometry:
    key = next((key for key in (*SHAPES, UNTYPED) if key in label), None)
    if key is None:
        raise KeyError("a label without a geometry")
    type_ = _untyped_type(label[key], path, vocabulary, types) if key == UNTYPED else key
    polygons = label[key] if type_ == "image_segmentation" else [label[key]]
    parts = [[_number(p[n]) for p in points for n in ("x", "y", "w", "h") if n in p] for points in polygons]
    answers = _export_answers(label.get("classifications") or {})
    geometry = Geometry(of.image, path, type_, _valid(type_, parts), answers, annotator=of.annotator, parent=parent)
    return _with_own_attributes(geometry, vocabulary)


def _untyped_type(points: Sequence[Json], path: Path, vocabulary: Vocabulary, types: Mapping[str, str]) -> str:
    """The type of a shape under the key of older versions: that of its class, or what its points look like."""
    if (entry := vocabulary.by_path.get(path)) is not None:
        return entry.type
    if type_ := types.get(path[-1]):
        return type_
    if points and "w" in points[0]:
        return "rectangle"
    return {1: "point", 2: "line"}.get(len(points), "polygon")


def _number(value: Any) -> float:
    """A coordinate; NaN for ``null``. Digits in quotes are accepted, as DataGym's import accepts them."""
    if value is None:
        return math.nan
    if isinstance(value, str) and value.isdigit():
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a coordinate")
    return float(value)


def _annotator(item: Mapping[str, Any]) -> str | None:
    found = item.get("labeler")
    if not isinstance(found, str | None):
        raise TypeError(f"{found!r} is not a labeler")
    return found


def _export_answers(classifications: Mapping[str, Any]) -> dict[str, Answer]:
    """The answers to classifications and to those nested in them, in one dictionary: keys are unique below a root."""
    answers: dict[str, Answer] = {}
    for key, given in classifications.items():
        if not isinstance(given, list):
            raise TypeError(f"{given!r} is not a classification")
        answers[key] = tuple(sorted(one for one in given if isinstance(one, str) and one))
        for nested in given:
            if isinstance(nested, dict):
                answers |= _export_answers(nested)
    return answers


# --- a task -------------------------------------------------------------------------------------------------------------


def fetch_images(api: Api, tasks: Sequence[tuple[int, str]], vocabulary: Vocabulary) -> Iterator[ImageLabels]:
    """Read images, each given as its index and the id of its task, from their tasks: several calls at once, some in memory."""

    def fetch(task: tuple[int, str]) -> ImageLabels:
        image, task_id = task
        return parse_task(api.task(task_id), image, vocabulary)

    with ThreadPoolExecutor(CONCURRENT_CALLS) as pool:
        remaining = iter(tasks)
        while some := list(islice(remaining, TASKS_IN_MEMORY)):
            yield from pool.map(fetch, some)


def parse_task(task: Mapping[str, Any], image: int, vocabulary: Vocabulary) -> ImageLabels:
    """Parse a task of the API, which has full precision and the ids of values. Raises ``Broken``."""
    try:
        found = ImageLabels(image, str(task["labelTaskState"]).lower(), None)
        for value in task["labelIteration"]["entryValues"]:
            if value["entryTypeLcEntry"] in _CLASSIFICATIONS:
                found.classifications[value["entryKeyLcEntry"]] = dict(_task_answers([value]))
                continue
            outer = _task_geometry(value, (value["entryKeyLcEntry"],), image, vocabulary, None)
            found.geometries.append(outer)
            for inner in value.get("children") or ():
                if inner["entryTypeLcEntry"] not in _CLASSIFICATIONS:
                    path = (*outer.path, inner["entryKeyLcEntry"])
                    found.geometries.append(_task_geometry(inner, path, image, vocabulary, outer))
    except _MALFORMED as error:
        raise Broken(
            f"datagym: a task is not in its form ({type(error).__name__}: {error}); is the server newer than annobridge?"
        ) from error
    return found


def _task_geometry(value: Json, path: Path, image: int, vocabulary: Vocabulary, parent: Geometry | None) -> Geometry:
    type_ = str(value["entryTypeLcEntry"]).lower()
    point = value.get("point")
    if type_ == "rectangle":
        parts = [[*_xy([point]), _number(value.get("width")), _number(value.get("height"))]] if point else []
    elif type_ == "point":
        parts = [_xy([point])] if point else []
    elif type_ == "image_segmentation":
        parts = [_xy(polygon["points"]) for polygon in value.get("pointsCollection") or ()]
    else:
        parts = [_xy(value.get("points") or ())]
    answers = dict(_task_answers(value.get("children") or ()))
    geometry = Geometry(image, path, type_, _valid(type_, parts), answers, value_id=str(value["id"]), exact=True,
                        annotator=_annotator(value), parent=parent)  # fmt: skip
    return _with_own_attributes(geometry, vocabulary)


def _xy(points: Iterable[Json]) -> list[float]:
    return [_number(p[name]) for p in points for name in ("x", "y")]


def _task_answers(values: Iterable[Json]) -> Iterator[tuple[str, Answer]]:
    for value in values:
        match value["entryTypeLcEntry"]:
            case "SELECT":
                given = [value.get("selectKey")]
            case "FREETEXT":
                given = [value.get("text")]
            case "CHECKLIST":
                given = value.get("checkedValues") or []
            case _:
                continue
        yield value["entryKeyLcEntry"], tuple(sorted(one for one in given if one))
        yield from _task_answers(value.get("children") or ())


# --- both ---------------------------------------------------------------------------------------------------------------


def _valid(type_: str, parts: list[list[float]]) -> list[list[float]]:
    """The coordinates, or none at all where some are missing or too few."""
    fewest = {"rectangle": 4, "point": 2, "line": 4}.get(type_, 6)
    if any(len(part) < fewest or any(math.isnan(v) for v in part) for part in parts):
        return []
    return parts


def _with_own_attributes(geometry: Geometry, vocabulary: Vocabulary) -> Geometry:
    """Move the label's id and the point's number, attributes of our own, out of the answers."""
    entry = vocabulary.by_path.get(geometry.path)
    if entry is not None and entry.id_key:
        geometry.label_id = next(iter(geometry.answers.pop(entry.id_key, ())), None)
    if entry is not None and entry.point_key:
        text = next(iter(geometry.answers.pop(entry.point_key, ())), "")
        geometry.point_number = int(text) if text.isdigit() else None
    return geometry
