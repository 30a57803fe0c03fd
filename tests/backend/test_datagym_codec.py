"""The parts of the DataGym backend in isolation: names, masks as polygons, shapes, classifications, exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.datagym import config as configuration

from annobridge.core import attr_text
from annobridge.core.geometry import as_rle, decode_rle
from annobridge.core.labels import SAMPLES
from annobridge.core.schema import Attribute, LabelSchema
from annobridge.exceptions import Broken
from annobridge.testing import strategies
from annobridge_datagym import checks, classifications, mask_polygons, names, shapes
from annobridge_datagym.config import DatagymConfig
from annobridge_datagym.exports import Export
from annobridge_datagym.vocabulary import Vocabulary

# --- names --------------------------------------------------------------------------------------------------------------

TEXTS = st.text(min_size=1, max_size=56).filter(str.strip) | st.sampled_from(
    ["line", "Point", "status", "car", "Car", "CAR ", "lcentry x", "été"]
)


@given(st.lists(TEXTS, min_size=1, max_size=12, unique=True))
def test_every_configuration_is_one_that_the_server_takes(classes: list[str]) -> None:
    """Keys are distinct, not reserved, and of accepted characters, whatever the classes are called."""
    attributes = {name: {"type": "select", "values": classes} for name in classes[:3]}
    schema = LabelSchema.parse(
        {
            "objects": {"type": "detections", "classes": classes, "attributes": attributes},
            "lanes": {"type": "polylines", "classes": classes},
            "status": {"type": "classification", "classes": classes, "attributes": attributes},
            "seen": {"type": "classifications", "classes": classes},
            "text": {"type": "scalar"},
        }
    )
    vocabulary = Vocabulary.from_schema(schema, DatagymConfig())
    entries = configuration.read(vocabulary.configuration())
    assert len(entries) == 3 * len(classes) + 3
    for q in (q for e in vocabulary.entries for q in e.classifications if q.options):
        assert len({key.lower() for key in q.options}) == len(classes)
        assert [json.loads(text) for text in q.options.values()] == classes


@given(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
def test_a_stored_vocabulary_is_equal(classes: list[str]) -> None:
    schema = LabelSchema.parse({"objects": {"type": "detections", "classes": classes}})
    made = Vocabulary.from_schema(schema, DatagymConfig())
    again = Vocabulary.from_dict(json.loads(json.dumps(made.to_dict())))
    assert (again.entries, again.kinds) == (made.entries, made.kinds)


def test_the_stored_form_of_a_vocabulary_stays() -> None:
    """Receipts of earlier runs have it."""
    schema = {"streets": {"type": "detections", "classes": ["Street"], "attributes": {"lit": {"type": "checkbox"}}}}
    (entry,) = Vocabulary.from_schema(LabelSchema.parse(schema), DatagymConfig()).to_dict()["entries"]
    (question,) = entry.pop("questions")
    assert entry == {
        "key": "street", "shown": "Street", "type": "rectangle", "field": "streets", "label": "Street", "below": None,
        "tag": "ab_id", "place": None, "closed": False,
    }  # fmt: skip
    assert question.pop("attribute")["name"] == "lit"
    options = {"true": "true", "false": "false"}
    assert question == {"key": "lit", "shown": "lit", "type": "select", "options": options, "below": None}


def test_files_keep_their_names_unless_two_are_the_same() -> None:
    paths = ["a/x.png", "b/x.png", "été 🦄.png", "c\\y\n.png", "d/" + "n" * 300 + ".png"]
    assert names.file_names(paths, latin=False) == ["x.png", "000001_x.png", "été 🦄.png", "y_.png", "n" * 196 + ".png"]
    assert names.file_names(paths, latin=True)[2] == "été _.png"


@given(st.lists(st.text(min_size=1, max_size=300), max_size=8), st.booleans())
def test_no_two_files_have_one_name(paths: list[str], latin: bool) -> None:
    found = names.file_names(paths, latin=latin)
    assert len({name.lower() for name in found}) == len(paths)
    for name in found:
        assert name
        if latin:
            assert name.encode("latin-1").decode("latin-1").isprintable()


def test_display_names_are_as_close_as_datagym_can_show_them() -> None:
    """Latin letters without unsupported accents, or what ``shown_as`` says, and distinct."""
    schema = LabelSchema.parse(
        {
            "streets": {
                "type": "detections",
                "classes": ["Straße", "行人", "łódź"],
                "attributes": {"颜色": {"type": "text"}},
            },
            "more": {"type": "polygons", "classes": ["Straße"]},
            "weather": {"type": "classification", "classes": ["晴", "雨"]},
        }
    )
    made = Vocabulary.from_schema(
        schema, DatagymConfig(shown_as={"行人": "Pedestrian", "颜色": "Color", "weather": "Weather"})
    )
    shown = [(e.key, e.display_name) for e in made.entries]
    assert shown == [("strasse", "Straße"), ("pedestrian", "Pedestrian"), ("lodz", "lodz"),
                     ("strasse more", "Straße (more)"), ("weather", "Weather")]  # fmt: skip
    assert [(q.key, q.display_name) for q in made.entries[0].classifications] == [("color", "Color")]
    assert list(made.configuration()[-1]["options"].values()) == ["晴", "雨"]  # options are shown in any script


# --- masks --------------------------------------------------------------------------------------------------------------


def with_holes_filled(mask: np.ndarray) -> np.ndarray:
    """The mask and everything that cannot be reached from outside; pixels of the background touch by a corner too."""
    background = np.pad(~mask, 1, constant_values=True)
    outside = np.zeros_like(background)
    outside[0, 0] = True
    while True:
        spread = np.pad(outside, 1)
        rows, columns = outside.shape
        grown = np.any([spread[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0) & background
        if np.array_equal(grown, outside):
            return ~outside[1:-1, 1:-1]
        outside = grown


@given(strategies.masks(size=(9, 7)))
def test_polygons_are_a_mask_with_its_holes_filled(mask: np.ndarray) -> None:
    """They follow the edges of pixels, so that integers are exact."""
    polygons = mask_polygons.from_rle(as_rle(mask))
    assert np.array_equal(mask_polygons.to_mask(polygons, (9, 7)), with_holes_filled(mask))
    assert all(float(v).is_integer() for polygon in polygons for v in polygon)
    again = mask_polygons.updated_rle([(polygon, True) for polygon in polygons], as_rle(mask), (9, 7))
    assert np.array_equal(decode_rle(again), mask)


def test_regions_that_touch_by_a_corner_are_two() -> None:
    mask = np.array([[1, 0], [0, 1]], bool)
    assert mask_polygons.from_rle(as_rle(mask)) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]


# --- shapes -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 5000), min_size=4, max_size=8))
def test_truncated_coordinates_are_not_moved(part: list[float]) -> None:
    assert shapes.is_unmoved([float(int(v)) for v in part], part, exact=False)
    assert shapes.is_unmoved(list(part), part, exact=True)
    assert not shapes.is_unmoved([part[0] + 1, *part[1:]], part, exact=False)


# --- classifications ----------------------------------------------------------------------------------------------------

KINDS = {
    "text": st.text(min_size=1, max_size=20),
    "int": st.integers(-(2**53), 2**53),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "checkbox": st.booleans(),
    "list": st.lists(st.text(max_size=5), max_size=4),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_values_keep_their_type(kind: str, data: st.DataObject) -> None:
    text = json.dumps(data.draw(KINDS[kind]))
    asked = classifications.for_attribute(Attribute("a", kind), "a", "a", None)
    assert json.loads(asked.decode(asked.encode(text)) or "null") == json.loads(text)


def test_texts_that_are_not_of_the_type_stay_text() -> None:
    assert attr_text.from_plain("int", "many") == '"many"'
    assert attr_text.from_plain("float", "NaN") == '"NaN"'
    assert attr_text.from_plain("checkbox", "maybe") == '"maybe"'
    assert attr_text.from_plain("list", "a") == '"a"'
    assert (attr_text.from_plain("float", "2"), attr_text.from_plain("int", " 2 ")) == ("2.0", "2")


def test_an_unknown_option_is_a_text() -> None:
    asked = classifications.for_attribute(Attribute("a", "select", (1, "x y")), "a", "a", None)
    assert (asked.decode(("1",)), asked.decode(("x y",)), asked.decode(("zzz",))) == ("1", '"x y"', '"zzz"')
    several = classifications.for_attribute(Attribute("a", "list", ("b", "c")), "a", "a", None)
    assert several.encode('["c", "b"]') == ("b", "c")
    assert several.decode(("b", "zzz")) == '["b", "zzz"]'
    for wrong in ('["b", "d"]', '["b", "b"]', '"b"'):
        assert several.problem_with(wrong) == "is not a list of 'b', 'c', each once at most"
    assert several.problem_with('["c"]') is several.problem_with("[]") is None


def test_choices_keep_their_types() -> None:
    asked = classifications.for_attribute(Attribute("a", "select", (1, 2)), "a", "a", None)
    assert [asked.problem_with(text) for text in ("1", "true", '"1"')] == [None, *["is not one of 1, 2"] * 2]
    several = classifications.for_attribute(Attribute("a", "list", (1, True, "x")), "a", "a", None)
    assert json.loads(several.decode(several.encode('[1, true, "x"]')) or "") == [1, True, "x"]


@pytest.mark.parametrize("classes", [[5, 6], [True, False], ["a", 2.5]])
def test_the_classes_of_a_scalar_may_be_numbers_and_booleans(classes: list[Any]) -> None:
    schema = LabelSchema.parse({"grade": {"type": "scalar", "classes": classes}})
    assert checks.check_schema(schema, SAMPLES.empty_table(), DatagymConfig()) == []
    (entry,) = Vocabulary.from_schema(schema, DatagymConfig()).entries
    texts = [json.dumps(c) for c in classes]
    assert [entry.classifications[0].decode(entry.classifications[0].encode(text)) for text in texts] == texts


# --- exports ------------------------------------------------------------------------------------------------------------


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def image(number: int, note: str = "") -> dict[str, Any]:
    return {"internal_media_ID": f"m-{number}", "external_media_ID": f"{number}.png{note}", "status": "completed"}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_is_read_in_chunks_of_any_size(size: int, indent: int | None) -> None:
    head = {"label_classes": [{"class_name": "é]}", "geometry_type": "point"}]}
    whole = [head, *(image(n, 'é"]}[{🦄') for n in range(9))]
    data = json.dumps(whole, indent=indent, ensure_ascii=False).encode()
    export = Export(chunks(data, size), "x", "y")
    assert (len(export), export.keys) == (9, {"é]}"})
    found = dict(export.find_images(["m-8", "m-x", "m-0"], ["", "", ""]))
    assert {n: item["internal_media_ID"] for n, item in found.items()} == {0: "m-8", 2: "m-0"}
    export.close()


@pytest.mark.parametrize("cut", [1, 5, 20, 60, 100])
def test_an_export_that_is_cut_anywhere_is_refused(cut: int) -> None:
    data = json.dumps([{"label_classes": []}, image(0), image(1)]).encode()
    with pytest.raises(Broken, match=r"x is not a complete export of DataGym: it is (cut off|not a JSON array)"):
        Export(chunks(data[:-cut], 16), "x", "y")


def test_images_without_ids_are_found_by_a_distinct_name() -> None:
    data = json.dumps([{"label_classes": []}, image(0), image(1), image(0) | {"internal_media_ID": "m-7"}]).encode()
    export = Export([data], "x", "y")
    assert [n for n, _ in export.find_images([None], ["1.png"])] == [0]
    with pytest.raises(Exception, match=r"x has 2 images with the name '0.png'"):
        list(export.find_images([None], ["0.png"]))
    export.close()
