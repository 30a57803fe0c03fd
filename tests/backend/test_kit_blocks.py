"""The building blocks for backends, one by one."""

from __future__ import annotations

import doctest
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.backend import Task, kit
from annobridge.backend.kit import attributes, scalars
from annobridge.core import arrays, attr_text, choice_text, compare, flat_points, pairing
from annobridge.core.checks import problems
from annobridge.core.labels import LABELS, REMOTE, SAMPLES
from annobridge.core.rows import attributes as attribute_list
from annobridge.core.schema import LabelSchema


@pytest.mark.parametrize(
    "module", [choice_text, pairing, flat_points, problems, scalars, attributes, arrays, compare, attr_text]
)
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_everything_is_listed() -> None:
    assert sorted(kit.__all__) == kit.__all__
    assert all(hasattr(kit, name) for name in kit.__all__)


class TestProblems:
    def test_three_labels_are_named(self) -> None:
        labels = pa.table({"label_id": list("abcde")})
        where = np.array([True, False, True, True, True])
        assert kit.rows_problem(labels, where, "too big; shrink them.") == [
            "4 labels (a, c, d …): too big; shrink them."
        ]
        assert kit.rows_problem(labels, ~where, "too big; shrink it.") == ["1 label (b): too big; shrink it."]

    def test_no_row_is_no_problem(self) -> None:
        assert kit.rows_problem(pa.table({"label_id": ["a"]}), np.array([False]), "anything.") == []

    def test_each_different_value_is_looked_at_once(self) -> None:
        seen: list[str] = []
        assert kit.value_problem("f", "a", pa.array(["1", None, "1", "2"]), seen.append) == []
        assert seen == ["1", "2"]

    def test_a_long_value_is_cut(self) -> None:
        assert "have the value 1, which" in kit.value_problem("f", None, pa.array(["1"]), lambda _: "is odd")[0]
        (said,) = kit.value_problem("f", "a", pa.array(["9" * 100]), lambda _: "is long")
        assert f"a = {'9' * 39}…, which is long" in said


class TestScalars:
    def task(self, *values: str) -> Task:
        schema = LabelSchema.parse({"size": {"type": "scalar"}, "other": {"type": "scalar"}}, {}, {})
        rows = [
            {"label_id": f"l{n}", "sample_id": "s", "field": "size", "kind": "scalar", "value": v, "rev": 1}
            for n, v in enumerate(values)
        ]
        labels = pa.Table.from_pylist(rows, LABELS)
        return Task("t", schema, SAMPLES.empty_table(), labels, media=None)  # type: ignore[arg-type]

    def test_types_of_values(self) -> None:
        assert kit.value_types(self.task("1", "2.5", "1")) == {"size": {int, float}, "other": set()}
        assert kit.value_types(self.task("null", "true")) == {"size": {bool}, "other": set()}

    @pytest.mark.parametrize(
        ("types", "expected"),
        [({bool}, "checkbox"), ({int}, "int"), ({float}, "float"), ({int, float}, "number"), ({str}, "text"),
         ({bool, int}, "text"), ({list}, "text"), (set(), "text")],
    )  # fmt: skip
    def test_the_attribute_type_of_values(self, types: set[type], expected: str) -> None:
        assert kit.attribute_type(types) == expected
        assert types == set(types)  # the argument is left as it is


class TestChoices:
    def test_a_choice_keeps_its_json_type(self) -> None:
        texts = {kit.plain(v): t for v, t in ((5, "5"), ("red", '"red"'), (True, "true"))}
        assert kit.choices_text(["red", "5", "true", "blue"], texts) == '["red", 5, true, "blue"]'
        assert kit.choice_text("5", texts) == "5"


class TestAttributes:
    def test_some_change(self) -> None:
        before: Any = attribute_list({"a": 1, "b": "x", "c": True})
        after = kit.changed_attributes(before, {"c": None, "b": '"y"', "A": "[1]"})
        assert after == attribute_list({"a": 1, "b": "y", "A": [1]})

    def test_of_a_new_label(self) -> None:
        assert kit.changed_attributes(None, {"b": "1.0", "a": "null", "c": None}) == [
            {"name": "a", "type": "json", "value": "null"},
            {"name": "b", "type": "float", "value": "1.0"},
        ]


