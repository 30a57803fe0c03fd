"""Decoding: what DataGym has -> rows of ``REMOTE``.

A label that nobody changed is the baseline's row, equal to the last bit; of one that was changed, only the changes are decoded.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from annobridge.backend.kit import changed_attributes, choice_text
from annobridge.core import attr_text
from annobridge.core.arrays import as_array
from annobridge.core.geometry import as_rle, mask_box
from annobridge.core.labels import REMOTE

from . import mask_polygons, shapes
from .classifications import CHECKLIST, Answer
from .encode import EncodedLabel, TaskImages, encode_labels
from .match import LabelMatch, match_geometries
from .parse import Geometry, ImageLabels, Path
from .vocabulary import Entry, Vocabulary

Row = dict[str, Any]
KINDS = {
    "rectangle": "box",
    "polygon": "polygon",
    "line": "polyline",
    "point": "keypoints",
    "image_segmentation": "segmentation",
}


@dataclass(slots=True)
class DecodedLabels:
    """The labels of some images.

    Attributes:
        unchanged: the rows of the baseline that are labels still, as they are.
        rows: the changed and the new labels, as rows of ``REMOTE``.
        changed_images: how many images have anything that is not as it was sent.
        invalid_images: how many images have shapes without valid coordinates.
        unknown_ids: the label ids that shapes show and that are of no label sent with their image.
    """

    unchanged: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    changed_images: int = 0
    invalid_images: int = 0
    unknown_ids: list[str] = field(default_factory=list)

    def add(self, other: DecodedLabels) -> None:
        """Add the labels of other images."""
        self.unchanged += other.unchanged
        self.rows += other.rows
        self.changed_images += other.changed_images
        self.invalid_images += other.invalid_images
        self.unknown_ids += other.unknown_ids

    def to_table(self, baseline: pa.Table) -> pa.Table:
        """All labels, as ``REMOTE``."""
        unchanged = baseline.select(REMOTE.names).take(pa.array(self.unchanged, pa.int64()))
        return pa.concat_tables([unchanged, pa.Table.from_pylist(self.rows, REMOTE)]) if self.rows else unchanged


class Decoder:
    """Compares images with the baseline.

    Attributes:
        existing_keys: the keys of the label configuration now; ``None`` if they are not known.
    """

    # Of an adopted task, nothing was sent: what a shape shows as its label's id is told, and not called unknown.

    def __init__(
        self,
        baseline: pa.Table,
        vocabulary: Vocabulary,
        images: TaskImages,
        parent_attr: str,
        existing_keys: set[str] | None,
        *,
        is_adopted: bool = False,
    ) -> None:
        self._baseline, self._vocabulary, self._images = baseline, vocabulary, images
        self._parent_attr, self.existing_keys, self._is_adopted = parent_attr, existing_keys, is_adopted
        self._by_image: dict[int, list[tuple[EncodedLabel, str]]] = defaultdict(list)
        remote_ids = as_array(baseline["remote_id"]).to_pylist()
        for label in encode_labels(baseline, vocabulary, images, parent_attr):
            self._by_image[label.image].append((label, remote_ids[label.row]))

    def decode(self, found: ImageLabels) -> DecodedLabels:
        """The labels of one image."""
        out = DecodedLabels()
        baseline = [LabelMatch(label, remote_id) for label, remote_id in self._by_image[found.image]]
        shape_matches = [m for m in baseline if m.label.entry.label is not None]
        global_matches = [m for m in baseline if m.label.entry.label is None]
        self._decode_shapes(found, shape_matches, {m.remote_id for m in baseline}, out)
        self._decode_classifications(found, global_matches, out)
        return out

    def _add_row(self, image: int, row: Row, out: DecodedLabels) -> None:
        out.rows.append(row | {"sample_id": self._images.samples[image]})
        out.changed_images = 1

    def _baseline_row(self, match: LabelMatch) -> Row:
        return dict(self._baseline.slice(match.label.row, 1).to_pylist()[0])

    def _size(self, image: int) -> tuple[int, int]:
        width, height = self._images.sizes[image].tolist()
        return width, height

    # --- shapes -----------------------------------------------------------------------------------------------------

    def _decode_shapes(
        self, found: ImageLabels, matches: Sequence[LabelMatch], used_ids: set[str], out: DecodedLabels
    ) -> None:
        new = match_geometries(found.geometries, matches)
        if found.has_geometries:
            invalid_paths = {g.path for g in new if not g.parts and not g.exact}
            for match in matches:
                self._decode_known(match, found, invalid_paths, out)
        else:
            out.unchanged += [m.label.row for m in matches]
        label_ids = {m.label.label_id for m in matches}
        id_of = {id(g): m.label.label_id for m in matches for g in m.geometries.values()}
        for g in new:
            if g.label_id is not None and g.label_id not in label_ids and not self._is_adopted:
                out.unknown_ids.append(g.label_id)
            if not g.parts:
                out.invalid_images = 1
                continue
            remote_id = g.value_id or _remote_id_by_position(g, self._images.media_ids[found.image], used_ids)
            used_ids.add(remote_id)
            parent_id = id_of.get(id(g.parent)) if g.parent is not None else None
            self._add_row(found.image, self._new_row(g, remote_id, parent_id), out)

    def _decode_known(
        self, match: LabelMatch, found: ImageLabels, invalid_paths: set[Path], out: DecodedLabels
    ) -> None:
        """Decode a label of the baseline. ``invalid_paths`` are those of new shapes whose coordinates the export lacks."""
        label = match.label
        if not match.geometries:
            removed = self.existing_keys is not None and label.entry.path[-1] not in self.existing_keys
            # Not deleted by a person: its class was removed, it may be a shape without coordinates, or it never had a shape.
            if removed or label.entry.path in invalid_paths or not label.parts:
                out.unchanged.append(label.row)
            else:
                out.changed_images = 1
            return
        if any(not g.parts for g in match.geometries.values()):
            out.invalid_images = 1
            out.changed_images = 1
        first = match.geometries[min(match.geometries)]
        entry = self._vocabulary.by_path.get(first.path)
        moved = _is_moved(match)
        attributes = {} if entry is None else _changed_attributes(match, entry, out)
        if not moved and not attributes and first.path == label.entry.path:
            out.unchanged.append(label.row)
            return
        row = self._baseline_row(match)
        if moved:
            row |= _changed_columns(row, match, self._size(found.image))
        row |= {"label": entry.label if entry else first.path[-1], "annotator": first.annotator}
        if entry is not None:
            row |= {"field": entry.field, "attributes": changed_attributes(row["attributes"], attributes)}
        self._add_row(found.image, row, out)

    def _new_row(self, geometry: Geometry, remote_id: str, parent_id: str | None) -> Row:
        entry = self._vocabulary.by_path.get(geometry.path)
        kind = self._vocabulary.kinds[entry.field] if entry else KINDS[geometry.type]
        attributes = {
            c.attribute.name: c.decode(geometry.answers.get(c.key, ()))
            for c in (entry.classifications if entry else ())
            if c.attribute is not None
        }
        if entry is not None and parent_id is not None:
            attributes[self._parent_attr] = json.dumps(parent_id)
        columns = shape_columns(kind, geometry.parts, self._size(geometry.image))
        return {
            **(columns | {"closed": True} if entry and entry.closed else columns),
            "label_id": geometry.label_id if self._is_adopted else None,
            "kind": kind,
            "field": entry.field if entry else None,
            "label": entry.label if entry else geometry.path[-1],
            "attributes": changed_attributes(None, attributes),
            "annotator": geometry.annotator,
            "remote_id": remote_id,
        }

    # --- global classifications -------------------------------------------------------------------------------------

    def _decode_classifications(self, found: ImageLabels, matches: Sequence[LabelMatch], out: DecodedLabels) -> None:
        by_id = {m.remote_id: m for m in matches}
        entries = {e.key: e for e in self._vocabulary.entries if e.label is None}
        seen = set()
        for m in matches:
            key = m.label.entry.key
            answers = found.classifications.get(key)
            # No answers are listed for a classification that was removed or never opened; an empty text is no answer.
            if answers is None or (m.label.answers.get(key) == () and not answers.get(key)):
                out.unchanged.append(m.label.row)
                seen.add(m.remote_id)
        for key, answers in found.classifications.items():
            for row in self._classification_rows(found.image, key, entries.get(key), answers):
                seen.add(row["remote_id"])
                self._decode_classification(by_id.get(row["remote_id"]), row, entries.get(key), answers, found, out)
        if any(m.remote_id not in seen for m in matches):
            out.changed_images = 1

    def _classification_rows(
        self, image: int, key: str, entry: Entry | None, answers: Mapping[str, Answer]
    ) -> Iterator[Row]:
        """A row for each chosen option or text of a global classification, without its attributes."""
        media_id, answer = self._images.media_ids[image], answers.get(key, ())
        if entry is None:  # one that somebody added at DataGym
            for chosen in answer:
                yield {
                    "remote_id": f"{media_id}/{key}/{chosen}",
                    "kind": "classification",
                    "field": key,
                    "label": chosen,
                }
            return
        kind, own = self._vocabulary.kinds[entry.field], entry.classifications[0]
        for chosen in answer if own.type == CHECKLIST else answer[:1]:
            row: Row = {"remote_id": global_remote_id(media_id, entry, chosen), "kind": kind, "field": entry.field}
            if kind != "scalar":
                row["label"] = json.loads(choice_text(chosen, own.options))
            elif own.options:
                row["value"] = choice_text(chosen, own.options)
            else:
                row["value"] = attr_text.from_plain(self._vocabulary.scalar_types.get(entry.field, "text"), chosen)
            yield row

    def _decode_classification(
        self,
        match: LabelMatch | None,
        row: Row,
        entry: Entry | None,
        answers: Mapping[str, Answer],
        found: ImageLabels,
        out: DecodedLabels,
    ) -> None:
        nested = [(c, c.attribute) for c in (entry.classifications[1:] if entry else ()) if c.attribute is not None]
        if match is None:
            attributes = {a.name: c.decode(answers.get(c.key, ())) for c, a in nested}
            row |= {"attributes": changed_attributes(None, attributes), "annotator": found.annotator}
            self._add_row(found.image, row, out)
            return
        sent = match.label.answers
        same = (
            entry is None
            or answers.get(entry.key, ()) == sent.get(entry.key, ())
            or entry.classifications[0].type == CHECKLIST
        )
        attributes = {
            a.name: c.decode(answers[c.key])
            for c, a in nested
            if c.key in answers and answers[c.key] != sent.get(c.key, ())
        }
        if same and not attributes:
            out.unchanged.append(match.label.row)
            return
        changed = self._baseline_row(match)
        if not same:
            changed |= row
        changed |= {"attributes": changed_attributes(changed["attributes"], attributes), "annotator": found.annotator}
        self._add_row(found.image, changed, out)


def global_remote_id(media_id: str, entry: Entry, chosen: str) -> str:
    """The remote id of a global classification on an image: one, or of a checklist one for each chosen option."""
    is_checklist = entry.classifications[0].type == CHECKLIST
    return f"{media_id}/{entry.key}/{chosen}" if is_checklist else f"{media_id}/{entry.key}"


def _remote_id_by_position(geometry: Geometry, media_id: str, used: set[str]) -> str:
    """An id for a value whose own is not known, made of its coordinates so that every load gives it the same one."""
    numbers = ",".join(f"{v:g}" for part in geometry.parts for v in part)
    remote_id = f"{media_id}/{'/'.join(geometry.path)}:{numbers}"
    while remote_id in used:
        remote_id += "'"
    return remote_id


def _is_moved(match: LabelMatch) -> bool:
    """Whether any part of a label was moved, added or deleted. Without valid coordinates that is not known, and so ``False``."""
    sent, geometries = match.label.parts, match.geometries
    if match.label.entry.type == "image_segmentation":
        return geometries[0].parts != sent
    if any(not g.parts for g in geometries.values()):
        return False
    return len(geometries) != len(sent) or not all(
        shapes.is_unmoved(g.parts[0], sent[n], exact=g.exact) for n, g in geometries.items()
    )


def _changed_attributes(match: LabelMatch, entry: Entry, out: DecodedLabels) -> dict[str, str | None]:
    """The attributes that are not as they were sent, with their JSON texts. Of several parts, the first that differs decides."""
    changed: dict[str, str | None] = {}
    for c in entry.classifications:
        sent = match.label.answers.get(c.key, ())
        now = [g.answers[c.key] for g in match.geometries.values() if c.key in g.answers]
        different = next((answer for answer in now if answer != sent), None)
        if different is None or c.attribute is None:
            continue
        if match.by_position and not different:
            # Lost by a change of class, or cleared by a person: the export cannot tell, so have the task read.
            out.changed_images = 1
        else:
            changed[c.attribute.name] = c.decode(different)
    return changed


# --- the columns of shapes ----------------------------------------------------------------------------------------------


def shape_columns(kind: str, parts: Sequence[Sequence[float]], size: tuple[int, int]) -> Row:
    """The columns of a new label from its parts in pixels. ``size`` is width and height of the image."""
    if kind == "box":
        return {"bounding_box": _relative_box(parts[0], size)}
    if kind == "segmentation":
        outer, *holes = parts
        mask = mask_polygons.pixels_inside(outer, size) & ~mask_polygons.to_mask(holes, size)
        return {"mask": as_rle(mask), "bounding_box": None}
    if kind == "mask":
        rle = as_rle(mask_polygons.to_mask(parts, size))
        return {"mask": rle, "bounding_box": mask_box(rle)}
    points = [_relative_points(part, size) for part in parts]
    if kind == "keypoints":
        return {"points": points, "visibility": [2] * len(points[0])}
    return {"points": points, "closed": kind == "polygon", "filled": kind == "polygon"}


def _changed_columns(row: Row, match: LabelMatch, size: tuple[int, int]) -> Row:
    """The columns of a label of which some part was moved, added or deleted; the other parts keep the numbers of ``row``."""
    sent, geometries, kind = match.label.parts, match.geometries, row["kind"]
    unmoved = {
        n: len(g.parts) == 1 and shapes.is_unmoved(g.parts[0], sent[n], exact=g.exact) for n, g in geometries.items()
    }
    if kind in ("box", "segmentation"):
        return shape_columns(kind, geometries[0].parts, size)
    if kind == "mask":
        polygons = [(g.parts[0], unmoved[n]) for n, g in sorted(geometries.items())]
        rle = mask_polygons.updated_rle(polygons, row["mask"], size)
        return {"mask": rle, "bounding_box": mask_box(rle)}
    moved = {n: _relative_points(g.parts[0], size) for n, g in geometries.items() if not unmoved[n]}
    if kind != "keypoints":
        return {"points": [moved.get(n, row["points"][n]) for n in sorted(geometries)]}
    points, visibility = list(row["points"][0]), list(row["visibility"] or [2] * len(row["points"][0]))
    for n, number in enumerate(match.label.point_numbers or ()):
        if n in moved:
            points[number] = moved[n][0]
        elif n not in geometries:
            points[number], visibility[number] = [math.nan, math.nan], 0
    return {"points": [points], "visibility": visibility}


def _relative_box(part: Sequence[float], size: tuple[int, int]) -> list[float]:
    width, height = size
    x, y, w, h = part
    return [x / width, y / height, w / width, h / height]


def _relative_points(part: Sequence[float], size: tuple[int, int]) -> list[list[float]]:
    return [[x / size[0], y / size[1]] for x, y in zip(part[::2], part[1::2], strict=True)]
