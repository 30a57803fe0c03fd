"""Labels as rings without holes, for formats whose only shape with an inside is a ring of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.geometry import decode_rle
from .paint import outlines as shape_outlines
from .rings import Ring, outlines, without_holes


def single_rings(row: Mapping[str, Any]) -> list[Ring]:
    """The outer rings of a label (``LABELS`` in pixels) that has an inside. Holes are bridged into the ring around them, and
    masks are outlined along the edges of their pixels; a mask without pixels has none.
    """
    if row["mask"] is not None:
        mask = decode_rle(row["mask"])
        return without_holes(outlines(mask)) if mask.any() else []
    return without_holes([np.asarray(ring, float) for ring in shape_outlines(row)])
