"""Label Studio: tasks with annotations and predictions, JSON_MIN, CSV, pictures of brushes, and tasks that are written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tests.formats.label_files import files, image, opened, packed, parts, read, rewritten, tidy

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource
from annobridge.formats.base import Part
from annobridge.formats.labelstudio import LabelStudioFormat
from annobridge.formats.labelstudio.brush_rle import BrushError, decode, encode

STUDIO = LabelStudioFormat()
SIZE = {"original_width": 100, "original_height": 50, "image_rotation": 0}
XYWH = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0}
MASK = np.zeros((50, 100), bool)
MASK[10:20, 30:50] = True


def result(type_: str, value: dict[str, Any], id_: str | None = "r1", **more: Any) -> dict[str, Any]:
    return {"id": id_, "from_name": "x", "to_name": "image", "type": type_, "value": value, **SIZE, **more}


def box(id_: str = "r1", label: str = "car", **more: Any) -> dict[str, Any]:
    return result("rectanglelabels", {**XYWH, "rectanglelabels": [label]}, id_, **more)


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": 5,
        "completed_by": 1,
        "was_cancelled": False,
        "updated_at": "2026-11-01T10:05:00.000000Z",
        "result": list(results),
    } | more


def task(
    *annotations: Any, address: str = "/data/local-files/?d=x/a.png", number: int = 1, **more: Any
) -> dict[str, Any]:
    data = {"image": address} | more.pop("data", {})
    return {"id": number, "data": data, "annotations": list(annotations), "predictions": [], **more}


def dataset(folder: Path, *tasks: Any, name: str = "export.json") -> Path:
    image(folder / "images/a.png")
    return files(folder, {name: json.dumps(list(tasks))})


def rows_of(folder: Path, *results: Any) -> tuple[list[dict[str, Any]], list[str]]:
    _, rows, found = read(STUDIO, dataset(folder, task(annotation(*results))))
    return rows, found.notes


@pytest.mark.parametrize(
    ("given", "kind", "columns"),
    [
        (box(), "box", {"bounding_box": [0.1, 0.2, 0.3, 0.4]}),
        (
            result("rectanglelabels", {"x": 50, "y": 20, "width": 20, "height": 20, "rotation": 90, "rectanglelabels": ["car"]}),
            "box", {"bounding_box": [0.35, 0.3, 0.2, 0.2], "rotation": 90.0},
        ),
        (
            result("polygonlabels", {"points": [[10, 20], [30, 20], [30, 40]], "closed": True, "polygonlabels": ["car"]}),
            "polygon", {"points": [[[0.1, 0.2], [0.3, 0.2], [0.3, 0.4]]], "closed": True},
        ),
        (
            result("polygonlabels", {"points": [[10, 20], [30, 20]], "closed": False, "polygonlabels": ["car"]}),
            "polyline", {"closed": False},
        ),
        (
            result("vectorlabels", {"vertices": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "closed": False, "vectorlabels": ["car"]}),
            "polyline", {"points": [[[0.01, 0.02], [0.03, 0.04]]]},
        ),
        (
            result("keypointlabels", {"x": 10, "y": 20, "width": 0.5, "keypointlabels": ["car"]}),
            "keypoints", {"points": [[[0.1, 0.2]]], "visibility": [2]},
        ),
        (
            result("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 30, "ellipselabels": ["car"]}),
            "ellipse", {"bounding_box": [0.4, 0.3, 0.2, 0.4], "rotation": 30.0},
        ),
        (
            result("brushlabels", {"format": "rle", "rle": encode(MASK), "brushlabels": ["car"]}),
            "mask", {"bounding_box": [0.3, 0.2, 0.2, 0.2]},
        ),
    ],
)  # fmt: skip
def test_shapes(tmp_path: Path, given: dict[str, Any], kind: str, columns: dict[str, Any]) -> None:
    (row,), notes = rows_of(tmp_path, given)
    assert (row["kind"], row["label"]) == (kind, "car")
    for name, value in columns.items():
        assert np.allclose(row[name], value), name
    assert not notes
    assert row["annotator"] == "1"
    assert row["time"].isoformat() == "2026-11-01T10:05:00+00:00"


def test_answers_about_a_region_are_its_attributes(tmp_path: Path) -> None:
    (row,), notes = rows_of(
        tmp_path,
        box(score=0.75, meta={"text": ["look"]}),
        result("choices", {**XYWH, "choices": ["red"]}, from_name="colour"),
        result("choices", {**XYWH, "choices": ["true"]}, from_name="occluded"),
        result("choices", {**XYWH, "choices": ["a", "b"]}, from_name="kinds"),
        result("textarea", {**XYWH, "text": ["A 1"]}, from_name="plate"),
        result("number", {**XYWH, "number": 3}, from_name="doors"),
        result("rating", {**XYWH, "rating": 4}, from_name="quality"),
        result("taxonomy", {**XYWH, "taxonomy": [["vehicle", "van"]]}, from_name="tree"),
    )
    assert row["attributes"] == {
        "colour": "red", "occluded": True, "kinds": ["a", "b"], "plate": "A 1", "doors": 3, "quality": 4,
        "tree": "vehicle/van", "meta": {"text": ["look"]},
    }  # fmt: skip
    assert row["confidence"] == 0.75
    assert not notes


def test_answers_about_the_image_are_fields(tmp_path: Path) -> None:
    rows, notes = rows_of(
        tmp_path,
        result("choices", {"choices": ["day", "wet"]}, "a", from_name="my scene"),
        result("number", {"number": 3}, "b", from_name="count"),
        result("textarea", {"text": ["two\nlines"]}, "c", from_name="caption"),
        result("rating", {"rating": 4}, "d", from_name="quality"),
    )
    assert [(row["field"], row["kind"], row.get("label"), row.get("value")) for row in rows] == [
        ("my_scene", "classification", "day", None),
        ("my_scene", "classification", "wet", None),
        ("count", "scalar", None, "3"),
        ("caption", "scalar", None, '"two\\nlines"'),
        ("quality", "scalar", None, "4"),
    ]
    assert not notes


def test_a_class_in_a_result_of_its_own(tmp_path: Path) -> None:
    rows, notes = rows_of(
        tmp_path,
        result("rectangle", XYWH),
        result("labels", {**XYWH, "labels": ["car"]}),
        result("rectanglelabels", {**XYWH, "rectanglelabels": ["a", "b"]}, "r2"),
        result("rectanglelabels", {**XYWH, "rectanglelabels": []}, "r3"),
    )
    assert [row.get("label") for row in rows] == ["car", "a", "b", None]
    assert notes == ["1 regions have several classes; they are a label for each."]


def test_points_of_a_region_are_its_group(tmp_path: Path) -> None:
    point = result("keypointlabels", {"x": 1, "y": 2, "width": 1, "keypointlabels": ["nose"]}, "p", parentID="r1")
    rows, _ = rows_of(tmp_path, box(), point, box("r9"))
    assert [row["attributes"].get("group") for row in rows] == [1, 1, None]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("x", "no result with a value"),
        ({"type": "rectanglelabels"}, "no result with a value"),
        (result("rectanglelabels", {"x": 1, "y": 2, "width": 3}, "q"), "its height is no number"),
        (result("rectanglelabels", {"x": "1", "y": 2, "width": 3, "height": 4}, "q"), "its x is no number"),
        (result("rectanglelabels", {"x": 200, "y": 2, "width": 3, "height": 4}, "q"), "outside its image"),
        (result("keypointlabels", {"keypointlabels": ["a"]}, "q"), "its x is no number"),
        (result("polygonlabels", {"points": [[1, 2], [3, 4]]}, "q"), "polygon of 2 points"),
        (result("polygonlabels", {"points": 7}, "q"), "no list of two numbers"),
        (result("brushlabels", {"format": "rle", "rle": [0, 1]}, "q"), "too short"),
        (result("brushlabels", {"format": "rle", "rle": [-1] * 20}, "q"), "no list of bytes"),
        (
            result("brushlabels", {"format": "rle", "rle": encode(MASK[:10])}, "q"),
            "4,000 values, and its image needs 20,000",
        ),
        (result("brushlabels", {"format": "rle", "rle": encode(MASK)[:-3]}, "q"), "ends before its last pixel"),
        (result("brushlabels", {"maskDataURL": "x"}, "q"), "its mask is not in RLE"),
        ({**result("brushlabels", {"rle": encode(MASK)}, "q"), "original_width": None}, "original_height are missing"),
        ({**result("rectanglelabels", {**XYWH, "rotation": 9}, "q"), "original_width": 0}, "it is turned"),
        ({"type": "relation", "from_id": "r1", "to_id": "q", "direction": "right"}, "relations between regions"),
        (result("choices", {**XYWH, "choices": ["red"]}, "gone"), "the region that it is about is not there"),
        (result("videorectangle", {"sequence": []}, "q"), "'videorectangle' are not about an image"),
        (result("number", {"number": None}, "q"), "its number has no value"),
        (box(), "a region with this id is there already"),
        (box("q", item_index=4), "its image is not in the task"),
    ],
)
def test_a_bad_result_is_left_out_with_its_place(tmp_path: Path, given: Any, reason: str) -> None:
    rows, notes = rows_of(tmp_path, box(), given)
    assert len(rows) == 1
    assert reason in notes[0]
    assert "export.json' task 0 (id 1) annotation 5" in notes[0]


# --- annotations and predictions --------------------------------------------------------------------------------------


def people(folder: Path) -> Path:
    return dataset(
        folder,
        task(
            annotation(box("r1", "new"), result("number", {"number": 2}, "n"), id=7, completed_by={"email": "b@x.org"}),
            annotation(box("r1", "old"), result("number", {"number": 1}, "n"), id=6, updated_at="2026-10-01T00:00:00Z"),
            annotation(box("r2", "skipped"), id=8, was_cancelled=True),
            predictions=[{"id": 3, "score": 0.5, "result": [box("p1", "guess", score=0.9), box("p2", "second")]}],
            drafts=[{"result": []}],
        ),
    )


def test_annotations_of_several_people(tmp_path: Path) -> None:
    _, rows, found = read(STUDIO, people(tmp_path))
    assert [(row["field"], row.get("label"), row.get("annotator"), row.get("confidence")) for row in rows] == [
        ("detections", "old", "1", None),
        ("detections", "new", "b@x.org", None),
        ("x", None, "b@x.org", None),
        ("predictions", "guess", None, 0.9),
        ("predictions", "second", None, 0.5),
    ]
    assert rows[2]["value"] == "2"
    assert "1 tasks have annotations of several people" in found.assumptions[0]
    assert sorted(note.partition("annotations were left out: ")[2].partition(" (")[0] for note in found.notes) == [
        "", "an image has one value of a kind, and that of another annotation was taken", "its annotator cancelled it",
    ]  # fmt: skip
    assert "1 drafts, which nobody submitted, were left out." in found.notes


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"annotations": "latest"}, ["new", "guess", "second"]),
        ({"results": "annotations"}, ["old", "new"]),
        ({"results": "predictions"}, ["guess", "second"]),
        ({"results": "annotations", "annotations": "latest"}, ["new"]),
    ],
)
def test_options(tmp_path: Path, options: dict[str, str], labels: list[str]) -> None:
    _, rows, _ = read(STUDIO, people(tmp_path), **options)
    assert [row["label"] for row in rows if row["kind"] == "box"] == labels


def test_fields(tmp_path: Path) -> None:
    _, rows, _ = read(STUDIO, people(tmp_path), field="gt")
    assert {row["field"] for row in rows} == {"gt", "gt_x", "gt_predictions"}


def test_ids_of_regions(tmp_path: Path) -> None:
    source = people(tmp_path)
    (part,) = opened(STUDIO, source, keep_ids=True).parts()
    assert part.labels["label_id"].to_pylist() == ["r1", None, "n", "p1", "p2"]  # r1 twice: of two annotations
    (part,) = opened(STUDIO, source).parts()
    assert part.labels["label_id"].null_count == part.labels.num_rows


def test_as_an_answer(tmp_path: Path) -> None:
    known = pa.table({
        "sample_id": ["s"], "filepath": ["/data/a.png"], "media_type": ["image"], "width": pa.array([100], pa.int32()),
        "height": pa.array([50], pa.int32()), "frames": pa.array([None], pa.int32()),
    })  # fmt: skip
    (part,) = STUDIO.open_onto(people(tmp_path), STUDIO.reading(), [known]).parts()
    assert part.labels["label"].to_pylist() == ["new", None]
    assert part.labels["label_id"].to_pylist() == ["r1", "n"]


def test_an_annotation_of_a_cloud_storage(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    entry = annotation(box(), task={"id": 9, "data": {"image": "s3://bucket/x/a.png", "split": "val"}})
    samples, (row,), _ = read(STUDIO, files(tmp_path, {"9.json": json.dumps(entry)}))
    assert (samples[0]["split"], row["label"]) == ("val", "car")


def test_several_images_in_a_task(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        image(tmp_path / f"images/{name}")
    one = task(
        annotation(box("r1", item_index=0), box("r2", item_index=1)), data={"image": ["/data/x/a.png", "/data/x/b.png"]}
    )
    _, rows, _ = read(STUDIO, dataset(tmp_path, one))
    assert [row["image"] for row in rows] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/local-files/?d=harbour/cam%201/a.png", "cam 1/a.png"),
        ("/data/upload/1/4e0bce4e-a_b.png", "a b.png"),
        ("/data/upload/1/4e0bce4e-a_b.png", "4e0bce4e-a_b.png"),
        ("https://host/photos/sc%C3%A8ne.png?token=1", "scène.png"),
        ("s3://bucket/photos/a.png", "photos/a.png"),
        ("a.png", "a.png"),
    ],
)
def test_addresses_of_images(tmp_path: Path, address: str, file: str) -> None:
    image(tmp_path / f"images/{file}")
    source = files(tmp_path / "x", {"e.json": json.dumps([task(annotation(box()), address=address)])})
    _, (row,), _ = read(STUDIO, source, image_dir=tmp_path / "images")
    assert row["image"] == Path(file).name


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"id": 3}, "no task with data"),
        ({"id": 3, "data": {"text": "a b"}, "annotations": []}, "its data have no image"),
        (task({"id": 3}), "no annotation with a list of results"),
    ],
)
def test_a_bad_task(tmp_path: Path, entry: Any, reason: str) -> None:
    _, rows, found = read(STUDIO, dataset(tmp_path, task(annotation(box())), entry))
    assert len(rows) == 1
    assert reason in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"data": {"image": "a.png"}, "annotations": [', "ends in the middle of its JSON"),
        ('[{"data": ]', "not valid JSON|not JSON"),
        ("[" * 100_000, "nested more than"),
        ('[{"data": {"text": "x"}, "annotations": []}]', "has no task of Label Studio"),
        ('{"data": {"image": "a.png"}, "annotations": [', "is not valid JSON"),
        (
            '[{"data": {"image": "a.png"}, "annotations": [{"result": [{"value": {"x": NaN}}]}]}]',
            "is not JSON from line 1",
        ),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    image(tmp_path / "a.png")
    with pytest.raises(InvalidSource, match=message):
        read(STUDIO, files(tmp_path, {"e.json": text}))


def test_splits_of_files(tmp_path: Path) -> None:
    source = dataset(tmp_path, task(annotation(box())), name="train.json")
    samples, _, _ = read(STUDIO, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "m")
    assert [s["split"] for s in samples] == ["train"]


# --- rows -------------------------------------------------------------------------------------------------------------

ROW = {
    "image": "/data/upload/1/4e0bce4e-a.png", "split": "val", "id": 1, "annotator": 1, "annotation_id": 101, "lead_time": 1.5,
    "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:05:00Z", "scene": "day", "width": 7, "shot": "2026-01-01",
    "rect": [{**XYWH, "rectanglelabels": ["car"], "original_width": 100, "original_height": 50}],
    "many": {"choices": ["a", "b"]}, "count": [{"number": 3}],
}  # fmt: skip


def check_rows(source: Path) -> None:
    samples, rows, found = read(STUDIO, source)
    assert [(row["kind"], row["field"], row.get("label", row.get("value"))) for row in rows] == [
        ("classification", "scene", "day"),
        ("box", "detections", "car"),
        ("classification", "many", "a"),
        ("classification", "many", "b"),
        ("scalar", "count", "3"),
    ]
    assert (samples[0]["split"], rows[0]["annotator"]) == ("val", "1")
    assert not found.notes
    assert "Texts in 'scene' were read as answers" in found.assumptions[0]


def test_json_min(tmp_path: Path) -> None:
    check_rows(dataset(tmp_path, ROW))


@pytest.mark.parametrize(("name", "mark"), [("e.csv", ","), ("e.tsv", "\t")])
def test_csv(tmp_path: Path, name: str, mark: str) -> None:
    image(tmp_path / "images/a.png")
    cells = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in ROW.items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(cells), delimiter=mark, quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerow(cells)
    check_rows(files(tmp_path, {name: text.getvalue()}))


def test_a_configuration_tells_answers_from_data(tmp_path: Path) -> None:
    config = '<View><Image name="i" value="$photo"/><TextArea name="note" toName="i"/></View>'
    row = {"photo": "x/a.png", "image": "other.png", "annotator": 1, "annotation_id": 1, "note": "/a", "place": "Paris"}
    source = files(dataset(tmp_path, row), {"config.xml": config})
    _, rows, found = read(STUDIO, source)
    assert [(row["field"], row.get("value"), row.get("label")) for row in rows] == [("note", '"/a"', None)]
    assert not any("were read as answers" in text for text in found.assumptions)


def test_answers_about_regions_in_rows(tmp_path: Path) -> None:
    """Texts say nothing about their region: those of a row with one region are its; numbers repeat its place."""
    sides = {"original_width": 100, "original_height": 50}
    one = {**XYWH, "rectanglelabels": ["car"], **sides}
    two = {**one, "x": 60.0}
    rows = [
        {"image": "a.png", "annotator": 1, "annotation_id": 1, "rect": [one], "colour": "red", "scene": "day"},
        {
            "image": "a.png", "annotator": 2, "annotation_id": 2, "rect": [one, two], "colour": ["red", "blue"],
            "doors": [{**XYWH, "x": 60.0, "number": 4}],
        },
    ]  # fmt: skip
    _, found, source = read(STUDIO, dataset(tmp_path, *rows))
    assert [(row["kind"], row["attributes"]) for row in found] == [
        ("box", {"colour": "red"}), ("classification", {}), ("box", {}), ("box", {"doors": 4}),
    ]  # fmt: skip
    assert source.notes[0].startswith(
        "2 annotations were left out: the region that it is about is not there, or not named"
    )
    assert "Texts in 'scene' were" in source.assumptions[0]


def test_a_large_brush_in_a_cell(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    noise = np.random.default_rng(0).random((500, 600)) > 0.5
    cell = json.dumps(
        [{"format": "rle", "rle": encode(noise), "brushlabels": ["car"], "original_width": 600, "original_height": 500}]
    )
    image(tmp_path / "images/a.png", 600, 500)
    text = io.StringIO()
    csv.writer(text).writerows([["image", "annotator", "annotation_id", "brush"], ["a.png", 1, 2, cell]])
    _, (row,), _ = read(STUDIO, files(tmp_path, {"e.csv": text.getvalue()}))
    assert (decode_rle(row["mask"]) == noise).all()


# --- brushes ----------------------------------------------------------------------------------------------------------


def picture(folder: Path, name: str = "task-3-annotation-103-by-1-brush-quai nord-0.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((MASK * 255).astype(np.uint8)).save(folder / name)
    return folder


def test_pictures_of_brushes(tmp_path: Path) -> None:
    image(tmp_path / "images/task 3.png")
    (sample,), (row,), _ = read(STUDIO, picture(tmp_path / "x"), image_dir=tmp_path / "images")
    assert (row["label"], row["annotator"]) == ("quai nord", "1")
    assert (decode_rle(row["mask"]) == MASK).all()
    assert Path(sample["filepath"]).name == "task 3.png"


def test_the_images_of_pictures_of_brushes(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    tasks = files(tmp_path / "t", {"e.json": json.dumps([task(annotation(box()), number=3)])}) / "e.json"
    _, (row,), _ = read(STUDIO, picture(tmp_path / "x"), image_dir=tmp_path / "images", tasks=tasks)
    assert (row["image"], row["label"]) == ("a.png", "quai nord")


def test_pictures_beside_tasks_are_copies(tmp_path: Path) -> None:
    _, rows, found = read(STUDIO, picture(dataset(tmp_path, task(annotation(box())))))
    assert len(rows) == 1
    assert "pictures of brushes are beside tasks" in found.notes[0]


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_masks_survive(mask: np.ndarray) -> None:
    assert (decode(encode(mask), mask.shape[1], mask.shape[0]) == mask).all()


def test_values_that_are_not_repeated() -> None:
    """A block of values, each written out: bits of 8 a value; what is in the first three channels does not count."""
    values = [9, 9, 9, 0, 0, 0, 0, 128]
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    bits += "0" + "00" + f"{len(values) - 1:03b}" + "".join(f"{value:08b}" for value in values)
    rle = np.packbits(np.array(list(bits), np.uint8)).tolist()
    assert decode(rle, 2, 1).tolist() == [[False, True]]


def test_a_long_run() -> None:
    mask = np.ones((700, 900), bool)
    assert decode(encode(mask), 900, 700).all()


@given(st.lists(st.integers(0, 255), max_size=40))
def test_damaged_streams(rle: list[int]) -> None:
    with contextlib.suppress(BrushError):
        assert decode(rle, 3, 2).shape == (2, 3)


def test_an_image_too_large() -> None:
    with pytest.raises(BrushError, match="of an image of"):
        decode([0] * 20, 10**6, 10**6)


# --- writing ----------------------------------------------------------------------------------------------------------


def made(
    folder: Path, *rows: dict[str, Any], **options: Any
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Labels of one image, written; the notes, the tasks, and the labels that are read."""
    (part,) = parts(opened(STUDIO, dataset(folder / "x", task(annotation()), name="train.json")))
    own = {"sample_id": part.samples["sample_id"][0].as_py(), "rev": 0, "label": "car", "field": "f"}
    numbered = [own | {"label_id": f"l{at}"} | row for at, row in enumerate(rows)]
    labels = pa.Table.from_pylist(numbered, schema=part.labels.schema)
    (folder / "out").mkdir(parents=True)
    notes = STUDIO.write([Part(part.samples, labels)], folder / "out", STUDIO.writing(**options))
    tasks = json.loads((folder / "out/tasks.json").read_text())
    back = [row for p in opened(STUDIO, folder / "out").parts() for row in p.labels.to_pylist()]
    return notes, tasks, [tidy(row, {row["sample_id"]: "a"}) for row in back]


