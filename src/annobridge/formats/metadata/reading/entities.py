"""Entities: the objects of an image, each with its attributes and annotations, of Pixano's later dialects."""

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
from .line_keys import ClassKeys

_ALIASES = {
    "bboxes": "bbox",
    "masks": "mask",
    "keypoint": "keypoints",
    "multi_paths": "multi_path",
    "paths": "multi_path",
}
_UNSUPPORTED = ("text_span", "relation", "bbox3d", "keypoints3d")
_KINDS = {
    "bbox": "box",
    "mask": "mask",
    "keypoints": "keypoints",
    "multi_path": "polygon",
    "classification": "classification",
}
_COMMON_KEYS = frozenset({"id", "attrs", "annotations"})
CLASSIFICATIONS = "classifications"  # the field of classes that an entity has besides its own

Row = dict[str, Any]


class Entities:
    """Reads entities, and counts what cannot be kept of them."""

    def __init__(self, field: str, class_keys: ClassKeys) -> None:
        self._field, self._class_keys = field, class_keys
        self.left: Counter[str] = Counter()
        self.defaults: Row = {}  # of boxes, by the header of a file
        self.lists = self.groups = False  # which forms of annotations came

    def take(
        self, entities: list[Any], samples: dict[str, int], where: str, chunk: Chunk, field: str | None = None
    ) -> None:
        """The labels of a list of entities, put into a chunk."""
        name = field or self._field
        for entity in entities:
            if not isinstance(entity, dict):
                fail(where, f"has the entity {str(entity)[:60]}; an entity is an object {{…}}.")
            entity_id, extra = self._attributes(entity, where)
            self._class_keys.see(name, extra, where)
            given = entity.get("annotations")
            if type(given) is list and len(given) == 1 == len(samples) and _is_plain_box(given[0], samples):
                self.lists = True
                box = {
                    "sample": next(iter(samples.values())),
                    "kind": "box",
                    **self._box(given[0], where),
                    "extra": extra,
                }
                chunk.add_labels(name, (box if entity_id is None else {**box, "label_id": entity_id},))
                continue
            made = list(self._labels(given, samples, where))
            if not made:
                self.left["entities have no shape"] += 1
            self._add(_with_box_and_mask_joined(made), entity_id, extra, name, chunk)

    def _add(self, made: list[Row], entity_id: str | None, extra: Row, name: str, chunk: Chunk) -> None:
        alone, times = len(made) == 1, Counter[str]()
        if not alone and made:
            self.left[
                "entities have several annotations; each is a label, and the attribute 'entity' says which belong together"
            ] += 1
        for row in made:
            kind = row["kind"]
            if entity_id is not None:
                times[kind] += 1
                suffix = "" if alone else f".{kind}" + (f".{times[kind]}" if times[kind] > 1 else "")
                row["label_id"] = row.pop("id", None) or f"{entity_id}{suffix}" if not alone else entity_id
            row.pop("id", None)
            own = row.pop("extra", {})
            together = {} if alone or entity_id is None else {"entity": entity_id}
            if kind == "classification":
                row["extra"] = {**own, **together}
            else:
                row["extra"] = {**extra, **own, **together}
            chunk.add_labels(CLASSIFICATIONS if kind == "classification" else name, [row])
            if kind == "classification":
                self._class_keys.see(CLASSIFICATIONS, own, "")

    def _attributes(self, entity: Line, where: str) -> tuple[str | None, Row]:
        entity_id, extra = entity.get("id"), as_attributes(entity.get("attrs"), "an entity", where)
        if entity_id is not None and not isinstance(entity_id, str):
            fail(where, f"has an entity with the id {entity_id!r}; give a text.")
        if entity.keys() <= _COMMON_KEYS:
            return entity_id, extra
        for key in ("tracklets", "states", "parent_id"):
            if entity.get(key):
                self.left[f"entities have {key!r}, which images do not have"] += 1
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
                self.left[f"annotations are of the kind {kind!r}, which images do not have here"] += 1
            elif kind not in _KINDS:
                fail(where, f"has an annotation of the kind {kind!r}; use one of {', '.join(_KINDS)}.")
            else:
                for row in self._label(kind, payload, where):
                    yield {"sample": sample, **row}

    def _annotations(self, given: Any, where: str) -> Iterator[tuple[str, Any, str | None]]:
        """Kind, content and view of each annotation, in either form."""
        if isinstance(given, list):
            for annotation in given:
                if not isinstance(annotation, dict) or not isinstance(annotation.get("kind"), str):
                    fail(where, "has an annotation without a 'kind'; give one.")
                self.lists = True
                yield annotation["kind"], annotation, annotation.get("view")
        elif isinstance(given, dict):
            for view, shapes in given.items():
                self.groups = True
                if not isinstance(shapes or {}, dict):
                    fail(where, f"has the annotations {str(shapes)[:60]!r} of the view {view!r}; give an object {{…}}.")
                for name, payload in (shapes or {}).items():
                    yield _ALIASES.get(name, name), payload, view
        elif given is not None:
            fail(where, "has annotations that are neither a list nor an object; give a list.")

    def _label(self, kind: str, payload: Any, where: str) -> Iterator[Row]:
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
            labels, sure = given.get("labels"), given.get("confidences")
            if not isinstance(labels, list) or (sure and not _are_confidences(sure, len(labels))):
                fail(
                    where,
                    "has a classification without a list of labels, or with other confidences; give one for each.",
                )
            for n, label in enumerate(labels):
                yield {
                    **row,
                    "id": None,
                    "confidence": float(sure[n]) if sure else None,
                    "extra": {**row["extra"], "category": label},
                }

    def _box(self, payload: Any, where: str) -> Row:
        if not isinstance(payload, dict):
            return {"box": payload, "unit": boxes.UNSTATED}
        form, normal, sure = (payload.get(key) for key in ("format", "is_normalized", "confidence"))
        form = self.defaults.get("format") if form is None else form
        normal = self.defaults.get("is_normalized") if normal is None else normal
        if form not in ("xywh", "xyxy") or not isinstance(normal, bool):
            fail(
                where,
                "has a box without 'format' (xywh or xyxy) and 'is_normalized'; give both, or set them in the header.",
            )
        if sure is not None and not _is_number(sure):
            fail(where, f"has a box of the confidence {sure!r}; give a number from 0 to 1.")
        unit = (boxes.NORMALIZED if normal else boxes.PIXELS) + (boxes.CORNERS if form == "xyxy" else 0)
        confidence = None if sure is None or sure < 0 else float(sure)  # Pixano's word for none is -1
        return {"box": payload.get("coords"), "unit": unit, "confidence": confidence}

    def notes(self) -> list[str]:
        """What was left out."""
        return [f"{count} {what}." for what, count in self.left.items()]


