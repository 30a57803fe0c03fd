"""Labels as the elements of CVAT's XML: a text for each element, whole columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, is_rotated, list_array, list_lengths
from ..common.boxed_masks import crop, to_rows
from ..common.skeletons import POINT_NAMES, point_names
from ..common.xml_text import decimals, escape, escaped, plain_values
from .read import CUBOID

Texts: TypeAlias = pa.Array
Floats: TypeAlias = npt.NDArray[np.float64]
SOURCES = ("manual", "auto", "semi-auto", "file")
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Properties:
    """What shapes have beside their geometry, as texts of attributes; and the elements of their other attributes."""

    head: Texts  # of the class and the source; in a track, of the frame
    occluded: Texts
    tail: Texts  # of z-order and group
    children: Texts
    keyframes: Texts | None = None  # in a track: whether each is a keyframe, for the points of skeletons


def elements(labels: pa.Table, kind: str) -> Texts:
    """The elements of labels of one kind (``LABELS`` in pixels), one for each."""
    return _WRITERS[kind](labels, _properties(labels, kind))


def track_elements(labels: pa.Table, kind: str, frames: Texts, keyframes: Texts, outside: Texts) -> Texts:
    """The elements of labels in their tracks, which have the class, source and group. The last three are texts: a number, and
    ``0`` or ``1``.
    """
    made = _properties(labels, kind, in_track=True)
    placed = [' frame="', frames, '" keyframe="', keyframes]
    placed += ['"'] if kind == "skeleton" else ['" outside="', outside, '"']
    head = pc.binary_join_element_wise(*placed, "")
    return _WRITERS[kind](labels, replace(made, head=head, keyframes=keyframes))


def track_heads(labels: pa.Table, ids: Texts) -> Texts:
    """The start tags of the tracks of which these labels are the first."""
    named, source = _source(labels["attributes"])
    grouped, group = _own(labels["attributes"], "group", "int")
    source = pc.if_else(pa.array(named), source, "manual")
    return pc.binary_join_element_wise(
        '  <track id="', ids, '" label="', escaped(labels["label"]), '" source="', source, '"',
        _optional(' group_id="', group, grouped), ">\n", "",
    )  # fmt: skip


def _source(lists: pa.ChunkedArray) -> tuple[npt.NDArray[np.bool_], Texts]:
    """Which labels have a source that CVAT knows, and the source."""
    named, source = _own(lists, "source", "str")
    source = pc.utf8_slice_codeunits(source, 1, -1)
    return named & as_mask(pc.is_in(source, pa.array(SOURCES))), source


def _properties(labels: pa.Table, kind: str, in_track: bool = False) -> Properties:
    lists, size = labels["attributes"], labels.num_rows
    flags, occluded = _own(lists, "occluded", "bool")
    ordered, z_order = _own(lists, "z_order", "int")
    grouped, group = _own(lists, "group", "int")
    named, source = _source(lists)
    is_shape = kind != "classification"
    own = {"source": named, "group": grouped}
    if is_shape:
        own |= {"z_order": ordered}
        if kind != "skeleton":
            own |= {"occluded": flags}
    source = pc.if_else(pa.array(named), source, "manual")
    head = pc.binary_join_element_wise(' label="', escaped(labels["label"]), '" source="', source, '"', "")
    hidden = pc.if_else(pc.and_(pa.array(flags), pc.equal(occluded, "true")), '"1"', '"0"')
    tail = [_optional(' z_order="', z_order, ordered)] if is_shape else []
    if not in_track:
        tail.append(_optional(' group_id="', group, grouped))
    children = _children(labels, own, kind)
    return Properties(
        head,
        pc.binary_join_element_wise(" occluded=", pc.fill_null(hidden, '"0"'), ""),
        pc.binary_join_element_wise(*tail, "") if len(tail) > 1 else tail[0],
        children if children is not None else pa.repeat(pa.scalar(""), size),
    )


def _own(lists: pa.ChunkedArray, name: str, type_: str) -> tuple[npt.NDArray[np.bool_], Texts]:
    """The rows whose attribute is of the type that a property of CVAT has; and its JSON texts."""
    structs = attributes.column(lists, name)
    return as_mask(pc.equal(structs.field("type"), type_)) & as_mask(structs.is_valid()), structs.field("value")


def _optional(before: str, values: Texts, where: npt.NDArray[np.bool_]) -> Texts:
    text = pc.binary_join_element_wise(before, values, '"', "")
    return pc.fill_null(pc.if_else(pa.array(where), text, ""), "")


def _children(labels: pa.Table, own: Mapping[str, npt.NDArray[np.bool_]], kind: str) -> Texts | None:
    """The ``attribute`` elements of each label; ``None`` if there are none at all."""
    rows, flat = attributes.flattened(labels["attributes"])
    names = flat.field("name")
    keep = np.ones(len(rows), bool)
    for name, where in own.items():
        keep &= ~(as_mask(pc.equal(names, name)) & where[rows])
    if kind == "skeleton":
        keep &= ~as_mask(pc.equal(names, POINT_NAMES)) & ~_of_points(labels, rows, names)
    scores = as_array(labels["confidence"])
    if not keep.any() and scores.null_count == len(scores):
        return None
    at = pa.array(np.flatnonzero(keep))
    texts = [_attribute_elements(names.take(at), flat.field("value").take(at))]
    owners = [rows[keep]]
    if scores.null_count < len(scores):
        owners.append(np.flatnonzero(as_mask(scores.is_valid())))
        values = scores.drop_null().cast(pa.string())
        texts.append(_attribute_elements(pa.repeat(pa.scalar(SCORE), len(values)), values))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    lists = list_array(np.bincount(owner, minlength=labels.num_rows), pa.concat_arrays(texts).take(pa.array(order)))
    return pc.binary_join(lists, "")


def _of_points(labels: pa.Table, rows: npt.NDArray[np.int64], names: pa.Array) -> npt.NDArray[np.bool_]:
    """Which attributes are of a point of their skeleton, as ``hand.visible``."""
    points = [set(_names(*pair)) for pair in _names_and_counts(labels)]
    split = [str(name).partition(".") for name in names.to_pylist()]
    return np.array([bool(dot) and head in points[row] for row, (head, dot, _) in zip(rows, split, strict=True)], bool)


def _attribute_elements(names: Texts, values: Texts) -> Texts:
    return pc.binary_join_element_wise(
        '      <attribute name="', escaped(names), '">', escaped(plain_values(values)), "</attribute>\n", ""
    )


def _element(tag: str, made: Properties, *geometry: Texts | str, occluded: bool = True) -> Texts:
    middle = [made.occluded] if occluded else []
    return pc.binary_join_element_wise(
        f"    <{tag}", made.head, *middle, *geometry, made.tail, ">\n", made.children, f"    </{tag}>\n", ""
    )


def _four(labels: pa.Table) -> Floats:
    values: Floats = as_array(labels["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    return values


def _numbered(names: tuple[str, ...], values: Floats) -> list[Texts | str]:
    """Attributes of numbers: ``values`` has a column for each name."""
    made: list[Texts | str] = []
    for at, name in enumerate(names):
        made += [f' {name}="', decimals(pa.array(values[:, at])), '"']
    return made


def _rotation(labels: pa.Table) -> Texts:
    degrees = as_array(labels["rotation"])
    turned = is_rotated(degrees)
    if not turned.any():
        return pa.repeat(pa.scalar(""), labels.num_rows)
    return _optional(' rotation="', decimals(pc.fill_null(degrees, 0.0)), turned)


def _boxes(labels: pa.Table, made: Properties) -> Texts:
    xywh = _four(labels)
    corners = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    return _element("box", made, *_numbered(("xtl", "ytl", "xbr", "ybr"), corners), _rotation(labels))


def _ellipses(labels: pa.Table, made: Properties) -> Texts:
    xywh = _four(labels)
    values = np.hstack([xywh[:, :2] + xywh[:, 2:] / 2, xywh[:, 2:] / 2])
    return _element("ellipse", made, *_numbered(("cx", "cy", "rx", "ry"), values), _rotation(labels))


def _points(tag: str) -> Callable[[pa.Table, Properties], Texts]:
    """The writer of a tag whose geometry is one chain of points. Missing points are left out."""

    def write(labels: pa.Table, made: Properties) -> Texts:
        rings = as_array(labels["points"]).flatten()
        xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
        owner = np.repeat(np.arange(len(rings)), list_lengths(rings))
        known = np.isfinite(xy).all(axis=1)
        pairs = pc.binary_join_element_wise(decimals(pa.array(xy[known, 0])), decimals(pa.array(xy[known, 1])), ",")
        chains = pc.binary_join(list_array(np.bincount(owner[known], minlength=len(rings)), pairs), ";")
        return _element(tag, made, ' points="', chains, '"')

    return write


def _cuboids(labels: pa.Table, made: Properties) -> Texts:
    xy = as_array(labels["points"]).flatten().flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 16)
    return _element("cuboid", made, *_numbered(CUBOID, xy))


def _masks(labels: pa.Table, made: Properties) -> Texts:
    texts = []
    for mask in labels["mask"].to_pylist():
        pixels, left, top = crop(mask)
        height, width = pixels.shape
        texts.append(f' rle="{to_rows(pixels)}" left="{left}" top="{top}" width="{width}" height="{height}"')
    return _element("mask", made, pa.array(texts, pa.string()))


def _tags(_: pa.Table, made: Properties) -> Texts:
    return _element("tag", made, occluded=False)


def _names(value: str | None, count: int) -> tuple[str, ...]:
    return tuple(point_names(value, count))


def _names_and_counts(labels: pa.Table) -> list[tuple[str | None, int]]:
    """The JSON text of the names of each skeleton's points, and how many points it has."""
    names = as_array(attributes.values(labels["attributes"], POINT_NAMES)).to_pylist()
    counts = list_lengths(as_array(labels["points"]).flatten()).tolist()
    return list(zip(names, counts, strict=True))


