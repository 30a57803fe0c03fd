"""Boxes: the numbers of a file as positions in the image, by one decision for the whole file.

No box is converted because it looks as if it were in another form: where the numbers can be read in two ways, the import asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ....core.arrays import Bools, Ints
from ....core.checks.shape_checks import TOLERANCE
from ....exceptions import InvalidSource
from .json_lines import fail

Floats = npt.NDArray[np.float64]
Location = Callable[[int], str]  # of a line, by its number

# What a box says of its numbers, as flags: nothing, or one of two units; CORNERS is added to a unit for [x1, y1, x2, y2].
UNSTATED, NORMALIZED, PIXELS, CORNERS = 0, 1, 2, 4
_LARGEST = 1e300  # beyond, differences and products may overflow


def flags_of(form: Any, is_normalized: Any) -> int | None:
    """The flags of a box that says its form and its unit; ``None`` if it says neither ``"xywh"`` nor ``"xyxy"``, or no unit."""
    if form not in ("xywh", "xyxy") or not isinstance(is_normalized, bool):
        return None
    return (NORMALIZED if is_normalized else PIXELS) + (CORNERS if form == "xyxy" else 0)


def parse_boxes(boxes: Sequence[Any], where: Callable[[int], str]) -> Floats:
    """Boxes as an array with a row of four numbers for each.

    Args:
        boxes: the boxes as the file has them.
        where: the location of the n-th box. ``InvalidSource`` names it for a box that is not four finite numbers.
    """
    try:
        numbers = list(chain.from_iterable(boxes))
        if set(map(type, numbers)) <= {int, float} and set(map(len, boxes)) <= {4}:
            found = np.fromiter(numbers, np.float64, len(numbers)).reshape(-1, 4)
            if np.isfinite(found).all():
                return found
    except (TypeError, OverflowError):
        pass
    wrong = next(n for n, box in enumerate(boxes) if not _is_box(box))
    return refuse_box(where(wrong), boxes[wrong])


def refuse_box(where: str, box: Any) -> NoReturn:
    """Raise ``InvalidSource`` for a box that is not four numbers."""
    fail(where, f"has the box {str(box)[:80]}; a box is four numbers, [x, y, width, height].")


def _is_box(box: Any) -> bool:
    four = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    return four and all(abs(v) < _LARGEST for v in box)


@dataclass(slots=True)
class Units:
    """What the boxes of one file look like, of those that do not state their unit."""

    inside: int = 0  # boxes of which all numbers are from 0 to 1
    outside: int = 0
    small: bool = True  # no number is above 1
    first_inside: int = 0  # the number of the line
    first_outside: int = 0

    def add(self, boxes: Floats, lines: Ints) -> None:
        """Count some boxes, given the numbers of their lines."""
        within = np.logical_and.reduce((boxes >= 0) & (boxes <= 1), axis=1)
        if count := int(within.sum()):
            self.first_inside = self.first_inside or int(lines[within][0])
            self.inside += count
        if count := len(within) - count:
            self.first_outside = self.first_outside or int(lines[~within][0])
            self.outside += count
            self.small = self.small and not (boxes > 1).any()

    def merge(self, later: Units) -> None:
        """Add the counts of later lines."""
        self.first_inside = self.first_inside or later.first_inside
        self.first_outside = self.first_outside or later.first_outside
        self.inside, self.outside = self.inside + later.inside, self.outside + later.outside
        self.small = self.small and later.small

    def decide(self, always_pixels: bool, option: str | None, location: Location) -> int:
        """The unit of the file. Raises ``InvalidSource`` if the boxes can be read in two ways.

        Args:
            always_pixels: whether boxes of the dialect are in pixels.
            option: the unit that the user stated, ``"pixels"`` or ``"normalized"``.
            location: the location of a line.
        """
        if option is not None:
            return NORMALIZED if option == "normalized" else PIXELS
        if always_pixels:
            if self.small and self.inside + self.outside:
                line = self.first_inside or self.first_outside
                fail(location(line), "and all other lines have boxes of which no number is above 1; say coordinates='normalized' "
                     "if they are relative to the image, coordinates='pixels' if they are not.")  # fmt: skip
            return PIXELS
        if self.inside and self.outside:
            raise InvalidSource(
                f"{location(self.first_inside)} has a box with all numbers from 0 to 1, and {location(self.first_outside)} "
                "one with others; a file has one unit, so say coordinates='normalized' or coordinates='pixels'."
            )
        return NORMALIZED if self.inside else PIXELS


def to_relative(boxes: Floats, flags: Ints, sizes: Floats, default: int) -> Floats:
    """Boxes as ``[x, y, width, height]`` relative to the image.

    Args:
        boxes: boxes in the form that their flags say.
        flags: what each box says of its numbers.
        sizes: ``[width, height]`` of the image of each box, in pixels.
        default: the flags of boxes that say nothing.
    """
    flags = np.where(flags == UNSTATED, default, flags)
    relative = boxes.copy()
    corners = (flags & CORNERS) > 0
    relative[corners, 2:] -= relative[corners, :2]
    pixels = (flags & PIXELS) > 0
    relative[pixels] /= np.tile(sizes[pixels], 2)
    return relative


@dataclass(slots=True)
class BoxCheck:
    """Compares the boxes of one file with the sizes of their images, and counts what is wrong.

    Attributes:
        location: the location of a line.
        default: the flags of boxes that say nothing.
        clip: whether boxes that leave their image are clipped, and not refused.
    """

    location: Location
    default: int
    clip: bool = False
    beyond: int = 0  # boxes that are more than 1 pixel beyond their image
    clipped: int = 0  # boxes that are up to 1 pixel beyond
    empty: int = 0  # boxes without area
    first_beyond: str = ""
    first_empty: str = ""
    all_fit_as_corners: bool = field(default=True)

    def add(self, boxes: Floats, flags: Ints, sizes: Floats, lines: Ints) -> None:
        """Check some boxes. Raises ``InvalidSource`` for negative sides, unless boxes are clipped."""
        relative = to_relative(boxes, flags, sizes, self.default)
        if not self.clip and (negative := (relative[:, 2:] < 0).any(axis=1)).any():
            self._fail_negative(int(np.flatnonzero(negative)[0]), boxes, flags, lines)
        overhang = np.maximum(-relative[:, :2], relative[:, :2] + relative[:, 2:] - 1)
        beyond = (overhang * sizes > 1 + TOLERANCE * sizes).any(axis=1)
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            width, height = sizes[row].astype(int)
            self.first_beyond = self.first_beyond or (
                f"{self.location(int(lines[row]))} has the box {boxes[row].tolist()}, which is more than 1 pixel beyond its "
                f"image of {width}×{height} pixels"
            )
            self.beyond += int(beyond.sum())
        self.clipped += int(((overhang > TOLERANCE).any(axis=1) & ~beyond).sum())
        if (empty := without_area(relative)).any():
            self.first_empty = self.first_empty or self.location(int(lines[empty][0]))
            self.empty += int(empty.sum())
        self.all_fit_as_corners = self.all_fit_as_corners and self._fit_as_corners(boxes, flags, sizes)

    def _fail_negative(self, row: int, boxes: Floats, flags: Ints, lines: Ints) -> None:
        is_corners = (flags[row] or self.default) & CORNERS
        what = "of which the second corner is before the first" if is_corners else "with a negative side"
        fail(self.location(int(lines[row])), f"has the box {boxes[row].tolist()}, {what}; correct it.")

    def _fit_as_corners(self, boxes: Floats, flags: Ints, sizes: Floats) -> bool:
        if self.default & CORNERS or flags.any():
            return False
        limit = sizes + 1 if self.default == PIXELS else 1 + 1 / sizes
        return bool(((boxes[:, 2:] >= boxes[:, :2]) & (boxes[:, 2:] <= limit) & (boxes[:, :2] >= 0)).all())

    def finish(self) -> list[str]:
        """Notes on all boxes. Raises ``InvalidSource`` if boxes are beyond their images, unless they are clipped."""
        notes = [text] if (text := self._describe_beyond()) else []
        if notes and not self.clip:
            raise InvalidSource(notes[0])
        if self.clipped:
            notes.append(f"{self.clipped} boxes were up to 1 pixel beyond their image, and were cut to it.")
        if self.empty:
            notes.append(f"{self.empty} boxes have no area, and were left out (the first: {self.first_empty}).")
        return notes

    def _describe_beyond(self) -> str:
        if not self.beyond:
            return ""
        if self.beyond > 1 and self.all_fit_as_corners:
            cut = "they were cut to it, so " if self.clip else ""
            return (
                f"{self.first_beyond}, as are {self.beyond - 1} more, and all of the file would fit as [x1, y1, x2, y2]; "
                f"{cut}say box_format='xyxy' if they are that."
            )
        more = f" (and {self.beyond - 1} more)" if self.beyond > 1 else ""
        if self.clip:
            return f"{self.first_beyond}{more}; it was cut to it."
        cure = "correct it, say what it is with coordinates=… or box_format=…, or have it cut with invalid='clip'"
        return f"{self.first_beyond}{more}; {cure}."


def without_area(boxes: Floats) -> Bools:
    """Which relative boxes have no area in the image."""
    start, end = np.clip(boxes[:, :2], 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    empty: Bools = np.logical_or.reduce((end <= start) | (boxes[:, 2:] <= 0), axis=1)
    return empty
