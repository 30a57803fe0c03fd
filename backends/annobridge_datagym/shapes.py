"""Shapes: the columns of a table -> flat lists of pixels, as DataGym has them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annobridge.core.arrays import Ints, as_array, list_lengths

from . import rings

Floats = npt.NDArray[np.float64]
Parts = list[list[float]]  # of one label: [x, y, width, height] of a box, x, y, … of each part of anything else


def to_pixels(kind: str, labels: pa.Table, sizes: Ints) -> list[Parts]:
    """The parts of each label of one kind. ``sizes`` are width and height of each label's image, shape (n, 2). A missing keypoint
    is NaN; coordinates a hair below 0 are 0, for DataGym takes none below.
    """
    if kind == "box":
        xywh = as_array(labels["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        return [[row] for row in _placed(xywh * np.hstack([sizes, sizes])).tolist()]
    if kind in ("mask", "segmentation"):
        return [rings.of_mask(rle) for rle in labels["mask"].to_pylist()]
    if kind in ("classification", "scalar"):
        return [[] for _ in range(labels.num_rows)]
    parts = as_array(labels["points"])
    inner = parts.flatten()
    sides = np.repeat(np.repeat(sizes, list_lengths(parts), axis=0), list_lengths(inner), axis=0)
    flat = inner.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2) * sides
    numbers = _placed(flat).ravel().tolist()
    found = _cut(_cut(numbers, 2 * list_lengths(inner)), list_lengths(parts))
    if kind == "keypoints":  # each point is one of DataGym's
        return [[part[at : at + 2] for part in of for at in range(0, len(part), 2)] for of in found]
    return found


def _placed(pixels: Floats) -> Floats:
    """Never below 0, and whole where only the last bits are wrong: the export would cut 28.999999999999996 to 28."""
    whole = np.rint(pixels)
    return np.maximum(np.where(np.abs(pixels - whole) < _ULPS, whole, pixels), 0.0)


_ULPS = 1e-9  # pixels


def _cut(values: list, counts: Ints) -> list:  # type: ignore[type-arg]
    ends = np.cumsum(counts).tolist()
    return [values[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def present(parts: Parts) -> list[int]:
    """Which points of keypoints are there."""
    return [n for n, (x, y) in enumerate(parts) if x == x and y == y]


def same(found: list[float], sent: list[float], *, exact: bool) -> bool:
    """Whether a part is where it was sent to. The export has whole pixels only, cut towards 0."""
    if len(found) != len(sent):
        return False
    if exact:
        return all(abs(a - b) <= CLOSE for a, b in zip(found, sent, strict=True))
    return all(a == int(b) for a, b in zip(found, sent, strict=True))


CLOSE = 1e-6  # pixels; people move things by more


def box_of(part: list[float], type_: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, a pixel wide at least."""
    if type_ == "rectangle":
        x, y, w, h = part
        return x, y, x + max(w, 1.0), y + max(h, 1.0)
    xs, ys = part[::2], part[1::2]
    return min(xs), min(ys), max(*xs, min(xs) + 1.0), max(*ys, min(ys) + 1.0)


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
