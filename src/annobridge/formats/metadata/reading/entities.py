"""Entities: objects with attributes and annotations, as the lines of Pixano 0.7 and 0.8 have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ....core import geometry
from ....exceptions import InvalidLabels
from ..keys import KEYPOINT_STATES
from . import boxes
from .chunk import Chunk
from .json_lines import Line, fail
from .line_keys import ClassKeys, Counts
from .plain_boxes import find_plain_boxes

_ALIASES = {
    "bboxes": "bbox",
    "masks": "mask",
    "keypoint": "keypoints",
    "multi_paths": "multi_path",
    "paths": "multi_path",
}
_UNSUPPORTED = ("text_span", "relation", "bbox3d", "keypoints3d")
_KINDS = {  # the kind of label for a kind of annotation
    "bbox": "box",
    "mask": "mask",
    "keypoints": "keypoints",
    "multi_path": "polygon",
    "classification": "classification",
}
_COMMON_KEYS = frozenset({"id", "attrs", "annotations"})
CLASSIFICATIONS = "classifications"  # the label field of an entity's annotations that are classes

Row = dict[str, Any]


class Entities:
    """Parses entities into labels, and counts what is left out.

    Args:
        field: the label field of their labels.
        class_keys: where the key of the class is recorded.

    Attributes:
        box_defaults: what boxes are that do not say it: ``format`` and ``is_normalized``.
        has_lists: whether annotations came as lists, the form of Pixano 0.8.
        has_groups: whether annotations came grouped by view, the form of Pixano 0.7.
    """

    def __init__(self, field: str, class_keys: ClassKeys) -> None:
        self._field, self._class_keys = field, class_keys
        self._skipped = Counts()
        self.box_defaults: Row = {}
        self.has_lists = self.has_groups = False

    def add_to(
        self, chunk: Chunk, entities: list[Any], samples: dict[str, int], where: str, field: str | None = None
    ) -> None:
        """Add the labels of a list of entities to a chunk.

        Args:
            chunk: the chunk.
            entities: the entities as the line has them.
            samples: the number of the sample in the chunk, by view.
            where: the location of the line.
            field: a label field other than that of the constructor.
        """
        name = field or self._field
        if (plain := find_plain_boxes(entities, samples, self.box_defaults)) is not None:
            self.has_lists = True
            for names in plain.distinct_names:
                self._class_keys.check(name, names, where)
            chunk.add_parallel(name, plain.labels)
            return
        for entity in entities:
            if not isinstance(entity, dict):
                fail(where, f"has the entity {str(entity)[:60]}; an entity is an object {{…}}.")
            entity_id, extra = self._attributes(entity, where)
            self._class_keys.check(name, extra, where)
            labels = list(self._labels(entity.get("annotations"), samples, where))
            if not labels:
                self._skipped["entities have no shape"] += 1
            self._add_labels(chunk, name, _with_box_and_mask_joined(labels), entity_id, extra)

    def _add_labels(self, chunk: Chunk, name: str, labels: list[Row], entity_id: str | None, attributes: Row) -> None:
        """Add the labels of one entity. Its id is that of a single label, and of several it is the prefix of their ids."""
        alone, times = len(labels) == 1, Counter[str]()
        if not alone and labels:
            self._skipped[
                "entities have several annotations; each is a label, and the attribute 'entity' says which belong together"
            ] += 1
        for row in labels:
            kind, own_id, own = row["kind"], row.pop("id", None), row.pop("extra", {})
            if entity_id is not None and alone:
                row["label_id"] = entity_id
            elif entity_id is not None:
                times[kind] += 1
                row["label_id"] = own_id or f"{entity_id}.{kind}" + (f".{times[kind]}" if times[kind] > 1 else "")
            together = {} if entity_id is None or alone else {"entity": entity_id}
            if kind == "classification":
                chunk.add_labels(CLASSIFICATIONS, [{**row, "extra": {**own, **together}}])
                self._class_keys.check(CLASSIFICATIONS, own, "")
            else:
                chunk.add_labels(name, [{**row, "extra": {**attributes, **own, **together}}])

    def _attributes(self, entity: Line, where: str) -> tuple[str | None, Row]:
        """The id of an entity, and its attributes: ``attrs``, and keys that Pixano does not have."""
        entity_id, extra = entity.get("id"), as_attributes(entity.get("attrs"), "an entity", where)
        if entity_id is not None and not isinstance(entity_id, str):
            fail(where, f"has an entity with the id {entity_id!r}; give a text.")
        if entity.keys() <= _COMMON_KEYS:
            return entity_id, extra
        for key in ("tracklets", "states", "parent_id"):
            if entity.get(key):
                self._skipped[f"entities have {key!r}, which images do not have"] += 1
        known = {*_COMMON_KEYS, "tracklets", "states", "parent_id"}
        return entity_id, extra | {key: value for key, value in entity.items() if key not in known}

    def _labels(self, annotations: Any, samples: dict[str, int], where: str) -> Iterator[Row]:
        for kind, payload, view in self._annotations(annotations, where):
            if payload is None:
                continue
            if view is not None:
                check_view(view, samples, where)
            if view is None and len(samples) > 1:
                fail(where, "has an annotation that does not say of which view it is; add 'view'.")
            sample = next(iter(samples.values())) if view is None else samples[view]
            if kind in _UNSUPPORTED:
                self._skipped[f"annotations are of the kind {kind!r}, which images do not have here"] += 1
            elif kind not in _KINDS:
                fail(where, f"has an annotation of the kind {kind!r}; use one of {', '.join(_KINDS)}.")
            else:
                for row in self._label(kind, payload, where):
                    yield {"sample": sample, **row}

    def _annotations(self, given: Any, where: str) -> Iterator[tuple[str, Any, str | None]]:
        """Kind, content and view of each annotation, which are a list, or objects by view."""
        if isinstance(given, list):
            for annotation in given:
                if not isinstance(annotation, dict) or not isinstance(annotation.get("kind"), str):
                    fail(where, "has an annotation without a 'kind'; give one.")
                self.has_lists = True
                yield annotation["kind"], annotation, annotation.get("view")
        elif isinstance(given, dict):
            for view, shapes in given.items():
                self.has_groups = True
                if not isinstance(shapes or {}, dict):
                    fail(where, f"has the annotations {str(shapes)[:60]!r} of the view {view!r}; give an object {{…}}.")
                for name, payload in (shapes or {}).items():
                    yield _ALIASES.get(name, name), payload, view
        elif given is not None:
            fail(where, "has annotations that are neither a list nor an object; give a list.")

    def _label(self, kind: str, payload: Any, where: str) -> Iterator[Row]:
        """The labels of one annotation; several for a classification with several classes."""
        given = payload if isinstance(payload, dict) else {}
        extra = as_attributes(given.get("attrs"), "an annotation", where)
        row: Row = {"kind": _KINDS[kind], "id": given.get("id"), "extra": extra}
        if not isinstance(row["id"], str | None):
            fail(where, f"has an annotation with the id {row['id']!r}; give a text.")
        if kind == "bbox":
            yield row | self._box(payload, where)
        elif kind == "mask":
            yield row | _mask(given, where)
        elif kind == "keypoints":
            yield row | _keypoints(given, where)
        elif kind == "multi_path":
            yield row | _multi_path(given, where)
        else:
            labels, confidences = given.get("labels"), given.get("confidences")
            if not isinstance(labels, list) or (confidences and not _are_confidences(confidences, len(labels))):
                fail(
                    where,
                    "has a classification without a list of labels, or with other confidences; give one for each.",
                )
            for n, label in enumerate(labels):
                yield {
                    **row,
                    "id": None,
                    "confidence": float(confidences[n]) if confidences else None,
                    "extra": {**row["extra"], "category": label},
                }

    def _box(self, payload: Any, where: str) -> Row:
        if not isinstance(payload, dict):
            return {"box": payload, "unit": boxes.UNSTATED}
        form, normalized, confidence = (payload.get(key) for key in ("format", "is_normalized", "confidence"))
        form = self.box_defaults.get("format") if form is None else form
        normalized = self.box_defaults.get("is_normalized") if normalized is None else normalized
        if (unit := boxes.flags_of(form, normalized)) is None:
            fail(
                where,
                "has a box without 'format' (xywh or xyxy) and 'is_normalized'; give both, or set them in the header.",
            )
        if confidence is not None and not _is_number(confidence):
            fail(where, f"has a box of the confidence {confidence!r}; give a number from 0 to 1.")
        confidence = None if confidence is None or confidence < 0 else float(confidence)  # Pixano writes -1 for none
        if payload.get("coords") is None:
            boxes.refuse_box(where, None)
        return {"box": payload["coords"], "unit": unit, "confidence": confidence}

    def notes(self) -> list[str]:
        """What was left out, a sentence each."""
        return [f"{count} {what}." for what, count in self._skipped.items()]


def check_view(view: Any, samples: Mapping[str, int], where: str) -> None:
    """Raise ``InvalidSource`` for a view that the line does not have."""
    if view not in tuple(samples):  # it may be of any type
        known = ", ".join(map(repr, samples))
        fail(where, f"has an annotation of the view {view!r}; the views of the line are {known}.")


def as_attributes(value: Any, what: str, where: str) -> Row:
    """The value of ``attrs``; empty for null. ``what`` has it, for messages."""
    if not isinstance(value, dict | None):
        fail(where, f"has {what} with the attrs {str(value)[:60]}; give an object {{…}}.")
    return value or {}


def _are_confidences(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(_is_number(v) for v in values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _with_box_and_mask_joined(labels: list[Row]) -> list[Row]:
    """The labels of an entity; a box and a mask, and nothing else, become one label."""
    if sorted(row["kind"] for row in labels) != ["box", "mask"] or labels[0]["sample"] != labels[1]["sample"]:
        return labels
    mask, box = sorted(labels, key=lambda row: row["kind"] != "mask")
    extra = {**box["extra"], **mask["extra"]}
    return [{**mask, "box": box["box"], "unit": box["unit"], "confidence": box.get("confidence"), "extra": extra}]


def _mask(given: Row, where: str) -> Row:
    rle, rings = given.get("rle") or (given if "counts" in given else None), given.get("polygons")
    if rle is not None:
        try:
            mask: Row = dict(geometry.as_rle(rle))
        except (InvalidLabels, TypeError, ValueError, OverflowError, IndexError):
            mask = {}
        if not mask or max(mask["size"]) >= 1 << 31:
            fail(where, "has a mask that is not an RLE; give {'size': [height, width], 'counts': '…'}.")
        return {"mask": mask}
    if not isinstance(rings, list):
        fail(where, "has a mask without 'rle' and 'polygons'; give one of them.")
    return {"points": [_points(ring, where) for ring in rings]}


def _keypoints(given: Row, where: str) -> Row:
    points, states = _points(given.get("coords"), where), given.get("states")
    if not isinstance(states, list) or len(states) != len(points) or not all(s in KEYPOINT_STATES for s in states):
        fail(where, f"has keypoints without one state for each point ({', '.join(KEYPOINT_STATES)}); give them.")
    visibility = [KEYPOINT_STATES.index(state) for state in states]
    # Pixano writes an invisible point at 0, 0 for one that is missing, which is NaN here.
    missing = [v == 0 and point == [0, 0] for v, point in zip(visibility, points, strict=True)]
    points = [[float("nan")] * 2 if gone else point for gone, point in zip(missing, points, strict=True)]
    extra = {"template_id": given["template_id"]} if given.get("template_id") else {}
    return {"points": [points], "visibility": visibility, "extra": {**(given.get("attrs") or {}), **extra}}


def _multi_path(given: Row, where: str) -> Row:
    points, counts, closed = _points(given.get("coords"), where), given.get("num_points"), given.get("is_closed")
    if not isinstance(counts, list) or not _add_up(counts, len(points)) or not isinstance(closed, bool):
        fail(where, "has a path of which 'num_points' do not add up to its points, or without 'is_closed'; correct it.")
    ends = [sum(counts[: n + 1]) for n in range(len(counts))]
    parts = [points[end - n : end] for end, n in zip(ends, counts, strict=True)]
    return {"kind": "polygon" if closed else "polyline", "points": parts, "closed": closed, "filled": closed}


def _add_up(counts: list[Any], size: int) -> bool:
    return all(type(n) is int and n > 0 for n in counts) and sum(counts) == size


def _points(coords: Any, where: str) -> list[list[float]]:
    """Flat coordinates ``[x1, y1, x2, y2, …]``, relative to the image, as points."""
    are_pairs = (
        isinstance(coords, list) and coords and len(coords) % 2 == 0 and all(type(v) in (int, float) for v in coords)
    )
    if not are_pairs or not all(0 <= v <= 1 for v in coords):
        fail(where, "has points that are not pairs of numbers from 0 to 1, relative to the image; correct them.")
    return [[float(x), float(y)] for x, y in zip(coords[::2], coords[1::2], strict=True)]
