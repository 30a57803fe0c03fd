"""Checks of label columns that are not shapes: kinds, ids, numbers, values and attributes. ``validate`` runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_mask, is_rotated, list_lengths
from ..did_you_mean import did_you_mean
from ..json_values import read
from ..labels import KINDS, LABELS
from ..schema import FRAMES, is_field_name

Floats = npt.NDArray[np.float64]

NEEDS: dict[str, tuple[str, ...]] = {  # one of these columns
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
_LOOKS = {  # JSON of each type as it nearly always looks, so that few values need a parser
    "bool": "true|false",
    "int": r"-?(0|[1-9]\d*)",
    "float": r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?",
    "str": r'"([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"',
}
_LOOKS["json"] = "null|" + "|".join(_LOOKS.values())
_PYTHON: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "json": (object,),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of mistake: the rows that make it, in order, and its sentence for the k-th of them."""

    rows: Ints
    say: Callable[[int], str]


def wrong_values(rows: Ints, wrong: Bools, noun: str, values: Floats, cure: str) -> Finding:
    """Rows of which a value is wrong, each row once, with the first such value."""
    at = np.flatnonzero(wrong)
    found, first = np.unique(rows[at], return_index=True)
    return Finding(found, lambda k: f"has the {noun} {values[at[first[k]]].tolist()}, {cure}.")


