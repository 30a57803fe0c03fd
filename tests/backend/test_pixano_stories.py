"""Whole stories with a real Pixano 0.8.0: a run is pushed to and loaded from while people work; a dataset of theirs is adopted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.backend import pixano_library_cases as library

import annobridge as ab
from annobridge.exceptions import InvalidSchema, RunError, Unreachable
from annobridge_pixano import PixanoBackend, PixanoConfig, removal
from annobridge_pixano.annotator import ScriptedAnnotator
from annobridge_pixano.api import Api

pytestmark = pytest.mark.server


@pytest.fixture
def annotator(pixano_url: str) -> Iterator[ScriptedAnnotator]:
    found = ScriptedAnnotator(pixano_url)
    yield found
    found.close()


def images(folder: Path) -> list[Path]:
    (folder / "drive").mkdir(parents=True)
    paths = [folder / "drive" / f"{name}.png" for name in library.SIZES]
    for path, size in zip(paths, library.SIZES.values(), strict=True):
        path.write_bytes(library.picture(size))
    return paths


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Three images, each with a car and a polygon."""
    made = ab.create_dataset(tmp_path / "data")
    ring = [[(0.1, 0.1), (1 / 3, 0.1), (0.2, 0.4)]]
    made.add_samples(
        [
            ab.Sample(
                path, sample_id=f"s{n}", objects=[ab.Detection("car", [0.1, 1 / 3, 0.2, 0.2], label_id=f"car{n}", plate=f"p{n}")],
                areas=[ab.Polyline("road", ring, filled=True, closed=True, label_id=f"road{n}")],
            )
            for n, path in enumerate(images(tmp_path / "images"))
        ]
    )  # fmt: skip
    return made


SCHEMA: dict[str, Any] = {
    "objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {"plate": {"type": "text"}}},
    "areas": {"type": "polygons", "classes": ["road"]},
}


def labels(ds: ab.Dataset) -> dict[str, dict[str, Any]]:
    rows = ds.labels(["objects", "areas"]).to_arrow().to_pylist()
    kept = ("sample_id", "field", "label", "bounding_box", "points", "attributes")
    return {row["label_id"]: {name: row[name] for name in kept} for row in rows}


