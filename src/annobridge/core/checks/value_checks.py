"""Checks of label columns that are not shapes: kinds, ids, fields, numbers, classes, values and attributes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_mask, list_lengths
from ..did_you_mean import did_you_mean
from ..json_values import read
from ..labels import KINDS
from ..schema import FRAMES, is_field_name
from .label_columns import LabelColumns, Mistake, wrong_values

NEEDS: dict[str, tuple[str, ...]] = {  # kind: one of these columns must have a value
    "classification": ("label",),
    "box": ("bounding_box",),
    "ellipse": ("bounding_box",),
    "mask": ("mask",),
    "segmentation": ("mask",),
    "polygon": ("points",),
    "polyline": ("points",),
    "keypoints": ("points",),
    "skeleton": ("points",),
    "cuboid": ("points", "bounding_box"),
    "scalar": ("value",),
    "message": ("value",),
}
_USUAL_JSON = {  # patterns of the usual JSON of each type, so that few values need a parser
    "bool": "true|false",
    "int": r"-?(0|[1-9]\d*)",
    "float": r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?",
    "str": r'"([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"',
}
_USUAL_JSON["json"] = "null|" + "|".join(_USUAL_JSON.values())
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "json": (object,),
}


def kinds(table: LabelColumns) -> Iterator[Mistake]:
    codes, names = table.kinds
    rows = np.flatnonzero(~table.any_of(*KINDS))
    yield Mistake(
        rows, lambda k: f"has the kind {names[codes[rows[k]]]!r}; {did_you_mean(str(names[codes[rows[k]]]), KINDS)}"
    )
    for kind in names:
        if kind in NEEDS:
            yield _missing(table, kind, NEEDS[kind])


def _missing(table: LabelColumns, kind: str, columns: tuple[str, ...]) -> Mistake:
    lacking = table.any_of(kind)
    for column in columns:
        values = table[column]
        lacking &= (list_lengths(values) == 0) if column == "points" else ~as_mask(values.is_valid())
    either = " or ".join(map(repr, columns))
    return Mistake(np.flatnonzero(lacking), lambda _: f"is a {kind} without {either}; give it, or leave the label out.")


def ids(table: LabelColumns) -> Iterator[Mistake]:
    coded = table["label_id"].dictionary_encode()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    given = np.flatnonzero(codes >= 0)
    if given.size == len(coded.dictionary):
        return
    first = np.full(len(coded.dictionary), table.size)
    np.minimum.at(first, codes[given], given)
    rows = given[first[codes[given]] != given]
    yield Mistake(
        rows,
        lambda k: f"in row {rows[k]} has the id of row {first[codes[rows[k]]]}; give every label an id of its own.",
    )


def given_ids(table: LabelColumns) -> Iterator[Mistake]:
    """Blank ids."""
    column = table["label_id"]
    rows = np.flatnonzero(_blank(column))
    yield Mistake(
        rows, lambda k: f"has the label_id {column[int(rows[k])].as_py()!r}; give it a text, or none to have one made."
    )


def classes(table: LabelColumns) -> Iterator[Mistake]:
    column = table["label"]
    rows = np.flatnonzero(_blank(column))
    yield Mistake(rows, lambda k: f"has the class {column[int(rows[k])].as_py()!r}; give it a name, or none.")


def fields(table: LabelColumns) -> Iterator[Mistake]:
    """Names that a field of a label schema cannot have; each name is reported once."""
    coded = table["field"].dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False)
    wrong = [code for code, name in enumerate(names) if not is_field_name(name)]
    rows = np.array([np.argmax(codes == code) for code in wrong], np.int64)
    yield Mistake(
        rows,
        lambda k: (
            f"is in the field {names[wrong[k]]!r}, which is not a field name; use letters, digits and _ "
            "(a video's frame field: frames.NAME)."
        ),
    )


def frames(table: LabelColumns) -> Iterator[Mistake]:
    """A frame number in a field of images, and none in a field of video frames."""
    field, number = table["field"], table["frame_number"]
    of_frames = as_mask(pc.starts_with(field, FRAMES))
    numbered = as_mask(number.is_valid())
    images, unnumbered = np.flatnonzero(numbered & ~of_frames), np.flatnonzero(of_frames & ~numbered)
    yield Mistake(
        images,
        lambda k: (
            f"has the frame_number {number[int(images[k])].as_py()}, and {field[int(images[k])].as_py()!r} is not a field of "
            f"video frames; name the field {FRAMES + field[int(images[k])].as_py()!r}, or leave the number out."
        ),
    )
    yield Mistake(
        unnumbered,
        lambda k: f"is in the field {field[int(unnumbered[k])].as_py()!r} without a frame_number; give it, from 1 on.",
    )


def _blank(texts: pa.Array) -> Bools:
    """Which texts are empty, or consist of white space."""
    return as_mask(pc.equal(pc.utf8_trim_whitespace(texts), ""))


def numbers(table: LabelColumns) -> Iterator[Mistake]:
    for name, is_valid, advice in (
        ("confidence", lambda c: pc.and_(pc.greater_equal(c, 0), pc.less_equal(c, 1)), "a number from 0 to 1"),
        ("rotation", pc.is_finite, "degrees"),
        ("frame_number", lambda c: pc.greater_equal(c, 1), "a number from 1 on"),
    ):
        column = table[name]
        if column.null_count < table.size:
            wrong, values = as_mask(column.is_valid()) & ~as_mask(is_valid(column)), pc.fill_null(column, 0).to_numpy()
            yield wrong_values(np.arange(table.size), wrong, name, values, f"give {advice}, or none")


def attributes(table: LabelColumns) -> Iterator[Mistake]:
    lists = table["attributes"]
    if lists.null_count == len(lists):
        return
    owner, flat = np.repeat(np.arange(len(lists)), list_lengths(lists)), lists.flatten()
    names, types, values = (pc.struct_field(flat, [i]) for i in range(3))
    incomplete = np.unique(owner[~as_mask(pc.and_(pc.and_(names.is_valid(), types.is_valid()), values.is_valid()))])
    yield Mistake(incomplete, lambda _: "has an attribute that is null, or has no name, type or value; leave it out.")
    unknown_types = np.flatnonzero(~as_mask(pc.is_in(types, pa.array(_USUAL_JSON))) & as_mask(types.is_valid()))
    yield Mistake(
        owner[unknown_types],
        lambda k: (
            f"has the attribute {names[int(unknown_types[k])].as_py()!r} of type {types[int(unknown_types[k])].as_py()!r}; "
            f"{did_you_mean(types[int(unknown_types[k])].as_py(), _USUAL_JSON)}"
        ),
    )
    twice = _repeated(owner, names)
    yield Mistake(
        owner[twice], lambda k: f"has the attribute {names[int(twice[k])].as_py()!r} more than once; give it once."
    )
    coded = values.dictionary_encode()
    for kind in set(pc.unique(types).to_pylist()) & set(_USUAL_JSON):
        yield _malformed_values(kind, owner, as_mask(pc.equal(types, kind)), coded, names)


def _repeated(owner: Ints, names: pa.Array) -> Ints:
    """The first of the attributes that have one name on one label, for each label and name."""
    coded = names.dictionary_encode()
    width = len(coded.dictionary) + 1  # null has a code too
    key = owner * width + pc.fill_null(coded.indices, width - 1).to_numpy(zero_copy_only=False)
    if (np.diff(key) > 0).all():  # in order, as they should be: nothing to sort
        return np.zeros(0, np.int64)
    _, first, times = np.unique(key, return_index=True, return_counts=True)
    return np.sort(first[times > 1]).astype(np.int64)


def scalars(table: LabelColumns) -> Iterator[Mistake]:
    values = table["value"]
    if values.null_count < table.size:
        data = table.any_of("scalar", "message")
        yield _malformed_values("json", np.arange(table.size), data, values.dictionary_encode())


def _malformed_values(
    kind: str, rows: Ints, where: Bools, coded: pa.DictionaryArray, names: pa.Array | None = None
) -> Mistake:
    """Values that are not JSON text of their type. Each distinct value is parsed once."""
    texts = coded.dictionary
    codes = pc.fill_null(coded.indices, len(texts)).to_numpy(zero_copy_only=False)
    used = np.bincount(codes[where], minlength=len(texts) + 1)[:-1] > 0
    wrong = np.zeros(len(texts) + 1, bool)
    wrong[np.flatnonzero(used)] = is_malformed(kind, texts.filter(pa.array(used)))
    at = np.flatnonzero(where & wrong[codes])

    def sentence(k: int) -> str:
        subject = f"the attribute {names[int(at[k])].as_py()!r}" if names is not None else "the value"
        return f"has {subject} = {coded[int(at[k])].as_py()}, which is not JSON of the type {kind}; write it with json.dumps."

    return Mistake(rows[at], sentence)


def is_malformed(kind: str, texts: pa.Array) -> Bools:
    """Which texts are not JSON of a type. A text is parsed only if it does not match the usual pattern."""
    wrong = ~as_mask(pc.match_substring_regex(texts, f"^({_USUAL_JSON[kind]})$"))
    unusual = np.flatnonzero(wrong)
    wrong[unusual] = [not _is_json_of(kind, text) for text in texts.take(pa.array(unusual)).to_pylist()]
    return wrong


def _is_json_of(kind: str, text: str) -> bool:
    try:
        value = read(text)
    except ValueError:
        return False
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind in ("bool", "json") or not isinstance(value, bool))
