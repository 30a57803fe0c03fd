"""Quick ways to read lines give what the slow ones give: the same values, and the same sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.formats.metadata_cases import contents, folder, opened

from annobridge.exceptions import InvalidSource
from annobridge.formats.metadata.reading import entities, json_lines

TEXTS = st.sampled_from(["a", "b", "a:b", 'a":', "\u00e9", "\U0001f600", ":", "\\", "\x7f", ""])
NUMBERS = st.sampled_from(["0", "-0", "-0.0", "1", "1.5", "1e5", "9007199254740993", "123456789012345678901234567890"])
ESCAPES = st.sampled_from(['"\\u003a"', '"\\u0061"', '"\\ud83d\\ude00"', '"\\/"', '"a\\u003Ab"'])
NOT_JSON = st.sampled_from(["NaN", "-Infinity", "1e999", '"\\ud800"', "01", '"\x01"', "+1", "", "[1,]", '"\\q"'])
SPACE = st.sampled_from(["", "", "", " ", "\t", "  "])


def _text(value: str, escaped: bool) -> str:
    return json.dumps(value, ensure_ascii=escaped)


KEYS = st.one_of(st.builds(_text, TEXTS, st.booleans()), ESCAPES)


def _object(pairs: list[tuple[str, str]], space: str) -> str:
    return "{" + ",".join(f"{space}{key}{space}:{space}{value}" for key, value in pairs) + "}"


def _list(values: list[str], space: str) -> str:
    return "[" + f",{space}".join(values) + "]"


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(_object, st.lists(st.tuples(KEYS, inner), max_size=4), SPACE),
        st.builds(_list, st.lists(inner, max_size=4), SPACE),
    )


VALUES = st.recursive(st.one_of(KEYS, NUMBERS, st.sampled_from(["null", "true"])), _nested, max_leaves=8)
ANY_VALUES = st.recursive(st.one_of(KEYS, NUMBERS, NOT_JSON), _nested, max_leaves=8)
LINES = st.one_of(
    _nested(VALUES).map(str.encode),
    _nested(ANY_VALUES).map(str.encode),
    st.builds(lambda line, at, byte: line[:at] + bytes([byte]) + line[at + 1 :],
              _nested(VALUES).map(str.encode), st.integers(0, 40), st.integers(0, 255).filter(lambda b: b != 10)),
)  # fmt: skip


def outcome(call: Callable[[], Any]) -> str:
    """What a call returns, with the types of numbers, or the sentence that it raises."""
    try:
        return repr(call())
    except InvalidSource as error:
        return str(error)


@given(lines=st.lists(LINES, min_size=1, max_size=3))
def test_lines_are_as_the_strict_parser_reads_them(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "metadata.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    quickly = outcome(lambda: list(json_lines.parse_lines(BytesIO(path.read_bytes()), path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_quick", lambda _: None)
        assert quickly == outcome(lambda: list(json_lines.parse_lines(BytesIO(path.read_bytes()), path)))


@pytest.mark.parametrize(
    ("line", "is_quick"),
    [
        (b'{"a": 1, "url": "http://x", "n": {"b": [1.5]}}', True),
        (b'{"a": 1, "a": 2}', False),
        (b'{"a": 1, "\\u0061": 2}', False),
        (b'{"a": "\\u003a", "a": 2}', False),
        (b'{"a": [{"b": 1, "b": 1}]}', False),
        (b'{"a": NaN}', False),
    ],
)
def test_repeated_keys_and_what_json_does_not_have_are_left_to_the_strict_parser(line: bytes, is_quick: bool) -> None:
    assert (json_lines._quick(line) is not None) == is_quick


NUMBER = st.sampled_from([0, 0.25, 0.5, 1, True, "0.5", None, 1e301, 1 << 70])
BOX = st.fixed_dictionaries(
    {"kind": st.sampled_from(["bbox"] * 6 + ["mask", "other", 3]), "coords": st.sampled_from([[0, 0, 0.5, 0.5]] * 8 + [[1], None])},
    optional={
        "format": st.sampled_from(["xywh"] * 5 + ["xyxy", "x", None, 1]),
        "is_normalized": st.sampled_from([True] * 5 + [False, 1, None]),
        "confidence": st.sampled_from([0.5, -1, 1, None, "0.5", 1e301, 1 << 70, True]),
        "view": st.sampled_from(["image"] * 5 + ["other", None, ["image"]]),
        "attrs": st.sampled_from([{}, None, {"x": 1}, []]),
        "id": st.sampled_from(["i", "j", None]),
        "other": st.just(1),
    },
)  # fmt: skip
ENTITY = st.fixed_dictionaries(
    {"annotations": st.one_of(BOX.map(lambda box: [box]), BOX.map(lambda box: [box]), st.lists(BOX, max_size=2), st.none())},
    optional={
        "id": st.sampled_from(["e", "f", None, 3]),
        "attrs": st.sampled_from(
            [{"category": "car"}, {"category": "dog", "n": 1}, {"n": 2.5}, {}, None, [], {"label": "car"}, {"category": 1}]
        ),
        "hidden": st.booleans(),
    },
)  # fmt: skip
HEADER = {"$pixano": "jsonl/2", "defaults": {"bbox": {"format": "xywh", "is_normalized": True}}}


@example(found=[{"annotations": [{"kind": "bbox", "coords": None}]}], header=True)
@given(found=st.lists(ENTITY, min_size=1, max_size=3), header=st.booleans())
def test_entities_are_as_they_are_read_one_by_one(tmp_path: Path, found: list[Any], header: bool) -> None:
    line = {"views": {"image": "a.jpg"}, "entities": found}
    folder(tmp_path, lines=[HEADER, line] if header else [line])
    at_once = outcome(lambda: contents(opened(tmp_path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entities, "find_plain_boxes", lambda *_: None)
        assert at_once == outcome(lambda: contents(opened(tmp_path)))


def test_nearly_all_entities_are_read_at_once() -> None:
    box = {"kind": "bbox", "coords": [0, 0, 0.5, 0.5], "format": "xywh", "is_normalized": True}
    given_entities = [{"attrs": {"category": "car"}, "annotations": [box]}] * 2
    plain = entities.find_plain_boxes(given_entities, {"image": 7}, {})
    assert plain is not None
    assert (plain.labels.sample, plain.labels.columns) == (7, {"category": ("car", "car")})
    assert entities.find_plain_boxes([*given_entities, {"annotations": []}], {"image": 7}, {}) is None