def test_a_run_is_pushed_to_while_people_work(
    ds: ab.Dataset, pixano_url: str, annotator: ScriptedAnnotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = ds.annotate("run", label_schema=SCHEMA, backend="pixano", url=pixano_url, progress=False)
    dataset = str(results.receipts()[0].state["dataset"])
    ds.set_labels([{"label_id": "car0", "bounding_box": [0.1, 1 / 7, 0.2, 0.2]}])
    ds.set_labels([{"label_id": "car1", "label": "bus"}])
    ds.delete_labels(["road2"])
    ds.add_labels(
        "objects",
        [{"label_id": "new", "sample_id": "s1", "kind": "box", "label": "car", "bounding_box": [0, 0, 1 / 3, 1]}],
    )
    annotator.set_attribute(dataset, "car0", "plate", "theirs")
    annotator.draw(dataset, "s2", [0.5, 0.5, 0.25, 0.25], "bus")
    report = ds.push_annotations("run", progress=False)
    assert (report.added, report.edited, report.deleted, report.left_out) == (1, 2, 1, 0)
    assert annotator.rows(dataset, "multi-paths", record_id="s2") == []
    assert ds.push_annotations("run", progress=False).total == 0
    there = {r["id"]: r for r in annotator.rows(dataset, "entities")}
    assert (there["car0"]["plate"], there["car1"]["category"], there["new"]["category"]) == ("theirs", "bus", "car")
    before = labels(ds)
    loaded = ds.load_annotations("run", progress=False)
    assert (loaded.added, loaded.edited, loaded.deleted) == (1, 1, 0)
    assert labels(ds)["new"] == before["new"]
    ds.undo_annotations("run")
    assert labels(ds) == before

    send = Api.update

    def cut_off(self: Api, *arguments: Any) -> None:
        send(self, *arguments)
        raise Unreachable("pixano: the connection was lost.")

    ds.set_labels([{"label_id": "car2", "bounding_box": [0.5, 1 / 7, 0.2, 0.2]}])
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    monkeypatch.setattr(Api, "update", cut_off)
    with pytest.raises(Unreachable, match="push_annotations"):
        ds.push_annotations("run", conflicts="ours", progress=False)
    monkeypatch.undo()
    now = labels(ds)
    ds.push_annotations("run", conflicts="ours", progress=False)
    assert ds.push_annotations("run", conflicts="ours", progress=False).total == 0
    assert {r["id"]: r["coords"] for r in annotator.rows(dataset, "bboxes")}["car2.bbox"] == [0.5, 1 / 7, 0.2, 0.2]
    assert labels(ds) == now
    results.cleanup()


def test_a_changed_class_of_a_list_whose_push_lost_its_answer_is_found_out(
    tmp_path: Path, pixano_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class is part of the id in Pixano, and the label stays the same one here."""
    ds = ab.create_dataset(tmp_path / "data")
    classes = [ab.Classification(name, label_id=name) for name in ("rain", "night")]
    ds.add_samples([ab.Sample(images(tmp_path / "images")[0], sample_id="s0", scene=classes)])
    schema = {"scene": {"type": "classifications", "classes": ["rain", "night", "snow"]}}
    options: dict[str, Any] = {"url": pixano_url, "progress": False}
    ds.annotate("run", label_schema=schema, backend="pixano", **options)
    ds.set_labels([{"label_id": "rain", "label": "snow"}])
    push = PixanoBackend.push

    def lose(self: PixanoBackend, *arguments: Any) -> None:
        push(self, *arguments)
        raise Unreachable("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(PixanoBackend, "push", lose)
        with pytest.raises(Unreachable):
            ds.push_annotations("run", **options)
    report = ds.push_annotations("run", **options)
    assert (report.total, len(report.conflicts)) == (0, 0)
    loaded = ds.load_annotations("run", **options)
    assert (loaded.total, len(loaded.conflicts), len(loaded.unexpected)) == (0, 0, 0)
    assert {row["label_id"]: row["label"] for row in ds.labels().to_pylist()} == {"rain": "snow", "night": "night"}
    ds.abort_annotation("run", url=pixano_url)


def test_a_dataset_of_ones_own_is_adopted(ds: ab.Dataset, pixano_url: str, annotator: ScriptedAnnotator) -> None:
    name = f"street_{uuid.uuid4().hex[:8]}"
    dataset = library.imported(pixano_url, name)
    options = {"backend": "pixano", "url": pixano_url, "name_attribute": "file", "progress": False}
    with pytest.raises(InvalidSchema, match="which the schema lacks"):
        ds.adopt_annotation(
            "taken", tasks=[name], label_schema={"boxes": {**SCHEMA["objects"], "classes": ["car"]}}, **options
        )
    boxes = {
        "type": "detections",
        "classes": ["car", "bus"],
        "attributes": {"plate": {"type": "text"}, "n": {"type": "int"}},
    }
    schema = {"boxes": boxes, "paths": {"type": "polygons", "classes": ["bus"]}}
    adoption = ds.adopt_annotation("taken", tasks=[name], label_schema=schema, **options)
    assert (adoption.matched, adoption.created, len(adoption.unmatched)) == (3, 0, 0)
    assert adoption.only_there + adoption.paired == 4
    with pytest.raises(RunError, match="holds the task"):
        ds.adopt_annotation("again", tasks=[name], label_schema=schema, **options)
    annotator.set_record(dataset, "rec-b", "status", "validated")
    report = ds.load_annotations("taken", progress=False)
    assert (report.added, report.deleted) == (4, 0)
    assert ds.load_annotations("taken", progress=False).total == 0
    assert len(ds.match_reviewed("taken")) == 1
    (theirs,) = [r for r in ds.labels("boxes").to_pylist() if r["sample_id"] == "s0" and r["label"] == "bus"]
    ds.set_labels([{"label_id": theirs["label_id"], "bounding_box": [0, 0, 1 / 3, 0.5]}])
    pushed = ds.push_annotations("taken", progress=False)
    assert (pushed.edited, pushed.left_out) == (1, 0)
    assert {r["id"]: r["coords"] for r in annotator.rows(dataset, "bboxes")}["b2"] == [0, 0, 1 / 3, 0.5]
    assert ds.load_annotations("taken", progress=False).total == 0
    ds.delete_annotation_run("taken")
    with closing(PixanoBackend(PixanoConfig(url=pixano_url))) as backend:
        assert backend._api.dataset(id=dataset)
        removal.remove(backend._api, name, 60.0)


def test_its_images_are_imported(tmp_path: Path, pixano_url: str) -> None:
    name = f"street_{uuid.uuid4().hex[:8]}"
    library.imported(pixano_url, name)
    ds = ab.create_dataset(tmp_path / "empty")
    adoption = ds.adopt_annotation("taken", backend="pixano", url=pixano_url, tasks=[name], create=True, progress=False)
    assert (adoption.matched, adoption.created) == (0, 3)
    assert ds.load_annotations("taken", progress=False).added == 4
    sizes = {(row["width"], row["height"]) for row in ds.samples().to_arrow().to_pylist()}
    assert sizes == {*library.SIZES.values()}
    with closing(PixanoBackend(PixanoConfig(url=pixano_url))) as backend:
        removal.remove(backend._api, name, 60.0)
