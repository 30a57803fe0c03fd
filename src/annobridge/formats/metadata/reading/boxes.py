"""Boxes: numbers of a file as positions in the image, by one decision for the whole file.

Nothing is turned into another form because it looks like it: what can be read in two ways is an error that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.checks.shape_checks import TOLERANCE
from ....exceptions import InvalidSource
from .json_lines import fail

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Location = Callable[[int], str]  # of a line number

# What a box says of its numbers, as flags: nothing, or one of two units; CORNERS is added to a unit for [x1, y1, x2, y2].
UNSTATED, NORMALIZED, PIXELS, CORNERS = 0, 1, 2, 4


def parse_boxes(boxes: Sequence[Any], where: Callable[[int], str]) -> Floats:
    """Boxes as an array; each must be four numbers."""
    try:
        flat = list(chain.from_iterable(boxes))
        if set(map(type, flat)) <= {int, float} and set(map(len, boxes)) <= {4}:
            made = np.fromiter(flat, np.float64, len(flat)).reshape(-1, 4)
            if np.isfinite(made).all():
                return made
    except (TypeError, OverflowError):
        pass
    wrong = next(n for n, box in enumerate(boxes) if not _is_box(box))
    return fail(where(wrong), f"has the box {str(boxes[wrong])[:80]}; a box is four numbers, [x, y, width, height].")


def _is_box(box: Any) -> bool:
    four = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    return four and all(abs(v) < 1e300 for v in box)


@dataclass(slots=True)
class Units:
    """What the boxes of one file look like, of those that do not say it themselves."""

    inside: int = 0  # boxes of which all numbers are from 0 to 1
    outside: int = 0
    small: bool = True  # no number is above 1
    first_inside: int = 0  # the lines
    first_outside: int = 0

    def see(self, boxes: Floats, lines: Ints) -> None:
        """Take note of some boxes and of their lines."""
        within = np.logical_and.reduce((boxes >= 0) & (boxes <= 1), axis=1)
        if count := int(within.sum()):
            self.first_inside = self.first_inside or int(lines[within][0])
            self.inside += count
        if count := len(within) - count:
            self.first_outside = self.first_outside or int(lines[~within][0])
            self.outside += count
            self.small = self.small and not (boxes > 1).any()

    def settle(self, pixels_by_nature: bool, told: str | None, place: Location) -> int:
        """The unit of the file. Raises ``InvalidSource`` if it can be read in two ways."""
        if told is not None:
            return NORMALIZED if told == "normalized" else PIXELS
        if pixels_by_nature:
            if self.small and self.inside + self.outside:
                line = self.first_inside or self.first_outside
                fail(place(line), "and all other lines have boxes of which no number is above 1; say coordinates='normalized' "
                     "if they are relative to the image, coordinates='pixels' if they are not.")  # fmt: skip
            return PIXELS
        if self.inside and self.outside:
            raise InvalidSource(
                f"{place(self.first_inside)} has a box with all numbers from 0 to 1, and {place(self.first_outside)} one with "
                "others; a file has one unit, so say coordinates='normalized' or coordinates='pixels'."
            )
        return NORMALIZED if self.inside else PIXELS


def to_relative(boxes: Floats, codes: Ints, sizes: Floats, unit: int) -> Floats:
    """``[x, y, width, height]`` relative to images of ``[width, height]`` pixels; ``unit`` is for boxes that do not say."""
    codes = np.where(codes == UNSTATED, unit, codes)
    made = boxes.copy()
    corners = (codes & CORNERS) > 0
    made[corners, 2:] -= made[corners, :2]
    pixels = (codes & PIXELS) > 0
    made[pixels] /= np.tile(sizes[pixels], 2)
    return made


@dataclass(slots=True)
class BoxCheck:
    """What is wrong, or to be told, about the boxes of one file, seen against their images."""

    place: Location
    unit: int
    clip: bool = False  # whether boxes that leave their image are cut to it
    beyond: int = 0
    clipped: int = 0
    flat: int = 0
    first: str = ""
    first_flat: str = ""
    corners: bool = field(default=True)  # all would fit as [x1, y1, x2, y2]

    def see(self, boxes: Floats, codes: Ints, sizes: Floats, lines: Ints) -> None:
        """Look at some boxes. Raises ``InvalidSource`` for negative sides, unless boxes are cut."""
        made = to_relative(boxes, codes, sizes, self.unit)
        if not self.clip and (negative := (made[:, 2:] < 0).any(axis=1)).any():
            self._negative(int(np.flatnonzero(negative)[0]), boxes, codes, lines)
        over = np.maximum(-made[:, :2], made[:, :2] + made[:, 2:] - 1)
        beyond = (over * sizes > 1 + TOLERANCE * sizes).any(axis=1)
        if beyond.any():
            at = int(np.flatnonzero(beyond)[0])
            width, height = sizes[at].astype(int)
            self.first = self.first or (
                f"{self.place(int(lines[at]))} has the box {boxes[at].tolist()}, which is more than 1 pixel beyond its image "
                f"of {width}×{height} pixels"
            )
            self.beyond += int(beyond.sum())
        self.clipped += int(((over > TOLERANCE).any(axis=1) & ~beyond).sum())
        if (none := without_area(made)).any():
            self.first_flat = self.first_flat or self.place(int(lines[none][0]))
            self.flat += int(none.sum())
        self.corners = self.corners and self._fit_as_corners(boxes, codes, sizes)

    def _negative(self, at: int, boxes: Floats, codes: Ints, lines: Ints) -> None:
        code = codes[at] or self.unit
        what = "of which the second corner is before the first" if code & CORNERS else "with a negative side"
        fail(self.place(int(lines[at])), f"has the box {boxes[at].tolist()}, {what}; correct it.")

    def _fit_as_corners(self, boxes: Floats, codes: Ints, sizes: Floats) -> bool:
        if self.unit & CORNERS or codes.any():
            return False
        most = sizes + 1 if self.unit == PIXELS else 1 + 1 / sizes
        return bool(((boxes[:, 2:] >= boxes[:, :2]) & (boxes[:, 2:] <= most) & (boxes[:, :2] >= 0)).all())

    def done(self) -> list[str]:
        """What to tell. Raises ``InvalidSource`` if boxes are beyond their images, unless they are cut."""
        notes = [said] if (said := self._beyond()) else []
        if notes and not self.clip:
            raise InvalidSource(notes[0])
        if self.clipped:
            notes.append(f"{self.clipped} boxes were up to 1 pixel beyond their image, and were cut to it.")
        if self.flat:
            notes.append(f"{self.flat} boxes have no area, and were left out (the first: {self.first_flat}).")
        return notes

    def _beyond(self) -> str:
        if self.beyond > 1 and self.corners:
            cut = "they were cut to it, so " if self.clip else ""
            return (
                f"{self.first}, as are {self.beyond - 1} more, and all of the file would fit as [x1, y1, x2, y2]; "
                f"{cut}say box_format='xyxy' if they are that."
            )
        more = f" (and {self.beyond - 1} more)" if self.beyond > 1 else ""
        if self.clip:
            return f"{self.first}{more}; it was cut to it." if self.beyond else ""
        cure = "correct it, say what it is with coordinates=… or box_format=…, or have it cut with invalid='clip'"
        return f"{self.first}{more}; {cure}." if self.beyond else ""


def without_area(boxes: Floats) -> Flags:
    """Which relative boxes have no area in the image."""
    start, end = np.clip(boxes[:, :2], 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    none: Flags = np.logical_or.reduce((end <= start) | (boxes[:, 2:] <= 0), axis=1)
    return none
