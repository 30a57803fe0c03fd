"""What is an answer in the dataset: also a field that has no label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS
from annobridge.exceptions import InvalidOption

CAR = [0.1, 0.1, 0.2, 0.2]
NAMES = ["objects_alice", "objects_bob"]


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Three images with a car each."""
    SERVERS.clear()
    made = ab.create_dataset(tmp_path / "ds")
    made.add_samples(ab.Sample(f"{i}.jpg", sample_id=f"s{i}", objects=[ab.Detection("car", CAR)]) for i in range(3))
    return made


def send(ds: ab.Dataset) -> ab.AnnotationResults:
    return ds.annotate("r", label_schema="objects", backend="memory", progress=False)


def pair(found: pa.Table) -> dict[str, Any]:
    (row,) = found.to_pylist()
    return dict(row)


def test_an_answer_without_labels_is_compared_measured_and_merged(ds: ab.Dataset) -> None:
    run = send(ds)
    demo.annotator(run, "alice")
    bob = demo.annotator(run, "bob")
    for row in ds.labels("objects").to_pylist():
        bob.delete(row["label_id"])
    ds.load_answers("r")
    assert "objects_bob" not in ds.label_fields()
    found = pair(ds.compare_annotations(NAMES).pairs)
    assert (found["left_labels"], found["right_labels"]) == (3, 0)
    assert pair(ds.annotation_quality(["objects_bob"], truth="objects_alice").annotators)["recall"] == 0.0
    assert ds.merge_annotations(NAMES, into="merged", consensus=ab.Consensus(quorum=1)).outcome.left == 3


def test_answers_that_were_merged_may_lose_their_last_labels(ds: ab.Dataset) -> None:
    names = ["alice", "bob", "carol"]
    for name in names:
        ds.add_labels(name, {f"s{i}": [ab.Detection("car", CAR)] for i in range(3)})
    assert ds.merge_annotations(names, into="merged", anno_key="m").added == 3
    for name in names[1:]:
        ds.delete_labels(field=name)
    assert pair(ds.compare_annotations(names[:2]).pairs)["right_labels"] == 0
    assert ds.plan_annotations("m").run.anno_key == "m"
    assert ds.merge_annotations(names, into="merged", anno_key="m", force=True).anno_key == "m"


def test_images_that_got_labels_later_are_answered(ds: ab.Dataset) -> None:
    run = send(ds)
    demo.annotator(run, "alice").leave_out("s2")
    demo.annotator(run, "bob")
    ds.load_answers("r")
    ds.add_labels("objects_alice", {"s2": [ab.Detection("car", CAR)]})
    found = ds.compare_annotations(NAMES)
    assert (pair(found.pairs)["agreed"], found.notes) == (3, [])
    measured = ds.annotation_quality("r", truth="objects_alice").annotators.to_pylist()
    assert {row["annotator"]: row["true_labels"] for row in measured} == {"alice": 2, "bob": 3}


def test_what_was_undone_is_no_answer_any_more(ds: ab.Dataset) -> None:
    run = send(ds)
    demo.annotator(run, "alice").leave_out("s1", "s2")
    demo.annotator(run, "bob")
    ds.load_answers("r")
    ds.undo_annotations("r")
    ds.undo_annotations("r")
    with pytest.raises(InvalidOption, match="The dataset has no label field and no run 'objects_alice'"):
        ds.compare_annotations(NAMES)
    for name in NAMES:
        ds.add_labels(name, {f"s{i}": [ab.Detection("car", CAR)] for i in range(3)})
    found = ds.compare_annotations(NAMES)
    assert (pair(found.pairs)["agreed"], found.notes) == (3, [])


def test_a_run_that_was_merged_and_is_gone_is_no_answer(ds: ab.Dataset) -> None:
    demo.annotator(send(ds)).draw("s0", "car", [0.6, 0.6, 0.2, 0.2])
    ds.load_annotations("r")
    ds.add_labels("of_bob", {"s0": [ab.Detection("car", CAR)]})
    ds.merge_annotations(["r", "of_bob"], into="merged", anno_key="m")
    ds.delete_annotation_run("r")
    with pytest.raises(InvalidOption, match="The dataset has no label field and no run 'r'"):
        ds.plan_annotations("m")
