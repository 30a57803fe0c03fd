"""What a format's declaration says of labels: which of them come back as they were, and what is lost of the others."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...core.labels import KIND_TYPES
from ...core.rows import attributes as attribute_list
from ...formats.common import fidelity as told
from ...formats.common.fidelity import KEPT, WITH_POINTS, Fidelity
from ...formats.common.paint import PAINTED
from .scenes import IMAGES, Row

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_EXACT = 1e-9  # pixels that sums of floating point numbers are off


def surviving(rows: Iterable[Row], fidelity: Fidelity) -> list[Row]:
    """The labels that come back, as they come back."""
    found: list[Row] = []
    rows = _without_surplus(rows, fidelity)[0]
    mixed, most = mixed_attributes(rows, fidelity), _most_points(rows)
    painted = Counter(row["image"] for row in rows if row["kind"] in PAINTED and row["kind"] in fidelity.kinds)
    for row in rows:
        if fidelity.kinds.get(row["kind"]) != KEPT:
            continue
        if row["kind"] == "polygon" and not fidelity.holes and has_hole(row):
            continue
        if row["kind"] == "mask" and not fidelity.overlaps and painted[row["image"]] > 1:
            continue  # others may cover it
        kept = _kept(row, fidelity)
        kept["attributes"] |= {name: None for name in kept["attributes"] if (row["label"], name) in mixed}
        if fidelity.same_points and kept["kind"] in WITH_POINTS:
            missing = most - len(kept["visibility"])
            kept["points"] = [[*kept["points"][0], *[[np.nan] * 2] * missing]]
            kept["visibility"] = [*kept["visibility"], *[0] * missing]
        if _is_split(row, fidelity):
            found += [kept | {"points": [part], "split": True} for part in row["points"]]
        else:
            found.append(kept)
    return found


def declared(rows: Iterable[Row], fidelity: Fidelity) -> list[Row]:
    """The labels without what the format loses, so that all of what is left survives."""
    found = []
    rows = _without_surplus(rows, fidelity)[0]
    mixed, most = mixed_attributes(rows, fidelity), _most_points(rows)
    for row in rows:
        if fidelity.same_points and row["kind"] in WITH_POINTS and len(row["visibility"]) < most:
            continue
        if fidelity.kinds.get(row["kind"]) != KEPT or (
            row["kind"] == "polygon" and not fidelity.holes and has_hole(row)
        ):
            continue
        kept = _kept(row, fidelity)
        if _is_split(row, fidelity):
            kept["points"] = kept["points"][:1]
        regrouped = fidelity.groups_renumbered
        kept["attributes"] = {
            name: value
            for name, value in kept["attributes"].items()
            if value is not None and (row["label"], name) not in mixed and not (name == "group" and regrouped)
        }
        found.append(kept)
    return found


def _is_split(row: Row, fidelity: Fidelity) -> bool:
    """Whether the parts of a label become several labels; a hole that is kept stays in its polygon."""
    if len(row["points"] or ()) < 2 or fidelity.parts:
        return False
    return not (fidelity.holes and row["kind"] == "polygon" and has_hole(row))


def _without_surplus(rows: Iterable[Row], fidelity: Fidelity) -> tuple[list[Row], Counter[str]]:
    """The labels for which their image has room, and what is said of the others, with their counts."""
    kept, lost = list[Row](), Counter[str]()
    classes: dict[int, Any] = {}
    seen: set[tuple[int, str]] = set()
    for row in rows:
        kind, image = row["kind"], row["image"]
        if kind in fidelity.kinds:
            if fidelity.one_class and classes.setdefault(image, row["label"]) != row["label"]:
                lost[told.OTHER_CLASS] += 1
                continue
            is_further = (image, kind) in seen
            seen.add((image, kind))
            if is_further and kind in fidelity.single:
                lost[told.further(kind)] += 1
                continue
            if is_further and kind == "classification" and not fidelity.several_classes:
                lost[told.FURTHER] += 1
                continue
        kept.append(row)
    return kept, lost


def _kept(row: Row, fidelity: Fidelity) -> Row:
    kind = row["kind"]
    kept = dict(row)
    for name, column in (("rotation", "rotation"), ("confidence", "confidence"), ("tracks", "index")):
        if not fidelity.keeps(name, kind):
            kept[column] = None
    if fidelity.only_class is not None:
        kept["label"] = fidelity.only_class
    kept["was_turned"] = bool(row["rotation"]) and kept["rotation"] is None  # it may become the box around it
    if not fidelity.keeps("tags", kind):
        kept["tags"] = None
    if kind == "polyline" and not fidelity.keeps("closed", kind):
        kept["closed"] = False
    if kind in WITH_POINTS and not fidelity.keeps("visibility", kind):
        there = [point for point, seen in zip(row["points"][0], row["visibility"], strict=True) if seen]
        kept |= {"points": [there], "visibility": [2] * len(there)}
    kept["attributes"] = {
        name: _stripped(value, fidelity) if _keeps_type(fidelity, value) else None  # some text
        for name, value in row["attributes"].items()
        if fidelity.keeps(name, kind)
    }
    return kept


def losses(rows: Sequence[Row], fidelity: Fidelity, images: int, split: bool) -> Counter[tuple[str, str]]:
    """Field and loss → how often, counted label by label."""
    found: Counter[tuple[str, str]] = Counter()
    fields: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        kind, field = row["kind"], row["field"]
        name = KIND_TYPES.get(kind, kind)
        fate = fidelity.kinds.get(kind)
        if fate is None:
            found[field, f"{name} cannot be written, and are left out"] += 1
            continue
        fields[kind].add(field)
        if fate != KEPT:
            found[field, f"{name} will be {fate}"] += 1
        for what in _losses_of(row, fidelity):
            found[field, what] += 1
    written = [row for row in rows if row["kind"] in fidelity.kinds]
    if fidelity.one_type:
        mixed = mixed_attributes(written, fidelity)
        for row in written:
            for name, value in row["attributes"].items():
                found["", told.text_values(name)] += (row["label"], name) in mixed and isinstance(
                    value, bool | int | float
                )
    if fidelity.same_points:
        most = _most_points(written)
        for row in written:
            found[row["field"], told.PADDED] += row["kind"] in WITH_POINTS and len(row["visibility"]) < most
    if not fidelity.empty_images:
        found["", told.EMPTY] = images - len({row["image"] for row in written})
    if not fidelity.splits and split:
        found["", told.SPLITS] = images
    for what, count in _without_surplus(rows, fidelity)[1].items():
        found["", what] = count
    return +found


def _losses_of(row: Row, fidelity: Fidelity) -> Iterable[str]:
    kind = row["kind"]
    if fidelity.only_class is not None and row["label"] not in (None, fidelity.only_class):
        yield told.lost_classes(fidelity.only_class)
    if kind in ("box", "ellipse") and row["rotation"] and not fidelity.keeps("rotation", kind):
        yield told.ROTATIONS
    if row["confidence"] is not None and not fidelity.keeps("confidence", kind):
        yield told.CONFIDENCES
    if row["index"] is not None and kind != "message" and not fidelity.keeps("tracks", kind):
        yield told.TRACKS
    if row["tags"] and not fidelity.keeps("tags", kind):
        yield told.TAGS
    if kind in WITH_POINTS and set(row["visibility"]) != {2} and not fidelity.keeps("visibility", kind):
        yield told.VISIBILITIES
    if kind == "polyline" and row["closed"] and not fidelity.keeps("closed", kind):
        yield told.CLOSED
    holes = kind == "polygon" and has_hole(row)
    if holes and not fidelity.holes:
        yield f"polygons have holes, which are {fidelity.without_holes}"
    elif kind in ("polygon", "polyline") and _is_split(row, fidelity):
        yield told.PARTS
    for name, value in row["attributes"].items():
        if not fidelity.keeps(name, kind):
            yield told.lost_values(name)
        elif not _keeps_type(fidelity, value):
            yield told.text_values(name)
        elif _stripped(value, fidelity) != value:
            yield told.stripped_values(name)


def mixed_attributes(rows: Iterable[Row], fidelity: Fidelity) -> set[tuple[Any, str]]:
    """Class and attribute of which the values become text, as they are of several types."""
    forms: dict[tuple[Any, str], set[str]] = defaultdict(set)
    for row in rows if fidelity.one_type else ():
        for name, value in row["attributes"].items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            forms[row["label"], name].add("number" if is_number else type(value).__name__)
    return {key for key, found in forms.items() if len(found) > 1}


def _most_points(rows: Iterable[Row]) -> int:
    return max((len(row["visibility"]) for row in rows if row["kind"] in WITH_POINTS), default=0)


def _stripped(value: Any, fidelity: Fidelity) -> Any:
    return _NOT_XML.sub("", value) if fidelity.xml and isinstance(value, str) else value


def has_hole(row: Row) -> bool:
    """Whether the second part of a polygon is in the first: those that are side by side leave the middle free."""
    if len(row["points"]) < 2:
        return False
    first, second = (np.array(part) for part in row["points"][:2])
    return bool(second[:, 0].min() > first[:, 0].min() and second[:, 0].max() < first[:, 0].max())


def _keeps_type(fidelity: Fidelity, value: Any) -> bool:
    type_ = attribute_list({"x": value})[0]["type"]
    return fidelity.attribute_types is None or type_ in fidelity.attribute_types


class Comparison:
    """Compares labels that came back with those that were expected, one to one."""

    def __init__(self, expected: Sequence[Row], found: Sequence[Row], fidelity: Fidelity) -> None:
        self._fidelity = fidelity
        self.rest = list(found)  # that nothing was expected like
        self.missing: list[Row] = []
        self.pairs: list[tuple[Row, Row]] = []
        for row in sorted(expected, key=lambda row: row["index"] is None):  # those of no track may be like any
            at = next((n for n, other in enumerate(self.rest) if self._is_same(row, other)), None)
            if at is None:
                self.missing.append(row)
            else:
                self.pairs.append((row, self.rest.pop(at)))

    def nearest(self, row: Row) -> Row | None:
        """Of what came back on the same image with the same kind and class, the one that most columns are equal of."""
        alike = [
            o for o in self.rest if (o["image"], o["kind"], o["label"]) == (row["image"], row["kind"], row["label"])
        ]
        return min(alike, key=lambda o: len(self.differences(row, o)), default=None)

    def differences(self, row: Row, other: Row) -> list[str]:
        """The columns that differ."""
        found = [name for name in ("image", "kind", "label") if row[name] != other[name]]
        if row["index"] != other["index"] and not (row["index"] is None and self._fidelity.tracks_numbered):
            found.append("index")
        if not self._same_confidence(row, other):
            found.append("confidence")
        if (row["tags"] or []) != (other["tags"] or []):
            found.append("tags")
        if row["kind"] == "polyline" and bool(row["closed"]) != bool(other["closed"]):
            found.append("closed")
        if (
            row["visibility"] != (other["visibility"] or [2] * len(row["visibility"] or ()))
            and row["kind"] in WITH_POINTS
        ):
            found.append("visibility")
        if not self._same_geometry(row, other):
            found.append("points" if row["points"] else "mask" if row["mask"] else "bounding_box")
        if not self._same_attributes(row, other):
            found.append("attributes")
        return found

    def _same_confidence(self, row: Row, other: Row) -> bool:
        has_default = self._fidelity.keeps("confidence", row["kind"])
        ours = row["confidence"]
        if ours is None and has_default:
            ours = self._fidelity.default_confidence
        theirs = other["confidence"]
        return ours == theirs or (ours is not None and theirs is not None and abs(ours - theirs) <= _EXACT)

    def groups_differ(self) -> bool:
        """Whether labels that had one group on an image have several, or the other way round."""
        pairs = [(a, b) for a, b in self.pairs if "group" in a["attributes"]]
        ours: dict[Any, set[Any]] = defaultdict(set)
        theirs: dict[Any, set[Any]] = defaultdict(set)
        for a, b in pairs:
            here, there = (a["image"], a["attributes"]["group"]), (b["image"], b["attributes"].get("group"))
            ours[here].add(there)
            theirs[there].add(here)
        return any(len(s) > 1 for s in (*ours.values(), *theirs.values()))

    def _is_same(self, row: Row, other: Row) -> bool:
        return not self.differences(row, other)

    def _same_attributes(self, row: Row, other: Row) -> bool:
        wanted, given = dict(row["attributes"]), dict(other["attributes"])
        if self._fidelity.groups_renumbered or row.get("split"):
            given.pop("group", None)
            wanted.pop("group", None)
        for name, value in self._fidelity.defaults.items():
            for one, other in ((wanted, given), (given, wanted)):
                if name not in one and other.get(name) in (value if isinstance(value, tuple) else (value,)):
                    other.pop(name, None)
        texts = [name for name, value in wanted.items() if value is None and isinstance(given.get(name), str)]
        for name in texts:
            wanted[name] = given[name]
        return json.dumps(wanted, sort_keys=True) == json.dumps(given, sort_keys=True)

    def _same_geometry(self, row: Row, other: Row) -> bool:
        size = np.array(IMAGES[row["image"]][2], float)
        decimals = self._fidelity.decimals
        near = _EXACT if decimals is None else 2 * 10.0**-decimals
        if row["kind"] in ("mask", "segmentation"):
            return bool(row["mask"] == other["mask"])
        if row["kind"] in ("box", "ellipse"):
            return _same_boxes(row, other, size, near)
        ours, theirs = row["points"] or [], other["points"] or []
        if [len(part) for part in ours] != [len(part) for part in theirs]:
            return False
        return all(
            np.allclose(np.array(a) * size, np.array(b) * size, rtol=0, atol=near, equal_nan=True)
            for a, b in zip(ours, theirs, strict=True)
        )


def _same_boxes(row: Row, other: Row, size: np.ndarray, near: float) -> bool:
    if other["bounding_box"] is None:
        return False
    if not (row["rotation"] or 0) and not (other["rotation"] or 0):
        difference = (np.array(row["bounding_box"]) - other["bounding_box"]) * np.tile(size, 2)
        if row.get("was_turned"):
            return bool(np.abs(difference[:2] + difference[2:] / 2).max() <= near)
        return bool(np.abs(difference).max() <= near)
    ours, theirs = (_corners(r, size) for r in (row, other))
    around = [
        np.roll(theirs, turn, axis=0) for turn in range(4)
    ]  # 90 degrees may be told as width and height exchanged
    return any(np.abs(ours - corners).max() <= max(10 * near, 1e-6) for corners in around)


def _corners(row: Row, size: np.ndarray) -> np.ndarray:
    x, y, width, height = np.array(row["bounding_box"]) * np.tile(size, 2)
    angle = np.radians(row["rotation"] or 0)
    flat = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    result: np.ndarray = flat @ turn + (x + width / 2, y + height / 2)
    return result
