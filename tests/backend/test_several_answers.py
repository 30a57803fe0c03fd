"""What a backend returns as the answers of several people is checked."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from annobridge.backend import Answer
from annobridge.backend.return_values import InvalidReturnValue
from annobridge.backend.several_answers import check_answers
from annobridge.core.labels import REMOTE

NOTHING, IDS = REMOTE.empty_table(), pa.array(["s1"], pa.string())
ROW = {"sample_id": "s1", "field": "f", "kind": "box", "remote_id": "1", "bounding_box": [0.1, 0.1, 0.1, 0.1]}


def test_answers_in_any_order_of_columns_are_taken() -> None:
    labels = pa.Table.from_pylist([ROW], REMOTE).select(REMOTE.names[::-1])
    (found,) = check_answers(iter([Answer("alice", labels, IDS, True, ("a note",))]))
    assert found.labels.schema == REMOTE
    assert (found.is_truth, found.notes) == (True, ("a note",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "an object of type NoneType instead of several Answers"),
        ("alice", "an object of type str instead of several Answers"),
        ([7], "an object of type int among the Answers"),
        ([Answer("", NOTHING, IDS)], "an Answer whose annotator is not a text, or empty"),
        ([Answer("alice", NOTHING, IDS), Answer("alice", NOTHING, IDS)], "several Answers of 'alice'"),
        ([Answer("alice", pa.table({"x": [1]}), IDS)], "labels without the column"),
        ([Answer("alice", NOTHING, pa.array([1]))], "samples of type int64 instead of string"),
    ],
)
def test_others_are_refused_with_what_is_wrong(given: Any, message: str) -> None:
    with pytest.raises(InvalidReturnValue) as error:
        check_answers(given)
    assert message in str(error.value)
