"""Fidelity: what survives in a format. It makes the table in the docs, the loss report of an export, and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, is_rotated
from ...core.labels import KIND_TYPES
from ...core.merge.partial_answer import Holds
from .paint import has_holes

_ROUNDING = 0.01  # pixels: numbers that differ by less were not changed, but written with two decimals
KEPT = "kept"  # a kind that is written as it is


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What an export in this format keeps. An import of the export has exactly that; the rest is lost, and counted before.

    ``kinds`` has ``KEPT``, or what happens to it as it completes "12 polygons will be …"; a kind that is not in it is left out.
    """

    kinds: Mapping[str, str]
    attributes: frozenset[str] | None = frozenset()  # the names that are kept; None: all
    rotation: bool = False  # of boxes and ellipses
    confidence: bool = False
    tracks: bool = False  # ``index``
    ids: bool = False  # ``label_id``
    visibility: bool = False  # of keypoints
    holes: bool = False  # parts of a polygon inside another part
    without_holes: str = "lost"  # what becomes of them, as it completes "holes, which are …"
    parts: bool = False  # several parts of one polygon or polyline
    empty_images: bool = True  # images without labels
    splits: bool = False
    decimals: int | None = None  # of pixels; None: exact to floating point
    notes: tuple[str, ...] = field(default=())  # for the docs

    def holds(self) -> Holds:
        """What a file in this format says of a label; of the rest it is silent."""
        columns = {
            "rotation": self.rotation, "confidence": self.confidence, "index": self.tracks, "visibility": self.visibility
        }  # fmt: skip
        return Holds(
            kinds=frozenset(kind for kind, fate in self.kinds.items() if fate == KEPT),
            columns=frozenset(name for name, is_held in columns.items() if is_held),
            attributes=self.attributes,
            parts=self.parts and self.holes,
            pixels=max(_ROUNDING, 0.0 if self.decimals is None else 0.6 * 10.0**-self.decimals),
        )

    def losses(self, labels: pa.Table) -> Iterator[tuple[str, str, int]]:
        """What of these labels (``LABELS``) would not survive: field, what happens, how many."""
        for name in pc.unique(labels["field"]).to_pylist():
            rows = labels.filter(pc.equal(labels["field"], name)).combine_chunks()
            for kind in pc.unique(rows["kind"]).to_pylist():
                some = rows.filter(pc.equal(rows["kind"], kind)).combine_chunks()
                fate = self.kinds.get(kind)
                if fate is None:
                    yield name, f"{KIND_TYPES.get(kind, kind)} cannot be written, and are left out", some.num_rows
                    continue
                if fate != KEPT:
                    yield name, f"{KIND_TYPES.get(kind, kind)} will be {fate}", some.num_rows
                yield from ((name, what, n) for what, n in self._lost(some, kind) if n)

    def _lost(self, rows: pa.Table, kind: str) -> Iterator[tuple[str, int]]:
        if not self.rotation and kind in ("box", "ellipse"):
            yield "rotations are lost", int(is_rotated(rows["rotation"]).sum())
        if not self.confidence:
            yield "confidences are lost", rows.num_rows - rows["confidence"].null_count
        if not self.tracks and kind != "message":
            yield "track indexes are lost", rows.num_rows - rows["index"].null_count
        if not self.visibility and kind in ("keypoints", "skeleton"):
            yield "visibilities are lost", rows.num_rows - rows["visibility"].null_count
        if not self.holes and kind == "polygon":
            yield f"polygons have holes, which are {self.without_holes}", _count_holes(rows["points"])
        if not self.parts and kind in ("polygon", "polyline"):
            parts = pc.greater(pc.list_value_length(rows["points"]), 1)
            yield "labels of several parts become several labels", pc.sum(parts).as_py() or 0
        if self.attributes is not None:
            for lost in sorted(attributes.names(rows["attributes"]) - self.attributes):
                values = as_array(attributes.values(rows["attributes"], lost))
                yield f"values of the attribute {lost!r} are lost", len(values) - values.null_count


def _count_holes(points: pa.ChunkedArray) -> int:
    """How many polygons have a part in another part."""
    several = as_array(points.filter(pc.greater(pc.list_value_length(points), 1)))
    return sum(map(has_holes, several.to_pylist()))
