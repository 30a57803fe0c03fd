"""Transport by files. The vendor's example of an import is written from a dataset, accepted by the server, and loaded again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests import datagym_servers
from tests.backend.datagym_cases import NESTED, SCHEMA, ByHand, dataset, row
from tests.contract.datagym_hands import Editor
from tests.doubles.datagym import import_schema

import annobridge as ab
from annobridge.exceptions import Broken, InvalidLabels, InvalidOption, Rejected, Unsupported

GOLDEN = Path(__file__).parents[1] / "golden" / "datagym"


@pytest.fixture(params=[kind for kind in datagym_servers.KINDS if kind != "hosted"])
def person(request: pytest.FixtureRequest) -> Iterator[ByHand]:
    """A person who uses the pages of the open-core edition, whose calls are known."""
    with datagym_servers.running(request.param) as server:
        if server.v1:
            pytest.skip("the pages of a hosted server are for people")
        found = ByHand(server)
        yield found
        found.close()


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return dataset(tmp_path)


def fixed_ids(tmp_path: Path) -> Path:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps([{"id": f"m-{n}", "mediaName": f"photo_{n}.png"} for n in range(2)]))
    return path


def annotate(ds: ab.Dataset, folder: Path, ids: Path | None, **more: Any) -> ab.AnnotationResults:
    options = {"transport": "files", "folder": str(folder), **NESTED, **more}
    if ids is not None:
        options["media_ids"] = str(ids)
    return ds.annotate("run", label_schema=SCHEMA, backend="datagym", progress=False, **options)


def load(ds: ab.Dataset, path: Path, **more: Any) -> Any:
    return ds.load_annotations("run", path=str(path), progress=False, **more)


def labels_file(folder: Path) -> Path:
    (found,) = folder.glob("*.labels.json")
    return found


def through(person: ByHand, ds: ab.Dataset, tmp_path: Path, **more: Any) -> ab.AnnotationResults:
    """Annotate, and upload all of the files to the server."""
    person.upload_images(sorted((tmp_path / "images").iterdir()), tmp_path / "ids.json")
    results = annotate(ds, tmp_path / "out", tmp_path / "ids.json", **more)
    person.upload_configuration(tmp_path / "out" / "label-configuration.json")
    assert person.upload_labels(labels_file(tmp_path / "out")) == ""
    return results


def same(a: pa.Table, b: pa.Table) -> bool:
    return bool(a.equals(b))


@pytest.mark.parametrize("case", ["replacing", "keeping", "without-ids"])
def test_the_vendors_example_is_written_as_it_should_be(ds: ab.Dataset, tmp_path: Path, case: str) -> None:
    """Nested global classifications, a polygon, a line, a point and a rectangle; empty answers; both values of ``keepData``."""
    more = {"replacing": {"replace_labels": True}, "keeping": {}, "without-ids": {"show_ids": False}}[case]
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path), **more)
    items = json.loads(labels_file(tmp_path / "out").read_text())
    configuration = json.loads((tmp_path / "out" / "label-configuration.json").read_text())
    assert items == json.loads((GOLDEN / f"import-{case}.json").read_text())
    assert import_schema.faults(items) == []
    if case != "without-ids":
        assert configuration == json.loads((GOLDEN / "label-configuration.json").read_text())


@pytest.mark.parametrize("more", [{}, {"replace_labels": True}, {"show_ids": False}], ids=["keep", "replace", "no-ids"])
def test_files_that_nobody_edited_change_nothing(
    person: ByHand, ds: ab.Dataset, tmp_path: Path, more: dict[str, Any]
) -> None:
    before = ds.labels().to_arrow()
    through(person, ds, tmp_path, **more)
    person.finish()
    report = load(ds, person.download(tmp_path / "export.json"))
    assert (report.total, report.version, len(report.unexpected)) == (0, None, 0), report.writes().to_pylist()
    assert same(ds.labels().to_arrow(), before)


def test_edits_additions_and_deletions_are_found_in_an_export(person: ByHand, ds: ab.Dataset, tmp_path: Path) -> None:
    results = through(person, ds, tmp_path)
    editor = person.editor(results)
    task = editor.task("s0")
    values = {v["entryKeyLcEntry"]: v for v in task["labelIteration"]["entryValues"]}
    editor.update(task, values["bus"], x=10.0, y=20.0, width=30.0, height=40.0)
    editor.answer(task, next(c for c in values["car"]["children"] if c["entryKeyLcEntry"] == "color"), "red")
    editor.answer(task, values["weather"], "sunny")
    person.server.call("DELETE", "", f"lcvalues/{values['street']['id']}")
    editor.add("s1", label="tram", bounding_box=[0.5, 0.5, 0.25, 0.25])
    person.finish()
    report = load(ds, person.download(tmp_path / "export.json"))
    assert (report.added, report.edited, report.deleted) == (1, 3, 1)
    assert row(ds, "bus0")["bounding_box"] == [10 / 640, 20 / 480, 30 / 640, 40 / 480]
    assert row(ds, "car0")["attributes"] == {"color": "red"}
    assert row(ds, "weather0")["label"] == "sunny"
    assert row(ds, "weather0")["attributes"]["degrees"] == 21
    again = load(ds, tmp_path / "export.json")
    assert (again.total, again.version) == (0, None)


def test_an_image_that_is_not_in_the_export_is_no_information(person: ByHand, ds: ab.Dataset, tmp_path: Path) -> None:
    before = ds.labels().to_arrow()
    results = through(person, ds, tmp_path)
    editor = person.editor(results)
    for value in editor.task("s1")["labelIteration"]["entryValues"]:
        if value["entryKeyLcEntry"] == "bus":
            person.server.call("DELETE", "", f"lcvalues/{value['id']}")
    person.server.finish([editor.states[0]["tasks"][0]])
    report = load(ds, person.download(tmp_path / "export.json"))
    assert report.total == 0
    assert same(ds.labels().to_arrow(), before)


def test_new_labels_need_no_ids_of_images(person: ByHand, tmp_path: Path) -> None:
    """Without labels to send, images are found by their names."""
    ds = dataset(tmp_path)
    ds.delete_labels(ds.labels().to_arrow()["label_id"].to_pylist())
    results = annotate(ds, tmp_path / "out", None)
    assert json.loads(labels_file(tmp_path / "out").read_text()) == []
    person.upload_configuration(tmp_path / "out" / "label-configuration.json")
    person.upload_images(sorted((tmp_path / "images").iterdir()), tmp_path / "ids.json")
    task = person.server.call("GET", "", f"task/{person.tasks()[0]['taskId']}")
    hands = Editor(person.server, results)
    entry = next(e for e in task["labelConfig"]["entries"] if e["entryKey"] == "bus")
    hands.draw(task, entry, x=64.0, y=48.0, width=32.0, height=24.0)
    person.finish()
    report = load(ds, person.download(tmp_path / "export.json"))
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert report.writes()["bounding_box"].to_pylist() == [[0.1, 0.1, 0.05, 0.05]]


def test_deleting_removes_what_was_written_and_may_be_repeated(ds: ab.Dataset, tmp_path: Path) -> None:
    results = annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    results.cleanup()
    results.cleanup()
    assert list((tmp_path / "out").iterdir()) == []


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_needed(ds: ab.Dataset, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="needs folder, in which"):
        ds.annotate("run", label_schema=SCHEMA, backend="datagym", transport="files", progress=False)
    assert ds.list_annotation_runs() == []


def test_labels_without_ids_of_images_are_refused(ds: ab.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InvalidLabels, match="needs media_ids: DataGym's import knows images by the ids"):
        annotate(ds, tmp_path / "out", None)
    assert ds.list_annotation_runs() == []
    assert not (tmp_path / "out").exists()


def test_the_configuration_of_another_run_is_not_written_over(ds: ab.Dataset, tmp_path: Path) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    before = (tmp_path / "out" / "label-configuration.json").read_bytes()
    options = {"transport": "files", "folder": str(tmp_path / "out"), "media_ids": str(fixed_ids(tmp_path))}
    with pytest.raises(
        Unsupported, match="has another label configuration in it .*; give another folder, or remove it"
    ):
        ds.annotate("other", label_schema={"buses": SCHEMA["buses"]}, backend="datagym", progress=False, **options)
    assert ds.list_annotation_runs() == ["run"]
    assert (tmp_path / "out" / "label-configuration.json").read_bytes() == before


def test_a_run_with_a_long_name_has_files_with_short_ones(ds: ab.Dataset, tmp_path: Path) -> None:
    options = {"transport": "files", "folder": str(tmp_path / "out"), "media_ids": str(fixed_ids(tmp_path)), **NESTED}
    ds.annotate("r" * 300, label_schema=SCHEMA, backend="datagym", progress=False, task_size=1, **options)
    assert len(list((tmp_path / "out").glob("*.labels.json"))) == 2


def test_ids_that_lack_an_image_are_refused(ds: ab.Dataset, tmp_path: Path) -> None:
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps({"media": [{"id": "m-0", "mediaName": "photo_0.png"}]}))
    with pytest.raises(InvalidLabels, match="has no id, or two, for 1 images, as 'photo_1.png'"):
        annotate(ds, tmp_path / "out", ids)
    assert ds.list_annotation_runs() == []


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read as JSON"), ("[]", "names no images")])
def test_a_bad_file_of_ids_is_refused(ds: ab.Dataset, tmp_path: Path, text: str, message: str) -> None:
    ids = tmp_path / "ids.json"
    ids.write_text(text)
    with pytest.raises(InvalidOption, match=message):
        annotate(ds, tmp_path / "out", ids)
    assert ds.list_annotation_runs() == []


def test_images_of_one_name_are_refused(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "photo_0.png").write_bytes((tmp_path / "images" / "photo_0.png").read_bytes())
    ds.add_samples([ab.Sample(tmp_path / "more" / "photo_0.png", sample_id="s9")])
    with pytest.raises(Unsupported, match="1 names occur more than once, as 'photo_0.png'"):
        annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    assert ds.list_annotation_runs() == []


def exported(**changes: Any) -> list[Any]:
    head = {"label_classes": [{"class_name": "bus", "geometry_type": "rectangle"}]}
    image = {
        "internal_media_ID": "m-0", "external_media_ID": "photo_0.png", "labeler": None, "status": "completed",
        "global_classifications": {}, "labels": {},
    }  # fmt: skip
    return [head, image | changes]


BUS = {"classifications": {}, "nested_geometries": {}}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", Broken, "it is not a JSON array"),
        ("{}", Broken, "it is not a JSON array"),
        (json.dumps(exported())[:-40], Broken, "is not a complete export of DataGym: it is cut off or garbled"),
        (json.dumps(exported())[:-1], Broken, "cut off or garbled"),
        ("[1, 2]", Broken, "does not begin with its label classes"),
        (json.dumps([exported()[0], {"x": 1}]), Broken, "its element 1 is not an image"),
        (json.dumps(exported()).replace("null", "NaN"), Broken, "it holds NaN, which is not JSON"),
        (json.dumps(exported(labels={"bus": [{"classifications": {}}]})), Broken, "not in its form at the image 'photo_0.png'"),
        (json.dumps(exported(labels={"bus": [BUS | {"rectangle": [{"x": "1.5", "y": 1, "w": 2, "h": 3}]}]})), Broken,
         "'1.5' is not a coordinate"),
        (json.dumps(exported(labels={"bus": [BUS | {"rectangle": [{"x": True, "y": 1, "w": 2, "h": 3}]}]})), Broken,
         "True is not a coordinate"),
        (json.dumps(exported(labels={"bus": [BUS | {"rectangle": [{"x": 10**400, "y": 1, "w": 2, "h": 3}]}]})), Broken,
         "int too large to convert to float"),
        (json.dumps(exported(labeler=7)), Broken, "7 is not a labeler"),
        (json.dumps(exported(global_classifications={"weather": "rain"})), Broken, "'rain' is not a classification"),
        (json.dumps([{"label_classes": [{"class_name": "cat", "geometry_type": "point"}]}, exported()[1]]), Rejected,
         "is the export of another project: its classes are 'cat', and those of this run are 'bus', 'car'"),
    ],
)  # fmt: skip
def test_a_bad_export_is_refused_and_nothing_changes(
    ds: ab.Dataset, tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    before = ds.labels().to_arrow()
    path = tmp_path / "export.json"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load(ds, path)
    assert same(ds.labels().to_arrow(), before)


def test_a_load_without_its_export_says_so(ds: ab.Dataset, tmp_path: Path) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    with pytest.raises(InvalidOption, match="give it as path='datagym_export"):
        ds.load_annotations("run", progress=False)
    with pytest.raises(InvalidOption, match="there is no file"):
        load(ds, tmp_path / "nowhere.json")


def test_an_export_of_other_images_says_so(ds: ab.Dataset, tmp_path: Path) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    path = tmp_path / "export.json"
    path.write_text(json.dumps(exported(internal_media_ID="m-9")))
    report = load(ds, path)
    assert report.total == 0
    assert any("has 1 images, and none of the task" in note for note in report.notes)


def test_an_empty_export_changes_nothing(ds: ab.Dataset, tmp_path: Path) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    path = tmp_path / "export.json"
    path.write_text("[]")
    assert load(ds, path).total == 0


def test_digits_in_quotes_are_numbers(ds: ab.Dataset, tmp_path: Path) -> None:
    """The server's schema allows them, so a file that was edited may have them."""
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    path = tmp_path / "export.json"
    box = {"x": "64", "y": "48", "w": "32", "h": "24"}
    path.write_text(json.dumps(exported(internal_media_ID="m-1", labels={"bus": [BUS | {"rectangle": [box]}]})))
    report = load(ds, path, force=True)
    assert [0.1, 0.1, 0.05, 0.05] in report.writes()["bounding_box"].to_pylist()


def test_unknown_classes_in_an_export_are_unexpected(ds: ab.Dataset, tmp_path: Path) -> None:
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    before = ds.labels().to_arrow()
    path = tmp_path / "export.json"
    square = {"rectangle": [{"x": 1, "y": 2, "w": 3, "h": 4}]}
    bus = {"rectangle": [{"x": 64, "y": 96, "w": 79, "h": 120}]} | BUS
    found = exported(internal_media_ID="m-1", labels={"zebra": [BUS | square], "bus": [bus]})
    found[1]["global_classifications"] = {"quality": ["good"]}
    path.write_text(json.dumps(found))
    report = load(ds, path, unexpected="return")
    assert sorted(report.unexpected["label"].to_pylist()) == ["good", "zebra"]
    assert same(ds.labels().to_arrow(), before)
