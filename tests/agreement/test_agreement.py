"""Agreement and quality of annotators, over fields, runs, and the answers of a tool."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import binomtest

import annobridge as ab
from annobridge import demo
from annobridge.agreement import parts, rates
from annobridge.backend.memory import SERVERS
from annobridge.backend.values import Answer
from annobridge.demo.tools import MemoryAnnotator
from annobridge.exceptions import ConfigError, InvalidOption

PEOPLE = ["alice", "bob", "carol"]
CAR, BUS = [0.1, 0.1, 0.2, 0.2], [0.6, 0.6, 0.2, 0.2]


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Three images with a car and a bus each, in the fields of three people: bob calls a bus a van, carol misses a car."""
    SERVERS.clear()
    made = ab.create_dataset(tmp_path / "ds")
    made.add_samples(
        ab.Sample(
            f"{i}.jpg",
            sample_id=f"s{i}",
            truth=[ab.Detection("car", CAR, colour="red"), ab.Detection("bus", BUS, colour="blue")],
            alice=[ab.Detection("car", CAR, colour="red"), ab.Detection("bus", BUS, colour="blue")],
            bob=[ab.Detection("car", CAR, colour="blue"), ab.Detection("van" if i == 1 else "bus", BUS, colour="blue")],
            carol=[ab.Detection("bus", BUS, colour="blue"), *([ab.Detection("car", CAR)] if i != 2 else [])],
        )
        for i in range(3)
    )
    return made


def row(table: pa.Table, **values: Any) -> dict[str, Any]:
    (found,) = (r for r in table.to_pylist() if values.items() <= r.items())
    return dict(found)


def test_pairs_classes_attributes_and_confusion(ds: ab.Dataset) -> None:
    found = ds.compare_annotations(PEOPLE)
    pair = row(found.pairs, left="alice", right="bob")
    assert (pair["left_labels"], pair["right_labels"], pair["matched"], pair["agreed"]) == (6, 6, 6, 5)
    assert (pair["precision"], pair["recall"], pair["f1"], pair["mean_iou"]) == (5 / 6, 5 / 6, 5 / 6, 1.0)
    assert row(found.pairs, left="alice", right="carol")["recall"] == 1.0
    bus = row(found.classes, **{"left": "alice", "right": "bob", "class": "bus"})
    assert (bus["precision"], bus["recall"]) == (2 / 3, 1.0)
    colour = row(found.attributes, left="alice", right="bob", attribute="colour")
    assert (colour["compared"], colour["equal"]) == (5, 2)
    confused = [
        (r["left_class"], r["right_class"], r["count"]) for r in found.confusion.to_pylist() if r["right"] == "bob"
    ]
    assert confused == [("bus", "bus", 2), ("bus", "van", 1), ("car", "car", 3)]


def test_the_most_disputed_images_are_a_view_to_send_on(ds: ab.Dataset) -> None:
    found = ds.compare_annotations(PEOPLE)
    assert found.images["sample_id"].to_pylist() == ["s1", "s2", "s0"]
    view = found.disputed(1)
    assert len(view) == 1
    assert len(found.disputed()) == 2
    assert len(found.disputed(above=0.3)) == 1
    with pytest.raises(InvalidOption, match="limit=0 is no number of images"):
        found.disputed(0)
    assert (
        found.disputed(1).annotate("third", label_schema="alice", backend="memory", progress=False).run.state == "sent"
    )


def test_coefficients_are_those_of_the_libraries(ds: ab.Dataset) -> None:
    import krippendorff
    from sklearn.metrics import cohen_kappa_score

    found = ds.compare_annotations(PEOPLE).coefficients
    alice, bob = ["car", "bus"] * 3, ["car", "bus", "car", "van", "car", "bus"]
    kappa = row(found, component="class", coefficient="kappa", left="alice", right="bob")
    assert kappa["value"] == pytest.approx(cohen_kappa_score(alice, bob))
    carol = ["car", "bus", "car", "bus", "", "bus"]
    alpha = row(found, component="class", coefficient="alpha")
    expected = krippendorff.alpha(reliability_data=[alice, bob, carol], level_of_measurement="nominal")
    assert (alpha["value"], alpha["units"]) == (pytest.approx(expected), 6)
    assert row(found, component="colour", coefficient="kappa", left="alice", right="carol")["value"] is not None


