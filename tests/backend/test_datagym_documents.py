"""The format ``datagym``: the vendor's examples, exports and files for the import are read without a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.datagym_cases import dataset, images
from tests.backend.test_datagym_files import annotate, fixed_ids, labels_file

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.exceptions import InvalidOption, InvalidSource

CAR = {
    "polygon": [{"x": 57, "y": 412}, {"x": 54, "y": 463}, {"x": 130, "y": 479}],
    "classifications": {"car_type": [None]},
}
LINE = {"line": [{"x": 57, "y": 412}, {"x": 54, "y": 463}], "classifications": {}}
BUS = {"rectangle": [{"x": 272, "y": 302, "w": 324, "h": 169}], "classifications": {}}
VENDORS = {  # the examples of the vendor's page on imports, in one item
    "keepData": False,
    "global_classifications": {"weather": ["sunny", {"daytime": ["day"]}]},
    "labels": {
        "car": [CAR],
        "street": [LINE],
        "poi": [{"point": [{"x": 57, "y": 412}], "classifications": {}}],
        "bus": [BUS],
    },
}
HEAD = {"label_classes": [{"class_name": "note", "classification_type": "freetext"},
                          {"class_name": "tags", "classification_type": "checklist"},
                          {"class_name": "track", "geometry_type": "line"}]}  # fmt: skip


def written(folder: Path, *items: Any, count: int = 1) -> Path:
    images(folder, count)
    path = folder / "labels.json"
    path.write_text(json.dumps(items))
    return path


def item(name: str = "photo_0.png", **more: Any) -> dict[str, Any]:
    return {"internal_media_ID": "m-0", "external_media_ID": name, **more}


def read(source: Path, tmp_path: Path, **more: Any) -> tuple[ab.Dataset, Any]:
    report = ab.import_dataset(source, tmp_path / "data", progress=False, **more)
    return report.dataset, report


def rows(ds: ab.Dataset, field: str) -> list[dict[str, Any]]:
    found = [r for r in ds.labels().to_pylist() if r["field"] == field]
    return [r | {"attributes": {a["name"]: json.loads(a["value"]) for a in r["attributes"] or []}} for r in found]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_the_vendors_examples_are_read(tmp_path: Path, bom: bytes) -> None:
    path = written(tmp_path / "in", {"internal_media_ID": "photo_0.png", **VENDORS})
    path.write_bytes(bom + path.read_bytes())
    ds, report = read(path, tmp_path)
    assert report.format == "datagym"
    (bus,), (car,) = rows(ds, "detections"), rows(ds, "polygons")
    assert bus["bounding_box"] == [272 / 640, 302 / 480, 324 / 640, 169 / 480]
    assert (bus["label"], bus["kind"], bus["attributes"]) == ("bus", "box", {})
    assert car["points"] == [[[57 / 640, 412 / 480], [54 / 640, 463 / 480], [130 / 640, 479 / 480]]]
    assert (car["kind"], car["closed"], car["filled"], car["attributes"]) == ("polygon", True, True, {})
    assert [r["kind"] for r in rows(ds, "polylines")] == ["polyline"]
    assert rows(ds, "keypoints")[0]["points"] == [[[57 / 640, 412 / 480]]]
    (weather,) = rows(ds, "weather")
    assert (weather["label"], weather["attributes"]) == ("sunny", {"daytime": "day"})


def test_a_folder_with_the_file_and_its_images_is_recognised(tmp_path: Path) -> None:
    path = written(tmp_path / "in", item(**VENDORS))
    ds, report = read(path.parent, tmp_path)
    assert (report.format, len(ds)) == ("datagym", 1)


def test_labels_are_added_to_the_samples_that_are_there(tmp_path: Path) -> None:
    """Samples are found by their files; existing labels stay."""
    ds = dataset(tmp_path)
    before = ds.labels().to_arrow()
    items = [item(f"photo_{n}.png", internal_media_ID=f"m-{n}", labels={"tram": [BUS]}) for n in range(2)]
    (tmp_path / "labels.json").write_text(json.dumps(items))
    ab.import_dataset(tmp_path / "labels.json", ds.uri, mode="add", images=tmp_path / "images", progress=False)
    ds = ab.load_dataset(ds.uri)
    assert len(ds) == 2
    assert sorted(r["sample_id"] for r in rows(ds, "detections")) == ["s0", "s1"]
    assert ds.labels().to_arrow().num_rows == before.num_rows + 2


def test_what_was_written_for_the_import_is_read_back(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    annotate(ds, tmp_path / "out", fixed_ids(tmp_path))
    source = labels_file(tmp_path / "out")
    found, report = read(source, tmp_path / "again", images=tmp_path / "images", media_ids=fixed_ids(tmp_path))
    boxes = [r["bounding_box"] for r in rows(ds, "buses")]
    assert [r["bounding_box"] for r in rows(found, "detections")] == [pytest.approx(box) for box in boxes]
    assert rows(found, "weather")[0]["attributes"] == {"temperature": "warm", "degrees": "21", "wind": "none"}
    assert any("ids that annobridge showed to labelers were left out" in note for note in report.notes)


def test_the_header_of_an_export_has_the_types(tmp_path: Path) -> None:
    shapes = {"track": [{"geometry": [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6}]}]}
    told = {"note": ["dark"], "tags": ["a", "b"]}
    ds, _ = read(written(tmp_path / "in", HEAD, item(labels=shapes, global_classifications=told)), tmp_path)
    assert [r["kind"] for r in rows(ds, "polylines")] == ["polyline"]
    assert [(r["kind"], r["value"]) for r in rows(ds, "note")] == [("scalar", '"dark"')]
    assert sorted(r["label"] for r in rows(ds, "tags")) == ["a", "b"]


def test_untyped_shapes_without_a_header_are_typed_by_their_points(tmp_path: Path) -> None:
    points = [{"x": n, "y": n * n} for n in range(3)]
    shapes = {"a": [{"geometry": points[:1]}], "b": [{"geometry": points[:2]}], "c": [{"geometry": points}], "d": [
        {"geometry": BUS["rectangle"]}]}  # fmt: skip
    ds, _ = read(written(tmp_path / "in", item(labels=shapes)), tmp_path)
    assert {f: rows(ds, f)[0]["label"] for f in ("keypoints", "polylines", "polygons", "detections")} == {
        "keypoints": "a", "polylines": "b", "polygons": "c", "detections": "d",
    }  # fmt: skip


def test_items_of_one_image_are_united_as_the_import_does(tmp_path: Path) -> None:
    items = [item(keepData=False, labels={"bus": [BUS]}, global_classifications={"weather": ["rain", {"a": ["1"]}]}),
             item(keepData=True, labels={"bus": [BUS]}, global_classifications={"weather": [None, {"b": ["2"]}]})]  # fmt: skip
    ds, _ = read(written(tmp_path / "in", *items), tmp_path)
    assert len(rows(ds, "detections")) == 2
    assert [(r["label"], r["attributes"]) for r in rows(ds, "weather")] == [("rain", {"a": "1", "b": "2"})]
    ds, _ = read(written(tmp_path / "in", *items, item(keepData=False)), tmp_path / "again")
    assert ds.labels().to_arrow().num_rows == 0


def test_nested_shapes_have_the_id_of_their_parent(tmp_path: Path) -> None:
    outer = BUS | {"nested_geometries": {"plate": [CAR]}}
    ds, _ = read(written(tmp_path / "in", item(labels={"bus": [outer]})), tmp_path)
    (bus,), (plate,) = rows(ds, "detections"), rows(ds, "polygons")
    assert plate["attributes"] == {"parent": bus["label_id"]}


def test_segments_keep_their_holes(tmp_path: Path) -> None:
    rings = [[(0, 0), (64, 0), (64, 48), (0, 48)], [(10, 10), (20, 10), (20, 20), (10, 20)]]
    shape = {"image_segmentation": [[{"x": x, "y": y} for x, y in ring] for ring in rings]}
    ds, _ = read(written(tmp_path / "in", item(labels={"grass": [shape]})), tmp_path)
    assert decode_rle(rows(ds, "segmentation")[0]["mask"]).sum() == 64 * 48 - 100


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    nowhere = {"rectangle": [dict.fromkeys("xywh")], "classifications": {}}
    video = item(internal_media_ID="v", task_export_url="http://localhost/x")
    ds, report = read(written(tmp_path / "in", HEAD, item(labels={"bus": [nowhere]}), video, {"labels": {}}), tmp_path)
    assert ds.labels().to_arrow().num_rows == 0
    for text in ("1 shapes have no coordinates", "1 videos cannot be imported", "1 items have no internal_media_ID"):
        assert any(note.startswith(text) for note in report.notes), report.notes


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([item("nowhere.png")], r"1 of 1 images are not in .*, as 'nowhere\.png'; say with images=… .* media_ids=…"),
        ([{"internal_media_ID": "<media_id>"}], "1 of 1 images are not in .*, as '<media_id>'"),
        ([item(), 7], "its element 1 is not an image, but 7"),
        ([{"internal_media_ID": 7}], "its element 0 has the id 7, which is not a text"),
        ([item(labels={"bus": [{}]})], "not in its form at the image 'photo_0.png' .*a label without a geometry"),
        ([item(labels={"bus": {}}), item(labels={"bus": 7})], "its element 1 is not in DataGym's form"),
        ([item(labels={"bus": [{"rectangle": [{"x": "1.5", "y": 1, "w": 2, "h": 3}]}]})], "'1.5' is not a coordinate"),
        ([item(global_classifications={"weather": "rain"})], "'rain' is not a classification"),
        ([{"label_classes": [7]}, item()], "its label_classes are not in DataGym's form"),
    ],
)
def test_bad_files_are_refused_and_nothing_is_created(tmp_path: Path, items: list[Any], message: str) -> None:
    with pytest.raises(InvalidSource, match=message):
        read(written(tmp_path / "in", *items), tmp_path, format="datagym")
    assert not (tmp_path / "data").exists()


def test_images_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "in", item())
    images(tmp_path / "in" / "more", 1)
    with pytest.raises(
        InvalidSource, match=r"1 images are in .* several times, as 'photo_0\.png'; give a folder that has them once"
    ):
        read(path, tmp_path)


def test_turned_images_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "in", item())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "in" / "photo_0.png", exif=exif)
    with pytest.raises(InvalidSource, match="1 images are turned by their EXIF data"):
        read(path, tmp_path)


def test_two_files_in_a_folder_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "in", item())
    path.with_name("more.json").write_bytes(path.read_bytes())
    with pytest.raises(InvalidSource, match="2 files of labels of DataGym in .*; give the file itself"):
        read(path.parent, tmp_path)


def test_it_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="not possible"):
        ab.export_dataset(dataset(tmp_path), tmp_path / "out", format="datagym")
