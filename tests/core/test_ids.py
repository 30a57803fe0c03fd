"""Derived ids: labels and decisions that earlier versions stored are found again by them, so they never change."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest

from annobridge.core.ids import derive
from annobridge.core.labels import BASELINE, REMOTE
from annobridge.core.merge.destination import copy_ids
from annobridge.core.merge.match import match
from annobridge.core.merge.proposed import change_ids
from annobridge.core.schema import LabelSchema

RUN = str(uuid.UUID(int=7))


def of(name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(RUN), name))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_each_name_has_the_id_that_it_has_alone(kind: pa.DataType) -> None:
    names = ["left out", "a", "", "é\n", "x" * 100]
    assert derive(RUN, pa.array(names, kind).slice(1)).to_pylist() == [of(name) for name in names[1:]]
    assert derive(RUN, pa.array([], kind)).to_pylist() == []


def test_null_has_none() -> None:
    with pytest.raises(TypeError):
        derive(RUN, pa.array(["a", None]))


def test_a_new_label() -> None:
    row = {"sample_id": "s\\0", "field": "f", "kind": "box", "label": "car", "remote_id": "7"}
    found = match(RUN, BASELINE.empty_table(), pa.Table.from_pylist([row], REMOTE), LabelSchema({}))
    assert found["label_id"].to_pylist() == [of("7\ns\\\\0")]


def test_a_copy_in_another_field() -> None:
    labels = pa.array(["a", "b"])
    assert copy_ids(labels, "g", RUN).to_pylist() == [of("g\na"), of("g\nb")]
    assert copy_ids(labels, pa.array(["g", "h"]), RUN).to_pylist() == [of("g\na"), of("h\nb")]


def test_a_change() -> None:
    assert change_ids(RUN, pa.array(["a"]), pa.array(["label"])).to_pylist() == [of("change\na\nlabel")]
