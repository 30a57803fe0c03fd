"""The lines of Pixano's quickstart, and the ``schema.py`` that its import takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from ....core import geometry
from ....core.schema.choices import parse_answer
from ....store.media import Media
from ..keys import CATEGORIES, CONVERSATIONS, NO_CONFIDENCE, OBJECTS
from ..options import Writing
from .checks import cannot_hold
from .field_labels import FieldLabels
from .line_writer import Line, unsupported
from .pixano_writer import (
    LABEL_COLUMNS,
    RESERVED,
    PixanoWriter,
    attribute_type,
    keypoints,
    python_type,
    with_user,
)
from .survey import Survey

_EMPTY: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False}
_KINDS = frozenset({"box", "mask", "keypoints"})


class QuickstartWriter(PixanoWriter):
    """Writes ``{"image": …, "objects": {"bboxes": […], "category": […]}}``: parallel arrays, boxes relative to the image."""

    header: Line | None = None

    def __init__(self, survey: Survey, options: Writing) -> None:
        super().__init__(survey, options)
        self._nulls: Counter[str] = Counter()  # how many were written as empty values, by name

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that the dialect cannot hold."""
        self.check_names(_KINDS)
        for name in self._fields:
            self.require_identifier(name)
            if name in RESERVED - {OBJECTS}:
                what = "a field of that name, which Pixano keeps itself"
                raise cannot_hold(self._dialect, name, what, "use another field name")
            if len(kinds := self._survey.fields[name].kinds) > 1:
                what = f"{' and '.join(sorted(kinds))} in one field"
                raise cannot_hold(self._dialect, name, what, "use 'pixano-0.8', or a field for each")

    def lines(
        self,
        samples: pa.Table,
        labels: pa.Table,
        names: Sequence[str],
        files: Media | None = None,
    ) -> Iterator[Line]:
        """A line for each sample."""
        columns = self.columns(samples)
        fields = {name: self._arrays(FieldLabels(samples, labels, name), name) for name in self._fields}
        classes = self.image_classes(labels, samples) if self._has_classes else []
        conversations = self.conversations(labels, samples) if self._has_conversations else []
        for n, sample_id in enumerate(samples["sample_id"].to_pylist()):
            line: Line = {"image": names[n], "sample_id": sample_id}
            for name, kind in self._survey.sample_columns.items():
                line[name] = self._without_null(columns[n][name], name, python_type(kind))
            if self._has_classes:
                line[CATEGORIES] = classes[n]
            for name, (field, arrays) in fields.items():
                of_sample = field.of_sample(n)
                has_labels = of_sample.start < of_sample.stop
                line[name] = {key: values[of_sample] for key, values in arrays.items()} if has_labels else None
            if self._has_conversations:
                written = [_exchanges(messages) for messages in conversations[n].values()]
                line[CONVERSATIONS] = (written[0] if len(written) == 1 else written) or None
            yield line
        self.notes += [
            f"Pixano has no null; {count} of {name!r} were written as empty values."
            for name, count in self._nulls.items()
        ]
        self._nulls.clear()

    def _arrays(self, field: FieldLabels, name: str) -> tuple[FieldLabels, dict[str, list[Any]]]:
        """The parallel arrays of a field, over all samples of a part."""
        (kind,) = self._survey.fields[name].kinds
        found = {}
        if kind == "box" or (kind == "mask" and _have_own_boxes(field)):
            found["bboxes"] = field.boxes()
        if kind == "mask":
            found["masks"] = [{"size": m["size"], "counts": m["counts"].decode()} for m in field.column("mask")]
        if kind == "keypoints":
            found["keypoints"] = [
                {"template_id": template or "", **keypoints(points, visibility)}
                for points, visibility, template in zip(
                    field.column("points"),
                    field.column("visibility"),
                    field.attribute("template_id", {"str"}),
                    strict=True,
                )
            ]
        found["category"] = [self._without_null(v, "category", "str") for v in field.column("label")]
        found["label_id"] = field.column("label_id")
        for key, types in self._attributes(name).items():
            values = field.column(key) if key in LABEL_COLUMNS else field.attribute(key, types)
            if key == "confidence":
                found[key] = [NO_CONFIDENCE if v is None else v for v in values]
            else:
                found[key] = [self._without_null(v, key, attribute_type(types)) for v in values]
        return field, found

    def _attributes(self, name: str) -> dict[str, set[str]]:
        """The types of the attributes of a field, and of columns of ``LABELS`` that become attributes."""
        used = self._survey.label_columns[name]
        attributes = sorted(self._survey.fields[name].attributes.items())
        return {key: types for key, types in LABEL_COLUMNS.items() if key in used} | {
            key: types for key, types in attributes if key != "template_id"
        }

    def _without_null(self, value: Any, name: str, kind: str) -> Any:
        """A value as Pixano's schema has it: without null, and a list with values of one type only."""
        if value is None:
            self._nulls[name] += 1
            return [] if kind.startswith("list") else _EMPTY[kind]
        if kind.startswith("list"):
            element = type(_EMPTY[kind[5:-1]])
            if not isinstance(value, list) or any(type(v) is not element for v in value):
                raise unsupported(
                    f"Pixano holds lists of texts only, and {name!r} is {json.dumps(value)[:60]}; use 'file_name'."
                )
        return value

    def files(self) -> dict[str, str]:
        """The schema that Pixano's import takes."""
        base = "DefaultVQADatasetItem" if self._has_conversations else "DefaultImageDatasetItem"
        kind = "vqa" if self._has_conversations else "image"
        text = [
            f'"""pixano data import DATA_DIR FOLDER --type {kind} --schema schema.py:ExportedItem"""',
            "",
            f"from pixano.datasets.workspaces import {base}",
            "from pixano.features import Entity",
        ]
        item = []
        for name in self._fields:
            title = "".join(part.capitalize() for part in name.split("_")) + "Entity"
            lines = ['    category: str = ""', '    label_id: str = ""']
            lines += [f"    {key}: {_declared(attribute_type(types))}" for key, types in self._attributes(name).items()]
            text += ["", "", f"class {title}(Entity):", *lines]
            item.append(f"    {name}: list[{title}]")
        item.append('    sample_id: str = ""')
        item += [f"    {name}: {_declared(python_type(kind))}" for name, kind in self._survey.sample_columns.items()]
        item += [f"    {CATEGORIES}: {_declared('list[str]')}"] if self._has_classes else []
        return {"schema.py": "\n".join([*text, "", "", f"class ExportedItem({base}):", *item, ""])}


