"""Ids of new labels: one for each, whatever the tool calls its labels, and the same at every load."""

from __future__ import annotations

import uuid
from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import ids
from annobridge.core.labels import BASELINE, REMOTE, conform
from annobridge.core.merge.diff import BASE_ROW
from annobridge.core.merge.match import match
from annobridge.core.merge.route import route
from annobridge.core.schema import LabelSchema

RUN = str(uuid.UUID(int=11))
SCHEMA = LabelSchema.parse({"objects": {"type": "detections", "classes": ["car"]}})
BOX = {"field": "objects", "kind": "box", "label": "car", "bounding_box": [0.1, 0.1, 0.2, 0.2], "attributes": []}

numbers = st.sampled_from(["1", "2", "0", "", "1\n1", "\n", "1\n", "\\n", "a\\", "a"]) | st.text(max_size=4)
tasks = st.dictionaries(  # sample -> the tool's ids on it; a sample is in one task only
    numbers, st.lists(numbers, max_size=5), min_size=1, max_size=4
).flatmap(lambda samples: st.lists(st.integers(0, 2), min_size=len(samples), max_size=len(samples)).map(
    lambda of: [{s: r for (s, r), n in zip(samples.items(), of, strict=True) if n == task} for task in range(3)]
))  # fmt: skip


def returned(samples: dict[str, list[str]], kind: str = "box") -> pa.Table:
    rows = [
        {
            **BOX,
            "sample_id": s,
            "remote_id": r,
            "kind": kind,
            "confidence": n / 10,
            "bounding_box": [n / 10, 0, 0.1, 0.1],
        }
        for s, remote in samples.items()
        for n, r in enumerate(remote)
    ]
    return pa.Table.from_pylist(rows, REMOTE)


def as_baseline(labels: pa.Table) -> pa.Table:
    filled = conform(
        labels.drop_columns(["rev", BASE_ROW.name]), BASELINE, rev=1, run_id=RUN, task="t", load=1, gone=False
    )
    return filled.combine_chunks()


@given(tasks)
def test_every_new_label_has_an_id_of_its_own_and_keeps_it(given_tasks):
    nothing = BASELINE.empty_table()
    found: list[str] = []
    for samples in given_tasks:
        labels = returned(samples)
        first = match(RUN, nothing, labels, SCHEMA)
        assert match(RUN, nothing, labels, SCHEMA)["label_id"].equals(first["label_id"])  # planned again
        after = match(RUN, as_baseline(first), labels, SCHEMA)
        assert after["label_id"].to_pylist() == first["label_id"].to_pylist()  # loaded, and loaded again
        found += first["label_id"].to_pylist()
    assert max(Counter(found).values(), default=1) == 1


@given(tasks)
def test_labels_that_became_of_another_type_have_ids_of_their_own(given_tasks):
    found: list[str] = []
    for samples in given_tasks:
        base = as_baseline(match(RUN, BASELINE.empty_table(), returned(samples), SCHEMA))
        theirs = match(RUN, base, returned(samples, "polygon"), SCHEMA)
        routed = route(theirs, base, SCHEMA, "keep")
        found += base["label_id"].to_pylist() + routed.labels["label_id"].to_pylist()
        assert routed.labels.num_rows == base.num_rows
    assert max(Counter(found).values(), default=1) == 1


@given(st.lists(st.lists(numbers, max_size=3), max_size=6))
def test_different_texts_make_different_names(parts):
    distinct = {tuple(p) for p in parts if p}
    assert len({ids.join_parts(*p) for p in distinct}) == len(distinct)


def test_a_plain_pair_of_ids_is_joined_by_a_line_break():
    assert ids.join_parts("m7", "s0") == "m7\ns0"


def test_a_label_is_not_known_by_a_line_break_in_the_id_of_its_sample():
    base = as_baseline(match(RUN, BASELINE.empty_table(), returned({"a\nb": ["c"]}), SCHEMA))
    theirs = match(RUN, base, returned({"a": ["b\nc"]}), SCHEMA)
    assert theirs["label_id"].to_pylist() != base["label_id"].to_pylist()