NAN = float("nan")
ROWS: list[dict[str, Any]] = [
    {
        "kind": "box", "bounding_box": [0.1, 0.2, 0.3, 0.4], "confidence": 0.5, "index": 7,
        "attributes": attributes({"a": "x", "b": True, "n": 3, "f": 0.5, "list": [1, 2], "box": "clash"}),
    },
    {"kind": "box", "bounding_box": [0.3, 0.3, 0.3, 0.2], "rotation": 30.0, "attributes": attributes({"a": 7})},
    {"kind": "box", "bounding_box": [0.3, 0.3, 0.3, 0.2], "label": None},
    {"kind": "ellipse", "bounding_box": [0.3, 0.3, 0.3, 0.2], "rotation": 10.0},
    {"kind": "polygon", "points": [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]], "closed": True, "filled": True},
    {"kind": "polyline", "points": [[[0.1, 0.1], [0.5, 0.1]]], "closed": False, "filled": False},
    {"kind": "mask", "mask": encode_rle(MASK), "bounding_box": [0.3, 0.2, 0.2, 0.2]},
    {"kind": "keypoints", "points": [[[0.1, 0.1]]], "visibility": [2]},
    {
        "kind": "keypoints", "points": [[[0.1, 0.1], [NAN, NAN], [0.2, 0.2]]], "visibility": [1, 0, 2],
        "attributes": attributes({"a": "x"}),
    },
    {"kind": "skeleton", "points": [[[0.1, 0.1], [0.2, 0.2]]], "visibility": [2, 2]},
    {"kind": "classification", "label": "day", "field": "scene"},
    {"kind": "classification", "label": "wet", "field": "scene", "confidence": 0.25, "attributes": attributes({"by": "me"})},
    {"kind": "scalar", "value": "3", "field": "count", "label": None},
    {"kind": "scalar", "value": '"a\\nb"', "field": "caption", "label": None},
    {"kind": "scalar", "value": "true", "field": "is_wet", "label": None},
]  # fmt: skip


