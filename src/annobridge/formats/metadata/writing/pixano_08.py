"""The lines of Pixano 0.8, and the ``dataset.yaml`` that its import takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ....core import geometry
from ....core.schema.choices import answer_as_letters
from ....store.media import Media
from ..keys import CATEGORIES, CONVERSATIONS, HEADER, NO_CONFIDENCE, VERSION
from .checks import cannot_hold
from .field_labels import FieldLabels
from .line_writer import Line, unsupported
from .pixano_writer import (
    LABEL_COLUMNS,
    PixanoWriter,
    attribute_type,
    keypoints,
    python_type,
    with_user,
)

_KINDS = frozenset({"box", "mask", "keypoints", "polygon", "polyline"})


class Pixano08Writer(PixanoWriter):
    """Writes ``{"id": …, "attrs": {…}, "views": {"image": …}, "entities": […]}``, an entity for each label."""

    header: Line | None = {  # noqa: RUF012 - one value for all
        HEADER: VERSION,
        "defaults": {
            "bbox": {"format": "xywh", "is_normalized": True},
            "source": {"type": "ground_truth", "name": "annobridge"},
        },
    }

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that the dialect cannot hold."""
        self.check_names(_KINDS)
        for name in self._fields:
            if name != self._field:
                cure = f"leave it out, or say field={name!r} for this one"
                raise cannot_hold(self._dialect, name, "more than one field of shapes", cure)

    def lines(
        self,
        samples: pa.Table,
        labels: pa.Table,
        names: Sequence[str],
        files: Media | None = None,
    ) -> Iterator[Line]:
        """A line for each sample."""
        for ids in (samples["sample_id"], labels["label_id"]):
            if (bad := ids.filter(pc.match_substring(ids, "/"))) and len(bad):
                raise unsupported(f"Pixano cannot address the id {bad[0].as_py()!r}, which has a '/'; give other ids.")
        columns = self.columns(samples)
        field = FieldLabels(samples, labels, self._field) if self._fields else None
        entities = list(self._entities(field)) if field else []
        classes = self.image_classes(labels, samples) if self._has_classes else []
        conversations = self.conversations(labels, samples) if self._has_conversations else []
        for n, sample_id in enumerate(samples["sample_id"].to_pylist()):
            attrs = {name: value for name, value in columns[n].items() if value is not None}
            if self._has_classes:
                attrs[CATEGORIES] = classes[n]
            line: Line = {"id": sample_id, "attrs": attrs, "views": {"image": names[n]}}
            line["entities"] = entities[field.of_sample(n)] if field else []
            found = conversations[n] if self._has_conversations else {}
            line[CONVERSATIONS] = [_conversation(key, messages) for key, messages in found.items()]
            yield line

    def _entities(self, field: FieldLabels) -> Iterator[Line]:
        """An entity for each label, with one annotation, or two: a mask, and a box that does not follow from it."""
        attributes, used = self._survey.fields[self._field].attributes, self._survey.label_columns[self._field]
        attrs = {"category": field.column("label")}
        attrs |= {key: field.column(key) for key in ("index", "tags") if key in used}
        attrs |= {k: field.attribute(k, types) for k, types in attributes.items() if k != "template_id"}
        if "confidence" in used:
            attrs["confidence"] = field.column("confidence")
        templates = field.attribute("template_id", {"str"})
        boxes = field.boxes()
        rows = field.rows.select(["label_id", "kind", "points", "visibility", "closed", "mask"]).to_pylist()
        for n, row in enumerate(rows):
            found = {key: values[n] for key, values in attrs.items() if values[n] is not None}
            confidence = found.pop("confidence", NO_CONFIDENCE)
            annotations = []
            is_mask = row["kind"] == "mask"
            # Pixano keeps a confidence at boxes only, so a mask with one gets a box too.
            if row["kind"] == "box" or (is_mask and (confidence >= 0 or boxes[n] != geometry.mask_box(row["mask"]))):
                annotations.append({"kind": "bbox", "coords": boxes[n], "confidence": confidence})
            elif confidence >= 0:
                found["confidence"] = confidence
            if row["kind"] != "box":
                annotations.append(_annotation(row, templates[n]))
            yield {"id": row["label_id"], "attrs": found, "annotations": annotations}

    def files(self) -> dict[str, str]:
        """The description of the dataset: YAML, in the form of JSON."""
        stats = self._survey.fields.get(self._field)
        attributes = {}
        if stats is not None:
            used = self._survey.label_columns[self._field]
            attributes = {key: types for key, types in LABEL_COLUMNS.items() if key in used}
            if not stats.kinds - {"box", "mask"}:
                attributes.pop("confidence", None)  # their boxes have it
            attributes |= stats.attributes
        record = {name: _declared(python_type(kind)) for name, kind in self._survey.sample_columns.items()}
        if self._has_classes:
            record[CATEGORIES] = _declared("list[str]")
        entity = {"category": "str", **{name: _declared(attribute_type(types)) for name, types in attributes.items()}}
        schema = {
            "views": {"image": "image"},
            "record": {"attrs": record},
            "entity": {"attrs": entity},
            "annotations": ["bbox", "mask", "keypoint", "multi_path", *(["message"] * self._has_conversations)],
        }
        workspace = "image_vqa" if self._has_conversations else "image"
        dataset = {"name": "annobridge export", "workspace": workspace}
        description = {"dataset": dataset, "format": "pixano_jsonl", "schema": schema}
        return {"dataset.yaml": json.dumps(description, indent=2) + "\n"}


def _declared(kind: str) -> Any:
    """A Python type as the description has it."""
    return {"type": kind[5:-1], "collection": True} if kind.startswith("list") else kind


def _annotation(row: Line, template: str | None) -> Line:
    """The annotation of a label that is not a box."""
    if row["kind"] == "mask":
        mask = row["mask"]
        return {"kind": "mask", "rle": {"size": mask["size"], "counts": mask["counts"].decode()}}
    if row["kind"] == "keypoints":
        return {"kind": "keypoints", "template_id": template or "", **keypoints(row["points"], row["visibility"])}
    is_polygon = row["kind"] == "polygon"
    if row["closed"] and not is_polygon:
        raise unsupported("Pixano has no closed line that is not a polygon; open the line, or make it a polygon.")
    parts = row["points"]
    coords = [v for part in parts for point in part for v in point]
    return {"kind": "multi_path", "coords": coords, "num_points": [len(p) for p in parts], "is_closed": is_polygon}


def _conversation(key: str, messages: Sequence[Line]) -> Line:
    written, choices = list[Line](), list[str]()
    for message in messages:
        entry: Line = {"type": message["role"].upper(), "content": message["content"]}
        if message["role"] == "question":
            choices = message.get("choices") or []
            entry |= {"question_type": message.get("question_type") or "OPEN", "choices": choices}
        elif message["role"] == "answer" and (picked := answer_as_letters(message["content"], choices)):
            entry["content"] = f"[[{','.join(picked[0])}]] {picked[1]}".rstrip()
        written.append(with_user(entry, message))
    return {"id": key, "messages": written}
