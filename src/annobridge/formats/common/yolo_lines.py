"""YOLO's lines: a class and positions relative to the image, one label a line, as boxes, polygons, turned boxes or keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import list_array
from ...core.rows import attribute
from .archive import Archive
from .corners import CORNERS
from .items import SHAPES
from .number_lines import Ints, NumberLines, blocks, places
from .report import ReadReport

Task = Literal["auto", "detect", "segment", "pose", "obb"]
_HELD = 200_000  # lines of eight numbers that may wait until it is known what they are
_SURE = 0.9  # the share of parallelograms among them by which they are turned boxes
_SKEW = 0.05  # of its diagonal, by which a parallelogram may miss its fourth corner


@dataclass(frozen=True, slots=True)
class LineRules:
    """How lines are read. ``classes`` are the names by number, ``None`` where there are none: then a number is its name."""

    classes: Mapping[int, str] | None
    task: Task = "auto"
    keypoints: tuple[int, int] | None = None  # how many, and how many numbers each has: 2 or 3


# What the values of a line are; each is followed by a confidence where the line has one more.
_BOX, _QUAD, _POLYGON, _POSE = 1, 2, 3, 4
_COLUMNS = (
    "item", "kind", "label", "confidence", "index", "bounding_box", "points", "closed", "filled", "visibility", "attributes",
    "place",
)  # fmt: skip


def read_lines(
    archive: Archive, files: Iterable[tuple[int, str]], rules: LineRules, report: ReadReport
) -> Iterator[pa.Table]:
    """The shapes of label files (columns of ``SHAPES``, relative), each file with the number of its item.

    With the task "auto", lines of eight numbers are turned boxes if the dataset has no other lines and nine of ten are
    parallelograms, else polygons of four points.
    """
    held, alike, count = list[pa.Table](), 0, 0
    for items, names, lines in blocks(archive, files):
        shapes, quads = _shapes(archive, items, names, lines, rules, report)
        if rules.task != "auto":
            yield shapes
            continue
        alone = len(quads) == shapes.num_rows
        held.append(shapes)
        alike, count = alike + int(quads.sum()), count + len(quads)
        if not alone or count > _HELD:
            rules = replace(rules, task=_decided(alike, count, alone, report))
            yield from _as_decided(held, rules.task)
            held = []
    yield from _as_decided(held, _decided(alike, count, True, report) if held else "segment")


def _as_decided(shapes: list[pa.Table], task: Task) -> Iterator[pa.Table]:
    yield from (table if task == "obb" else _as_polygons(table) for table in shapes)


def _decided(alike: int, count: int, alone: bool, report: ReadReport) -> Task:
    turned = alone and count > 0 and alike >= _SURE * count
    if turned:
        report.assumptions.append(
            "All lines have eight numbers, and were taken for turned boxes; task='segment' takes them for polygons."
        )
    elif alone and count:
        report.assumptions.append(
            "All lines have eight numbers that are no parallelograms, and were taken for polygons; task='obb' takes them for "
            "turned boxes."
        )
    return "obb" if turned else "segment"


def _shapes(
    archive: Archive, items: list[int], names: list[str], lines: NumberLines, rules: LineRules, report: ReadReport
) -> tuple[pa.Table, np.ndarray]:
    """The shapes of some lines, in their order; and of those with four corners, which are parallelograms."""
    forms, scored = _forms(lines.counts, rules)
    tracked = _tracked(lines, forms, scored)
    reasons = _reasons(lines, forms, scored & ~tracked, rules)
    where = places(archive, names, lines)
    for line in sorted(reasons):
        report.skip(where[line].as_py(), reasons[line])
    keep = np.ones(len(lines), bool)
    keep[list(reasons)] = False
    common = {
        "item": pa.array(np.array(items, np.int32)[lines.files]),
        "label": _labels(lines.values[lines.starts], keep, rules.classes),
        "confidence": _lasts(lines, scored & ~tracked).cast(pa.float64()),
        "index": _lasts(lines, tracked).cast(pa.int32()),
        "place": where,
    }
    tables, order, alike = list[pa.Table](), list[np.ndarray](), np.zeros(0, bool)
    for form in np.unique(forms[keep]):
        at = np.flatnonzero(keep & (forms == form))
        coordinates = lines.counts[at] - 1 - scored[at]
        flat = lines.values[_ranges(lines.starts[at] + 1, coordinates)]
        if form == _QUAD:
            alike = _are_parallelograms(flat.reshape(-1, 4, 2))
        for columns in _built(int(form), flat, coordinates, lines.numbers[at], rules):
            shared = {name: column.take(pa.array(at)) for name, column in common.items()}
            tables.append(_table(len(at), shared | columns))
            order.append(at)
    if not tables:
        return _table(0, {}), alike
    if len(tables) == 1:
        return tables[0], alike
    together = pa.concat_tables(tables).combine_chunks()
    return together.take(pa.array(np.argsort(np.concatenate(order), kind="stable"))), alike


def _forms(counts: Ints, rules: LineRules) -> tuple[np.ndarray, np.ndarray]:
    """What each line is, by how many values it has; and whether the last of them is a confidence."""
    forms = np.zeros(len(counts), np.int8)
    scored = np.zeros(len(counts), bool)
    forms[(counts == 5) | (counts == 6)] = _BOX
    scored[counts == 6] = True
    if rules.task in ("auto", "segment"):
        rest = counts >= 7
        forms[rest], scored[rest] = _POLYGON, counts[rest] % 2 == 0
    if rules.task in ("auto", "obb"):
        quads = (counts == 9) | (counts == 10)
        forms[quads], scored[quads] = _QUAD, counts[quads] == 10
    if rules.task == "pose" and rules.keypoints is not None:
        full = 5 + rules.keypoints[0] * rules.keypoints[1]
        poses = (counts == full) | (counts == full + 1)
        forms[poses], scored[poses] = _POSE, counts[poses] == full + 1
    return forms, scored


def _reasons(lines: NumberLines, forms: np.ndarray, scored: np.ndarray, rules: LineRules) -> dict[int, str]:
    """The lines that cannot be read, each with the reason."""
    found: dict[int, str] = {}
    if not len(lines):
        return found
    classes = lines.values[lines.starts]
    with np.errstate(invalid="ignore"):
        last = lines.values[lines.starts + lines.counts - 1]
        bad_scores = scored & ~((last >= 0) & (last <= 1))
        whole = np.isfinite(classes) & (classes == np.floor(classes)) & (classes >= 0)
    known = whole if rules.classes is None else whole & np.isin(classes, list(rules.classes))
    needs = _needs(rules)
    for at in np.flatnonzero(~known):
        found[int(at)] = "its class is not the number of a class of the dataset"
    for at in np.flatnonzero(bad_scores):
        found[int(at)] = "its last value is not a confidence from 0 to 1"
    for at in np.flatnonzero(forms == 0):
        found[int(at)] = f"it has {lines.counts[at] - 1} numbers after the class; {needs}"
    for at in np.flatnonzero(np.logical_or.reduceat(~np.isfinite(lines.values), lines.starts)):
        found[int(at)] = "a value is not a finite number"
    return found


def _needs(rules: LineRules) -> str:
    if rules.task == "pose" and rules.keypoints is not None:
        return f"a box has 4, a box with keypoints {4 + rules.keypoints[0] * rules.keypoints[1]}"
    more = {"detect": "", "obb": ", a turned box 8"}
    return f"a box has 4{more.get(rules.task, ', a polygon 6 or more')}"


def _labels(classes: np.ndarray, keep: np.ndarray, names: Mapping[int, str] | None) -> pa.Array:
    if names is None:
        return pc.if_else(pa.array(keep), pa.array(np.where(keep, classes, 0).astype(np.int64)).cast(pa.string()), None)
    numbers = np.array(sorted(names), np.float64)
    at = np.searchsorted(numbers, np.where(keep, classes, 0)) if len(numbers) else np.zeros(len(classes), np.int64)
    return pa.array([names[int(n)] for n in numbers], pa.string()).take(pa.array(at, mask=~keep))


def _tracked(lines: NumberLines, forms: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Which lines have the number of a track after their box, as CVAT writes it for videos: each has a whole number there, and
    one is above 1.
    """
    six = scored & (forms == _BOX)
    last = lines.values[lines.starts[six] + 5]
    with np.errstate(invalid="ignore"):
        whole = (last >= 0) & (last < 1 << 31) & (last == np.floor(last))
    all_boxes = six.any() and (six == (forms == _BOX)).all()
    return six if all_boxes and whole.all() and last.max() > 1 else np.zeros(len(six), bool)


