"""Which dialect a file has, by all of its lines; and parallel arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.formats.metadata_cases import OPSML, OPSML_SIZE, contents, folder, labels_of, opened, refused, samples_of

BOX = [10, 10, 20, 20]
NAMES = ("a.jpg", "b.jpg")


def arrays(**columns: Any) -> dict[str, Any]:
    return {"file_name": "a.jpg", "objects": {"bbox": [BOX, BOX], **columns}}


def quickstart(**columns: Any) -> dict[str, Any]:
    return {"image": "a.jpg", "objects": {"bboxes": [BOX, BOX], **columns}}


def test_the_four_records_of_opsml(tmp_path: Path) -> None:
    root = folder(tmp_path, ("0001.png", "0002.png", "0003.png"), OPSML, OPSML_SIZE)
    samples, labels = contents(opened(root, classes=["mask", "glove", "coverall"]))
    assert [s["name"] for s in samples] == ["0001.png", "0002.png", "0003.png"]
    assert [s["caption"] for s in samples] == [None, OPSML[1]["caption"], None]
    assert [(x["image"], x["label"]) for x in labels] == [
        ("0001.png", "mask"),
        ("0002.png", "glove"),
        ("0003.png", "coverall"),
        ("0003.png", "coverall"),
    ]
    width, height = OPSML_SIZE
    assert labels[0]["bounding_box"] == [302 / width, 109 / height, 73 / width, 52 / height]
    assert {x["field"] for x in labels} == {"objects"}


def test_an_imagefolder_as_hugging_face_writes_it(tmp_path: Path) -> None:
    lines = [
        {
            "file_name": "train/a.jpg",
            "text": "two",
            "objects": {"bbox": [BOX, BOX], "category": ["x", "y"], "area": [4.5, 5]},
        },
        {"file_name": "train/b.jpg", "text": None, "objects": [{"bbox": BOX, "category": "x", "area": 2}]},
    ]
    samples, labels = contents(opened(folder(tmp_path, ("train/a.jpg", "train/b.jpg"), lines)))
    assert [s["text"] for s in samples] == ["two", None]
    assert [(x["label"], x["attributes"]) for x in labels] == [
        ("x", {"area": 4.5}),
        ("y", {"area": 5.0}),
        ("x", {"area": 2.0}),
    ]


def test_opsml_2(tmp_path: Path) -> None:
    root = tmp_path / "image_dir"
    lines = [
        {"filepath": "image_dir/a.jpg", "size": 631, "objects": {"bbox": [BOX], "categories": ["x"]}},
        {"filepath": "b.jpg"},
    ]
    samples, labels = contents(opened(folder(root, NAMES, lines)))
    assert [s["name"] for s in samples] == list(NAMES)
    assert "size" not in samples[0]
    assert len(labels) == 1


def test_one_image_column_of_another_name(tmp_path: Path) -> None:
    lines = [{"photo_file_name": n, "objects": {"bbox": [BOX], "label": ["x"]}} for n in NAMES]
    assert len(labels_of(folder(tmp_path, NAMES, lines))) == 2


def test_of_several_image_columns_one_is_chosen(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, [{"in_file_name": "a.jpg", "out_file_name": "b.jpg"}])
    assert (
        "has several image keys, 'in_file_name' and 'out_file_name'; choose one with image_key='in_file_name'."
        in refused(root)
    )
    rows = samples_of(root, image_key="in_file_name")
    assert [(s["name"], s.get("out_file_name")) for s in rows] == [("a.jpg", "b.jpg"), ("b.jpg", None)]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            [{"file_name": "a.jpg"}, {"image": "b.jpg"}],
            "metadata.jsonl:2 names its image by 'image', and {root}/metadata.jsonl:1 by 'file_name'; a file has one dialect",
        ),
        (
            [{"views": {"image": "a.jpg"}}, {"filepath": "b.jpg"}],
            "metadata.jsonl:2 names its image by 'filepath', and ",
        ),
        (
            [{"file_name": "a.jpg", "image": "b.jpg"}],
            "metadata.jsonl:1 has several image keys, 'file_name' and 'image'; a line has",
        ),
        (
            [{"text": "x"}],
            "metadata.jsonl:1 names no image: it has no 'file_name', 'filepath', 'views' or 'image'; add it",
        ),
        ([{"file_name": "a.jpg"}, {"text": "x"}], "metadata.jsonl:2 names no image"),
    ],
)
def test_dialects_are_not_mixed(tmp_path: Path, lines: list[Any], sentence: str) -> None:
    assert sentence.format(root=tmp_path) in refused(folder(tmp_path, NAMES, lines))


def test_a_dialect_is_forced_but_not_its_checks(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, [{"file_name": "a.jpg", "image": "x"}])
    assert samples_of(root, dialect="opsml")[0]["image"] == "x"
    assert "names no image: it has no 'filepath'" in refused(root, dialect="opsml2")
    assert "names the image 'x', which does not exist" in refused(root, dialect="pixano")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            arrays(categories=["x"]),
            "has arrays of several lengths in 'objects': 2 in 'bbox', 1 in 'categories'; give one value for",
        ),
        (arrays(area=3), "has 'area' in 'objects' as '3'; give a list, one value for each box."),
        (
            arrays(category=["x", "y"], label=["x", "y"]),
            "has 'category' and 'label' in 'objects'; say which is the class with",
        ),
        ({"file_name": "a.jpg", "objects": {"bboxes": [BOX]}}, "has 'bboxes' in 'objects', a key of Pixano's"),
        ({"file_name": "a.jpg", "objects": {"category": ["x"]}}, "has 'objects' without 'bbox'; add the boxes."),
        (quickstart(category=["x"]), "has arrays of several lengths in 'objects': 2 in 'bboxes', 1 in 'category'"),
        (quickstart(category="x"), "has 'category' in 'objects' as 'x'; give a list, one value for each box."),
        ({"image": "a.jpg", "objects": {"bbox": [BOX]}}, "has 'bbox' in 'objects', a key of the file_name dialect"),
        ({"image": ["a.jpg", "b.jpg"]}, "names 2 images in one view, a mosaic; give one image, or a view for each."),
        (arrays(categories=["x", 1]), "'categories' is a text at "),
        (
            arrays(categories=[True, False]),
            "has classes in 'categories' that are neither texts nor numbers; give names.",
        ),
        *(
            ({"file_name": "a.jpg", "objects": value}, f"has 'objects' as {str(value)!r}, which holds no labels; give")
            for value in ("abc", 5, 0, [1], [{"bbox": BOX}, 1])
        ),
        *(
            ({"image": "a.jpg", "objects": value}, f"has 'objects' as {str(value)!r}, which holds no labels; give")
            for value in ("abc", 3, 0)
        ),
        ({"image": "a.jpg", "objects": [1]}, "has the entity 1; an entity is an object {…}."),
        (arrays(tags=[[1], [2**70]]), "has a number in 'tags' that is too large; write it as a text."),
        (arrays(index=[1, 2**60]), "has the index 1152921504606846976, which is beyond 32 bits; correct it, or rename"),
        (quickstart(masks=[{"size": [2**60, 1], "counts": "0"}] * 2), "has a mask that is not an RLE; give"),
        (quickstart(masks=[{"size": [48, 64], "counts": 3}] * 2), "has a mask that is not an RLE; give"),
        (quickstart(view_ref="zz"), "has an annotation of the view 'zz'; the views of the line are 'image'."),
        (quickstart(view_ref=[3, 3]), "has an annotation of the view 3; the views of the line are 'image'."),
        (quickstart(view_ref=[["image"]] * 2), "has an annotation of the view ['image']; the views of"),
        (quickstart(view_ref=["image"]), "has 1 views for 2 entities in 'objects'; give one for each."),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, line: Any, sentence: str) -> None:
    said = refused(folder(tmp_path, NAMES, [line]))
    assert "metadata.jsonl:1" in said
    assert sentence in said


def test_one_entity_may_have_bare_attributes(tmp_path: Path) -> None:
    line = {"image": "a.jpg", "objects": {"bboxes": [[0, 0, 0.5, 0.5]], "category": "x"}}
    assert labels_of(folder(tmp_path, NAMES, [line]))[0]["label"] == "x"


def test_numbers_are_classes_by_a_list(tmp_path: Path) -> None:
    lines = [
        arrays(categories=[0, 1]),
        {"file_name": "b.jpg", "objects": {"bbox": [BOX], "categories": [1.0]}, "categories": [0]},
    ]
    root = folder(tmp_path, NAMES, lines)
    found = [(x["field"], x["label"]) for x in labels_of(root, classes=["x", "y"])]
    assert found == [("objects", "x"), ("objects", "y"), ("objects", "y"), ("categories", "x")]
    assert "has the class 1.0, and classes= names 1, from 0; name them all." in refused(root, classes=["x"])
    assert {x["label"] for x in labels_of(root, classes="text")} == {"0.0", "1.0", "0"}


def test_the_class_key_may_be_told(tmp_path: Path) -> None:
    root = folder(tmp_path, NAMES, [arrays(category=["x", "y"], label=["1", "2"], kind=["k", "l"])])
    found = labels_of(root, class_key="kind")
    assert [(x["label"], x["attributes"]) for x in found] == [
        ("k", {"category": "x", "label": "1"}),
        ("l", {"category": "y", "label": "2"}),
    ]


def test_classes_of_images_and_other_fields(tmp_path: Path) -> None:
    line = {
        "image": "a.jpg",
        "categories": ["night", "rain"],
        "faces": {"bboxes": [[0, 0, 0.5, 0.5]], "category": ["f"]},
    }
    found = labels_of(folder(tmp_path, NAMES, [line]))
    assert [(x["field"], x["kind"], x["label"]) for x in found] == [
        ("faces", "box", "f"),
        ("categories", "classification", "night"),
        ("categories", "classification", "rain"),
    ]


def test_attributes_that_are_columns_of_labels(tmp_path: Path) -> None:
    columns = {
        "label_id": ["i", "j"],
        "confidence": [0.5, None],
        "index": [1, 2],
        "tags": [["t"], None],
        "score": [1.5, 2],
    }
    first, second = labels_of(folder(tmp_path, NAMES, [arrays(**columns)]))
    assert (first["label_id"], first["confidence"], first["index"], first["tags"]) == ("i", 0.5, 1, ["t"])
    assert first["attributes"] == {"score": 1.5}
    assert "confidence" not in second
    percent = labels_of(folder(tmp_path, NAMES, [arrays(confidence=[50, 60])]))
    assert percent[0]["attributes"] == {"confidence": 50}


def test_several_views_are_several_samples(tmp_path: Path) -> None:
    line = {
        "front": "a.jpg",
        "back": "b.jpg",
        "id": "r",
        "objects": {"bboxes": [[0, 0, 0.5, 0.5]] * 2, "view_ref": ["front", "back"]},
    }
    samples, labels = contents(opened(folder(tmp_path, NAMES, [line]), image_key=("front", "back")))
    assert [(s["name"], s["view"], s["record"], s["sample_id"]) for s in samples] == [
        ("a.jpg", "front", "r", "r.front"),
        ("b.jpg", "back", "r", "r.back"),
    ]
    assert [x["image"] for x in labels] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("value", [3, "x", [1], {"k": 1}])
@pytest.mark.parametrize(("key", "boxes"), [("file_name", "bbox"), ("image", "bboxes")])
def test_a_key_that_holds_labels_is_no_column(tmp_path: Path, key: str, boxes: str, value: Any, late: bool) -> None:
    lines = [{key: "a.jpg", "cars": {boxes: [BOX]}}, {key: "b.jpg", "cars": value}]
    said = refused(folder(tmp_path, NAMES, lines[::-1] if late else lines))
    first, second = ("1", "2") if late else ("2", "1")
    assert f"metadata.jsonl:{first} has a value in 'cars' that holds no labels, and " in said
    assert f"metadata.jsonl:{second} has labels; give labels, or null." in said


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("value", [None, []])
def test_no_labels_are_no_column(tmp_path: Path, value: Any, late: bool) -> None:
    lines = [{"file_name": "a.jpg", "cars": {"bbox": [BOX]}}, {"file_name": "b.jpg", "cars": value}]
    samples, labels = contents(opened(folder(tmp_path, NAMES, lines[::-1] if late else lines)))
    assert "cars" not in samples[0]
    assert len(labels) == 1


def test_conversations_beside_a_file_name(tmp_path: Path) -> None:
    talks = [{"question": {"content": "What?"}, "responses": [{"content": "A car."}]}]
    lines = [{"file_name": "a.jpg", "conversations": talks}, {"file_name": "b.jpg"}]
    _, labels = contents(opened(folder(tmp_path / "x", NAMES, lines)))
    assert [(x["kind"], x["label"]) for x in labels] == [("message", "question"), ("message", "answer")]
    lines[0]["conversations"] = [{"from": "human", "value": "What?"}]
    source = opened(folder(tmp_path / "y", NAMES, lines))
    assert contents(source)[0][0]["conversations"] == '[{"from": "human", "value": "What?"}]'
    assert any("1 lines have 'conversations' that are not questions with their responses" in n for n in source.notes)