def _declared(kind: str) -> str:
    """A Python type with its default, as a class declares it."""
    empty = "[]" if kind.startswith("list") else repr(_EMPTY[kind]).replace("'", '"')
    return f"{kind} = {empty}"


def _have_own_boxes(field: FieldLabels) -> bool:
    """Whether masks have boxes other than those around them, which a reader derives from the masks."""
    masks, boxes = field.column("mask"), field.boxes()
    return any(box is not None and box != geometry.mask_box(mask) for mask, box in zip(masks, boxes, strict=True))


def _exchanges(messages: Sequence[Line]) -> list[Line]:
    """A conversation as questions with their responses."""
    found: dict[int, Line] = {}
    choices: list[str] = []
    for message in messages:
        role, number, content = message["role"], message["number"], message["content"]
        if role == "question" and number not in found:
            choices = message.get("choices") or []
            kind = message.get("question_type") or "OPEN"
            question = with_user({"content": content, "question_type": kind, "choices": choices}, message)
            found[number] = {"question": question, "responses": []}
        elif role == "answer" and number in found:
            response = {"content": content}
            if picked := parse_answer(content, choices):
                response = {"content": ", ".join(picked[0]), **({"explanation": picked[1]} if picked[1] else {})}
            found[number]["responses"].append(with_user(response, message))
        else:
            raise unsupported(
                f"Pixano's quickstart has questions with their answers, and the message {content[:40]!r} is a "
                f"{role} of its own; use 'pixano-0.8', or delete the message."
            )
    return list(found.values())