def _skeletons(labels: pa.Table, made: Properties) -> Texts:
    texts = []
    keys = made.keyframes.to_pylist() if made.keyframes is not None else [None] * labels.num_rows
    for row, pair, key in zip(labels.to_pylist(), _names_and_counts(labels), keys, strict=True):
        seen = row["visibility"] or [2] * pair[1]
        given = {a["name"]: a["value"] for a in row["attributes"] or ()}
        texts.append("".join(
            _joint(name, point, shown, given, key)
            for name, point, shown in zip(_names(*pair), row["points"][0], seen, strict=True)
        ))  # fmt: skip
    inner = pc.binary_join_element_wise(pa.array(texts, pa.string()), made.children, "")
    return _element("skeleton", Properties(made.head, made.occluded, made.tail, inner), occluded=False)


def _joint(name: str, point: list[float], shown: int, given: Mapping[str, Any], key: str | None) -> str:
    is_missing = point[0] != point[0] or point[1] != point[1]
    x, y = decimals(pa.array([0.0, 0.0] if is_missing else point)).to_pylist()
    own = {n.removeprefix(f"{name}."): v for n, v in given.items() if n.startswith(f"{name}.")}
    inner = "".join(_attribute_elements(pa.array(list(own)), pa.array(list(own.values()))).to_pylist()) if own else ""
    flags = f'outside="{int(is_missing or shown == 0)}" occluded="{int(shown == 1)}"'
    placed = f'keyframe="{key}"' if key is not None else 'source="manual"'
    return f'      <points label="{escape(name)}" {placed} {flags} points="{x},{y}">\n{inner}      </points>\n'


_WRITERS: dict[str, Callable[[pa.Table, Properties], Texts]] = {
    "box": _boxes,
    "ellipse": _ellipses,
    "polygon": _points("polygon"),
    "polyline": _points("polyline"),
    "keypoints": _points("points"),
    "cuboid": _cuboids,
    "mask": _masks,
    "segmentation": _masks,
    "skeleton": _skeletons,
    "classification": _tags,
}
KINDS = tuple(_WRITERS)
