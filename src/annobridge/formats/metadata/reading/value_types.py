"""The type of the values of each name over a whole source; and such values as Arrow columns and as JSON texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import json_columns
from ....exceptions import InvalidSource
from .json_lines import fail
from .schema import ValueSchema

JSON = pa.large_string()  # marks a column of JSON texts, for values that no column holds as they are
ATTRIBUTE_TYPES = {pa.bool_(): "bool", pa.int64(): "int", pa.float64(): "float", pa.string(): "str"}
_PYTHON_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}
_ARROW_TYPES = {
    pa.bool_(): "true or false",
    pa.int64(): "a whole number",
    pa.float64(): "a number",
    pa.string(): "a text",
}
_EXACT = 1 << 53  # up to here, a float holds every whole number
Where = Callable[[int], str]  # the location of the n-th value


class ValueTypes:
    """The types of all names. A name has one type in a whole source; whole numbers among fractions become floats.

    Args:
        schema: the types that the user declared.
    """

    def __init__(self, schema: ValueSchema) -> None:
        self._schema = schema
        self._types: dict[tuple[str, str], pa.DataType] = {}
        self._first: dict[tuple[str, str], list[tuple[pa.DataType, str]]] = {}  # where each type came first
        self._large: dict[tuple[str, str], str] = {}  # where the first whole number is that a float may not hold

    def add(self, field: str, name: str, values: Sequence[Any], where: Where) -> pa.Array:
        """Record the type of some values, and return them as a column of that type.

        Args:
            field: the label field; ``""`` for a column of the samples.
            name: the attribute, or the column.
            values: the values; ``None`` where there is none.
            where: the location of the n-th value.

        Raises:
            InvalidSource: the values are of several types, or of another type than earlier ones. Names both locations.
        """
        if fit := self._schema.fitting(field, name):
            values = [None if v is None else fit(v, where(n)) for n, v in enumerate(values)]
        column = _column(values, name, where)
        key = (field, name)
        known = self._types.get(key, pa.null())
        if column.type != known:
            self._types[key] = self._common_type(key, known, column.type, values, where)
        if key not in self._large and (row := _first_large(column, values)) is not None:
            self._large[key] = where(row)
        if key in self._large and _element_type(self._types[key]) == pa.float64():
            fail(
                self._large[key],
                f"has a whole number beyond 2**53 in {name!r}, and other values have fractions, among which it would lose "
                "digits; write it as a text.",
            )
        return column

    def type(self, field: str, name: str) -> pa.DataType:
        """The type of a name, once all values were added; null if it never had one."""
        return self._types.get((field, name), pa.null())

    def names(self, field: str) -> list[str]:
        """The names of a field, in the order in which they came."""
        return [name for other, name in self._types if other == field]

    def cast(self, field: str, name: str, column: pa.Array) -> pa.Array:
        """A column that ``add`` returned, in the type that its name has in the whole source."""
        return column.cast(self.type(field, name))

    def _common_type(
        self, key: tuple[str, str], known: pa.DataType, new: pa.DataType, values: Sequence[Any], where: Where
    ) -> pa.DataType:
        at = where(next((n for n, v in enumerate(values) if v is not None), 0)) if values else ""
        first = self._first.setdefault(key, [])
        if (both := common_type(known, new)) is None:
            earlier = next(location for kind, location in first if common_type(kind, new) is None)
            _fail_mixed(key[1], f"{_describe(known)} at {earlier}", f"{_describe(new)} at {at}")
        first.append((new, at))
        return both


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both, if there is one."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(a) and pa.types.is_list(b):
        element = common_type(a.value_type, b.value_type)
        return None if element is None else pa.list_(element)
    return None


def json_texts(column: pa.Array) -> pa.Array:
    """Values as JSON texts; null stays null."""
    return column.cast(pa.string()) if column.type == JSON else json_columns.to_json(column)


def as_attributes(name: str, column: pa.Array) -> pa.StructArray:
    """Values as attributes of labels; null stays null."""
    return json_columns.attribute_column_of_json(name, ATTRIBUTE_TYPES.get(column.type, "json"), json_texts(column))


def _column(values: Sequence[Any], name: str, where: Where) -> pa.Array:
    try:
        column = _typed_column(values)
    except UnicodeEncodeError:
        raise InvalidSource(
            f"{_first_not_unicode(values, where)} has a text in {name!r} that is not Unicode; correct it."
        ) from None
    except OverflowError:
        row = next(n for n, v in enumerate(values) if _overflows(v))
        raise InvalidSource(f"{where(row)} has a number in {name!r} that is too large; write it as a text.") from None
    if column is None:
        first = {type(v): n for n, v in reversed(list(enumerate(values))) if v is not None}
        (one, a), (other, b) = sorted(first.items(), key=lambda entry: entry[1])[:2]
        _fail_mixed(name, f"{_PYTHON_TYPES[one]} at {where(a)}", f"{_PYTHON_TYPES[other]} at {where(b)}")
    if column.type == pa.float64() and not pc.all(pc.is_finite(column), min_count=0).as_py():
        row = int(np.flatnonzero(~np.isfinite(column.fill_null(0).to_numpy()))[0])
        raise InvalidSource(f"{where(row)} has a number in {name!r} that is too large; correct it.")
    return column


def _overflows(value: Any) -> bool:
    return any(map(_overflows, value)) if isinstance(value, list) else type(value) is int and abs(value) >= 1 << 63


def _typed_column(values: Sequence[Any]) -> pa.Array | None:
    """The values as a column; ``None`` if they are of several types."""
    types = set(map(type, values)) - {type(None)}
    if not types:
        return pa.nulls(len(values))
    if types == {str}:
        return pa.array(values, pa.string())
    if types == {bool}:
        return pa.array(values, pa.bool_())
    if types == {int}:
        return pa.array(values, pa.int64())
    if types <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if types == {dict}:
        return pa.array([None if v is None else json.dumps(v) for v in values], JSON)
    return _list_column(values) if types == {list} else None


def _list_column(values: Sequence[list[Any] | None]) -> pa.Array:
    """Lists of values of one type as a column of lists; other lists as JSON texts."""
    elements = _typed_column(list(chain.from_iterable(v for v in values if v is not None)))
    if elements is None or pa.types.is_list(elements.type) or elements.type == JSON:
        return pa.array([None if v is None else json.dumps(v) for v in values], JSON)
    ends = np.cumsum([0, *(0 if v is None else len(v) for v in values)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), elements, mask=pa.array([v is None for v in values]))


def _element_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_list(kind) else kind


def _first_large(column: pa.Array, values: Sequence[Any]) -> int | None:
    """The first value with a whole number beyond ``2**53``."""
    if _element_type(column.type) not in (pa.int64(), pa.float64()):
        return None
    numbers = pc.min_max(column.flatten() if pa.types.is_list(column.type) else column).as_py()
    if all(v is None or -_EXACT < v < _EXACT for v in numbers.values()):
        return None
    rows = (v if isinstance(v, list) else [v] for v in values)
    return next((n for n, row in enumerate(rows) if any(type(v) is int and abs(v) > _EXACT for v in row)), None)


def _first_not_unicode(values: Sequence[Any], where: Where) -> str:
    for n, value in enumerate(values):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return where(n)
    return where(0)


def _describe(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"a list of {_describe(kind.value_type).removeprefix('a ')}s"
    return _ARROW_TYPES.get(kind, "an object")


def _fail_mixed(name: str, a: str, b: str) -> NoReturn:
    raise InvalidSource(f"{name!r} is {a}, and {b}; give it one type in all lines.")