def _lasts(lines: NumberLines, where: np.ndarray) -> pa.Array:
    """The last value of some lines."""
    if not where.any():
        return pa.nulls(len(lines), pa.float64())
    return pa.array(np.where(where, lines.values[lines.starts + lines.counts - 1], 0), mask=~where)


def _built(
    form: int, flat: np.ndarray, lengths: Ints, numbers: Ints, rules: LineRules
) -> Iterator[dict[str, pa.Array]]:
    """The columns of the labels that lines of one form stand for."""
    if form == _BOX:
        yield {"kind": pa.repeat("box", len(lengths)), "bounding_box": _boxes(flat.reshape(-1, 4))}
    elif form == _POSE:
        assert rules.keypoints is not None  # noqa: S101 - only then there are poses
        groups = [[attribute("group", number)] for number in numbers.tolist()]
        rows = flat.reshape(len(lengths), -1)
        group = {"attributes": pa.array(groups, SHAPES.field("attributes").type)}
        yield {"kind": pa.repeat("box", len(rows)), "bounding_box": _boxes(rows[:, :4])} | group
        yield _keypoints(rows[:, 4:].reshape(len(rows), *rules.keypoints)) | group
    else:
        kind = CORNERS if form == _QUAD else "polygon"
        ring = pa.FixedSizeListArray.from_arrays(pa.array(flat), 2)
        points = list_array(np.ones(len(lengths), np.int64), list_array(lengths // 2, ring))
        yes = {} if form == _QUAD else {name: pa.repeat(True, len(lengths)) for name in ("closed", "filled")}
        yield {"kind": pa.repeat(kind, len(lengths)), "points": points} | yes


def _boxes(values: np.ndarray) -> pa.Array:
    """Boxes from centre and size."""
    corner = values[:, :2] - values[:, 2:] / 2
    return pa.FixedSizeListArray.from_arrays(pa.array(np.hstack([corner, values[:, 2:]]).ravel()), 4)


def _keypoints(values: np.ndarray) -> dict[str, pa.Array]:
    """Keypoints from x, y and, if there is a third number, visibility 0 to 2 or a confidence; 0 0 is a missing point."""
    points = values[..., :2].copy()
    seen = np.full(points.shape[:2], 2, np.int8)
    if values.shape[-1] == 3:
        third = values[..., 2]
        seen[third < 2] = 1
        seen[(third >= 0.5) & (third < 1)] = 2
        seen[third <= 0] = 0
    seen[(points == 0).all(axis=-1)] = 0
    points[seen == 0] = np.nan
    ones, each = np.ones(len(points), np.int64), np.full(len(points), points.shape[1])
    ring = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel(), from_pandas=False), 2)
    return {
        "kind": pa.repeat("keypoints", len(points)),
        "points": list_array(ones, list_array(each, ring)),
        "visibility": list_array(each, pa.array(seen.ravel())),
    }


def _are_parallelograms(quads: np.ndarray) -> np.ndarray:
    miss = np.hypot(*(quads[:, 0] + quads[:, 2] - quads[:, 1] - quads[:, 3]).T)
    diagonal = np.hypot(*(quads[:, 2] - quads[:, 0]).T)
    result: np.ndarray = miss <= _SKEW * diagonal
    return result


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """The numbers from each start on, as many as its length says."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def _as_polygons(shapes: pa.Table) -> pa.Table:
    """The shapes with those of four corners as polygons."""
    quads = pc.equal(shapes["kind"], CORNERS)
    kind = pc.if_else(quads, "polygon", shapes["kind"])
    for name, column in (("kind", kind), *((n, pc.if_else(quads, True, shapes[n])) for n in ("closed", "filled"))):
        shapes = shapes.set_column(shapes.column_names.index(name), shapes.schema.field(name), column)
    return shapes


def _table(count: int, columns: Mapping[str, pa.Array]) -> pa.Table:
    fields = [SHAPES.field(name).with_nullable(True) for name in _COLUMNS]
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(count, f.type) for f in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
