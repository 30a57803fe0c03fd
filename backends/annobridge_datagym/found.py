"""Found: the values that DataGym has on an image, read off the export or a task, all in one form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from annobridge.exceptions import Broken

from .api import Api
from .values import Words
from .vocabulary import Vocabulary

Json = dict[str, Any]
Path = tuple[str, ...]
SHAPES = ("rectangle", "polygon", "line", "point", "image_segmentation")
UNTYPED = "geometry"  # the key of all shapes in older versions
_CLASSIFICATIONS = ("SELECT", "CHECKLIST", "FREETEXT")
_MISSHAPEN = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError)
PARALLEL = 4  # small calls at once
TOGETHER = 64  # tasks that are in memory at once


@dataclass(slots=True, eq=False)
class Found:
    """One geometry. ``path`` are the keys of its class from the root; ``parts`` has its flat coordinates (several rings of a
    segmentation), and nothing where DataGym's are not valid; ``exact`` says whether they are whole. ``value`` is its id, if told.
    """

    sample: int
    path: Path
    type: str
    parts: list[list[float]]
    words: dict[str, Words]
    tag: str | None = None
    place: int | None = None
    value: str | None = None
    exact: bool = False
    annotator: str | None = None
    holder: Found | None = None


@dataclass(slots=True)
class Image:
    """What is on one image. ``answers`` has the words of every global classification that is listed, and of those below it."""

    sample: int
    state: str
    annotator: str | None
    values: list[Found] = field(default_factory=list)
    shapes: bool = True  # whether anything is said of shapes
    answers: dict[str, dict[str, Words]] = field(default_factory=dict)


# --- the export ---------------------------------------------------------------------------------------------------------


def of_export(item: Mapping[str, Any], sample: int, vocabulary: Vocabulary, types: Mapping[str, str]) -> Image:
    """An image of the export, whose classes have these ``types``. Raises ``Broken`` for what is not in its form."""
    try:
        image = Image(sample, str(item["status"]), _who(item))
        image.answers = {key: _flat({key: of}) for key, of in item.get("global_classifications", {}).items()}
        image.shapes = "labels" in item
        for key, labels in item.get("labels", {}).items():
            for label in labels:
                outer = _exported(label, (key,), image, vocabulary, types, None)
                image.values.append(outer)
                for inner, nested in (label.get("nested_geometries") or {}).items():
                    image.values += [_exported(n, (key, inner), image, vocabulary, types, outer) for n in nested]
    except _MISSHAPEN as error:
        name = str(item.get("external_media_ID", "?")) if isinstance(item, dict) else "?"
        raise Broken(
            f"datagym: the export is not in its form at the image {name!r} ({type(error).__name__}: {error}); was it edited? "
            "Download it again."
        ) from error
    return image


def _exported(
    label: Json, path: Path, image: Image, vocabulary: Vocabulary, types: Mapping[str, str], outer: Found | None
) -> Found:
    name = geometry_of(label)
    type_ = _type_of(label[name], path, vocabulary, types) if name == UNTYPED else name
    rings = label[name] if type_ == "image_segmentation" else [label[name]]
    parts = [_coordinates(ring) for ring in rings]
    words = _flat(label.get("classifications") or {})
    made = Found(image.sample, path, type_, _valid(type_, parts), words, annotator=image.annotator, holder=outer)
    return _marked(made, vocabulary)


def geometry_of(label: Json) -> str:
    """The key of a label's geometry. Raises ``KeyError``."""
    name = next((name for name in (*SHAPES, UNTYPED) if name in label), None)
    if name is None:
        raise KeyError("a label without a geometry")
    return name


def _type_of(points: Sequence[Json], path: Path, vocabulary: Vocabulary, types: Mapping[str, str]) -> str:
    """The type of a shape under the key of older versions: that of its class, or what its points look like."""
    if (entry := vocabulary.by_path.get(path)) is not None:
        return entry.type
    return types.get(path[-1]) or looks_like(points)


def looks_like(points: Sequence[Json]) -> str:
    """The type of a shape of which nothing else is known."""
    if points and "w" in points[0]:
        return "rectangle"
    return {1: "point", 2: "line"}.get(len(points), "polygon")


def _coordinates(points: Iterable[Json]) -> list[float]:
    return [_number(p[name]) for p in points for name in ("x", "y", "w", "h") if name in p]


def _number(value: Any) -> float:
    """A coordinate; not a number where it is ``null``. Digits in quotes are welcome, as they are in imports."""
    if value is None:
        return math.nan
    if isinstance(value, str) and value.isdigit():
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no coordinate")
    return float(value)


