"""What archives of CVAT say: names of files and frames, of labels, and of its own properties."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from annobridge.backend import Receipt
from annobridge.core.rows import attributes
from annobridge.core.schema import LabelSchema
from annobridge.core.terms import Terms
from annobridge.formats.common.answer import translated
from annobridge_cvat.backend import CvatBackend
from annobridge_cvat.vocabulary import Vocabulary

SCHEMA = LabelSchema.parse({
    "objects": {"type": "detections", "classes": ["car"], "attributes": {"hidden": {"type": "checkbox"}}},
    "others": {"type": "detections", "classes": ["car"]},
})  # fmt: skip


def receipt(*tasks: dict[str, Any]) -> Receipt:
    vocabulary = Vocabulary.of(SCHEMA, {"hidden": "occluded"}).to_dict()
    return Receipt("t", {"tasks": [{"vocabulary": vocabulary, **task} for task in tasks]})


def test_frames_of_a_task_of_images_have_names() -> None:
    names = CvatBackend.file_names(receipt({"samples": ["a", "b"], "names": ["000000_x 1.jpg", "000001_y.png"]}))
    assert names == {"000000_x 1.jpg": "a", "000001_y.png": "b", "frame_000000": "a", "frame_000001": "b"}


def test_frames_of_videos_and_of_several_tasks_have_none() -> None:
    film = {"samples": ["v"], "names": ["000000_clip.mp4"]}
    images = [{"samples": [name], "names": [f"000000_{name}.png"]} for name in "ab"]
    assert CvatBackend.file_names(receipt(film)) == {"000000_clip.mp4": "v"}
    assert set(CvatBackend.file_names(receipt(*images))) == {"000000_a.png", "000000_b.png"}


def test_words_of_cvat() -> None:
    terms = CvatBackend.file_terms(receipt({"samples": ["a"]}))
    assert terms == Terms({"car (others)": "car"}, {"occluded": "hidden"})


def test_words_of_cvat_are_ours_in_an_answer() -> None:
    rows = [
        {"label": "car (others)", "attributes": attributes({"occluded": True, "age": 3})},
        {"label": "van", "attributes": []},
        {"label": None, "attributes": None},
    ]
    attribute = pa.struct([(name, pa.string()) for name in ("name", "type", "value")])
    schema = pa.schema([("label", pa.string()), ("attributes", pa.list_(attribute))])
    found = translated(pa.Table.from_pylist(rows, schema), Terms({"car (others)": "car"}, {"occluded": "hidden"}))
    assert found["label"].to_pylist() == ["car", "van", None]
    assert [[a["name"] for a in row or ()] for row in found["attributes"].to_pylist()] == [["age", "hidden"], [], []]
