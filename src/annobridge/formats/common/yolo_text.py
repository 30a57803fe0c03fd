"""Labels as YOLO's lines, and the text files of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import Bools, as_array, as_mask, index_of, list_array, list_lengths
from ...core.geometry import decode_rle, mask_box
from .corners import around, corners
from .export import ExportData, ExportPart, image_sizes
from .number_lines import Ints
from .rings import outlines, without_holes

_CORNERS_OF_ELLIPSE = 32
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)

Lines = tuple[np.ndarray, pa.Array]  # the row of each label, and its line


def box_lines(rows: pa.Table, at: Ints, boxes: np.ndarray, classes: Sequence[str], scores: bool) -> Lines:
    """Class, centre and size. ``boxes`` are those of the rows ``at``."""
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    return at, _joined(rows, at, np.hstack([centre, boxes[:, 2:]]), classes, scores)


def corner_lines(
    rows: pa.Table, at: Ints, boxes: np.ndarray, items: pa.Table, first: int, classes: Sequence[str], scores: bool
) -> Lines:
    """Class and four corners, of boxes that may be turned."""
    quads = corners(boxes, turns(rows, at), _sizes_of(rows, at, items, first))
    return at, _joined(rows, at, quads.reshape(len(at), 8), classes, scores)


def polygon_lines(
    rows: pa.Table, at: Ints, items: pa.Table, first: int, classes: Sequence[str], scores: bool
) -> Iterator[Lines]:
    """Class and points; several lines for a label of several parts. All kinds but keypoints are given as polygons."""
    kinds = np.array(as_array(rows["kind"]).take(pa.array(at)).to_pylist(), object)
    parts = list_lengths(as_array(rows["points"]).take(pa.array(at)))
    single = at[(kinds == "polygon") & (parts == 1)]
    if single.size:
        ring = as_array(rows["points"]).take(pa.array(single)).flatten()
        yield single, _joined_lists(rows, single, list_lengths(ring) * 2, ring.flatten().flatten(), classes, scores)
    several, rings = list[int](), list[np.ndarray]()
    for row in at[~((kinds == "polygon") & (parts == 1))].tolist():
        found = _rings_of(rows.slice(row, 1), items, first)
        several += [row] * len(found)
        rings += found
    if several:
        flat = pa.array(np.concatenate(rings).ravel())
        lengths = np.array([ring.size for ring in rings])
        yield np.array(several), _joined_lists(rows, np.array(several), lengths, flat, classes, scores)


def pose_lines(
    rows: pa.Table, at: Ints, boxes: np.ndarray, points: Sequence[np.ndarray], classes: Sequence[str], scores: bool
) -> Lines:
    """Class, box, and x, y and visibility of each keypoint. ``points`` (keypoints, 3) of each row, all of one length."""
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    flat = np.array([p.ravel() for p in points]).reshape(len(at), -1)
    return at, _joined(rows, at, np.hstack([centre, boxes[:, 2:], flat]), classes, scores)


def boxes_around(rows: pa.Table, items: pa.Table, first: int) -> np.ndarray:
    """The upright boxes around labels of any kind; NaN where there is none."""
    boxes = _filled(rows["bounding_box"], 4)
    turned = np.flatnonzero(turns(rows, np.arange(rows.num_rows)) % 360 != 0)
    turned = turned[np.isfinite(boxes[turned]).all(axis=1)]
    if turned.size:
        boxes[turned] = around(boxes[turned], turns(rows, turned), _sizes_of(rows, turned, items, first))
    masks = as_array(rows["mask"])
    empty = np.isnan(boxes).any(axis=1)
    for row in np.flatnonzero(empty & as_mask(masks.is_valid())).tolist():
        boxes[row] = mask_box(masks[row].as_py())
    parts = as_array(rows["points"])
    rings = parts.flatten()
    owner = np.repeat(np.repeat(np.arange(len(parts)), list_lengths(parts)), list_lengths(rings))
    xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    there = np.isfinite(xy).all(axis=1)
    low, high = np.full((len(parts), 2), np.inf), np.full((len(parts), 2), -np.inf)
    np.minimum.at(low, owner[there], xy[there])
    np.maximum.at(high, owner[there], xy[there])
    use = np.isnan(boxes).any(axis=1) & np.isfinite(low).all(axis=1)
    boxes[use] = np.hstack([low, high - low])[use]
    return boxes


def turns(rows: pa.Table, at: Ints) -> np.ndarray:
    """The rotations of some rows, 0 where there is none."""
    degrees: np.ndarray = pc.fill_null(as_array(rows["rotation"]), 0.0).take(pa.array(at)).to_numpy()
    return degrees


def keypoints_of(rows: pa.Table, at: Ints) -> list[np.ndarray]:
    """x, y and visibility of the keypoints of some rows; 0 0 0 for a missing one."""
    found = []
    for row in at.tolist():
        xy = np.array(rows["points"][row].as_py()[0], float).reshape(-1, 2)
        seen = rows["visibility"][row].as_py() or [2] * len(xy)
        values = np.column_stack([xy, np.array(seen, float)])
        values[np.isnan(values).any(axis=1) | (values[:, 2] == 0)] = 0
        found.append(values)
    return found


def groups_of(rows: pa.Table) -> list[str | None]:
    """The attribute "group" of each row, which ties a box to its keypoints."""
    values: list[str | None] = attributes.values(rows["attributes"], "group").to_pylist()
    return values


def with_area(boxes: np.ndarray) -> np.ndarray:
    """Which boxes are there and have an area."""
    with np.errstate(invalid="ignore"):
        there: np.ndarray = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    return there


def write_texts(
    part: ExportPart,
    found: Sequence[Lines],
    path_of: Callable[[dict[str, object]], str],
    left_out: Bools | None = None,
) -> int:
    """Write a text file for each item of a part, an empty one where it has no lines.

    Items that are ``left_out`` have no file then. Returns how many these are.
    """
    order = np.argsort(np.concatenate([at for at, _ in found]), kind="stable") if found else np.zeros(0, int)
    rows = np.concatenate([at for at, _ in found])[order] if found else order
    lines = pa.concat_arrays([text for _, text in found]).take(pa.array(order)).to_pylist() if found else []
    owner = part.labels["item"].to_numpy()[rows] if part.labels.num_rows else np.zeros(0, int)
    bounds = np.searchsorted(owner, part.first + np.arange(part.items.num_rows + 1)).tolist()
    made, without = set[str](), 0
    for at, item in enumerate(part.items.to_pylist()):
        path = path_of(item)
        if (folder := os.path.dirname(path)) not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        some = lines[bounds[at] : bounds[at + 1]]
        if not some and left_out is not None and left_out[at]:
            without += 1
            continue
        _write(path, ("\n".join(some) + "\n").encode() if some else b"")
    return without


def tell_unseen(data: ExportData, count: int) -> None:
    """Note how many items have no text file (see ``write_texts``)."""
    if count:
        data.notes.append(f"{count:,} images that nobody has reviewed have no labels, and so no label file.")


def _write(path: str, data: bytes) -> None:
    """Write a file; a file object would cost more than all the rest."""
    file = os.open(path, _CREATE, 0o666)
    try:
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


def _joined(rows: pa.Table, at: Ints, values: np.ndarray, classes: Sequence[str], scores: bool) -> pa.Array:
    columns = [pa.array(np.ascontiguousarray(column)).cast(pa.string()) for column in values.T]
    return _with_score(rows, at, pc.binary_join_element_wise(_classes(rows, at, classes), *columns, " "), scores)


def _joined_lists(
    rows: pa.Table, at: Ints, lengths: Ints, flat: pa.Array, classes: Sequence[str], scores: bool
) -> pa.Array:
    text = pc.binary_join(list_array(lengths, flat.cast(pa.string())), " ")
    return _with_score(rows, at, pc.binary_join_element_wise(_classes(rows, at, classes), text, " "), scores)


def _with_score(rows: pa.Table, at: Ints, lines: pa.Array, scores: bool) -> pa.Array:
    if not scores:
        return lines
    score = as_array(rows["confidence"]).take(pa.array(at)).cast(pa.string())
    return pc.binary_join_element_wise(lines, score, " ", null_handling="skip")


def _classes(rows: pa.Table, at: Ints, classes: Sequence[str]) -> pa.Array:
    labels = as_array(rows["label"]).take(pa.array(at))
    return index_of(labels, pa.array(classes, pa.string())).cast(pa.string())


def _filled(column: pa.ChunkedArray, length: int) -> np.ndarray:
    """A column of fixed lists as an array, NaN where it is null."""
    values = as_array(column)
    result = np.full((len(values), length), np.nan)
    there = np.flatnonzero(as_mask(values.is_valid()))
    result[there] = values.take(pa.array(there)).flatten().to_numpy(zero_copy_only=False).reshape(-1, length)
    return result


def _sizes_of(rows: pa.Table, at: Ints, items: pa.Table, first: int) -> np.ndarray:
    sizes: np.ndarray = image_sizes(items)[rows["item"].to_numpy()[at] - first]
    return sizes


def _rings_of(row: pa.Table, items: pa.Table, first: int) -> list[np.ndarray]:
    """The outer rings of one label, relative."""
    kind = row["kind"][0].as_py()
    if kind in ("mask", "segmentation"):
        mask = decode_rle(row["mask"][0].as_py())
        return without_holes([ring / mask.shape[::-1] for ring in outlines(mask)]) if mask.any() else []
    if kind in ("box", "ellipse"):
        at = np.zeros(1, np.int64)
        turned = turns(row, at)
        sizes = _sizes_of(row, at, items, first) if turned[0] % 360 else np.ones((1, 2))
        box = _filled(row["bounding_box"], 4)
        return [corners(box, turned, sizes)[0]] if kind == "box" else [_ellipse(box, turned, sizes)]
    return without_holes([np.array(part, float) for part in row["points"][0].as_py()])


def _ellipse(box: np.ndarray, turned: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """An ellipse that fills a box, as a polygon."""
    angle = np.linspace(0, 2 * np.pi, _CORNERS_OF_ELLIPSE, endpoint=False)
    quad = corners(box, turned, sizes)[0]
    centre, across, down = quad.mean(axis=0), (quad[1] - quad[0]) / 2, (quad[3] - quad[0]) / 2
    result: np.ndarray = centre + np.outer(np.cos(angle), across) + np.outer(np.sin(angle), down)
    return result