def check_view(view: Any, samples: Mapping[str, int], where: str) -> None:
    """Raise ``InvalidSource`` for a view that its line does not have."""
    if view not in tuple(samples):  # it may be of any type
        known = ", ".join(map(repr, samples))
        fail(where, f"has an annotation of the view {view!r}; the views of the line are {known}.")


def as_attributes(value: Any, what: str, where: str) -> Row:
    """The value of ``attrs``."""
    if not isinstance(value, dict | None):
        fail(where, f"has {what} with the attrs {str(value)[:60]}; give an object {{…}}.")
    return value or {}


def _are_confidences(sure: Any, count: int) -> bool:
    return isinstance(sure, list) and len(sure) == count and all(_is_number(v) for v in sure)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _is_plain_box(annotation: Any, samples: dict[str, int]) -> bool:
    """What nearly all entities have, and what is read without more ado."""
    plain = type(annotation) is dict and annotation.get("kind") == "bbox" and not annotation.get("attrs")
    return plain and annotation.get("view") in (None, *samples)


def _with_box_and_mask_joined(made: list[Row]) -> list[Row]:
    """A box and a mask of one entity, and nothing else, are one label."""
    if sorted(row["kind"] for row in made) != ["box", "mask"] or made[0]["sample"] != made[1]["sample"]:
        return made
    mask, box = sorted(made, key=lambda row: row["kind"] != "mask")
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
            fail(where, "has a mask that is no RLE; give {'size': [height, width], 'counts': '…'}.")
        return {"mask": mask}
    if not isinstance(rings, list):
        fail(where, "has a mask without 'rle' and 'polygons'; give one of them.")
    return {"points": [_points(ring, where) for ring in rings]}


def _keypoints(given: Row, where: str) -> Row:
    points, states = _points(given.get("coords"), where), given.get("states")
    if not isinstance(states, list) or len(states) != len(points) or not all(s in KEYPOINT_STATES for s in states):
        fail(where, f"has keypoints without one state for each point ({', '.join(KEYPOINT_STATES)}); give them.")
    seen = [KEYPOINT_STATES.index(state) for state in states]
    gone = [v == 0 and p == [0, 0] for v, p in zip(seen, points, strict=True)]
    placed = [[float("nan")] * 2 if g else p for g, p in zip(gone, points, strict=True)]
    extra = {"template_id": given["template_id"]} if given.get("template_id") else {}
    return {"points": [placed], "visibility": seen, "extra": {**(given.get("attrs") or {}), **extra}}


def _multi_path(given: Row, where: str) -> Row:
    points, counts, closed = _points(given.get("coords"), where), given.get("num_points"), given.get("is_closed")
    if not isinstance(counts, list) or not _adds_up(counts, len(points)) or not isinstance(closed, bool):
        fail(where, "has a path of which 'num_points' do not add up to its points, or without 'is_closed'; correct it.")
    ends = [sum(counts[: n + 1]) for n in range(len(counts))]
    parts = [points[end - n : end] for end, n in zip(ends, counts, strict=True)]
    return {"kind": "polygon" if closed else "polyline", "points": parts, "closed": closed, "filled": closed}


def _adds_up(counts: list[Any], size: int) -> bool:
    return all(type(n) is int and n > 0 for n in counts) and sum(counts) == size


def _points(coords: Any, where: str) -> list[list[float]]:
    """Flat coordinates as points, relative to the image."""
    right = (
        isinstance(coords, list) and coords and len(coords) % 2 == 0 and all(type(v) in (int, float) for v in coords)
    )
    if not right or not all(0 <= v <= 1 for v in coords):
        fail(where, "has points that are not pairs of numbers from 0 to 1, relative to the image; correct them.")
    return [[float(x), float(y)] for x, y in zip(coords[::2], coords[1::2], strict=True)]
