"""The results of one annotation or prediction as labels. Results with one id are one region: its shape, and answers about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..common.items import Shapes
from ..common.report import ReadReport
from . import answers, regions

OWN = "annobridge"  # the key of ``meta`` that has what no result can hold
_IGNORED = frozenset({"pairwise", "ranker", "relation"})
_CLASSES = "labels"  # the type of results that name the class of a shape without one


@dataclass
class Annotation:
    """One annotation or prediction: its results, and what holds for all of them."""

    results: list[Any]
    place: str
    role: str | None = None  # "predictions" for what a model said
    annotator: str | None = None
    time: datetime | None = None
    score: float | None = None  # of the whole prediction, for regions without their own
    with_scalars: bool = True  # whether values of the whole image are taken; an image has one of each
    by_control: bool = False  # whether the role of every label is the control that it is from, by its own name
    seen: set[int] | None = None  # hashes of the ids that labels have; None: labels get ids of their own


@dataclass
class _Region:
    """The results with one id."""

    shape: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    answers: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # kind and result
    parent: str | None = None


def size_of(results: list[Any]) -> regions.Size | None:
    """The size of the image that was labelled, by the first result that says it."""
    for result in results:
        if isinstance(result, dict) and (size := _size(result)) is not None:
            return size
    return None


def add(annotation: Annotation, items: list[int], shapes: Shapes, report: ReadReport) -> None:
    """Add the labels of an annotation. ``items`` are the images of the task, in their order."""
    found = _grouped(annotation, report)
    parents = {region.parent for region in found.values() if region.parent is not None and region.parent in found}
    numbers = {parent: number for number, parent in enumerate(sorted(parents), 1)}
    parted: dict[
        tuple[str, str], list[_Region]
    ] = {}  # the regions of the points or rings of one label, by that and its id
    for id_, region in found.items():
        if region.shape is None:
            _add_answers(annotation, region, id_, items, shapes, report)
            continue
        number = numbers.get(id_) or numbers.get(region.parent or "")
        if number is not None:
            region.attributes.setdefault("group", number)
        whole = _whole_of(id_, region)
        if whole is not None:
            parted.setdefault(whole, []).append(region)
        else:
            _add_region(annotation, region, id_, items, shapes, report)
    for (what, id_), parts in parted.items():
        add_parts = _add_points if what == "keypoints" else _add_rings
        add_parts(annotation, parts, id_, items, shapes, report)


def _grouped(annotation: Annotation, report: ReadReport) -> dict[str, _Region]:
    found: dict[str, _Region] = {}
    for at, result in enumerate(annotation.results):
        place = f"{annotation.place} result {at}"
        if not isinstance(result, dict) or (
            result.get("type") != "relation" and not isinstance(result.get("value"), dict)
        ):
            report.skip(place, "it is no result with a value")
            continue
        type_ = result.get("type") if isinstance(result.get("type"), str) else None
        if type_ in _IGNORED:
            report.skip(
                place, "relations between regions are not kept" if type_ == "relation" else f"a {type_} is no label"
            )
            continue
        value: Mapping[str, Any] = result["value"]
        given = result.get("id")
        region = found.setdefault(str(given) if given not in (None, "") else f"\0{at}", _Region())
        shape = regions.shape_name(type_, value)
        if shape is not None:
            if region.shape is not None:
                report.skip(place, "a region with this id is there already")
                continue
            region.shape, region.result = shape, result
            region.classes += regions.classes(type_, shape, value)
            parent = result.get("parentID")
            region.parent = parent if isinstance(parent, str) and parent else None
            region.attributes = {**_own_attributes(result), **region.attributes}
        elif type_ == _CLASSES and "start" not in value:
            region.classes += regions.classes(type_, "", value)
        elif (kind := answers.kind_of(type_, value)) is not None:
            region.answers.append((kind, result))
        else:
            report.skip(place, f"results of the type {type_!r} are not about an image, or not known")
    for region in found.values():
        if region.shape is not None:
            for kind, result in region.answers:
                answer = answers.attribute(kind, result["value"])
                if answer is not None:
                    region.attributes[str(result.get("from_name") or kind)] = answer
    return found


def _add_region(
    annotation: Annotation, region: _Region, id_: str, items: list[int], shapes: Shapes, report: ReadReport
) -> None:
    place, item = f"{annotation.place} region {id_.strip(chr(0))}", _item(region.result, items)
    if item is None:
        report.skip(place, "its image is not in the task")
        return
    columns = _columns_of(region)
    if isinstance(columns, str):
        report.skip(place, columns)
        return
    if region.result.get("image_rotation"):
        report.note("regions are on images that were turned in the editor; they were read as if these were not turned")
    kind, values = columns
    if len(region.classes) > 1:
        report.note("regions have several classes; they are a label for each")
    for at, name in enumerate(region.classes or [None]):
        common = _common(annotation, region, id_ if at == 0 else "\0")
        shapes.add(item, kind, name, place=place, **values, **common)


def _whole_of(id_: str, region: _Region) -> tuple[str, str] | None:
    """Of a region that is a part of a label: what it is a part as, and the label's id. ``None`` of one that is a label by itself,
    as a copy that a person made of a part, which has an id of its own.
    """
    own = _own(region.result)
    for what in ("keypoints", "part"):
        whole = own[what].get("of") if isinstance(own.get(what), dict) else None
        if isinstance(whole, str) and (id_ == whole or id_.startswith(f"{whole}-")):
            return what, whole
    return None


def _add_rings(
    annotation: Annotation, parts: list[_Region], id_: str, items: list[int], shapes: Shapes, report: ReadReport
) -> None:
    """Add a polygon or polyline whose rings are regions of their own, with the class of the first of them."""
    place, item = f"{annotation.place} region {id_}", _item(parts[0].result, items)
    if item is None:
        report.skip(place, "its image is not in the task")
        return
    read = [_columns_of(part) for part in sorted(parts, key=_place_in_label)]
    wrong = next((columns for columns in read if isinstance(columns, str)), None)
    found = [columns for columns in read if not isinstance(columns, str)]
    if wrong is not None:
        report.skip(place, wrong)
        return
    kind, values = found[0]
    points = [ring for _, columns in found for ring in columns["points"]]
    joined = _Region(parts[0].shape, parts[0].result, parts[0].classes)
    for part in parts:
        joined.attributes |= part.attributes
    name = joined.classes[0] if joined.classes else None
    shapes.add(item, kind, name, place=place, **(values | {"points": points}), **_common(annotation, joined, id_))


def _place_in_label(part: _Region) -> int:
    number = _own(part.result)["part"].get("number")
    return number if isinstance(number, int) else 0


def _columns_of(region: _Region) -> regions.Columns | str:
    """Kind and columns of a shape; a sentence about what is wrong with it."""
    columns = regions.read(region.shape or "", region.result["value"], _size(region.result))
    closed = _own(region.result).get("closed")
    if isinstance(columns, str) or columns[0] not in ("polygon", "polyline") or not isinstance(closed, bool):
        return columns
    return "polyline", columns[1] | {"closed": closed, "filled": False}


def _add_points(
    annotation: Annotation, points: list[_Region], id_: str, items: list[int], shapes: Shapes, report: ReadReport
) -> None:
    """Add keypoints or a skeleton whose points are regions of their own, as only our files have them."""
    place, item = f"{annotation.place} region {id_}", _item(points[0].result, items)
    own = _own(points[0].result)["keypoints"]
    seen = own.get("visibility")
    kind = own.get("kind")
    if item is None or kind not in ("keypoints", "skeleton") or not isinstance(seen, list) or len(seen) > 10_000:
        report.skip(place, "its points are no keypoints")
        return
    found = [[math.nan, math.nan] for _ in seen]
    states = [0] * len(seen)
    joined = _Region("keypoint", points[0].result, points[0].classes)
    for point in points:
        columns = regions.read("keypoint", point.result["value"], None)
        number = _own(point.result)["keypoints"].get("number")
        if isinstance(columns, str) or not isinstance(number, int) or not 0 <= number < len(seen):
            report.skip(place, columns if isinstance(columns, str) else "it has a point without a number")
            continue
        found[number] = columns[1]["points"][0][0]
        states[number] = seen[number] if seen[number] in (1, 2) else 2
        joined.attributes |= point.attributes
    name = joined.classes[0] if joined.classes else None
    values = _common(annotation, joined, id_)
    shapes.add(item, kind, name, points=[found], visibility=states, place=place, **values)


def _add_answers(
    annotation: Annotation, region: _Region, id_: str, items: list[int], shapes: Shapes, report: ReadReport
) -> None:
    """Add what is said of the whole image: choices are classes, and all else are values, each in a field called as its control."""
    for kind, result in region.answers:
        value, place = result["value"], f"{annotation.place} result {id_.strip(chr(0))}"
        item = _item(result, items)
        if item is None or regions.is_of_region(value):
            report.skip(place, "the region that it is about is not there, or not named")
            continue
        control = str(result.get("from_name") or kind)
        role = control if annotation.by_control else field_name("_".join(filter(None, (annotation.role, control))))
        texts = answers.names(kind, value) if kind in ("choices", "taxonomy") else []
        if texts and not _own(result).get("scalar"):
            common = _common_answer(annotation, result, id_, role)
            for at, text in enumerate(texts):
                if text.strip():
                    shapes.add(
                        item,
                        "classification",
                        text,
                        place=place,
                        **(common if at == 0 else _without_id(common)),
                    )
            continue
        scalar = answers.scalar(kind, value)
        if scalar is None:
            report.skip(place, f"its {kind} has no value")
        elif not annotation.with_scalars:
            report.skip(place, "an image has one value of a kind, and that of another annotation was taken")
        else:
            label = _own(result).get("label")
            label = label if isinstance(label, str) and label.strip() else None
            values = _common_answer(annotation, result, id_, role)
            shapes.add(item, "scalar", label, value=scalar, place=place, **values)


def field_name(text: str) -> str:
    """A text as the name of a field.

    >>> field_name("my scene"), field_name("2nd"), field_name("")
    ('my_scene', '_2nd', 'answers')
    """
    name = re.sub(r"\W", "_", text)
    return name if name.isidentifier() else f"_{name}" if name else "answers"


def _common(annotation: Annotation, region: _Region, id_: str) -> dict[str, Any]:
    """Columns that labels of all kinds have."""
    attributes = dict(region.attributes)
    role = str(region.result.get("from_name")) if annotation.by_control else annotation.role
    found: dict[str, Any] = {"role": role, "annotator": annotation.annotator, "time": annotation.time}
    given = region.result.get("score")
    score = given if given is not None else annotation.score
    if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
        if 0 <= score <= 1:
            found["confidence"] = float(score)
        else:
            attributes.setdefault("score", score)
    track = attributes.get("track_id")
    if isinstance(track, int) and not isinstance(track, bool) and 0 <= track < 2**31:
        found["index"] = attributes.pop("track_id")
    if annotation.seen is not None and id_ and not id_.startswith("\0") and hash(id_) not in annotation.seen:
        annotation.seen.add(hash(id_))
        found["label_id"] = id_
    return {**found, "attributes": attributes}


def _common_answer(annotation: Annotation, result: Mapping[str, Any], id_: str, role: str) -> dict[str, Any]:
    """Columns of a label of the whole image."""
    return _common(annotation, _Region(result=result, attributes=_own_attributes(result)), id_) | {"role": role}


def _without_id(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "label_id"}


def _own(result: Mapping[str, Any]) -> dict[str, Any]:
    meta = result.get("meta")
    own = meta.get(OWN) if isinstance(meta, dict) else None
    return own if isinstance(own, dict) else {}


def _own_attributes(result: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes in ``meta``: those that we put there, and ``meta`` itself where others did."""
    meta, own = result.get("meta"), _own(result).get("attributes")
    found = {str(name): value for name, value in own.items() if value is not None} if isinstance(own, dict) else {}
    others = {name: value for name, value in meta.items() if name != OWN} if isinstance(meta, dict) else {}
    if others:
        found["meta"] = others
    return found


def _item(result: Mapping[str, Any], items: list[int]) -> int | None:
    at = result.get("item_index", 0)
    return items[at] if isinstance(at, int) and 0 <= at < len(items) else None


def _size(result: Mapping[str, Any]) -> regions.Size | None:
    width, height = result.get("original_width"), result.get("original_height")
    good = all(
        isinstance(side, int | float) and not isinstance(side, bool) and 0 < side < 2**31 and float(side).is_integer()
        for side in (width, height)
    )
    return (int(width), int(height)) if good and width is not None and height is not None else None


def each(value: Any) -> Iterator[Any]:
    """The entries of a list; nothing of anything else."""
    if isinstance(value, list):
        yield from value