def test_everything_survives(tmp_path: Path) -> None:
    notes, (written,), back = made(tmp_path, *ROWS)
    assert notes == []
    assert written["data"] == {"image": "/data/local-files/?d=images/train/a.png", "split": "train"}
    assert (tmp_path / "out/images/train/a.png").exists()
    assert sorted(row["kind"] for row in back) == sorted(row["kind"] for row in ROWS)
    for row in ROWS:
        assert any(_agrees(row, other) for other in back), row


SHAPES = ("bounding_box", "points", "rotation")


def _agrees(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a label that was read is one that was written."""
    for name, value in row.items():
        if name == "attributes":
            if other["attributes"] != {a["name"]: json.loads(a["value"]) for a in value}:
                return False
        elif name in SHAPES:
            if name not in other or not np.allclose(other[name], value, equal_nan=True, atol=1e-9):
                return False
        elif other.get(name) != value:
            return False
    return True


def test_the_configuration(tmp_path: Path) -> None:
    made(tmp_path, *ROWS)
    text = (tmp_path / "out/label_config.xml").read_text()
    for part in (
        '<RectangleLabels name="box" toName="image">', '<Label value="car"/>', '<BrushLabels name="mask" toName="image">',
        '<Choices name="scene" toName="image" choice="multiple">', '<TextArea name="a" toName="image" perRegion="true"/>',
        '<Choices name="b" toName="image" choice="single" perRegion="true">',
        '<Number name="track_id" toName="image" perRegion="true"/>',
        '<Number name="count" toName="image"/>', '<TextArea name="caption" toName="image"/>',
    ):  # fmt: skip
        assert part in text
    assert text.count('name="box"') == 1  # an attribute of this name is in meta


def test_predictions(tmp_path: Path) -> None:
    _, (written,), back = made(tmp_path, ROWS[0], results="predictions", model_version="m1", image_root="s3://b/")
    assert "annotations" not in written
    assert written["predictions"][0]["model_version"] == "m1"
    assert written["data"]["image"] == "s3://b/images/train/a.png"
    assert [row["field"] for row in back] == ["predictions"]


def test_fields_of_predictions(tmp_path: Path) -> None:
    row = ROWS[0] | {"field": "predictions"}
    _, (written,), back = made(tmp_path, ROWS[4], row, ROWS[10] | {"field": "predictions_scene"})
    assert [len(written[key][0]["result"]) for key in ("annotations", "predictions")] == [1, 7]
    assert [r["field"] for r in back] == ["polygons", "predictions_scene", "predictions"]


def test_ids_survive(tmp_path: Path) -> None:
    made(tmp_path, ROWS[0], ROWS[8] | {"label_id": "a#b"}, ROWS[4])
    (part,) = opened(STUDIO, tmp_path / "out", keep_ids=True).parts()
    assert sorted(part.labels["label_id"].to_pylist()) == ["l0", "l2", "label-2"]


def test_what_is_no_shape_of_label_studio(tmp_path: Path) -> None:
    ring = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.1, 0.9]]
    hole = [[0.2, 0.2], [0.3, 0.2], [0.3, 0.4]]
    notes, (written,), back = made(
        tmp_path,
        {"kind": "polygon", "points": [ring, hole], "closed": True, "filled": True},
        {"kind": "segmentation", "mask": encode_rle(MASK)},
        {
            "kind": "message",
            "value": '"x"',
            "index": 0,
            "label": "question",
            "attributes": attributes({"conversation": "0"}),
        },
    )
    assert notes == [
        "f: 1 polygons have holes, which are bridged into the ring around them.",
        "f: 1 segmentation will be written as masks.",
        "f: 1 messages cannot be written, and are left out.",
    ]
    assert [row["kind"] for row in back] == ["polygon", "mask"]
    assert len(written["annotations"][0]["result"]) == 2


def test_rewriting(tmp_path: Path) -> None:
    source = dataset(
        tmp_path / "x", task(annotation(box(), result("choices", {"choices": ["day"]}, "c", from_name="scene")))
    )
    assert rewritten(STUDIO, source, tmp_path / "out") == []
    rows = [read(STUDIO, folder)[1] for folder in (source, tmp_path / "out")]
    assert sorted((r["kind"], r["label"], r["field"]) for r in rows[0]) == sorted(
        (r["kind"], r["label"], r["field"]) for r in rows[1]
    )


def test_detection(tmp_path: Path) -> None:
    assert STUDIO.recognises(dataset(tmp_path / "a", task(annotation(box()))))
    assert STUDIO.recognises(dataset(tmp_path / "b", task()))
    assert STUDIO.recognises(dataset(tmp_path / "c", ROW))
    assert STUDIO.recognises(picture(tmp_path / "d"))
    others = {
        "coco.json": '{"images": [], "annotations": []}', "list.json": '[{"image": "a", "annotations": []}]',
        "a.csv": "id,annotator\n",
        "labelme.json": '{"shapes": [], "imagePath": "a"}',
    }  # fmt: skip
    assert not STUDIO.recognises(files(tmp_path / "e", others))
