"""Write tasks for Label Studio, and the labelling configuration that they need."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from ...core.geometry import decode_rle
from ..common.export import ExportData
from ..common.fidelity import NOTHING
from ..common.paint import attributes_of
from ..common.single_rings import single_rings
from . import brush_rle
from .label_config import IMAGE, SHAPES, clean, text_of
from .results import OWN
from .tasks import PREDICTIONS

_CONTROLS = ("textarea", "number", "choices")
_TASKS, _CONFIG = "tasks.json", "label_config.xml"
_CONTROL = {  # the shape of each kind
    "box": "box", "polygon": "polygon", "polyline": "polygon", "cuboid": "polygon", "ellipse": "ellipse", "mask": "mask",
    "segmentation": "mask", "keypoints": "keypoint", "skeleton": "keypoint",
}  # fmt: skip
_TYPES = {name: tag.lower() for name, tag in SHAPES.items()}
_STORAGES = ("s3://", "gs://", "azure-blob://")  # whose paths are not quoted
_POINT_SIZE = 0.5  # percent
Region = dict[str, Any]


def write(
    data: ExportData, folder_of: Callable[[str | None], str], root: str, model_version: str, is_prediction: bool
) -> None:
    """Write the tasks.

    Args:
        data: the items and labels.
        folder_of: the folder of the images of a split.
        root: what stands before the path of an image in its address.
        model_version: the name that predictions have.
        is_prediction: whether all labels are predictions; else those are whose field is called ``predictions``, or begins so.
    """
    survey = _Survey(data)
    (data.folder / _CONFIG).write_bytes(survey.config(data.classes))
    before = "["
    with (data.folder / _TASKS).open("w", encoding="utf-8") as file:
        for part in data.parts():
            for _, item, labels in part.by_item():
                path = f"{folder_of(item['split'] if isinstance(item['split'], str) else None)}/{item['name']}"
                rows = [_named(row, is_prediction) for row in labels.to_pylist()]
                values = {IMAGE: root + (path if root.startswith(_STORAGES) else quote(path))}
                if item["split"]:
                    values["split"] = str(item["split"])
                task: dict[str, Any] = {"data": values}
                said, guessed = ([row for row in rows if row["is_prediction"] is wanted] for wanted in (False, True))
                if not is_prediction:
                    results = list(_results(data, item, said, survey))
                    task["annotations"] = [{"result": results, "ground_truth": False, "was_cancelled": False}]
                if is_prediction or guessed:
                    task["predictions"] = [
                        {"model_version": model_version, "result": list(_results(data, item, guessed, survey))}
                    ]
                file.write(f"{before}\n{json.dumps(task, ensure_ascii=False)}")
                before = ","
        file.write("\n]\n" if before == "," else "[]\n")


def _named(row: dict[str, Any], is_prediction: bool) -> dict[str, Any]:
    """A label with whether it is a prediction, and the name of the control that asks for it, if it is of the whole image."""
    field = str(row["field"])
    is_own = field == PREDICTIONS or field.startswith(f"{PREDICTIONS}_")
    return {**row, "is_prediction": is_prediction or is_own, "field": _control_name(field)}


def _control_name(field: str) -> str:
    return field.removeprefix(f"{PREDICTIONS}_")


class _Survey:
    """What all labels have: classes of each shape, fields of images, and the controls of values and attributes."""

    def __init__(self, data: ExportData) -> None:
        self._classes: dict[str, set[str]] = {}
        self.choices: dict[str, set[str]] = {}
        self.scalars: dict[str, str] = {}
        attributes: dict[str, set[str]] = {}
        for labels in data.label_tables():
            rows = labels.select(["kind", "label", "field", "value", "attributes", "index"]).to_pylist()
            for row in rows:
                kind, name = row["kind"], row["label"]
                if kind in _CONTROL:
                    self._classes.setdefault(_CONTROL[kind], set()).update([name] if name else [])
                    if row["index"] is not None:
                        attributes.setdefault("track_id", set()).add("number")
                    for key, value in attributes_of(row).items():
                        if (control := _control_of(value)) is not None:
                            attributes.setdefault(key, set()).add(control)
                elif kind == "classification" and name:
                    self.choices.setdefault(_control_name(row["field"]), set()).add(name)
                elif kind == "scalar" and (control := _control_of(json.loads(row["value"]))) is not None:
                    self.scalars.setdefault(_control_name(row["field"]), control)
        taken = {IMAGE, *SHAPES, *self.choices, *self.scalars}
        self.attributes = {
            name: next(control for control in _CONTROLS if control in attributes[name])  # the widest that was seen
            for name in sorted(attributes)
            if name not in taken and clean(name) == name and name
        }

    def config(self, order: Sequence[str]) -> bytes:
        """The labelling configuration, its classes in this order."""
        shapes = {name: [c for c in order if c in self._classes[name]] for name in SHAPES if name in self._classes}
        choices = {name: [c for c in order if c in found] for name, found in sorted(self.choices.items())}
        return text_of(shapes, choices, dict(sorted(self.scalars.items())), self.attributes)


def _control_of(value: Any) -> str | None:
    """The control that answers with such a value; ``None`` for lists and objects."""
    if isinstance(value, bool):
        return "choices"
    if isinstance(value, int | float):
        return "number"
    return "textarea" if isinstance(value, str) else None


def _results(
    data: ExportData, item: Mapping[str, Any], rows: list[dict[str, Any]], survey: _Survey
) -> Iterator[Region]:
    size = {}
    if item["width"] and item["height"]:
        size = {"original_width": item["width"], "original_height": item["height"], "image_rotation": 0}
    yield from _choices(rows)
    for number, row in enumerate(rows):
        if row["kind"] == "scalar":
            value = json.loads(row["value"])
            control = _control_of(value) or "textarea"
            own: dict[str, Any] = {"scalar": True} if control == "choices" else {}  # else it would be a class
            own |= {"label": row["label"]} if row["label"] else {}
            result = {**_result(row, _region_id(row, number), row["field"], control), "value": _answer(control, value)}
            yield _with_own(result, own, _attributes(row))
        elif row["kind"] in _CONTROL:
            made = list(_regions(row, number, size, survey))
            data.lose(NOTHING, not made)
            yield from made


def _choices(rows: list[dict[str, Any]]) -> Iterator[Region]:
    """Classes of the image. Those of a field are one result, unless they have attributes or a confidence."""
    plain: dict[str, tuple[str, list[str]]] = {}
    for number, row in enumerate(rows):
        if row["kind"] != "classification" or not row["label"]:
            continue
        attributes, id_ = _attributes(row), _region_id(row, number)
        if not attributes and row["confidence"] is None:
            plain.setdefault(row["field"], (id_, []))[1].append(row["label"])
            continue
        result = {**_result(row, id_, row["field"], "choices"), "value": {"choices": [row["label"]]}}
        yield _with_own(result, {}, attributes)
    for field, (id_, names) in plain.items():
        yield {"id": id_, "from_name": field, "to_name": IMAGE, "type": "choices", "value": {"choices": names}}


def _regions(row: dict[str, Any], number: int, size: Mapping[str, Any], survey: _Survey) -> Iterator[Region]:
    """The regions of a label, each with the answers about it."""
    control = _CONTROL[row["kind"]]
    classes = {_TYPES[control]: [row["label"]] if row["label"] else []}
    attributes = _attributes(row)
    base = _region_id(row, number)
    for at, (value, own) in enumerate(_values(row, size, base)):
        id_ = base if at == 0 else f"{base}-{at + 1}"
        answers = attributes if at == 0 or own is None else {}
        asked = {
            k: v for k, v in answers.items() if survey.attributes.get(k) == _control_of(v) and k in survey.attributes
        }
        meta: dict[str, Any] = (
            {"attributes": rest} if (rest := {k: v for k, v in answers.items() if k not in asked}) else {}
        )
        if own is not None:
            meta["keypoints"] = own
        if row["kind"] == "polyline" and row["closed"]:
            meta["closed"] = True
        region = {**_result(row, id_, control, _TYPES[control]), **size, "value": {**value, **classes}}
        yield {**region, "meta": {OWN: meta}} if meta else region
        shape = {key: entry for key, entry in value.items() if key not in ("format", "rle")}
        for name, answer in asked.items():
            kind = survey.attributes[name]
            yield {
                "id": id_,
                "from_name": name,
                "to_name": IMAGE,
                "type": kind,
                **size,
                "value": {**shape, **_answer(kind, answer)},
            }


def _values(
    row: dict[str, Any], size: Mapping[str, Any], id_: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The value of each region of a label; for points of keypoints, also what ties them together."""
    kind = row["kind"]
    if kind == "box":
        yield _box(row, size), None
    elif kind == "ellipse":
        x, y, width, height = (100 * value for value in row["bounding_box"])
        centre = {"x": x + width / 2, "y": y + height / 2, "rotation": row["rotation"] or 0.0}
        yield {**centre, "radiusX": width / 2, "radiusY": height / 2}, None
    elif row["mask"] is not None:
        yield {"format": "rle", "rle": brush_rle.encode(decode_rle(row["mask"]))}, None
    elif kind in ("keypoints", "skeleton"):
        points = row["points"][0]
        seen = row["visibility"] or [2] * len(points)
        seen = [0 if math.isnan(x) or math.isnan(y) else state for (x, y), state in zip(points, seen, strict=True)]
        is_one = kind == "keypoints" and seen == [2]
        for at, ((x, y), state) in enumerate(zip(points, seen, strict=True)):
            if state:
                own = None if is_one else {"of": id_, "number": at, "kind": kind, "visibility": seen}
                yield {"x": 100 * x, "y": 100 * y, "width": _POINT_SIZE}, own
    else:
        rings = [np.array(part, float) for part in row["points"]] if kind == "polyline" else single_rings(row)
        for ring in rings:
            yield {"points": (100 * ring).tolist(), "closed": kind != "polyline"}, None


