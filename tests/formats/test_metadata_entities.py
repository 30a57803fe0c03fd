"""Lines with views and entities: Pixano 0.7 and 0.8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.metadata_cases import contents, folder, labels_of, opened, refused, samples_of

from annobridge.core import geometry

NAMES = ("a.jpg", "b.jpg")
HEADER = {"$pixano": "jsonl/2", "defaults": {"bbox": {"format": "xywh", "is_normalized": True}}}
PIXELS = np.zeros((48, 64), bool)
PIXELS[10:20, 8:16] = True
RLE = {"size": [48, 64], "counts": geometry.encode_rle(PIXELS)["counts"].decode()}


def later(*annotations: Any, **entity: Any) -> dict[str, Any]:
    return {"views": {"image": "a.jpg"}, "entities": [{"id": "e", **entity, "annotations": list(annotations)}]}


def one(root: Path, *lines: Any, **options: Any) -> list[dict[str, Any]]:
    return labels_of(folder(root, NAMES, lines), **options)


def test_pixano_0_7(tmp_path: Path) -> None:
    lines = [
        {
            "views": {"image": "a.jpg"},
            "image_source": "dashcam",
            "status": "new",
            "entities": [
                {
                    "category": "car",
                    "hidden": True,
                    "annotations": {"image": {"bbox": [0.12, 0.25, 0.15, 0.30], "mask": RLE}},
                },
                {"category": "dog", "annotations": {"image": {"bbox": [0.5, 0.1, 0.2, 0.45]}}},
            ],
        },
        {"views": {"image": {"path": "b.jpg"}}, "image_source": "drone"},
    ]
    samples, labels = contents(opened(folder(tmp_path, NAMES, lines)))
    assert [(s["image_source"], s["status"]) for s in samples] == [("dashcam", "new"), ("drone", None)]
    assert [(x["kind"], x["label"], x["attributes"]) for x in labels] == [
        ("mask", "car", {"hidden": True}),
        ("box", "dog", {}),
    ]
    assert labels[0]["bounding_box"] == [0.12, 0.25, 0.15, 0.30]
    assert np.array_equal(geometry.decode_rle(labels[0]["mask"]), PIXELS)


def test_pixano_0_8(tmp_path: Path) -> None:
    line = {
        "id": "r0",
        "split": "val",
        "attrs": {"place": "Paris", "categories": ["night"]},
        "views": {"image": {"uri": "a.jpg", "width": 64, "height": 48}},
        "entities": [
            {
                "id": "r0-a",
                "attrs": {"category": "car"},
                "annotations": [
                    {"kind": "bbox", "id": "r0-a-bbox", "view": "image", "coords": [0, 0, 0.5, 0.5], "confidence": 0.5}
                ],
            },
            {
                "id": "r0-b",
                "attrs": {"category": "dog"},
                "annotations": [{"kind": "bbox", "coords": [0.1] * 4, "confidence": -1}],
            },
        ],
    }
    samples, labels = contents(opened(folder(tmp_path, NAMES, [HEADER, line]), field="things"))
    assert (samples[0]["sample_id"], samples[0]["split"], samples[0]["place"]) == ("r0", "val", "Paris")
    found = [(x["field"], x.get("label_id"), x["label"], x.get("confidence")) for x in labels]
    assert found == [
        ("categories", None, "night", None),
        ("things", "r0-a", "car", 0.5),
        ("things", "r0-b", "dog", None),
    ]


def test_units_are_explicit(tmp_path: Path) -> None:
    pixels = {"kind": "bbox", "coords": [16, 12, 32, 24], "format": "xyxy", "is_normalized": False}
    assert one(tmp_path / "x", HEADER, later(pixels))[0]["bounding_box"] == [0.25, 0.25, 0.25, 0.25]
    said = refused(folder(tmp_path / "y", NAMES, [later({"kind": "bbox", "coords": [0, 0, 1, 1], "format": "xywh"})]))
    assert (
        "has a box without 'format' (xywh or xyxy) and 'is_normalized'; give both, or set them in the header." in said
    )


def test_all_kinds_of_shapes(tmp_path: Path) -> None:
    keypoints = {
        "kind": "keypoints",
        "template_id": "face",
        "coords": [0.1, 0.2, 0, 0],
        "states": ["hidden", "invisible"],
    }
    paths = {"kind": "multi_path", "coords": [0, 0, 0.5, 0, 0.5, 0.5], "num_points": [3], "is_closed": True}
    line = {"kind": "multi_path", "coords": [0, 0, 0.5, 0, 0.5, 0.5, 1, 1], "num_points": [2, 2], "is_closed": False}
    painted = {"kind": "mask", "polygons": [[0.125, 0.25, 0.25, 0.25, 0.25, 0.5, 0.125, 0.5]]}
    for shape, kind in ((keypoints, "keypoints"), (paths, "polygon"), (line, "polyline"), (painted, "mask")):
        (found,) = one(tmp_path / kind, later(shape, attrs={"category": "x"}))
        assert (found["kind"], found["label"], found["label_id"]) == (kind, "x", "e")
        if kind == "keypoints":
            assert np.array_equal(found["points"], [[[0.1, 0.2], [np.nan, np.nan]]], equal_nan=True)
            assert (found["visibility"], found["attributes"]) == ([1, 0], {"template_id": "face"})
        elif kind == "polyline":
            assert found["points"] == [[[0, 0], [0.5, 0]], [[0.5, 0.5], [1, 1]]]
        elif kind == "mask":
            assert found["bounding_box"] == [0.125, 0.25, 0.125, 0.25]


def test_several_annotations_of_an_entity_are_several_labels(tmp_path: Path) -> None:
    both = later(
        {"kind": "bbox", "coords": [0, 0, 0.5, 0.5], "confidence": 1},
        {"kind": "keypoints", "template_id": "x", "coords": [0.1, 0.2], "states": ["visible"]},
        {"kind": "classification", "labels": ["red"], "confidences": [0.75]},
        attrs={"category": "car"},
    )
    source = opened(folder(tmp_path, NAMES, [HEADER, both]))
    found = {x["kind"]: x for x in contents(source)[1]}
    assert {k: (x["field"], x["label"], x["label_id"], x["attributes"]["entity"]) for k, x in found.items()} == {
        "box": ("objects", "car", "e.box", "e"),
        "keypoints": ("objects", "car", "e.keypoints", "e"),
        "classification": ("classifications", "red", "e.classification", "e"),
    }
    assert any("entities have several annotations" in note for note in source.notes)


def test_what_images_do_not_have_is_counted(tmp_path: Path) -> None:
    line = later(
        {"kind": "text_span", "mention": "x", "spans_start": [0], "spans_end": [1]}, tracklets=[{"view": "image"}]
    )
    notes = opened(folder(tmp_path, NAMES, [{**line, "annotation_files": [{}]}])).notes
    assert "1 annotations are of the kind 'text_span', which images do not have here." in notes
    assert "1 entities have no shape." in notes
    assert "1 entities have 'tracklets', which images do not have." in notes
    assert any("name annotation files" in note for note in notes)


def test_annotations_say_their_view(tmp_path: Path) -> None:
    line = {"id": "r", "views": {"left": "a.jpg", "right": "b.jpg"}}
    box = {"kind": "bbox", "coords": [0, 0, 0.5, 0.5]}
    found = one(tmp_path / "x", HEADER, {**line, "entities": [{"annotations": [{**box, "view": "right"}]}]})
    assert [x["image"] for x in found] == ["b.jpg"]
    said = refused(folder(tmp_path / "y", NAMES, [HEADER, {**line, "entities": [{"annotations": [box]}]}]))
    assert "has an annotation that does not say of which view it is; add 'view'." in said
    said = refused(
        folder(tmp_path / "z", NAMES, [HEADER, {**line, "entities": [{"annotations": [{**box, "view": "top"}]}]}])
    )
    assert "has an annotation of the view 'top'; the views of the line are 'left', 'right'." in said


def test_no_evidence_is_the_same_in_both(tmp_path: Path) -> None:
    assert len(samples_of(folder(tmp_path / "x", NAMES, [{"views": {"image": "a.jpg"}}]))) == 2
    assert (
        samples_of(folder(tmp_path / "y", NAMES, [{"views": {"image": "a.jpg"}, "place": "Paris"}]))[0]["place"]
        == "Paris"
    )


BAD_RLE = {"size": [48, 64], "counts": "junk"}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([{"$pixano": "jsonl/3"}], ":1 says $pixano: 'jsonl/3'; only 'jsonl/2' can be read."),
        ([{**HEADER, "views": {}}], ":1 is a header with more than '$pixano' and 'defaults'; leave the rest out."),
        (
            [later(), {**HEADER, **later()}],
            ":2 has the key '$pixano', which belongs on the first line only; remove it.",
        ),
        (
            [HEADER, {**later(), "entitys": []}],
            ":2 has the key 'entitys', which Pixano 0.8 does not have; did you mean 'entities'?",
        ),
        (
            [
                later({"kind": "bbox", "coords": [0] * 4, "format": "xywh", "is_normalized": True}),
                {**later(), "status": "new"},
            ],
            "(a list of annotations) is of Pixano 0.8, and ",
        ),
        ([{"views": {"image": 3}}], ":1 has the view 'image', which is not an image; only images can be imported."),
        ([{"views": {}}], ":1 has 'views' that name no image; give {'image': 'path'}."),
        ([later({"kind": "circle"})], ":1 has an annotation of the kind 'circle'; use one of bbox, mask"),
        ([later({"coords": []})], ":1 has an annotation without a 'kind'; give one."),
        ([later({"kind": "mask"})], ":1 has a mask without 'rle' and 'polygons'; give one of them."),
        ([later({"kind": "mask", "rle": {"size": "x"}})], ":1 has a mask that is not an RLE; give"),
        ([later({"kind": "mask", "rle": BAD_RLE})], ":1 has a mask that "),
        (
            [later({"kind": "mask", "rle": {**RLE, "size": [64, 48]}})],
            "but the image has 64×48; resize the mask to the image.",
        ),
        (
            [later({"kind": "keypoints", "coords": [0.1, 0.2], "states": []})],
            ":1 has keypoints without one state for each point",
        ),
        (
            [later({"kind": "keypoints", "coords": [10, 20], "states": ["visible"]})],
            ":1 has points that are not pairs of numbers",
        ),
        (
            [later({"kind": "multi_path", "coords": [0, 0], "num_points": [2], "is_closed": True})],
            "'num_points' do not add up",
        ),
        ([later({"kind": "classification", "labels": "x"})], ":1 has a classification without a list of labels"),
        (
            [HEADER, later({"kind": "bbox", "coords": [0] * 4, "confidence": "x"})],
            ":2 has a box of the confidence 'x'; give a",
        ),
        ([later(id=3)], ":1 has an entity with the id 3; give a text."),
        ([{"views": {"image": "a.jpg"}, "entities": {"x": 1}}], ":1 has entities that are not a list"),
        ([{"views": {"image": "a.jpg"}, "entities": [3]}], ":1 has the entity 3; an entity is an object {…}."),
        ([{"id": "x", "views": {"image": n}} for n in NAMES], "The id 'x' is given to several images, at "),
    ],
)
def test_lines_that_do_not_fit(tmp_path: Path, lines: list[Any], sentence: str) -> None:
    assert sentence in refused(folder(tmp_path, NAMES, lines))


def test_the_quickstart_with_masks_and_keypoints(tmp_path: Path) -> None:
    line = {
        "image": "a.jpg",
        "objects": {"bboxes": [[0, 0, 0.5, 0.5], None], "masks": [None, RLE], "category": ["car", "dog"]},
        "people": {"keypoints": [{"template_id": "x", "coords": [0.5, 0.5], "states": ["visible"]}], "category": ["p"]},
    }
    found = one(tmp_path, line)
    assert [(x["field"], x["kind"], x["label"]) for x in found] == [
        ("objects", "box", "car"),
        ("objects", "mask", "dog"),
        ("people", "keypoints", "p"),
    ]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (({**HEADER, "defaults": {"bbox": 3}},), ":1 has the defaults 3 of boxes; give an object {'format': …,"),
        (({"views": {"image": "a.jpg"}, "attrs": [1]},), ":1 has a record with the attrs [1]; give an object {…}."),
        (({**later(), "entities": 0},), ":1 has entities that are not a list; give a list of"),
        (({**later(), "objects": [{"annotations": []}]},), ":1 has 'entities' and 'objects'; keep one of them."),
        ((later(attrs=[1]),), ":1 has an entity with the attrs [1]; give an object {…}."),
        ((later({"kind": "mask", "attrs": [1]}),), ":1 has an annotation with the attrs [1]; give an object {…}."),
        ((later({"kind": "mask", "id": 3, "rle": RLE}),), ":1 has an annotation with the id 3; give a text."),
        ((later({"kind": "mask", "view": ["image"]}),), ":1 has an annotation of the view ['image']; the views of"),
        (
            (later({"kind": "keypoints", "coords": [0, 0], "states": [["hidden"]]}),),
            ":1 has keypoints without one state for each point",
        ),
        (
            (later({"kind": "classification", "labels": ["x"], "confidences": 3}),),
            ":1 has a classification without a list of labels, or with other confidences",
        ),
        (
            (
                {
                    "views": {"image": "a.jpg"},
                    "entities": [{"category": "car", "annotations": {"image": "bbox"}}],
                },
            ),
            ":1 has the annotations 'bbox' of the view 'image'; give an object {…}.",
        ),
    ],
)
def test_values_of_another_form(tmp_path: Path, lines: Any, sentence: str) -> None:
    assert f"metadata.jsonl{sentence}" in refused(folder(tmp_path, NAMES, lines))
