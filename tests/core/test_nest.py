"""Labels nested in their samples, and taken out again."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

from annobridge.core.nest import nest, nested_schema, unnest
from annobridge.exceptions import SchemaError

SAMPLES = pa.table({"sample_id": ["a", "b", "c"], "width": [1, 2, 3]})
LABELS = pa.table(
    {
        "label_id": ["1", "2", "3", "4"],
        "sample_id": ["c", "a", "c", "elsewhere"],
        "field": ["cars", "cars", "people", "cars"],
        "bounding_box": pa.array([[0.0, 0.1, 0.2, 0.3]] * 4, pa.list_(pa.float64(), 4)),
    }
)


def test_each_field_is_a_column_of_lists_in_the_order_of_the_samples() -> None:
    found = nest(SAMPLES, LABELS, ["cars", "people"])
    assert found.schema == nested_schema(SAMPLES.schema, LABELS.schema, ["cars", "people"])
    assert [[x["label_id"] for x in row] for row in found["cars"].to_pylist()] == [["2"], [], ["1"]]
    assert [[x["label_id"] for x in row] for row in found["people"].to_pylist()] == [[], [], ["3"]]
    assert list(found["cars"].to_pylist()[0][0]) == ["label_id", "bounding_box"]
    assert found["width"].to_pylist() == [1, 2, 3]


def test_nothing_is_nested_without_fields_labels_or_samples() -> None:
    assert nest(SAMPLES, LABELS, []).equals(SAMPLES)
    assert nest(SAMPLES, LABELS.slice(0, 0), ["cars"])["cars"].to_pylist() == [[], [], []]
    assert nest(SAMPLES.slice(0, 0), LABELS, ["cars"]).num_rows == 0


def test_a_field_that_is_called_as_a_column_is_refused() -> None:
    with pytest.raises(SchemaError, match="The label field 'width' is called as a column of the samples"):
        nest(SAMPLES, LABELS, ["width"])


def test_a_column_that_holds_no_labels_is_refused() -> None:
    with pytest.raises(SchemaError, match="The samples have no column 'cars'; they have sample_id, width."):
        unnest(SAMPLES, ["cars"])
    with pytest.raises(SchemaError, match="The column 'width' is int64, and labels are a list of structs"):
        unnest(SAMPLES, ["width"])


def test_no_list_is_no_label() -> None:
    kind = pa.list_(pa.struct([("label", pa.string())]))
    rows = pa.table({"sample_id": ["a", "b"], "cars": pa.array([None, [{"label": "x"}, None]], kind)})
    samples, labels = unnest(rows, ["cars"])
    assert samples.column_names == ["sample_id"]
    assert labels.to_pylist() == [{"label": "x", "sample_id": "b", "field": "cars"}]
    assert unnest(SAMPLES, [])[1].num_rows == 0


@examples(50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["cars", "people"])), max_size=20), st.integers(1, 3))
def test_what_was_nested_part_by_part_comes_out_again(places: list[tuple[str, str]], size: int) -> None:
    labels = pa.table(
        {
            "label_id": pa.array([str(n) for n in range(len(places))], pa.string()),
            "sample_id": pa.array([sample for sample, _ in places], pa.string()),
            "field": pa.array([field for _, field in places], pa.string()),
        }
    )
    parts = [nest(SAMPLES.slice(at, size), labels, ["cars", "people"]) for at in range(0, 3, size)]
    samples, found = unnest(pa.concat_tables(parts), ["cars", "people"])
    assert samples.equals(SAMPLES)
    assert found.select(labels.column_names).sort_by("label_id").equals(labels.sort_by("label_id"))