class TestPairing:
    def test_strict_keys_come_first(self) -> None:
        found = kit.pair([(1, "x"), (1, "y")], [(1, "y"), (1, "z")], lambda one: one, lambda one: one[0])
        assert found == [(1, "z"), (1, "y")]

    def test_equal_ones_in_order_and_no_more_than_there_are(self) -> None:
        sent, there = ["a", "a", "a"], [("a", 1), ("a", 2)]
        assert kit.pair(sent, there, lambda one: one[0]) == [("a", 1), ("a", 2), None]

    def test_nothing_there(self) -> None:
        assert kit.pair(["a"], [], str) == [None]
        assert kit.pair([], ["a"], str) == []


numbers = st.floats(0, 1, width=32)
labels_of_points = st.lists(
    st.lists(st.lists(st.tuples(numbers, numbers).map(list), min_size=1, max_size=4), max_size=3), max_size=4
)


class TestPoints:
    @given(labels_of_points)
    def test_there_and_back(self, labels: list[list[list[list[float]]]]) -> None:
        column = pa.array(labels, flat_points.POINTS)
        flat = kit.FlatPoints.of(column)
        assert flat.to_array() == column
        assert kit.FlatPoints.of_lists(flat.to_lists()).to_array() == column
        assert flat.counts().tolist() == [sum(map(len, parts)) for parts in labels]
        assert flat.to_lists() == [[[v for xy in part for v in xy] for part in parts] for parts in labels]

    def test_pixels_are_those_of_the_labels_image(self) -> None:
        column = pa.array([[[[0.5, 0.5]]], None, [[[0.5, 0.5]], [[1.0, 0.0]]]], flat_points.POINTS)
        sizes = np.array([[10, 20], [7, 7], [100, 200]])
        flat = kit.FlatPoints.of(pa.chunked_array([column])).to_pixels(sizes)
        assert flat.to_lists() == [[[5.0, 10.0]], [], [[50.0, 100.0], [100.0, 0.0]]]
        assert flat.to_relative(sizes).to_array().to_pylist() == [column[0].as_py(), [], column[2].as_py()]


class TestBaseline:
    def test_only_what_changed_is_taken_from_the_tool(self) -> None:
        def table(rows: list[dict[str, Any]]) -> pa.Table:
            return pa.Table.from_pylist([{"sample_id": "s", "kind": "box", **row} for row in rows], REMOTE)

        sent = table([{"remote_id": "1", "label": "a", "bounding_box": [0.1, 0.1, 0.3, 0.3]},
                      {"remote_id": "2", "label": "b", "bounding_box": [0.2, 0.2, 0.3, 0.3]}])  # fmt: skip
        now = table([{"remote_id": "2", "label": "c", "bounding_box": [0.5, 0.2, 0.3, 0.3]},
                     {"remote_id": "3", "label": "d", "bounding_box": [0.5, 0.5, 0.1, 0.1]},
                     {"remote_id": "1", "label": "e", "bounding_box": [0.1 + 1e-12, 0.1, 0.3, 0.3]}])  # fmt: skip
        was, known = kit.sent_of(now["remote_id"], sent)
        assert known.tolist() == [True, False, True]
        same = known & compare.close_rows(now["bounding_box"], was["bounding_box"], 1e-9)
        assert same.tolist() == [False, False, True]
        kept = kit.keep_sent(now, was, same, "bounding_box")
        assert kept["bounding_box"].to_pylist() == [*now["bounding_box"].to_pylist()[:2], [0.1, 0.1, 0.3, 0.3]]
        assert kept["label"].to_pylist() == ["c", "d", "e"]
        assert kept.schema == REMOTE

    def test_an_empty_baseline(self) -> None:
        _, known = kit.sent_of(pa.array(["1"]), REMOTE.empty_table())
        assert known.tolist() == [False]


def test_close_rows_of_nested_lists() -> None:
    nan = float("nan")
    type_ = pa.list_(pa.list_(pa.float64()))
    a = pa.array([[[1.0, nan]], [[1.0], []], None, [], [[2.0]]], type_)
    b = pa.array([[[1.05, nan]], [[1.0]], None, None, [[3.0]]], type_)
    assert compare.close_rows(a, b, 0.1).tolist() == [True, False, True, False, False]
