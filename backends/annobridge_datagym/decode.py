"""Decode: what DataGym has -> rows of ``REMOTE``. A label that nobody touched is the baseline's row, to the last bit; of one that
was changed, only what was changed is decoded.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from annobridge.core import attr_text
from annobridge.core.arrays import as_array
from annobridge.core.geometry import as_rle, mask_box
from annobridge.core.labels import REMOTE
from annobridge.core.rows import VALUE_TYPES

from . import identity, rings, shapes
from .encode import Pictures, Piece, pieces
from .found import Found, Image, Path
from .identity import Held
from .values import CHECKLIST, Question, Words
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
class Decoded:
    """``kept`` are rows of the baseline as they are, ``rows`` the others. ``unlike``: something is not as it was sent; ``odd``:
    values that DataGym itself holds for broken; both in numbers of images.
    """

    kept: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unlike: int = 0
    odd: int = 0
    strange: list[str] = field(default_factory=list)  # ids that shapes bear, and that are none of their image's

    def add(self, other: Decoded) -> None:
        """Take in what is on more images."""
        self.kept += other.kept
        self.rows += other.rows
        self.unlike += other.unlike
        self.odd += other.odd
        self.strange += other.strange

    def table(self, baseline: pa.Table) -> pa.Table:
        """All labels, as ``REMOTE``."""
        same = baseline.select(REMOTE.names).take(pa.array(self.kept, pa.int64()))
        return pa.concat_tables([same, pa.Table.from_pylist(self.rows, REMOTE)]) if self.rows else same


class Decoder:
    """Compares images with the baseline. ``classes`` are the keys of the classes that DataGym has now; ``None``: not known."""

    def __init__(
        self, baseline: pa.Table, vocabulary: Vocabulary, pictures: Pictures, holder_attr: str, classes: set[str] | None
    ) -> None:
        self._baseline, self._vocabulary, self._pictures = baseline, vocabulary, pictures
        self._holder_attr, self.classes = holder_attr, classes
        self._base: dict[int, list[tuple[Piece, str]]] = defaultdict(list)
        ids = as_array(baseline["remote_id"]).to_pylist()
        for piece in pieces(baseline, vocabulary, pictures, holder_attr):
            self._base[piece.sample].append((piece, ids[piece.row]))
        self._out = Decoded()

    def image(self, image: Image) -> Decoded:
        """What is on one image."""
        self._out = Decoded()
        base = [Held(piece, remote_id) for piece, remote_id in self._base[image.sample]]
        geometries = [h for h in base if h.piece.entry.label is not None]
        new = identity.assign(image.values, geometries)
        nowhere = {f.path for f in new if not f.parts and not f.exact}
        ids = {id(f): h.piece.label_id for h in geometries for f in h.values.values()}
        for h in geometries if image.shapes else ():
            self._held(h, image, nowhere)
        if not image.shapes:
            self._out.kept += [h.piece.row for h in geometries]
        used, own = {h.remote_id for h in base}, {h.piece.label_id for h in geometries}
        for f in new:
            self._out.strange += [f.tag] if f.tag is not None and f.tag not in own else []
            if not f.parts:
                self._out.odd = 1
                continue
            remote_id = f.value or _name_of(f, self._pictures.media[image.sample], used)
            used.add(remote_id)
            self._add(image.sample, self._new(f, remote_id, ids))
        self._globals(image, [h for h in base if h.piece.entry.label is None])
        return self._out

    def _add(self, sample: int, row: Row) -> None:
        self._out.rows.append(row | {"sample_id": self._pictures.samples[sample]})
        self._out.unlike = 1

    # --- geometries -------------------------------------------------------------------------------------------------

    def _held(self, held: Held, image: Image, nowhere: set[Path]) -> None:
        """``nowhere`` are classes with a shape of which the export does not say where it is."""
        if not held.values:
            path = held.piece.entry.path
            removed = self.classes is not None and path[-1] not in self.classes
            # Its class was removed and nobody deleted it; or it may be the shape without a place; or it never was there.
            if removed or path in nowhere or not held.piece.parts:
                self._out.kept.append(held.piece.row)
            else:
                self._out.unlike = 1
            return
        if any(not f.parts for f in held.values.values()):
            self._out.odd = 1
            self._out.unlike = 1
        first = held.values[min(held.values)]
        entry = self._vocabulary.by_path.get(first.path)
        moved = self._moved(held)
        said = {} if entry is None else self._changed_words(held, entry)
        if not moved and not said and first.path == held.piece.entry.path:
            self._out.kept.append(held.piece.row)
            return
        row = self._baseline.slice(held.piece.row, 1).to_pylist()[0]
        if moved:
            row |= _changed_shape(row, held, self._size(image.sample))
        row |= {"label": entry.label if entry else first.path[-1], "annotator": first.annotator}
        if entry is not None:
            row |= {"field": entry.field, "attributes": _attributes(row["attributes"], said)}
        self._add(image.sample, row)

    def _moved(self, held: Held) -> bool:
        parts = held.piece.parts
        if held.piece.entry.type == "image_segmentation":
            return held.values[0].parts != parts
        if any(not f.parts for f in held.values.values()):
            return False  # it cannot be told where it is
        return len(held.values) != len(parts) or not all(
            shapes.same(f.parts[0], parts[n], exact=f.exact) for n, f in held.values.items()
        )

    def _changed_words(self, held: Held, entry: Entry) -> dict[str, str | None]:
        """The attributes that are not as they were sent, with their JSON texts. Of several parts, one that differs decides."""
        out: dict[str, str | None] = {}
        for q in entry.questions:
            was = held.piece.words.get(q.key, ())
            now = [f.words[q.key] for f in held.values.values() if q.key in f.words]
            other = next((w for w in now if w != was), None)
            if other is None or q.attribute is None:
                continue
            if held.remade and not other:
                self._out.unlike = 1  # lost with a change of class, or cleared by somebody, which the task tells
            else:
                out[q.attribute.name] = q.decode(other)
        return out

    def _new(self, found: Found, remote_id: str, ids: Mapping[int, str]) -> Row:
        entry = self._vocabulary.by_path.get(found.path)
        kind = self._vocabulary.kinds[entry.field] if entry else KINDS[found.type]
        said = {q.attribute.name: q.decode(found.words.get(q.key, ())) for q in (entry.questions if entry else ())
                if q.attribute is not None}  # fmt: skip
        if entry is not None and found.holder is not None and id(found.holder) in ids:
            said[self._holder_attr] = json.dumps(ids[id(found.holder)])
        columns = shape(kind, found.parts, self._size(found.sample))
        return {
            **(columns | {"closed": True} if entry and entry.closed else columns),
            "kind": kind,
            "field": entry.field if entry else None,
            "label": entry.label if entry else found.path[-1],
            "attributes": _attributes(None, said),
            "annotator": found.annotator,
            "remote_id": remote_id,
        }

    def _size(self, sample: int) -> tuple[int, int]:
        width, height = self._pictures.sizes[sample].tolist()
        return width, height

    # --- global classifications -------------------------------------------------------------------------------------

    def _globals(self, image: Image, base: Sequence[Held]) -> None:
        by_id = {h.remote_id: h for h in base}
        known = {e.key: e for e in self._vocabulary.entries if e.label is None}
        seen = set()
        for h in base:
            key = h.piece.entry.key
            answers = image.answers.get(key)  # none: removed from the configuration, or never looked at
            if answers is None or (h.piece.words.get(key) == () and not answers.get(key)):  # an empty text is no answer
                self._out.kept.append(h.piece.row)
                seen.add(h.remote_id)
        for key, answers in image.answers.items():
            entry = known.get(key)
            for row in self._answered(image.sample, key, entry, answers):
                seen.add(row["remote_id"])
                self._settle(by_id.get(row["remote_id"]), row, entry, answers, image)
        if any(h.remote_id not in seen for h in base):
            self._out.unlike = 1

    def _answered(self, sample: int, key: str, entry: Entry | None, answers: Mapping[str, Words]) -> Iterator[Row]:
        """A row for each word that is chosen, without its attributes."""
        media, found = self._pictures.media[sample], answers.get(key, ())
        if entry is None:  # a field of that name is none of the schema's
            for word in found:
                yield {"remote_id": f"{media}/{key}/{word}", "kind": "classification", "field": key, "label": word}
            return
        kind, own = self._vocabulary.kinds[entry.field], entry.questions[0]
        for word in found if own.type == CHECKLIST else found[:1]:
            row: Row = {"remote_id": global_id(media, entry, word), "kind": kind, "field": entry.field}
            if kind == "scalar":
                row["value"] = self._scalar(own, entry, word)
            else:
                row["label"] = json.loads(own.options.get(word, json.dumps(word)))
            yield row

    def _scalar(self, own: Question, entry: Entry, word: str) -> str:
        if own.options:
            return own.options.get(word, json.dumps(word))
        return attr_text.from_plain(self._vocabulary.scalars.get(entry.field, "text"), word)

    def _settle(
        self, held: Held | None, row: Row, entry: Entry | None, answers: Mapping[str, Words], image: Image
    ) -> None:
        asked = [q for q in (entry.questions[1:] if entry else ()) if q.attribute is not None]
        if held is None:
            said = {q.attribute.name: q.decode(answers.get(q.key, ())) for q in asked if q.attribute is not None}
            self._add(image.sample, row | {"attributes": _attributes(None, said), "annotator": image.annotator})
            return
        was = held.piece.words
        same = (
            entry is None
            or answers.get(entry.key, ()) == was.get(entry.key, ())
            or entry.questions[0].type == CHECKLIST
        )
        said = {
            q.attribute.name: q.decode(answers[q.key])
            for q in asked
            if q.attribute is not None and q.key in answers and answers[q.key] != was.get(q.key, ())
        }
        if same and not said:
            self._out.kept.append(held.piece.row)
            return
        before = self._baseline.slice(held.piece.row, 1).to_pylist()[0]
        if not same:
            before |= row
        before |= {"attributes": _attributes(before["attributes"], said), "annotator": image.annotator}
        self._add(image.sample, before)


def global_id(media: str, entry: Entry, word: str) -> str:
    """The remote id of a global classification on an image: one, or of a checklist one for each word."""
    return f"{media}/{entry.key}/{word}" if entry.questions[0].type == CHECKLIST else f"{media}/{entry.key}"


def _name_of(found: Found, media: str, used: set[str]) -> str:
    """An id for a value whose own is not known, by where it lies; the same on every load."""
    numbers = ",".join(f"{v:g}" for part in found.parts for v in part)
    name = f"{media}/{'/'.join(found.path)}:{numbers}"
    while name in used:
        name += "'"
    return name


def _attributes(before: list[Row] | None, said: Mapping[str, str | None]) -> list[Row]:
    """``before`` with some attributes set anew; ``None`` removes one."""
    kept = [a for a in before or [] if a["name"] not in said]
    new = [
        {"name": name, "type": VALUE_TYPES.get(type(json.loads(text)), "json"), "value": text}
        for name, text in said.items()
        if text is not None
    ]
    return sorted([*kept, *new], key=lambda a: str(a["name"]))


# --- shapes -------------------------------------------------------------------------------------------------------------


def shape(kind: str, parts: Sequence[Sequence[float]], size: tuple[int, int]) -> Row:
    """The columns of a new label."""
    if kind == "box":
        return {"bounding_box": _box(parts[0], size)}
    if kind in ("mask", "segmentation"):
        rle = as_rle(rings.to_mask(parts, size) if kind == "mask" else _even_odd(parts, size))
        return {"mask": rle, "bounding_box": mask_box(rle) if kind == "mask" else None}
    points = [_points(part, size) for part in parts]
    if kind == "keypoints":
        return {"points": points, "visibility": [2] * len(points[0])}
    return {"points": points, "closed": kind == "polygon", "filled": kind == "polygon"}


def _even_odd(parts: Sequence[Sequence[float]], size: tuple[int, int]) -> Any:
    """A segment: its first ring, less the others."""
    outer, *holes = parts
    return rings.inside(outer, size) & ~rings.to_mask(holes, size)


def _changed_shape(row: Row, held: Held, size: tuple[int, int]) -> Row:
    """The columns of a label of which at least one part was moved, added to or deleted; the other parts keep their bits."""
    sent, kind = held.piece.parts, row["kind"]
    same = {n: len(f.parts) == 1 and shapes.same(f.parts[0], sent[n], exact=f.exact) for n, f in held.values.items()}
    if kind == "box":
        return {"bounding_box": _box(held.values[0].parts[0], size)}
    if kind == "segmentation":
        return shape(kind, held.values[0].parts, size)
    if kind == "mask":
        rle = rings.mended([(f.parts[0], same[n]) for n, f in sorted(held.values.items())], row["mask"], size)
        return {"mask": rle, "bounding_box": mask_box(rle)}
    new = {n: _points(f.parts[0], size) for n, f in held.values.items() if not same[n]}
    if kind != "keypoints":
        return {"points": [new.get(n, row["points"][n]) for n in sorted(held.values)]}
    points, seen = list(row["points"][0]), list(row["visibility"] or [2] * len(row["points"][0]))
    for n, place in enumerate(held.piece.places or ()):
        if n in new:
            points[place] = new[n][0]
        elif n not in held.values:
            points[place], seen[place] = [math.nan, math.nan], 0
    return {"points": [points], "visibility": seen}


def _box(part: Sequence[float], size: tuple[int, int]) -> list[float]:
    width, height = size
    x, y, w, h = part
    return [x / width, y / height, w / width, h / height]


def _points(part: Sequence[float], size: tuple[int, int]) -> list[list[float]]:
    return [[x / size[0], y / size[1]] for x, y in zip(part[::2], part[1::2], strict=True)]
