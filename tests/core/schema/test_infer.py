"""What a field holds, from batches: kinds, classes, attribute types, and whether classifications are single."""

import pyarrow as pa
from hypothesis import given

from annobridge.core import rows
from annobridge.core.labels import KIND_TYPES, LABELS
from annobridge.core.schema import infer
from annobridge.testing import strategies


def batches(labels, size=3):
    return labels.select(list(infer.COLUMNS)).to_batches(max_chunksize=size)


def table(*placed):
    found = [{"sample_id": s, "field": f, "label_id": str(i), "rev": 1} | r for i, (s, f, r) in enumerate(placed)]
    return pa.Table.from_pylist(found, schema=LABELS)


@given(strategies.tables(frames=2))
def test_describe_says_what_the_rows_say(labels):
    stats = infer.describe(batches(labels))
    assert set(stats) == set(labels["field"].to_pylist())
    for name, found in stats.items():
        mine = [row for row in labels.to_pylist() if row["field"] == name]
        assert found.labels == len(mine)
        assert found.kinds == {row["kind"] for row in mine}
        assert found.classes == {row["label"] for row in mine} - {None}
        types = {}
        for row in mine:
            for attribute in row["attributes"]:
                types.setdefault(attribute["name"], set()).add(attribute["type"])
        assert found.attributes == types
        assert found.types() <= {*KIND_TYPES.values(), "classification"}


def test_classifications_are_single_until_a_sample_has_two():
    one = rows.Classification("sunny").row()
    assert infer.describe(batches(table(("a", "w", one), ("b", "w", one))))["w"].types() == {"classification"}
    assert infer.describe(batches(table(("a", "w", one), ("a", "w", one))))["w"].types() == {"classifications"}


def test_a_classification_of_each_frame_is_single():
    frames = [("a", "frames.w", rows.Classification("sunny", frame_number=n).row()) for n in (1, 2, 3)]
    assert infer.describe(batches(table(*frames)))["frames.w"].types() == {"classification"}


def test_mixed_fields_have_several_types():
    box, mask = rows.Detection("car", [0, 0, 1, 1]).row(), rows.Detection("car", mask=[[1]]).row()
    assert infer.describe(batches(table(("a", "o", box), ("a", "o", mask))))["o"].types() == {"detections", "instances"}


def test_nothing_to_describe():
    assert infer.describe([]) == {}
    assert infer.describe(batches(LABELS.empty_table())) == {}


def test_null_attributes_are_not_counted():
    row = {"kind": "box", "attributes": [None, {"name": None, "type": "int", "value": "1"}]}
    assert infer.describe(batches(table(("a", "o", row))))["o"].attributes == {}
