"""The lines of Pixano 0.8, written, with the ``dataset.yaml`` that its import takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ....core import geometry
from ....core.schema.choices import letters_of
from ....store.media import Media
from ..reading import conversations
from ..reading.line_keys import CATEGORIES
from ..reading.pixano_views import HEADER, VERSION
from .file_name import Cells, Line, refuse, unsupported
from .quickstart import OWN, OWN_TYPES, Common, attribute_type, joint, said, scalar


class EightOut(Common):
    """The lines of Pixano 0.8, with the ``dataset.yaml`` that its import takes."""

    header: Line | None = {  # noqa: RUF012 - one value for all
        HEADER: VERSION,
        "defaults": {
            "bbox": {"format": "xywh", "is_normalized": True},
            "source": {"type": "ground_truth", "name": "annobridge"},
        },
    }

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that cannot be written."""
        self._check(frozenset({"box", "mask", "keypoints", "polygon", "polyline"}))
        for name in self._fields:
            if name != self._field:
                raise refuse(
                    self._dialect,
                    name,
                    "more than one field of shapes",
                    f"leave it out, or say field={name!r} for this one",
                )

    def lines(
        self,
        samples: pa.Table,
        labels: pa.Table,
        names: Sequence[str],
        files: Media | None = None,  # noqa: ARG002 - of no use
    ) -> Iterator[Line]:
        """The lines of some samples."""
        for ids in (samples["sample_id"], labels["label_id"]):
            if (odd := ids.filter(pc.match_substring(ids, "/"))) and len(odd):
                raise unsupported(f"Pixano cannot address the id {odd[0].as_py()!r}, which has a '/'; give other ids.")
        columns = self._columns(samples)
        cells = Cells(samples, labels, self._field) if self._fields else None
        entities = list(self._entities(cells)) if cells else []
        classes = self._images(labels, samples) if self._classes else []
        talks = self._messages(labels, samples) if self._talks else []
        for n, sample in enumerate(samples["sample_id"].to_pylist()):
            attrs = {name: value for name, value in columns[n].items() if value is not None}
            if self._classes:
                attrs[CATEGORIES] = classes[n]
            line: Line = {"id": sample, "attrs": attrs, "views": {"image": names[n]}}
            line["entities"] = entities[cells.of(n)] if cells else []
            line[conversations.FIELD] = [_thread(key, found) for key, found in talks[n].items()] if self._talks else []
            yield line

    def _entities(self, cells: Cells) -> Iterator[Line]:
        stats = self._facts.fields[self._field]
        attrs = {"category": cells.column("label")}
        attrs |= {key: cells.column(key) for key in ("index", "tags") if key in self._facts.given[self._field]}
        attrs |= {k: cells.attribute(k, types) for k, types in stats.attributes.items() if k != "template_id"}
        if "confidence" in self._facts.given[self._field]:
            attrs["confidence"] = cells.column("confidence")
        templates = cells.attribute("template_id", {"str"})
        boxes, rows = (
            cells.boxes(),
            cells.rows.select(["label_id", "kind", "points", "visibility", "closed", "mask"]).to_pylist(),
        )
        for n, row in enumerate(rows):
            found = {key: values[n] for key, values in attrs.items() if values[n] is not None}
            sure = found.pop("confidence", -1.0)
            made = []
            own_box = row["kind"] == "mask" and (sure >= 0 or boxes[n] != geometry.mask_box(row["mask"]))
            if row["kind"] == "box" or own_box:
                made.append({"kind": "bbox", "coords": boxes[n], "confidence": sure})
            elif sure >= 0:
                found["confidence"] = sure
            if row["kind"] != "box":
                made.append(_shape(row, templates[n]))
            yield {"id": row["label_id"], "attrs": found, "annotations": made}

    def files(self) -> dict[str, str]:
        """The description of the dataset, JSON being YAML."""
        stats = self._facts.fields.get(self._field)
        own = {key: OWN_TYPES[key] for key in OWN if stats and key in self._facts.given[self._field]}
        if stats and not stats.kinds - {"box", "mask"}:
            own.pop("confidence", None)  # their boxes have it
        attributes = {**own, **(stats.attributes if stats else {})}
        record = {name: _described(scalar(kind)) for name, kind in self._facts.columns.items()}
        schema = {
            "views": {"image": "image"},
            "record": {"attrs": record | ({CATEGORIES: _described("list[str]")} if self._classes else {})},
            "entity": {
                "attrs": {"category": "str", **{k: _described(attribute_type(t)) for k, t in attributes.items()}}
            },
            "annotations": ["bbox", "mask", "keypoint", "multi_path", *(["message"] if self._talks else [])],
        }
        dataset = {"name": "annobridge export", "workspace": "image_vqa" if self._talks else "image"}
        return {
            "dataset.yaml": json.dumps({"dataset": dataset, "format": "pixano_jsonl", "schema": schema}, indent=2)
            + "\n"
        }


def _described(kind: str) -> Any:
    return {"type": kind[5:-1], "collection": True} if kind.startswith("list") else kind


def _shape(row: Line, template: str | None) -> Line:
    if row["kind"] == "mask":
        mask = row["mask"]
        return {"kind": "mask", "rle": {"size": mask["size"], "counts": mask["counts"].decode()}}
    if row["kind"] == "keypoints":
        return {"kind": "keypoints", "template_id": template or "", **joint(row["points"], row["visibility"])}
    if row["kind"] == "polyline" and row["closed"]:
        raise unsupported("Pixano has no closed line that is not a polygon; open the line, or make it a polygon.")
    parts = row["points"]
    coords = [v for part in parts for point in part for v in point]
    closed = row["kind"] == "polygon"
    return {"kind": "multi_path", "coords": coords, "num_points": [len(p) for p in parts], "is_closed": closed}


def _thread(conversation: str, messages: Sequence[Line]) -> Line:
    made, choices = list[Line](), list[str]()
    for m in messages:
        entry: Line = {"type": m["role"].upper(), "content": m["content"]}
        if m["role"] == "question":
            choices = m.get("choices") or []
            entry |= {"question_type": m.get("question_type") or "OPEN", "choices": choices}
        elif m["role"] == "answer" and (picked := letters_of(m["content"], choices)):
            entry["content"] = f"[[{','.join(picked[0])}]] {picked[1]}".rstrip()
        made.append(said(entry, m))
    return {"id": conversation, "messages": made}