class Columns:
    """The columns of a table, each as one array; absent ones are null."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.size = table.num_rows

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self.table.column_names:
            return pa.nulls(self.size, LABELS.field(name).type)
        chunks = [c for c in self.table[name].cast(LABELS.field(name).type).chunks if len(c)]
        return pa.concat_arrays(chunks) if chunks else pa.nulls(0, LABELS.field(name).type)

    def name(self, row: int) -> str:
        """How a sentence calls a row."""
        ids = {
            n: self.table[n][row].as_py() for n in ("label_id", "sample_id", "field") if n in self.table.column_names
        }
        label = f"Label {ids['label_id']!r}" if ids.get("label_id") is not None else f"Row {row}"
        return label + (f" of sample {ids['sample_id']!r}" if ids.get("sample_id") is not None else "")

    @cached_property
    def kinds(self) -> tuple[Ints, list[str | None]]:
        """The kind of each row, as a place in a list of kinds; the last is no kind at all."""
        coded = self["kind"].dictionary_encode()
        names = coded.dictionary.to_pylist()
        return pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False), [*names, None]

    def any_of(self, *kinds: str) -> Bools:
        """Which rows are of these kinds."""
        codes, names = self.kinds
        return np.array([name in kinds for name in names])[codes]

    @cached_property
    def boxes(self) -> tuple[Ints, Floats, Bools]:
        """The rows that have a box, the boxes, and which of them are upright (a turned one may overhang the image)."""
        column = self["bounding_box"]
        rows = np.flatnonzero(as_mask(column.is_valid()))
        upright = ~is_rotated(self["rotation"])[rows]
        return rows, column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4), upright


def kinds(table: Columns) -> Iterator[Finding]:
    codes, names = table.kinds
    rows = np.flatnonzero(~table.any_of(*KINDS))
    yield Finding(
        rows, lambda k: f"has the kind {names[codes[rows[k]]]!r}; {did_you_mean(str(names[codes[rows[k]]]), KINDS)}"
    )
    for kind in names:
        if kind in NEEDS:
            yield _missing(table, kind, NEEDS[kind])


def _missing(table: Columns, kind: str, columns: tuple[str, ...]) -> Finding:
    lacking = table.any_of(kind)
    for column in columns:
        values = table[column]
        lacking &= (list_lengths(values) == 0) if column == "points" else ~as_mask(values.is_valid())
    either = " or ".join(map(repr, columns))
    return Finding(np.flatnonzero(lacking), lambda _: f"is a {kind} without {either}; give it, or leave the label out.")


def ids(table: Columns) -> Iterator[Finding]:
    coded = table["label_id"].dictionary_encode()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    given = np.flatnonzero(codes >= 0)
    if given.size == len(coded.dictionary):
        return
    first = np.full(len(coded.dictionary), table.size)
    np.minimum.at(first, codes[given], given)
    rows = given[first[codes[given]] != given]
    yield Finding(
        rows,
        lambda k: f"in row {rows[k]} has the id of row {first[codes[rows[k]]]}; give every label an id of its own.",
    )


def given_ids(table: Columns) -> Iterator[Finding]:
    """Ids that name nothing."""
    column = table["label_id"]
    rows = np.flatnonzero(_blank(column))
    yield Finding(
        rows, lambda k: f"has the label_id {column[int(rows[k])].as_py()!r}; give it a text, or none to have one made."
    )


def classes(table: Columns) -> Iterator[Finding]:
    column = table["label"]
    rows = np.flatnonzero(_blank(column))
    yield Finding(rows, lambda k: f"has the class {column[int(rows[k])].as_py()!r}; give it a name, or none.")


def fields(table: Columns) -> Iterator[Finding]:
    """Names of fields that no label schema could name; each name once."""
    coded = table["field"].dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False)
    wrong = [code for code, name in enumerate(names) if not is_field_name(name)]
    rows = np.array([np.argmax(codes == code) for code in wrong], np.int64)
    yield Finding(
        rows,
        lambda k: (
            f"is in the field {names[wrong[k]]!r}, which is not a field name; use letters, digits and _ "
            "(a video's frame field: frames.NAME)."
        ),
    )


def frames(table: Columns) -> Iterator[Finding]:
    """A frame of an image, or a label of frames that does not say of which."""
    field, number = table["field"], table["frame_number"]
    of_frames = as_mask(pc.starts_with(field, FRAMES))
    numbered = as_mask(number.is_valid())
    still, nowhere = np.flatnonzero(numbered & ~of_frames), np.flatnonzero(of_frames & ~numbered)
    yield Finding(
        still,
        lambda k: (
            f"has the frame_number {number[int(still[k])].as_py()}, and {field[int(still[k])].as_py()!r} is not a field of "
            f"video frames; name the field {FRAMES + field[int(still[k])].as_py()!r}, or leave the number out."
        ),
    )
    yield Finding(
        nowhere,
        lambda k: f"is in the field {field[int(nowhere[k])].as_py()!r} without a frame_number; give it, from 1 on.",
    )


def _blank(texts: pa.Array) -> Bools:
    """Which texts are empty, or nothing but spaces."""
    return as_mask(pc.equal(pc.utf8_trim_whitespace(texts), ""))


def numbers(table: Columns) -> Iterator[Finding]:
    for name, right, cure in (
        ("confidence", lambda c: pc.and_(pc.greater_equal(c, 0), pc.less_equal(c, 1)), "a number from 0 to 1"),
        ("rotation", pc.is_finite, "degrees"),
        ("frame_number", lambda c: pc.greater_equal(c, 1), "a number from 1 on"),
    ):
        column = table[name]
        if column.null_count < table.size:
            wrong, values = as_mask(column.is_valid()) & ~as_mask(right(column)), pc.fill_null(column, 0).to_numpy()
            yield wrong_values(np.arange(table.size), wrong, name, values, f"give {cure}, or none")


def attributes(table: Columns) -> Iterator[Finding]:
    lists = table["attributes"]
    if lists.null_count == len(lists):
        return
    owner, flat = np.repeat(np.arange(len(lists)), list_lengths(lists)), lists.flatten()
    names, types, values = (pc.struct_field(flat, [i]) for i in range(3))
    void = np.unique(owner[~as_mask(pc.and_(pc.and_(names.is_valid(), types.is_valid()), values.is_valid()))])
    yield Finding(void, lambda _: "has an attribute that is null, or has no name, type or value; leave it out.")
    strange = np.flatnonzero(~as_mask(pc.is_in(types, pa.array(_LOOKS))) & as_mask(types.is_valid()))
    yield Finding(
        owner[strange],
        lambda k: (
            f"has the attribute {names[int(strange[k])].as_py()!r} of type {types[int(strange[k])].as_py()!r}; "
            f"{did_you_mean(types[int(strange[k])].as_py(), _LOOKS)}"
        ),
    )
    twice = _repeated(owner, names)
    yield Finding(
        owner[twice], lambda k: f"has the attribute {names[int(twice[k])].as_py()!r} more than once; give it once."
    )
    coded = values.dictionary_encode()
    for kind in set(pc.unique(types).to_pylist()) & set(_LOOKS):
        yield _unreadable(kind, owner, as_mask(pc.equal(types, kind)), coded, names)


def _repeated(owner: Ints, names: pa.Array) -> Ints:
    coded = names.dictionary_encode()
    some = len(coded.dictionary) + 1
    key = owner * some + pc.fill_null(coded.indices, some - 1).to_numpy(zero_copy_only=False)
    if (np.diff(key) > 0).all():  # in order, as they should be: nothing to sort
        return np.zeros(0, np.int64)
    _, first, times = np.unique(key, return_index=True, return_counts=True)
    return np.sort(first[times > 1]).astype(np.int64)


def scalars(table: Columns) -> Iterator[Finding]:
    values = table["value"]
    if values.null_count < table.size:
        data = table.any_of("scalar", "message")
        yield _unreadable("json", np.arange(table.size), data, values.dictionary_encode())


def _unreadable(
    kind: str, rows: Ints, where: Bools, coded: pa.DictionaryArray, names: pa.Array | None = None
) -> Finding:
    """Values that are not JSON text of their type. Each is looked at once."""
    texts = coded.dictionary
    codes = pc.fill_null(coded.indices, len(texts)).to_numpy(zero_copy_only=False)
    used = np.bincount(codes[where], minlength=len(texts) + 1)[:-1] > 0
    wrong = np.zeros(len(texts) + 1, bool)
    wrong[np.flatnonzero(used)] = malformed(kind, texts.filter(pa.array(used)))
    at = np.flatnonzero(where & wrong[codes])

    def say(k: int) -> str:
        what = f"the attribute {names[int(at[k])].as_py()!r}" if names is not None else "the value"
        return (
            f"has {what} = {coded[int(at[k])].as_py()}, which is not JSON of the type {kind}; write it with json.dumps."
        )

    return Finding(rows[at], say)


def malformed(kind: str, texts: pa.Array) -> Bools:
    """Which texts are not JSON of a type. A text is parsed only if it looks unusual."""
    wrong = ~as_mask(pc.match_substring_regex(texts, f"^({_LOOKS[kind]})$"))
    unusual = np.flatnonzero(wrong)
    wrong[unusual] = [not _reads(kind, text) for text in texts.take(pa.array(unusual)).to_pylist()]
    return wrong


def _reads(kind: str, text: str) -> bool:
    try:
        value = read(text)
    except ValueError:
        return False
    return isinstance(value, _PYTHON[kind]) and (kind in ("bool", "json") or not isinstance(value, bool))