def _who(item: Mapping[str, Any]) -> str | None:
    found = item.get("labeler")
    if not isinstance(found, str | None):
        raise TypeError(f"{found!r} is no labeler")
    return found


def _flat(answers: Mapping[str, Any]) -> dict[str, Words]:
    """The words of each classification, those below others too: keys are unique below a root."""
    out: dict[str, Words] = {}
    for key, of in answers.items():
        if not isinstance(of, list):
            raise TypeError(f"{of!r} is no classification")
        out[key] = tuple(sorted(w for w in of if isinstance(w, str) and w))
        for below in of:
            if isinstance(below, dict):
                out |= _flat(below)
    return out


# --- a task -------------------------------------------------------------------------------------------------------------


def of_task(task: Mapping[str, Any], sample: int, vocabulary: Vocabulary) -> Image:
    """An image as its task shows it: in full precision, with the ids of values. Raises ``Broken``."""
    try:
        image = Image(sample, str(task["labelTaskState"]).lower(), None)
        for value in task["labelIteration"]["entryValues"]:
            if value["entryTypeLcEntry"] in _CLASSIFICATIONS:
                image.answers[value["entryKeyLcEntry"]] = dict(_answers([value]))
                continue
            outer = _valued(value, (value["entryKeyLcEntry"],), image, vocabulary, None)
            image.values.append(outer)
            for inner in value.get("children") or ():
                if inner["entryTypeLcEntry"] not in _CLASSIFICATIONS:
                    path = (*outer.path, inner["entryKeyLcEntry"])
                    image.values.append(_valued(inner, path, image, vocabulary, outer))
    except _MISSHAPEN as error:
        raise Broken(
            f"datagym: a task is not in its form ({type(error).__name__}: {error}); is the server newer than annobridge?"
        ) from error
    return image


def _valued(value: Json, path: Path, image: Image, vocabulary: Vocabulary, outer: Found | None) -> Found:
    type_ = str(value["entryTypeLcEntry"]).lower()
    place = value.get("point")
    if type_ == "rectangle":
        parts = [[*_xy([place]), _number(value.get("width")), _number(value.get("height"))]] if place else []
    elif type_ == "point":
        parts = [_xy([place])] if place else []
    elif type_ == "image_segmentation":
        parts = [_xy(ring["points"]) for ring in value.get("pointsCollection") or ()]
    else:
        parts = [_xy(value.get("points") or ())]
    words = dict(_answers(value.get("children") or ()))
    made = Found(image.sample, path, type_, _valid(type_, parts), words, value=str(value["id"]), exact=True,
                 annotator=_who(value), holder=outer)  # fmt: skip
    return _marked(made, vocabulary)


def _xy(points: Iterable[Json]) -> list[float]:
    return [_number(p[name]) for p in points for name in ("x", "y")]


def _answers(values: Iterable[Json]) -> Iterator[tuple[str, Words]]:
    for value in values:
        match value["entryTypeLcEntry"]:
            case "SELECT":
                found = [value.get("selectKey")]
            case "FREETEXT":
                found = [value.get("text")]
            case "CHECKLIST":
                found = value.get("checkedValues") or []
            case _:
                continue
        yield value["entryKeyLcEntry"], tuple(sorted(w for w in found if w))
        yield from _answers(value.get("children") or ())


def look(api: Api, tasks: Sequence[tuple[int, str]], vocabulary: Vocabulary) -> Iterator[Image]:
    """Images (number and task of each) as their tasks show them, some at a time."""

    def one(which: tuple[int, str]) -> Image:
        return of_task(api.task(which[1]), which[0], vocabulary)

    with ThreadPoolExecutor(PARALLEL) as pool:
        left = iter(tasks)
        while some := list(islice(left, TOGETHER)):
            yield from pool.map(one, some)


# --- both ---------------------------------------------------------------------------------------------------------------


def _valid(type_: str, parts: list[list[float]]) -> list[list[float]]:
    """The coordinates, or none where some are missing or too few."""
    fewest = {"rectangle": 4, "point": 2, "line": 4}.get(type_, 6)
    if any(len(part) < fewest or any(math.isnan(v) for v in part) for part in parts):
        return []
    return parts


def _marked(found: Found, vocabulary: Vocabulary) -> Found:
    """Take the two attributes that are not ours out of the words."""
    entry = vocabulary.by_path.get(found.path)
    if entry is not None and entry.tag:
        found.tag = next(iter(found.words.pop(entry.tag, ())), None)
    if entry is not None and entry.place:
        text = next(iter(found.words.pop(entry.place, ())), "")
        found.place = int(text) if text.isdigit() else None
    return found
