"""Geometries of objects, as columns of labels. What is wrong with one is raised as ``Wrong``."""

from __future__ import annotations

import base64
import binascii
import io
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .. import media
from ..common.boxed_masks import paste
from ..common.skeletons import POINT_NAMES

_MOST = 1 << 28  # bytes of a mask, unpacked
# The corners of a cuboid as pairs (upper, lower) of its upright edges, going round.
VERTICES = [
    f"face{face}-{end}{side}"
    for face, side in ((1, "left"), (1, "right"), (2, "right"), (2, "left"))
    for end in ("top", "bottom")
]
Row = Mapping[str, Any]


class Wrong(Exception):
    """What is wrong with a geometry."""


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def positions(values: Any, fewest: int) -> list[list[float]]:
    found = [[float(x), float(y)] for x, y in values if _is_number(x) and _is_number(y)]
    if len(found) != len(values):
        raise Wrong("a position is not a number")
    if len(found) < fewest:
        raise Wrong(f"it has {len(found)} points, and needs {fewest}")
    if not np.isfinite(found).all():
        raise Wrong("a position is not a finite number")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def rectangle(entry: Row) -> dict[str, Any]:
    """A rectangle is two opposite corners; whole numbers are pixels, and the last ones belong to it."""
    given = entry["points"]
    points = np.array(positions(given["exterior"] if isinstance(given, dict) else given, 2)[:2])
    last = 1.0 if (points == np.floor(points)).all() else 0.0
    low, high = points.min(axis=0), points.max(axis=0) + last
    angle = entry.get("angle", 0)
    if not _is_number(angle):
        raise Wrong("its angle is not a number")
    degrees = math.degrees(angle)
    return {"kind": "box", "bounding_box": [*low.tolist(), *(high - low).tolist()],
            "rotation": round(degrees, 9) if degrees % 360 else None}  # fmt: skip


def nodes(config: Any) -> dict[str, str]:
    """The nodes of a class of graphs: id → name, in their order."""
    nodes = config.get("nodes") if isinstance(config, dict) else None
    if not isinstance(nodes, dict):
        return {}
    return {key: str(node.get("label") or key) if isinstance(node, dict) else key for key, node in nodes.items()}


def graph(given: Any, template: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(given, list):
        given = {str(node["id"]): node for node in given}
    keys = list(dict.fromkeys([*template, *given]))
    points, seen = [], []
    for key in keys:
        node = given.get(key)
        points.append([math.nan, math.nan] if node is None else positions([node["loc"]], 1)[0])
        seen.append(0 if node is None else 1 if node.get("disabled") else 2)
    names = [template.get(key, key) for key in keys]
    is_named = len(set(names)) == len(names) and names != [str(number) for number in range(1, len(names) + 1)]
    more = {POINT_NAMES: names} if is_named else {}
    return {"kind": "skeleton", "points": [points], "visibility": seen, "more": more}


def cuboid(entry: Row) -> list[list[float]]:
    if isinstance(vertices := entry.get("vertices"), dict):
        return positions([vertices[key]["loc"] for key in VERTICES], 8)
    given = positions(entry["points"], 7)
    # Seven corners: those of the front face, going round, the two behind its upper edge, and the one behind its third corner.
    hidden = given[7] if len(given) > 7 else [given[4][axis] + given[6][axis] - given[5][axis] for axis in (0, 1)]
    return [given[0], given[3], given[1], given[2], given[5], given[6], given[4], hidden]


def bitmap(given: Row, size: tuple[Any, Any]) -> dict[str, Any]:
    """A mask is a PNG of the box around it, with the place of its upper left corner."""
    if size[0] is None:
        raise Wrong("the size of its image is not known")
    left, top = (round(value) for value in positions([given["origin"]], 1)[0])
    try:
        packed = base64.b64decode(given["data"], validate=False)
    except (binascii.Error, ValueError):
        raise Wrong("its mask is not base64") from None
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(packed, _MOST)
        if unpack.unconsumed_tail:
            raise Wrong("its mask has more bytes than a mask needs")
    except zlib.error:
        data = packed  # a PNG as it is
    try:
        with media.open_image(io.BytesIO(data)) as image:
            if image.width > size[0] or image.height > size[1] or not (abs(left) < 1 << 31 and abs(top) < 1 << 31):
                raise Wrong("its mask is not inside its image")
            media.decode_pixels(image)
            inside = _inside(image)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        raise Wrong("its mask cannot be decoded") from None
    return dict(paste(inside, left, top, size))


def _inside(image: Image.Image) -> npt.NDArray[np.bool_]:
    """What of a PNG is the mask: the pixels that can be seen, or, where all can, those that are not black."""
    rgba = np.asarray(image.convert("RGBA"))
    seen: npt.NDArray[np.bool_] = rgba[..., 3] > 0
    return seen & (rgba[..., :3] > 0).any(axis=-1) if seen.all() else seen
