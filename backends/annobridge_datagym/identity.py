"""Identity: which value of DataGym's is which label of ours.

First the server's id of the value, which people cannot edit; then the tag, of which a copy bears the same; then the place: the same
class and coordinates, the same coordinates in another class, and what overlaps most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import shapes
from .encode import Piece
from .found import Found

ENOUGH = 0.5  # of the area of both
BY_LABEL = "label:"  # remote ids of labels whose values' ids are not known


@dataclass(slots=True, eq=False)
class Held:
    """A label of the baseline with the values that it is now, each with the number of the part it was. ``remade`` says that it is
    known by its place only: for another class, DataGym makes a new value, and loses the attributes.
    """

    piece: Piece
    remote_id: str
    values: dict[int, Found] = field(default_factory=dict)
    remade: bool = False


def assign(found: Iterable[Found], base: Iterable[Held]) -> list[Found]:
    """Give the labels of one image their values. What is returned is new."""
    held = [h for h in base if h.piece.parts]
    left = _by_value(found, held)
    left, copies = _by_tag(left, held)
    return _by_place(left, copies, held)


def _by_value(found: Iterable[Found], held: Sequence[Held]) -> list[Found]:
    ids = {h: h.remote_id.split("+") for h in held}
    owner = {value: h for h in held for value in ids[h]}
    claims: dict[Held, list[Found]] = defaultdict(list)
    left = []
    for f in found:
        if f.value in owner:
            claims[owner[f.value]].append(f)
        else:
            left.append(f)
    for h, of in claims.items():
        if len(ids[h]) == len(h.piece.parts):
            h.values |= {ids[h].index(f.value or ""): f for f in of}
        else:  # an earlier load found parts deleted
            left += _nearest(of, h)
    return left


def _by_tag(found: Sequence[Found], held: Sequence[Held]) -> tuple[list[Found], list[Found]]:
    """What bears no tag of a label that is here, and what does but is a copy."""
    owner = {h.piece.label_id: h for h in held}
    claims: dict[str, list[Found]] = defaultdict(list)
    left = []
    for f in found:
        if f.tag in owner:
            claims[f.tag].append(f)
        else:
            left.append(f)
    copies = []
    for tag, of in claims.items():
        copies += of if owner[tag].values else _nearest(of, owner[tag])
    return left, copies


def _nearest(claims: Sequence[Found], held: Held) -> list[Found]:
    """Give each part the value that lies where it was sent to, or else the one that overlaps most. The others are copies."""
    left = list(claims)
    parts = held.piece.parts
    for n, part in enumerate(parts):
        at = next((f for f in left if _there(f, part)), None)
        if at is not None:
            held.values[n] = at
            left.remove(at)
    for n, part in enumerate(parts):
        if n not in held.values and left:
            best = max(left, key=lambda f: (_says(f, held, n), _overlap(f, part, held.piece.entry.type)))
            held.values[n] = best
            left.remove(best)
    return left


def _says(found: Found, held: Held, part: int) -> bool:
    """Whether a point says that it is this one."""
    return held.piece.places is not None and found.place == held.piece.places[part]


def _by_place(found: Sequence[Found], copies: Sequence[Found], held: Sequence[Held]) -> list[Found]:
    """``copies`` are new, or lie exactly where an earlier load found them."""
    everything = [*found, *copies]
    _claim_all(held, everything, same_class=True)
    left = [f for f in everything if f not in copies]
    copies = [f for f in everything if f in copies]
    _claim_all(held, left, same_class=False)
    free = [h for h in held if not h.values and len(h.piece.parts) == 1]
    pairs = [(_overlap(f, h.piece.parts[0], h.piece.entry.type), n, m) for n, h in enumerate(free)
             for m, f in enumerate(left) if f.type == h.piece.entry.type and f.type != "point"]  # fmt: skip
    taken: set[int] = set()
    for share, n, m in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if share >= ENOUGH and not free[n].values and m not in taken:
            free[n].values[0], free[n].remade = left[m], True
            taken.add(m)
    return [*(f for m, f in enumerate(left) if m not in taken), *copies]


def _claim_all(held: Sequence[Held], left: list[Found], *, same_class: bool) -> None:
    for h in held:
        if not h.values:
            _claim(h, left, same_class=same_class)


def _claim(held: Held, left: list[Found], *, same_class: bool) -> None:
    """Take the values that lie exactly where all parts of a label lay."""
    entry, got = held.piece.entry, []
    for part in held.piece.parts:
        fits = (f for f in left if f not in got and f.type == entry.type and (f.path == entry.path or not same_class))
        at = next((f for f in fits if _there(f, part)), None)
        if at is None:
            return
        got.append(at)
    for n, f in enumerate(got):
        held.values[n] = f
        left.remove(f)
    held.remade = True


def _there(found: Found, part: list[float]) -> bool:
    return len(found.parts) == 1 and shapes.same(found.parts[0], part, exact=found.exact)


def _overlap(found: Found, part: list[float], type_: str) -> float:
    if len(found.parts) != 1 or found.type != type_:
        return 0.0
    return shapes.overlap(shapes.box_of(found.parts[0], type_), shapes.box_of(part, type_))
