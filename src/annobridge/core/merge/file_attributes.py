"""The attributes of labels in a file: those of which it does not speak are as they were sent."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attr_text, attributes
from ..arrays import Bools, Ints, as_array, as_mask, choose, equal, index_of, list_lengths, map_distinct, not_null
from ..rows import VALUE_TYPES
from ..schema import Attribute, LabelSchema
from .seen import Seen

_EMPTY = '""'
_NOTHING = ("false", "0", "0.0", "null", "[]", _EMPTY)  # JSON texts that formats write for an attribute without a value


def merged_attributes(
    theirs: pa.Table, sent: pa.Table, kinds: pa.ChunkedArray, seen: Seen, schema: LabelSchema
) -> pa.Array:
    """Of the attributes of the schema, those that the file speaks of are as it has them; all others are as they were sent.

    An empty text is no value, as in tools that have no other way to say so. A label that was sent without an attribute, and has its
    default, false or zero in the file, has none: many formats write these.
    """
    definitions = {(spec.kind, name): a for spec in schema.fields.values() for name, a in spec.all_attributes().items()}
    defined, spoken = (pa.array([_key(*key) for key in keys], pa.string()) for keys in (definitions, seen.attributes))
    own_kinds, kinds_there = as_array(kinds), as_array(theirs["kind"])
    rows, flat = attributes.flattened(as_array(theirs["attributes"]).cast(attributes.LIST))
    keep = as_mask(pc.is_in(_keys(own_kinds, rows, flat), value_set=defined))
    rows, flat = rows[keep], flat.filter(pa.array(keep))
    sent_rows, sent_flat = attributes.flattened(as_array(sent["attributes"]).cast(attributes.LIST))
    said = as_mask(pc.is_in(_keys(kinds_there, sent_rows, sent_flat), value_set=spoken))
    said &= as_mask(pc.is_in(_keys(own_kinds, sent_rows, sent_flat), value_set=defined))

    before = index_of(_places(rows, flat), _places(sent_rows, sent_flat))
    keys, old = _keys(own_kinds, rows, flat), sent_flat.take(before)
    flat = _typed(keys, flat, old, definitions)
    known = not_null(sent["label_id"])
    absent = _is_not_set(keys, flat, definitions) & ~equal(flat.field("value"), pc.struct_field(old, "value"))
    absent |= as_mask(before.is_null()) & known[rows] & _is_nothing(keys, flat, definitions)
    both = pa.concat_arrays([flat.filter(pa.array(~absent)), sent_flat.filter(pa.array(~said)).cast(flat.type)])
    built = attributes.build(np.concatenate([rows[~absent], sent_rows[~said]]), both, theirs.num_rows)
    return choose(
        (list_lengths(built) == 0) & known & ~not_null(sent["attributes"]), as_array(sent["attributes"]), built
    )


def _key(kind: str, name: str) -> str:
    return f"{kind}\0{name}"


def _keys(kinds: pa.Array, rows: Ints, flat: pa.StructArray) -> pa.Array:
    """The kind of the label, and the name, of each attribute."""
    return pc.binary_join_element_wise(kinds.take(pa.array(rows)), flat.field("name"), "\0")


def _places(rows: Ints, flat: pa.StructArray) -> pa.Array:
    return pc.binary_join_element_wise(pa.array(rows).cast(pa.string()), flat.field("name"), "\0")


def _typed(
    keys: pa.Array, flat: pa.StructArray, before: pa.StructArray, definitions: dict[tuple[str, str], Attribute]
) -> pa.StructArray:
    """Attributes with the value that was sent (``before``) where the file means the same; and texts as values of the type that the
    schema has, for formats that know texts only.
    """
    if not len(flat):
        return flat
    types = {_key(*key): a.type for key, a in definitions.items()}
    value, old = flat.field("value"), pc.struct_field(before, "value")

    def parse(text: str) -> str:
        kind, name, value, old = text.split("\0")
        told = json.loads(value)
        found = attr_text.from_plain(types[_key(kind, name)], told) if isinstance(told, str) else value
        if types[_key(kind, name)] == "int":
            found = _whole(found)
        return old if old and _means(found, value, old) else found

    values = map_distinct(pc.binary_join_element_wise(keys, value, pc.fill_null(old, ""), "\0"), parse, pa.string())
    kinds = map_distinct(values, lambda text: VALUE_TYPES.get(type(json.loads(text)), "json"), pa.string())
    kinds = pc.if_else(pc.equal(values, value), flat.field("type"), kinds)
    kinds = pc.if_else(pc.fill_null(pc.equal(values, old), False), pc.struct_field(before, "type"), kinds)
    return pa.StructArray.from_arrays([flat.field("name"), kinds, values], names=["name", "type", "value"])


def _whole(text: str) -> str:
    """A number without a decimal point if nothing is behind it: many formats have one type of numbers only.

    >>> _whole("3.0"), _whole("2.5"), _whole('"3.0"')
    ('3', '2.5', '"3.0"')
    """
    value = json.loads(text)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else text


def _means(found: str, value: str, old: str) -> bool:
    """Whether a value of the file is the one that was sent, in another type."""
    numbers = [json.loads(text) for text in (found, old)]
    if all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        return bool(numbers[0] == numbers[1])
    return attr_text.to_plain(value) == attr_text.to_plain(old) or found == old


def _is_not_set(keys: pa.Array, flat: pa.StructArray, definitions: dict[tuple[str, str], Attribute]) -> Bools:
    """Which values are empty texts, which tools give to attributes that nobody has set, and which the schema does not know."""
    choices = {_key(*key) for key, a in definitions.items() if "" in a.values}

    def check(text: str) -> bool:
        kind, name, value = text.split("\0")
        return value == _EMPTY and _key(kind, name) not in choices

    return as_mask(map_distinct(pc.binary_join_element_wise(keys, flat.field("value"), "\0"), check, pa.bool_()))


def _is_nothing(keys: pa.Array, flat: pa.StructArray, definitions: dict[tuple[str, str], Attribute]) -> Bools:
    """Which values are the default of their attribute, or are written for an attribute without a value."""
    defaults = {_key(*key): json.dumps(a.default) for key, a in definitions.items() if a.default is not None}

    def check(text: str) -> bool:
        kind, name, value = text.split("\0")
        return value in _NOTHING or value == defaults.get(_key(kind, name))

    return as_mask(map_distinct(pc.binary_join_element_wise(keys, flat.field("value"), "\0"), check, pa.bool_()))
