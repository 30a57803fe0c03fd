"""Fidelity: what survives in a format. It makes the table in the docs, the loss report of an export, and the tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, is_rotated, list_lengths
from ...core.labels import KIND_TYPES
from ...core.merge.seen import Seen
from .paint import has_holes
from .rings import with_holes
from .skeletons import POINT_NAMES

KEPT = "kept"  # a kind that is written as it is
BRIDGED = "bridged into the ring around them"  # holes, in formats of one ring per label
WITH_POINTS = ("keypoints", "skeleton")
# What is lost, as it completes "12 …". ``annobridge.testing`` counts by these.
ROTATIONS = "rotations are lost"
CONFIDENCES = "confidences are lost"
TRACKS = "track indexes are lost"
TAGS = "labels have tags, which are lost"
VISIBILITIES = "labels have hidden or missing points, which are lost"
CLOSED = "polylines are closed, and will be open"
PADDED = "labels have fewer points than others, and get missing ones"
PARTS = "labels of several parts become several labels"
COVERED = "labels lie below others, and lose the pixels that these cover"
EMPTY = "images without labels are left out"
REVIEWED = "images are reviewed, which is lost"
SPLITS = "images are in splits, which are lost"
FURTHER = "classes of images that have another one are lost"
OTHER_CLASS = "labels have another class than the first label of their image, and are left out"
NOTHING = "labels have no pixel or no point, and are left out"
FIELDS = "are written together with those of other fields, and without the names of the fields"


def lost_values(name: str) -> str:
    """What is said of an attribute that is lost."""
    return f"values of the attribute {name!r} are lost"


def further(kind: str) -> str:
    """What is said of labels of a kind that are not the first of their image."""
    return f"{KIND_TYPES.get(kind, kind)} of images that have another one are lost"


def lost_classes(name: str) -> str:
    """What is said of classes in a format whose labels all have one."""
    return f"classes other than {name!r} are lost"


def stripped_values(name: str) -> str:
    """What is said of an attribute whose values lose characters."""
    return f"values of the attribute {name!r} have characters that XML cannot hold, and lose them"


def text_values(name: str) -> str:
    """What is said of an attribute whose values become text."""
    return f"values of the attribute {name!r} become text"


@dataclass(frozen=True, slots=True)
class Loss:
    """What an export loses: of which field (``""``: of the images), what happens, and to how many."""

    field: str
    what: str
    count: int

    def __str__(self) -> str:
        said = f"{self.count:,} {self.what}."
        return f"{self.field}: {said}" if self.field else said


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What an export in this format keeps. An import of the export has exactly that; the rest is lost, and counted before.

    ``kinds`` has ``KEPT``, or what happens to it as it completes "12 polygons will be …"; a kind that is not in it is left out.
    ``only`` restricts what survives to labels of some kinds: ``{"confidence": {"box"}}``, ``{"attributes": {"box"}}``,
    ``{"iscrowd": {"mask"}}``; its keys are the names of fields here, or of attributes.

    The attributes ``score``, ``track_id`` and ``rotation`` belong to the columns of these, a ``group`` of 0 is no group, and the
    flags ``occluded``, ``truncated``, ``difficult`` and ``iscrowd`` are booleans in every format: of other values of theirs
    nothing is promised. What is said to be lost without a count (ids of labels, who made a label) is in the docs only, as every
    export in the format loses it.
    """

    kinds: Mapping[str, str]
    attributes: frozenset[str] | None = frozenset()  # the names that are kept; None: all
    attribute_types: frozenset[str] | None = None  # the types that are kept, others become text; None: all
    one_type: bool = (
        False  # an attribute of a class has one type, a flag, a number or text; values of several become text
    )
    xml: bool = False  # texts lose the characters that XML cannot hold
    defaults: Mapping[str, object] = field(
        default_factory=dict
    )  # attributes that labels without them are read back with; a tuple of values: with one of these
    rotation: bool = False  # of boxes and ellipses
    confidence: bool = False
    default_confidence: float | None = None  # that labels without one are read back with
    tracks: bool = False  # ``index``
    tracks_numbered: bool = False  # labels of no track are read back with a number of their own
    ids: bool = False  # ``label_id``
    tags: bool = False
    groups_renumbered: bool = False  # the attribute ``group`` ties the same labels together, but may have other numbers
    visibility: bool = False  # of keypoints
    same_points: bool = False  # all keypoints have as many points, missing ones at the end
    boxes_of_points: bool = False  # keypoints are read back with the box around them, and boxes with missing keypoints
    holes: bool = False  # parts of a polygon inside another part
    without_holes: str = "lost"  # what becomes of them, as it completes "holes, which are …"
    parts: bool = False  # several parts of one polygon or polyline
    closed: bool = False  # of polylines
    overlaps: bool = True  # whether masks keep pixels that other labels cover
    several_classes: bool = True  # of one image
    single: frozenset[str] = frozenset()  # kinds of which an image keeps the first label only
    one_class: bool = False  # whether all labels of an image have one class: that of the first; others are left out
    empty_images: bool = True  # images without labels
    splits: bool = False
    reviewed: bool = False  # images that people have reviewed differ from others, if an export is told which these are
    only_class: str | None = None  # the class that all labels are read back with, of formats without classes
    named_fields: frozenset[str] = frozenset()  # kinds whose fields are read back with their names
    own_fields: tuple[str, ...] = ()  # fields, and beginnings of their names, that are read back so for all kinds
    default_split: str | None = None  # in which images without a split are read back
    decimals: int | None = None  # of pixels; None: exact to floating point
    only: Mapping[str, Collection[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())  # for the docs

    def seen(self) -> Seen:
        """What a file in this format can say, before it is read."""
        kept = frozenset(kind for kind, fate in self.kinds.items() if fate == KEPT)
        return Seen(kept, self.holes, self.default_confidence, self.only_class, self.overlaps)

    def written(self, labels: pa.Table) -> Seen:
        """What a file can say into which these labels (``LABELS``) were written."""
        seen = self.seen()
        seen.add(labels)
        seen.found &= seen.kinds
        seen.columns = {(kind, column) for kind, column in seen.columns if self.keeps(_COLUMNS[column], kind)}
        seen.attributes = {(kind, name) for kind, name in seen.attributes if self.keeps(name, kind)}
        return seen

    def keeps_field(self, name: str, kind: str) -> bool:
        """Whether labels of a kind are read back into a field of the same name."""
        return kind in self.named_fields or any(name == own or name.startswith(f"{own}_") for own in self.own_fields)

    def keeps(self, name: str, kind: str) -> bool:
        """Whether labels of a kind keep something: a field of this class that is true or false, or an attribute."""
        if name in _FLAGS:
            return bool(getattr(self, name)) and kind in self.only.get(name, (kind,))
        return self.keeps_attribute(name, kind)

    def keeps_attribute(self, name: str, kind: str) -> bool:
        """Whether labels of a kind keep an attribute, which may be called as a field of this class is."""
        if kind not in self.only.get("attributes", (kind,)) or kind not in self.only.get(name, (kind,)):
            return False
        return self.attributes is None or name in self.attributes

    def surplus(self, labels: pa.Table, owner: str) -> list[str]:
        """What is said of each label that is lost because of others of its image (``single``, ``one_class``); ``""`` of those
        that are not. ``owner`` is the column that tells images apart.
        """
        said = [""] * labels.num_rows
        if not self.single and not self.one_class:
            return said
        classes: dict[object, str | None] = {}
        seen: set[tuple[object, str]] = set()
        for at, (image, kind, label) in enumerate(
            zip(*(labels[name].to_pylist() for name in (owner, "kind", "label")), strict=True)
        ):
            if kind not in self.kinds:
                continue
            if self.one_class and classes.setdefault(image, label) != label:
                said[at] = OTHER_CLASS
            elif kind in self.single and (image, kind) in seen:
                said[at] = further(kind)
            seen.add((image, kind))
        return said

    def losses(self, labels: pa.Table) -> Iterator[Loss]:
        """What of these labels (``LABELS``) would not survive."""
        for name in pc.unique(labels["field"]).to_pylist():
            rows = labels.filter(pc.equal(labels["field"], name)).combine_chunks()
            for kind in pc.unique(rows["kind"]).to_pylist():
                some = rows.filter(pc.equal(rows["kind"], kind)).combine_chunks()
                fate = self.kinds.get(kind)
                if fate is None:
                    yield Loss(name, f"{KIND_TYPES.get(kind, kind)} cannot be written, and are left out", some.num_rows)
                    continue
                if fate != KEPT:
                    yield Loss(name, f"{KIND_TYPES.get(kind, kind)} will be {fate}", some.num_rows)
                yield from (Loss(name, what, n) for what, n in self._lost(some, kind) if n)

    def _lost(self, rows: pa.Table, kind: str) -> Iterator[tuple[str, int]]:
        if self.only_class is not None:
            yield lost_classes(self.only_class), int(as_mask(pc.not_equal(rows["label"], self.only_class)).sum())
        yield from self._lost_columns(rows, kind)
        if kind in ("polygon", "polyline"):
            several = list_lengths(as_array(rows["points"])) > 1
            if several.any() and kind == "polygon" and not self.holes:
                holes = _with_holes(rows["points"], several)
                yield f"polygons have holes, which are {self.without_holes}", int(holes.sum())
                several &= ~holes
            if not self.parts:
                yield PARTS, _count_parts(rows["points"], several, kind, self.holes)
        yield from self._lost_attributes(rows, kind)

    def _lost_columns(self, rows: pa.Table, kind: str) -> Iterator[tuple[str, int]]:
        if kind in ("box", "ellipse") and not self.keeps("rotation", kind):
            yield ROTATIONS, int(is_rotated(rows["rotation"]).sum())
        if not self.keeps("confidence", kind):
            yield CONFIDENCES, rows.num_rows - rows["confidence"].null_count
        if kind != "message" and not self.keeps("tracks", kind):
            yield TRACKS, rows.num_rows - rows["index"].null_count
        if not self.keeps("tags", kind):
            yield TAGS, int(as_mask(pc.greater(pc.list_value_length(rows["tags"]), 0)).sum())
        if kind in WITH_POINTS and not self.keeps("visibility", kind):
            yield VISIBILITIES, _with_hidden_points(rows["visibility"])
        if kind == "polyline" and not self.keeps("closed", kind):
            yield CLOSED, int(as_mask(rows["closed"]).sum())

    def _lost_attributes(self, rows: pa.Table, kind: str) -> Iterator[tuple[str, int]]:
        if self.attributes is None and self.attribute_types is None and not self.only and not self.xml:
            return
        for name in sorted(attributes.names(rows["attributes"])):
            found = attributes.column(rows["attributes"], name)
            if not self.keeps_attribute(name, kind):
                yield lost_values(name), len(found) - found.null_count
                continue
            types, values = pc.struct_field(found, [1]), pc.struct_field(found, [2])
            if self.attribute_types is not None and name != POINT_NAMES:  # which have a place of their own
                is_other = pc.invert(pc.is_in(types, value_set=pa.array(sorted(self.attribute_types))))
                yield text_values(name), int((as_mask(is_other) & as_mask(found.is_valid())).sum())
            if self.xml:
                odd = pc.and_(pc.equal(types, "str"), pc.match_substring_regex(values, _NOT_XML))
                yield stripped_values(name), int(as_mask(odd).sum())


# In JSON text: escaped controls that are neither a tab nor the end of a line, and two characters that Unicode leaves out.
_NOT_XML = r"(^|[^\\])(\\\\)*\\(u00[01]|u[fF]{3}[eEfF]|[bf])|[\x{fffe}\x{ffff}]"
_COLUMNS = {"index": "tracks", "rotation": "rotation", "closed": "closed", "hidden": "visibility", "parts": "parts"}
_FLAGS = frozenset({"parts", "rotation", "confidence", "tracks", "tags", "visibility", "closed"})


def _count_parts(points: pa.ChunkedArray, several: np.ndarray, kind: str, holes: bool) -> int:
    """How many labels have several parts; of polygons, holes that are kept do not count."""
    if kind != "polygon" or not holes:
        return int(several.sum())
    found = as_array(points).take(pa.array(np.flatnonzero(several))).to_pylist()
    return sum(len(with_holes([np.array(ring) for ring in parts])) > 1 for parts in found)


def _with_holes(points: pa.ChunkedArray, several: np.ndarray) -> np.ndarray:
    """Which polygons have a part in another part."""
    holes = np.zeros(len(several), bool)
    at = np.flatnonzero(several)
    holes[at] = [has_holes(parts) for parts in as_array(points).take(pa.array(at)).to_pylist()]
    return holes


def _with_hidden_points(visibility: pa.ChunkedArray) -> int:
    """How many labels have a point that is not visible."""
    seen = as_array(visibility)
    owner = np.repeat(np.arange(len(seen)), list_lengths(seen))
    return int(np.unique(owner[as_mask(pc.not_equal(seen.flatten(), 2))]).size)
