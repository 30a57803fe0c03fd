"""Convert a column of samples into labels: rows with columns of ``LABELS``.

The Arrow type decides: a text is the class of an image, and a list of texts several classes; numbers and booleans are scalars;
a list of structs, or a struct of lists, has boxes with their classes, and its other members are attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import SchemaError
from . import json_columns
from .arrays import as_array, as_mask, list_lengths
from .attributes import build
from .labels import ATTRIBUTE

BOXES = ("bounding_box", "bbox", "bboxes", "box", "boxes")
CLASSES = ("label", "category", "categories", "class", "classes", "labels", "name")
SCORES = ("confidence", "score", "scores", "confidences")


@dataclass(frozen=True, slots=True)
class ColumnFormat:
    """How boxes and classes are written.

    ``coordinates`` are ``"relative"`` to the image, or in ``"pixels"`` of the image as it is shown; ``box_format`` is ``"xywh"``
    or ``"xyxy"``; ``classes`` has the names of classes that are numbers.
    """

    coordinates: str = "relative"
    box_format: str = "xywh"
    classes: Sequence[str] = ()


def check(name: str, type_: pa.DataType, form: ColumnFormat) -> None:
    """Raise ``SchemaError`` for a column that cannot be converted, or a format that is not known."""
    for value, known in ((form.coordinates, ("relative", "pixels")), (form.box_format, ("xywh", "xyxy"))):
        if value not in known:
            raise SchemaError(f"{value!r} is not known; give {' or '.join(map(repr, known))}.")
    if not (_is_plain(type_) or (_is_list(type_) and _is_text(type_.value_type)) or _members(type_)):
        raise SchemaError(
            f"The column {name!r} is {type_}, which holds no labels; it should be text, a number, a list of texts, "
            "a list of structs with a box and a class, or a struct of such lists."
        )
    members = _members(type_)
    if members and _first(members, BOXES) is None:
        raise SchemaError(
            f"The structs of the column {name!r} have no box ({', '.join(members)}); name one of them {', '.join(BOXES)}."
        )


def labels(sample_ids: pa.Array, values: pa.Array, sizes: np.ndarray, form: ColumnFormat) -> pa.Table:
    """The labels of some samples.

    Args:
        sample_ids: the id of each sample.
        values: the column.
        sizes: ``[width, height]`` of each image, used for coordinates in pixels only.
        form: how boxes and classes are written.
    """
    if _members(values.type):
        return _boxes(sample_ids, *_flattened(values), sizes, form)
    ids = sample_ids
    if _is_list(values.type):
        ids, values = ids.take(pc.list_parent_indices(values)), pc.list_flatten(values)
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    given = pc.invert(values.is_null(nan_is_null=True)) if pa.types.is_floating(values.type) else values.is_valid()
    if _is_text(values.type):
        given = pc.and_(given, pc.not_equal(pc.utf8_trim_whitespace(values), ""))  # no class, like null
    ids, values = ids.filter(given), values.filter(given)
    if _is_text(values.type) or (form.classes and pa.types.is_integer(values.type)):
        return pa.table({
            "sample_id": ids, "kind": pa.repeat("classification", len(ids)), "label": _names(values, form.classes)
        })  # fmt: skip
    return pa.table({"sample_id": ids, "kind": pa.repeat("scalar", len(ids)), "value": json_columns.to_json(values)})


def _boxes(
    sample_ids: pa.Array, rows: np.ndarray, members: Mapping[str, pa.Array], sizes: np.ndarray, form: ColumnFormat
) -> pa.Table:
    box = next(n for n in BOXES if n in members)
    class_ = _first(members, CLASSES)
    score = _first({n: v for n, v in members.items() if _is_number(v.type)}, SCORES)
    with_box = np.flatnonzero(as_mask(members[box].is_valid()))  # entries without a box are left out
    rows, members = rows[with_box], {n: v.take(pa.array(with_box)) for n, v in members.items()}
    columns = {"sample_id": sample_ids.take(pa.array(rows)), "bounding_box": _relative(members[box], sizes[rows], form)}
    if class_ is not None:
        columns["label"] = _names(members[class_], form.classes)
    if score is not None:
        columns["confidence"] = members[score].cast(pa.float64())
    others = [json_columns.attribute_column(n, v) for n, v in members.items() if n not in (box, score, class_)]
    at = [np.flatnonzero(as_mask(a.is_valid())) for a in others]
    flat = [a.take(pa.array(where)) for a, where in zip(others, at, strict=True)]
    none = pa.array([], ATTRIBUTE)  # there may be no other members
    columns["attributes"] = build(
        np.concatenate([*at, np.zeros(0, np.int64)]).astype(np.int64), pa.concat_arrays([*flat, none]), len(rows)
    )
    return pa.table({**columns, "kind": pa.repeat("box", len(rows))})


def _relative(boxes: pa.Array, sizes: np.ndarray, form: ColumnFormat) -> pa.Array:
    flat = boxes.cast(pa.list_(pa.float64())) if _is_list(boxes.type) else None
    if flat is None or (len(flat) and (list_lengths(flat) != 4).any()):
        raise SchemaError("A box of the column is not four numbers; correct it, [x, y, width, height].")
    values = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    if form.box_format == "xyxy":
        values = np.hstack([values[:, :2], values[:, 2:] - values[:, :2]])
    if form.coordinates == "pixels":
        values = values / np.hstack([sizes, sizes])
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 4)


def _names(values: pa.Array, classes: Sequence[str]) -> pa.Array:
    """The name of each class; numbers are indices into ``classes``."""
    if not _is_number(values.type):
        return values.cast(pa.string())
    values = values.cast(pa.int64())
    numbers = pc.unique(values).drop_null().to_pylist()
    if wrong := [n for n in numbers if not 0 <= n < len(classes)]:
        listed = f"there are {len(classes)}" if classes else "no names were given"
        raise SchemaError(f"The class number {wrong[0]} has no name ({listed}); give classes=[…], in their order.")
    return pa.array(list(classes), pa.string()).take(values)


def _flattened(values: pa.Array) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """The number of the sample of each label, and the members of all labels."""
    if _is_list(values.type):
        flat = pc.list_flatten(values)
        members = {f.name: pc.struct_field(flat, [i]) for i, f in enumerate(flat.type)}
        return pc.list_parent_indices(values).to_numpy(), members
    lists = {f.name: pc.struct_field(values, [i]) for i, f in enumerate(values.type) if _is_list(f.type)}
    counts = {n: list_lengths(v) for n, v in lists.items()}
    name, first = next(iter(counts.items()))
    if differing := [n for n, c in counts.items() if (c != first).any()]:
        raise SchemaError(f"The lists {name!r} and {differing[0]!r} of a sample differ in length; make them alike.")
    return np.repeat(np.arange(len(values)), first), {n: as_array(pc.list_flatten(v)) for n, v in lists.items()}


def _members(type_: pa.DataType) -> list[str]:
    """The names of the members of a label, for a list of structs or a struct of lists; else none."""
    if _is_list(type_) and pa.types.is_struct(type_.value_type):
        return [f.name for f in type_.value_type]
    if pa.types.is_struct(type_) and type_.num_fields:
        return [f.name for f in type_ if _is_list(f.type)]
    return []


def _first(members: Sequence[str] | Mapping[str, pa.Array], names: Sequence[str]) -> str | None:
    return next((n for n in names if n in members), None)


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _is_text(type_: pa.DataType) -> bool:
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_plain(type_: pa.DataType) -> bool:
    return _is_text(type_) or _is_number(type_) or bool(pa.types.is_boolean(type_))
