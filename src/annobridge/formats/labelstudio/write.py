"""Write tasks for Label Studio, and the labelling configuration that they need."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..common.export import ExportData
from ..common.fidelity import NOTHING
from ..common.paint import attributes_of
from ..common.single_rings import single_rings
from .encode import CONTROL, TYPES, Region, answer, answers_of, region_id, result, size_of, values_of, with_own
from .label_config import IMAGE, SHAPES, clean, controls_of, text_of
from .tasks import PREDICTIONS

_CONTROLS = ("textarea", "number", "choices")
_TASKS, _CONFIG = "tasks.json", "label_config.xml"
_STORAGES = ("s3://", "gs://", "azure-blob://")  # whose paths are not quoted


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
                if kind in CONTROL:
                    self._classes.setdefault(CONTROL[kind], set()).update([name] if name else [])
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
        return text_of(controls_of(shapes, choices, dict(sorted(self.scalars.items())), self.attributes))


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
    size = size_of(item["width"], item["height"])
    yield from _choices(rows)
    for number, row in enumerate(rows):
        if row["kind"] == "scalar":
            value = json.loads(row["value"])
            control = _control_of(value) or "textarea"
            own: dict[str, Any] = {"scalar": True} if control == "choices" else {}  # else it would be a class
            own |= {"label": row["label"]} if row["label"] else {}
            made = result(row, region_id(row, number), row["field"], control) | {"value": answer(control, value)}
            yield with_own(made, own | _kept(_attributes(row)))
        elif row["kind"] in CONTROL:
            regions = list(_regions(row, number, size, survey))
            data.lose(NOTHING, not regions)
            yield from regions


def _choices(rows: list[dict[str, Any]]) -> Iterator[Region]:
    """Classes of the image. Those of a field are one result, unless they have attributes or a confidence."""
    plain: dict[str, tuple[str, list[str]]] = {}
    for number, row in enumerate(rows):
        if row["kind"] != "classification" or not row["label"]:
            continue
        attributes, id_ = _attributes(row), region_id(row, number)
        if not attributes and row["confidence"] is None:
            plain.setdefault(row["field"], (id_, []))[1].append(row["label"])
            continue
        made = result(row, id_, row["field"], "choices") | {"value": {"choices": [row["label"]]}}
        yield with_own(made, _kept(attributes))
    for field, (id_, names) in plain.items():
        yield {"id": id_, "from_name": field, "to_name": IMAGE, "type": "choices", "value": {"choices": names}}


def _regions(row: dict[str, Any], number: int, size: Mapping[str, Any], survey: _Survey) -> Iterator[Region]:
    """The regions of a label, each with the answers about it."""
    control = CONTROL[row["kind"]]
    classes = {TYPES[control]: [row["label"]] if row["label"] else []}
    attributes = _attributes(row)
    base = region_id(row, number)
    for at, (value, own) in enumerate(values_of(row, size, base, single_rings)):
        id_ = base if at == 0 else f"{base}-{at + 1}"
        answers = attributes if at == 0 or "keypoints" not in own else {}
        asked = {
            k: (survey.attributes[k], v)
            for k, v in answers.items()
            if survey.attributes.get(k) is not None and survey.attributes[k] == _control_of(v)
        }
        rest = {k: v for k, v in answers.items() if k not in asked}
        made = {**result(row, id_, control, TYPES[control]), **size, "value": {**value, **classes}}
        yield with_own(made, _kept(rest) | own)
        yield from answers_of(made, asked)


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a label, and the number of its track as one."""
    values = attributes_of(row)
    return values if row["index"] is None else values | {"track_id": row["index"]}


def _kept(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a label that no control asks for, for its ``meta``."""
    return {"attributes": attributes} if attributes else {}