def _box(row: Mapping[str, Any], size: Mapping[str, Any]) -> dict[str, Any]:
    """A rectangle is turned about its upper left corner, and its ``x`` and ``y`` are where that is then."""
    x, y, width, height = row["bounding_box"]
    degrees = row["rotation"] or 0.0
    if degrees % 360 and size:
        across, down = width * size["original_width"] / 2, height * size["original_height"] / 2
        angle = math.radians(degrees)
        x += width / 2 - (across * math.cos(angle) - down * math.sin(angle)) / size["original_width"]
        y += height / 2 - (across * math.sin(angle) + down * math.cos(angle)) / size["original_height"]
    return {"x": 100 * x, "y": 100 * y, "width": 100 * width, "height": 100 * height, "rotation": degrees}


def _answer(control: str, value: Any) -> dict[str, Any]:
    if control == "number":
        return {"number": value}
    if control == "choices":
        return {"choices": [str(value).lower() if isinstance(value, bool) else str(value)]}
    return {"text": [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]}


def _result(row: Mapping[str, Any], id_: str, control: str, type_: str) -> Region:
    found: Region = {"id": id_, "from_name": control, "to_name": IMAGE, "type": type_}
    if row["confidence"] is not None:
        found["score"] = row["confidence"]
    return found


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a label, and the number of its track as one."""
    values = attributes_of(row)
    return values if row["index"] is None else values | {"track_id": row["index"]}


def _with_own(result: Region, own: dict[str, Any], attributes: dict[str, Any]) -> Region:
    """A result with what it has no place for in its ``meta``."""
    own = own | ({"attributes": attributes} if attributes else {})
    return {**result, "meta": {OWN: own}} if own else result


def _region_id(row: Mapping[str, Any], number: int) -> str:
    """An id of a region. Label Studio cuts ids at ``#``, and makes ids of its own where there are none."""
    given = str(row["label_id"] or "")
    return given if given and "#" not in given else f"label-{number + 1}"