def test_coefficients_of_tasks_that_different_people_answered(ds: ab.Dataset, tmp_path: Path) -> None:
    import krippendorff

    run = ds.annotate("r", label_schema="bob", backend="memory", task_size=2, progress=False)
    tasks = [receipt.task for receipt in run.receipts()]
    for name in ("alice", "bob"):
        MemoryAnnotator("memory://default", tasks, name)
    (car,) = ds.labels("bob", "label = 'car' AND sample_id = 's0'").to_pylist()
    MemoryAnnotator("memory://default", tasks[:1], "carol").set_class(car["label_id"], "bus")
    found = ds.compare_annotations("r")
    expected = krippendorff.alpha(
        reliability_data=[
            ["car", "bus", "car", "van", "car", "bus"],
            ["car", "bus", "car", "van", "car", "bus"],
            ["bus", "bus", "car", "van", np.nan, np.nan],
        ],
        level_of_measurement="nominal",
    )
    alpha = row(found.coefficients, component="class", coefficient="alpha")
    assert (alpha["value"], alpha["units"]) == (pytest.approx(expected), 6)
    assert "<h2>coefficients</h2>" in found.to_html(tmp_path / "page.html").read_text("utf-8")


def test_coefficients_of_parts_that_different_people_saw(ds: ab.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ds.annotate("r", label_schema="bob", backend="memory", progress=False)
    for name in ("dora", "emil", "fay"):
        demo.annotator(run, name).leave_out(*(["s1", "s2"] if name == "fay" else []))
    ds.load_answers("r")
    names = ["bob_dora", "bob_emil", "bob_fay"]
    whole = ds.compare_annotations(names).coefficients
    monkeypatch.setattr(parts, "PART", 1)
    assert ds.compare_annotations(names).coefficients.equals(whole)
    assert row(whole, component="class", coefficient="alpha")["value"] == 1.0


def test_without_the_packages_only_the_coefficients_are_missing(
    ds: ab.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ds.compare_annotations(PEOPLE)
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.partition(".")[0] in ("sklearn", "krippendorff"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    assert found.pairs.num_rows == 3
    with pytest.raises(ConfigError, match=r"pip install 'annobridge\[agreement\]'"):
        _ = found.coefficients


def test_quality_against_a_field(ds: ab.Dataset) -> None:
    found = ds.annotation_quality(PEOPLE, truth="truth")
    assert found.annotators["annotator"].to_pylist() == ["alice", "carol", "bob"]
    bob = row(found.annotators, annotator="bob")
    assert (bob["labels"], bob["true_labels"], bob["correct"], bob["precision"]) == (6, 6, 5, 5 / 6)
    expected = binomtest(5, 6).proportion_ci(0.95, "wilson")
    assert (bob["precision_low"], bob["precision_high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    carol = row(found.annotators, annotator="carol")
    assert (carol["precision"], carol["recall"]) == (1.0, 5 / 6)
    assert row(found.classes, **{"annotator": "carol", "class": "car"})["recall"] == 2 / 3
    colour = row(found.attributes, annotator="bob", attribute="colour")
    assert (colour["compared"], colour["correct"]) == (5, 2)
    assert found.weights == {"alice": 1.0, "carol": pytest.approx(10 / 11), "bob": pytest.approx(5 / 6)}


def test_its_weights_go_into_a_consensus(ds: ab.Dataset) -> None:
    weights = ds.annotation_quality(PEOPLE, truth="truth").weights
    consensus = ab.Consensus(classes="weighted", geometry="weighted", weights=weights)
    ds.merge_annotations(PEOPLE, into="merged", consensus=consensus)
    assert row(ds.annotation_quality(["merged", "bob"], truth="truth").annotators, annotator="merged")["f1"] == 1.0


class TestInTheTool:
    @pytest.fixture
    def run(self, ds: ab.Dataset) -> ab.AnnotationResults:
        """Alice and bob work on what was sent; the tool trusts an expert."""
        run = ds.annotate("r", label_schema="truth", backend="memory", progress=False)
        ids = {r["sample_id"]: r["label_id"] for r in ds.labels("truth", "label = 'car'").to_pylist()}
        demo.annotator(run, "alice").set_class(ids["s0"], "bus")
        bob = demo.annotator(run, "bob")
        bob.delete(ids["s1"])
        bob.leave_out("s2")
        return run

    def test_annotators_of_one_run_are_compared(self, ds: ab.Dataset, run: ab.AnnotationResults) -> None:
        found = ds.compare_annotations("r")
        assert found.annotators == ["alice", "bob"]
        assert row(found.pairs, left="alice")["left_labels"] == 4  # on the two images that both saw
        assert found.notes == ["1 of 3 images were seen by one annotator only."]

    def test_quality_is_against_what_the_tool_trusts(self, ds: ab.Dataset, run: ab.AnnotationResults) -> None:
        with pytest.raises(InvalidOption) as error:
            ds.annotation_quality("r")
        assert str(error.value) == "There is no truth to compare with; give truth=, a label field that is trusted."
        (task,) = (receipt.task for receipt in run.receipts())
        server = SERVERS["memory://default"]
        server.answers[task]["expert"] = Answer("expert", server.sent[task], server.samples[task], is_truth=True)
        found = ds.annotation_quality("r")
        assert found.truth == "expert"
        assert row(found.annotators, annotator="alice")["precision"] == 5 / 6
        assert row(found.annotators, annotator="bob")["recall"] == 3 / 4
        assert ds.compare_annotations("r").annotators == ["alice", "bob"]  # the truth is none of them

    def test_a_field_can_be_the_truth(self, ds: ab.Dataset, run: ab.AnnotationResults) -> None:
        found = ds.annotation_quality("r", truth="bob")  # the field, and not the person
        assert found.truth == "the field bob"
        assert row(found.annotators, annotator="alice")["correct"] == 4
        assert row(found.annotators, annotator="bob")["true_labels"] == 4


def test_a_run_of_several_fields_and_a_view(ds: ab.Dataset) -> None:
    run = ds.annotate("r", label_schema=["truth", "bob"], backend="memory", progress=False)
    demo.annotator(run, "dora")
    demo.annotator(run, "emil")
    with pytest.raises(InvalidOption, match=r"The run 'r' has the fields truth, bob; name one with label_field="):
        ds.compare_annotations("r")
    found = ds.limit(2).annotation_quality("r", truth="truth", label_field="truth")
    assert row(found.annotators, annotator="dora")["labels"] == 4
    assert row(found.annotators, annotator="dora")["precision"] == 1.0


def test_a_partial_load_is_an_answer_to_its_samples(ds: ab.Dataset) -> None:
    ds.annotate("r", label_schema="truth", backend="memory", progress=False)
    ds.load_annotations("r", dest_field="some", where=["s0"])
    quality = ds.annotation_quality(["some"], truth="truth")
    assert quality.notes == ["2 of 3 images have no truth, or nobody's answer, and do not count."]
    found = ds.compare_annotations(["some", "truth"])
    assert row(found.pairs, left="some")["f1"] == 1.0
    assert found.notes == ["2 of 3 images were seen by one annotator only."]


def test_people_who_saw_different_images(ds: ab.Dataset) -> None:
    run = ds.annotate("r", label_schema="truth", backend="memory", progress=False)
    for name, left_out in (("dora", "s0"), ("emil", "s2")):
        demo.annotator(run, name).leave_out(left_out)
    ds.load_answers("r")
    found = ds.compare_annotations(["truth_dora", "truth_emil"])
    assert row(found.pairs, left="truth_dora")["left_labels"] == 2
    assert found.notes == ["2 of 3 images were seen by one annotator only."]


def test_tables_are_shown_and_written(ds: ab.Dataset, tmp_path: Path) -> None:
    agreement, quality = ds.compare_annotations(PEOPLE), ds.annotation_quality(PEOPLE, truth="truth")
    assert str(agreement).splitlines()[1] == "  alice and bob: F1 0.833, mean IoU 1.000, 5 labels agree"
    assert str(quality).splitlines()[1] == "  alice: precision 1.000, recall 1.000, mean IoU 1.000"
    for found in (agreement, quality):
        html = found._repr_html_()
        assert "<h2>classes</h2>" in html
        path = found.to_html(tmp_path / "page.html")
        assert "<!doctype html>" in path.read_text("utf-8")
        with pytest.raises(InvalidOption, match="The page cannot be written to"):
            found.to_html(tmp_path / "nowhere" / "page.html")
    assert agreement.to_dict().keys() == {"annotators", "iou", "pairs", "classes", "attributes", "confusion", "notes"}
    assert quality.to_dict()["truth"] == "truth"


def test_names_are_escaped_on_the_page(ds: ab.Dataset) -> None:
    ds.add_labels("x", {"s0": [ab.Detection("<script>", CAR)]})
    assert "<script>" not in ds.compare_annotations(["x", "alice"])._repr_html_()


@pytest.mark.parametrize(
    ("answers", "options", "kind", "message"),
    [
        (
            ["alice"],
            {},
            InvalidOption,
            "There is one answer only, alice, so there is nothing to compare; give two at least.",
        ),
        (["alice", "nobody"], {}, InvalidOption, "The dataset has no label field and no run 'nobody'"),
        (
            PEOPLE,
            {"iou": 0},
            InvalidOption,
            "iou=0 is not an intersection over union; give a number above 0 and up to 1.",
        ),
        (PEOPLE, {"iou": 1.5}, InvalidOption, "iou=1.5 is not an intersection over union"),
        (
            ["alice", "lines"],
            {},
            InvalidOption,
            "The answers alice, lines have labels of several types: detections, polylines",
        ),
    ],
)
def test_wrong_calls_are_refused(
    ds: ab.Dataset, answers: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    ds.add_labels("lines", {"s0": [ab.Polyline("lane", [[(0, 0), (1, 1)]])]})
    with pytest.raises(kind) as error:
        ds.compare_annotations(answers, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("answers", "options", "message"),
    [
        (None, {}, "The answers None are no list of different label fields, or keys of runs; give such a list."),
        ([["alice"], "bob"], {}, "The answers [['alice'], 'bob'] are no list of different label fields"),
        (PEOPLE, {"Iou": 0.9}, "'Iou' is not an option for answers that are in the dataset; did you mean 'iou'?"),
        (PEOPLE, {"thruth": "truth"}, "did you mean 'truth'?"),
        (PEOPLE, {"foo": 3}, "there is 'answers', 'iou', 'label_field', 'progress', 'truth'."),
    ],
)
def test_wrong_arguments_are_sentences(ds: ab.Dataset, answers: Any, options: dict[str, Any], message: str) -> None:
    for verb in (ds.compare_annotations, ds.annotation_quality):
        with pytest.raises(InvalidOption) as error:
            verb(answers, **options)
        assert message in str(error.value)


def test_wrong_limits_of_disputed_images(ds: ab.Dataset) -> None:
    found = ds.compare_annotations(PEOPLE)
    wrong: Any = "3"
    with pytest.raises(InvalidOption, match="limit='3' is no number of images; give 1 or more"):
        found.disputed(wrong)
    with pytest.raises(InvalidOption, match="above='3' is no disagreement; give a number from 0 to 1"):
        found.disputed(above=wrong)


@pytest.mark.parametrize("template", ["{x}", "{", "{0}", "{field}_{annotator!z}", None])
def test_a_wrong_destination_of_answers_is_refused(ds: ab.Dataset, template: Any) -> None:
    demo.annotator(ds.annotate("r", label_schema="truth", backend="memory", progress=False), "dora")
    with pytest.raises(InvalidOption) as error:
        ds.load_answers("r", dest_field=template)
    assert str(error.value).startswith(
        f"dest_field={template!r} names no field; write a name with {{field}} and {{annotator}}"
    )


def test_nobody_is_measured_without_common_images(ds: ab.Dataset) -> None:
    run = ds.annotate("r", label_schema="truth", backend="memory", progress=False)
    demo.annotator(run, "dora").leave_out("s0")
    demo.annotator(run, "emil").leave_out("s1", "s2")
    ds.load_answers("r")
    found = ds.annotation_quality(["truth_dora"], truth="truth_emil")
    assert found.annotators.num_rows == 0
    assert found.notes[-1].startswith("No image has an answer and the truth, so nobody is measured")


def test_a_pair_that_left_all_images_empty_is_told(ds: ab.Dataset) -> None:
    run = ds.annotate("r", label_schema="truth", backend="memory", progress=False)
    for name in ("dora", "emil", "fay"):
        person = demo.annotator(run, name)
        for label in ds.labels("truth").to_pylist() if name != "fay" else []:
            person.delete(label["label_id"])
    found = ds.compare_annotations("r")
    assert row(found.pairs, left="dora", right="emil")["f1"] is None
    assert "dora and emil: both left all images empty" in str(found)
    assert all(r["count"] for r in found.confusion.to_pylist())
    assert found.classes.filter(pc.equal(found.classes["right"], "emil")).num_rows == 0
    assert row(found.coefficients, component="class", coefficient="alpha")["units"] == 6


def test_intervals() -> None:
    assert rates.interval(0, 0) == (None, None)
    low, high = rates.interval(0, 10)
    assert (low, high) == (0.0, pytest.approx(0.2775, abs=1e-4))
    values = np.array([0.5, 0.7, 0.9, 0.8])
    low, high = rates.interval_of_mean(values.sum(), (values**2).sum(), len(values))
    margin = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert (low, high) == (pytest.approx(values.mean() - margin), pytest.approx(values.mean() + margin))
