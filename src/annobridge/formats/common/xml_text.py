"""Columns as XML text: numbers, names and values, escaped; whole columns at a time."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, map_distinct

_DECIMALS = 6
_SPECIAL = '[&<>"\r\n\t\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]'
_ESCAPES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#9;"),
)
_NOT_XML = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]"  # no XML can hold them


def escaped(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Texts for attributes and elements. Characters that no XML can hold are left out.

    >>> escaped(pa.array(['a<b & "c"', None])).to_pylist()
    ['a&lt;b &amp; &quot;c&quot;', None]
    """
    texts = as_array(texts)
    if not pc.any(pc.match_substring_regex(texts, _SPECIAL)).as_py():
        return texts
    for plain, written in _ESCAPES:
        texts = pc.replace_substring(texts, plain, written)
    return pc.replace_substring_regex(texts, _NOT_XML, "")


def is_xml(text: str) -> bool:
    """Whether XML can hold a text."""
    return not pc.match_substring_regex(pa.scalar(text), _NOT_XML).as_py()


def escape(text: str) -> str:
    """One text as ``escaped`` has it."""
    found: str = escaped(pa.array([text]))[0].as_py()
    return found


def decimals(numbers: pa.Array) -> pa.Array:
    """Numbers as texts, of six decimals at most.

    >>> decimals(pa.array([40.0, 0.1 + 0.2])).to_pylist()
    ['40', '0.3']
    """
    return pc.add(pc.round(numbers, _DECIMALS), 0.0).cast(pa.string())  # -0.0 is 0


def plain_values(values: pa.Array) -> pa.Array:
    r"""The JSON texts of attributes' values as people write them: strings without quotes, all else as it is.

    >>> plain_values(pa.array(['"a"', '"caf\\u00e9"', "true", "[1]"])).to_pylist()
    ['a', 'café', 'true', '[1]']
    """
    quoted = pc.starts_with(values, '"')
    odd = pc.and_(quoted, pc.match_substring(values, "\\"))
    inner = pc.if_else(quoted, pc.utf8_slice_codeunits(values, 1, -1), values)
    if not pc.any(odd).as_py():
        return inner
    return pc.if_else(odd, map_distinct(pc.if_else(odd, values, None), json.loads, pa.string()), inner)
