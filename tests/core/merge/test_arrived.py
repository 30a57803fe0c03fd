"""What arrived of an interrupted push, for every part of it that may have arrived."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.labels import BASELINE, REMOTE
from annobridge.core.merge.arrived import arrived, expected
from annobridge.core.merge.push import NOT_IN_TOOL


def row(number: int, label: str, x: float, **more: Any) -> dict[str, Any]:
    return {
        "label_id": f"l{number}", "sample_id": f"s{number % 2}", "field": "f", "kind": "box", "label": label,
        "bounding_box": [x, 0.05 * (number % 10), 0.04, 0.04], "remote_id": f"r{number}", "rev": 1, "run_id": "run", "task": "t",
        "load": 0, "gone": False, "attributes": [], **more,
    }  # fmt: skip


# What the push means to do with each of the first labels, whether that arrived, and how many labels it adds
verbs = st.lists(st.tuples(st.sampled_from(["edit", "move", "delete", "nothing"]), st.booleans()), max_size=8)
additions = st.lists(st.booleans(), max_size=4)


@given(verbs, additions)
def test_exactly_what_arrived_is_found(changes: list[tuple[str, bool]], added: list[bool]) -> None:
    base = [row(n, "car", 0.1) for n in range(len(changes))]
    intended, there, wanted = [], [], set()
    for n, (verb, landed) in enumerate(changes):
        after = {"edit": row(n, "bus", 0.1, load=1), "move": row(n, "car", 0.6, load=1)}
        after["delete"] = row(n, "car", 0.1, load=1, gone=True)
        if verb == "nothing":
            there.append(base[n])
            continue
        intended.append(after[verb])
        if landed:
            wanted.add(f"l{n}")
        if not (landed and verb == "delete"):
            there.append(after[verb] if landed else base[n])
    for k, landed in enumerate(added):
        number = 10 + k
        intended.append(row(number, "dog", 0.3 + 0.1 * k, remote_id=NOT_IN_TOOL, load=1))
        if landed:
            wanted.add(f"l{number}")
            there.append(row(number, "dog", 0.3 + 0.1 * k, remote_id=f"new{k}"))
    before, meant = (pa.Table.from_pylist(rows, BASELINE) for rows in (base, intended))
    answer = pa.Table.from_pylist([{k: v for k, v in r.items() if k in REMOTE.names} for r in there], REMOTE)
    found = arrived(before, meant, answer, pa.array(["s0", "s1"])).to_pylist()
    assert {r["label_id"] for r in found} == wanted
    assert len(found) == len(wanted)
    assert all(r["remote_id"] == f"new{int(r['label_id'][1:]) - 10}" for r in found if r["label"] == "dog")
    assert NOT_IN_TOOL not in expected(before, meant)["remote_id"].to_pylist()


def test_of_samples_without_an_answer_nothing_is_known() -> None:
    before = pa.Table.from_pylist([row(0, "car", 0.1)], BASELINE)
    meant = pa.Table.from_pylist([row(0, "car", 0.1, gone=True, load=1)], BASELINE)
    assert arrived(before, meant, REMOTE.empty_table(), pa.array(["s1"])).num_rows == 0


def weather(label: str, class_in_id: str, **more: Any) -> dict[str, Any]:
    whole = {"kind": "classification", "bounding_box": None, "remote_id": f"s0/f/{class_in_id}"}
    return row(0, label, 0, **whole, **more)


@pytest.mark.parametrize(
    ("there", "has_arrived"),
    [
        ([weather("snow", "snow")], True),
        ([weather("rain", "rain")], False),
        ([weather("fog", "fog")], False),
        ([weather("snow", "snow", field="other")], False),
        ([], False),
    ],
)
def test_a_classification_may_have_its_class_in_its_id(there: list[dict[str, Any]], has_arrived: bool) -> None:
    before = pa.Table.from_pylist([weather("rain", "rain")], BASELINE)
    meant = pa.Table.from_pylist([weather("snow", "rain", load=1)], BASELINE)
    answer = pa.Table.from_pylist([{k: v for k, v in r.items() if k in REMOTE.names} for r in there], REMOTE)
    found = arrived(before, meant, answer, pa.array(["s0"])).to_pylist()
    assert [(r["label_id"], r["label"], r["remote_id"]) for r in found] == [("l0", "snow", "s0/f/snow")] * has_arrived
