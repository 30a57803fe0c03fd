"""Names in calls that mean nothing: ids of samples, attributes of a schema, attributes of a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

import annobridge as ab

BOX = [0.1, 0.2, 0.3, 0.4]


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples([
        ab.Sample(f"/img/{n}.jpg", f"s{n}", objects=[ab.Detection("car", BOX, iscrowd=False)]) for n in range(3)
    ])  # fmt: skip
    return ds


def annotate(ds: ab.Dataset, **schema: object) -> ab.AnnotationResults:
    return ds.annotate("k", backend="memory", url="memory://typos", **schema)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["select", "exclude", "delete_samples"])
def test_ids_that_are_not_there_are_named_and_counted(dataset: ab.Dataset, verb: str) -> None:
    with pytest.raises(ab.exceptions.SampleNotFound, match=r"no sample 'nope' \(and 2 more\); correct the id"):
        getattr(dataset, verb)(["s0", "nope", "no", "never", "no"])
    with pytest.raises(ab.exceptions.SampleNotFound, match="no sample '7'; "):
        getattr(dataset, verb)([7])
    assert len(dataset) == 3


def test_ids_are_of_the_dataset_and_not_only_of_the_view(dataset: ab.Dataset) -> None:
    assert dataset.limit(1).select(["s2"]).sample_ids() == []
    assert dataset.limit(2).exclude(["s2", "s0"]).sample_ids() == ["s1"]
    assert dataset.select([]).sample_ids() == []


def test_the_view_of_a_run_outlives_its_samples(dataset: ab.Dataset) -> None:
    annotate(dataset.select(["s1", "s2"]), label_field="objects")  # type: ignore[arg-type]
    dataset.delete_samples(["s1"])
    assert dataset.load_annotation_view("k").sample_ids() == ["s2"]


def test_a_list_of_attributes_names_those_that_labels_have(dataset: ab.Dataset) -> None:
    with pytest.raises(ab.exceptions.InvalidSchema, match="names 'iscrowdd', which no label .* did you mean 'iscrowd'"):
        annotate(dataset, label_field="objects", attributes=["iscrowdd"])
    with pytest.raises(ab.exceptions.InvalidSchema, match="names 'speed', which .* {'speed': {'type': 'text'}}"):
        annotate(dataset, label_field="objects", attributes="speed")
    with pytest.raises(ab.exceptions.InvalidSchema, match="names 'color', and the field is new. .* dictionary"):
        annotate(dataset, label_field="new", label_type="detections", classes=["car"], attributes=["color"])
    assert dataset.list_annotation_runs() == []
    sent = annotate(dataset, label_field="objects", attributes=["iscrowd"])
    assert [a.type for a in sent.run.schema.fields["objects"].attributes] == ["checkbox"]


def test_nothing_is_set_on_a_dataset_or_view(dataset: ab.Dataset) -> None:
    for value in (True, False):
        with pytest.raises(AttributeError, match="always persistent"):
            dataset.persistent = value  # type: ignore[attr-defined]
    for thing in (dataset, dataset.limit(1)):
        with pytest.raises(AttributeError, match="'persistant' cannot be set on a (Dataset|View)"):
            thing.persistant = True  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="cannot be set"):
            thing.uri = "elsewhere"  # type: ignore[misc, union-attr]
