"""Labels of a file as the kinds of labels that the schema of a run has for their classes.

Formats have fewer kinds than datasets: points with names come as keypoints, pixels of a class as masks of single objects.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, as_mask, replace_values, row_keys, set_columns
from ..geometry import decode_rle, encode_rle, mask_box
from ..schema import LabelSchema

_GROUP = "group"  # the attribute of labels that are one object
_NOTHING = frozenset({"background", "unlabeled", "void"})  # classes of pixels without a label


class Expected:
    """Which kinds of labels a schema has for a class.

    Attributes:
        kinds: the kinds of each class.
        points: how many points the skeletons of each class have.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.points: dict[str, int] = {}
        for spec in schema.fields.values():
            for label in spec.classes:
                self.kinds[str(label)].add(spec.kind)
                if spec.skeleton is not None:
                    self.points[str(label)] = len(spec.skeleton.labels)

    def where(self, labels: pa.Table) -> Bools:
        """Which labels are of a class and kind that the schema has."""
        known = pa.array([f"{kind}\0{label}" for label, kinds in self.kinds.items() for kind in kinds], pa.string())
        keys = pc.binary_join_element_wise(as_array(labels["kind"]), as_array(labels["label"]), "\0")
        return as_mask(pc.is_in(keys, value_set=known))

    def only_as(self, labels: pa.Table, kind: str, instead_of: str) -> Bools:
        """Which labels of the kind ``instead_of`` are of classes that the schema has as ``kind``, and not as that."""
        found = [label for label, kinds in self.kinds.items() if kind in kinds and instead_of not in kinds]
        is_class = as_mask(pc.is_in(labels["label"], value_set=pa.array(found, pa.string())))
        return is_class & as_mask(pc.equal(labels["kind"], instead_of))

    def of_kinds_outside(self, labels: pa.Table, kinds: frozenset[str]) -> Bools:
        """Which labels are of a class that the schema has, but only as kinds outside of ``kinds``."""
        found = [label for label, has in self.kinds.items() if not has & kinds]
        return as_mask(pc.is_in(labels["label"], value_set=pa.array(found, pa.string())))

    def of_nothing(self, labels: pa.Table) -> Bools:
        """Which labels are of the class that formats of pixels give to what has none."""
        names = pa.array(sorted(_NOTHING - set(map(str.lower, self.kinds))))
        return as_mask(pc.is_in(pc.utf8_lower(labels["label"]), value_set=names))


def fitted(labels: pa.Table, expected: Expected) -> pa.Table:
    """Labels of a file, where those of a kind that the schema does not have for their class are of the kind that it has: keypoints
    are skeletons and the reverse, and all masks of a class on an image are one segmentation. Boxes around points are left out.
    """
    labels = labels.filter(pa.array(~_around_points(labels, expected))).combine_chunks()
    skeletons = np.flatnonzero(expected.only_as(labels, "skeleton", "keypoints"))
    if skeletons.size:
        rows = labels.take(pa.array(skeletons))
        wanted = [expected.points[label] for label in rows["label"].to_pylist()]
        counts = [len(parts[0]) if parts else 0 for parts in rows["points"].to_pylist()]
        labels = _as_kind(labels, skeletons[np.array(wanted) == np.array(counts)], "skeleton")
    labels = _as_kind(labels, np.flatnonzero(expected.only_as(labels, "keypoints", "skeleton")), "keypoints")
    return _with_segmentations(labels, np.flatnonzero(expected.only_as(labels, "segmentation", "mask")))


def object_keys(labels: pa.Table) -> pa.Array:
    """A text for each label, equal for those of one class on an image that are in one group; null for labels without a group."""
    keys = row_keys(labels, ("sample_id", "frame_number", "label"))
    return pc.binary_join_element_wise(keys, attributes.values(labels["attributes"], _GROUP), "\0")


def _as_kind(labels: pa.Table, rows: Ints, kind: str) -> pa.Table:
    if not rows.size:
        return labels
    return set_columns(labels, kind=replace_values(as_array(labels["kind"]), rows, pa.array([kind] * len(rows))))


def _around_points(labels: pa.Table, expected: Expected) -> Bools:
    """Boxes of classes that the schema has as points only, and that are in a group with points of their class."""
    left_out = np.zeros(labels.num_rows, bool)
    boxes = np.flatnonzero(expected.only_as(labels, "skeleton", "box") | expected.only_as(labels, "keypoints", "box"))
    if boxes.size:
        keys = object_keys(labels)
        points = keys.filter(pc.is_in(labels["kind"], value_set=pa.array(["keypoints", "skeleton"])).combine_chunks())
        left_out[boxes] = as_mask(pc.is_in(keys.take(pa.array(boxes)), value_set=points.drop_null()))
    return left_out


def _with_segmentations(labels: pa.Table, rows: Ints) -> pa.Table:
    """All masks of a class on an image, or a frame, as one label: the first of them gets the pixels of all."""
    if not rows.size:
        return labels
    names = labels.select(["sample_id", "frame_number", "label"]).take(pa.array(rows)).to_pylist()
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for row, name in zip(rows.tolist(), names, strict=True):
        groups[tuple(name.values())].append(row)
    keep = np.ones(labels.num_rows, bool)
    masks = labels["mask"]
    joined = []
    for several in groups.values():
        pixels = np.logical_or.reduce([decode_rle(masks[row].as_py()) for row in several])
        joined.append(encode_rle(pixels))
        keep[several[1:]] = False
    first = np.array([several[0] for several in groups.values()])
    boxes = [mask_box(mask) for mask in joined]
    labels = set_columns(
        labels,
        mask=replace_values(as_array(masks), first, pa.array(joined, labels.schema.field("mask").type)),
        bounding_box=replace_values(
            as_array(labels["bounding_box"]), first, pa.array(boxes, labels.schema.field("bounding_box").type)
        ),
    )
    return _as_kind(labels, first, "segmentation").filter(pa.array(keep)).combine_chunks()
