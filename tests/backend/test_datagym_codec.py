"""The parts of the DataGym backend by themselves: names, masks as rings, values, exports as they come."""

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
from annobridge_datagym import limits, names, rings, shapes, values
from annobridge_datagym.config import DatagymConfig
from annobridge_datagym.exports import Export
from annobridge_datagym.vocabulary import Vocabulary

# --- names --------------------------------------------------------------------------------------------------------------

TEXTS = st.text(min_size=1, max_size=56).filter(str.strip) | st.sampled_from(
    ["line", "Point", "status", "car", "Car", "CAR ", "lcentry x", "été"]
)


@given(st.lists(TEXTS, min_size=1, max_size=12, unique=True))
def test_every_configuration_is_one_that_the_server_takes(classes: list[str]) -> None:
    """Whatever things are called: keys never collide, no forbidden word, no sign that is refused."""
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
    vocabulary = Vocabulary.of(schema, DatagymConfig())
    entries = configuration.read(vocabulary.definition())
    assert len(entries) == 3 * len(classes) + 3
    for q in (q for e in vocabulary.entries for q in e.questions if q.options):
        assert len({key.lower() for key in q.options}) == len(classes)
        assert [json.loads(text) for text in q.options.values()] == classes


@given(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
def test_a_vocabulary_is_kept_whole(classes: list[str]) -> None:
    schema = LabelSchema.parse({"objects": {"type": "detections", "classes": classes}})
    made = Vocabulary.of(schema, DatagymConfig())
    again = Vocabulary.from_dict(json.loads(json.dumps(made.to_dict())))
    assert (again.entries, again.kinds) == (made.entries, made.kinds)


def test_files_keep_their_names_unless_two_are_the_same() -> None:
    paths = ["a/x.png", "b/x.png", "été 🦄.png", "c\\y\n.png", "d/" + "n" * 300 + ".png"]
    assert names.files(paths, latin=False) == ["x.png", "000001_x.png", "été 🦄.png", "y_.png", "n" * 196 + ".png"]
    assert names.files(paths, latin=True)[2] == "été _.png"


@given(st.lists(st.text(min_size=1, max_size=300), max_size=8), st.booleans())
def test_no_two_files_have_one_name(paths: list[str], latin: bool) -> None:
    found = names.files(paths, latin=latin)
    assert len({name.lower() for name in found}) == len(paths)
    for name in found:
        assert name
        if latin:
            assert name.encode("latin-1").decode("latin-1").isprintable()


def test_names_are_shown_as_near_as_datagym_can_write_them() -> None:
    """Latin letters without their marks; what is not in Latin letters as ``shown_as`` says; no two alike."""
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
    made = Vocabulary.of(schema, DatagymConfig(shown_as={"行人": "Pedestrian", "颜色": "Color", "weather": "Weather"}))
    shown = [(e.key, e.shown) for e in made.entries]
    assert shown == [("strasse", "Straße"), ("pedestrian", "Pedestrian"), ("lodz", "lodz"),
                     ("strasse more", "Straße (more)"), ("weather", "Weather")]  # fmt: skip
    assert [(q.key, q.shown) for q in made.entries[0].questions] == [("color", "Color")]
    assert list(made.definition()[-1]["options"].values()) == ["晴", "雨"]  # options are shown in any script


# --- masks --------------------------------------------------------------------------------------------------------------


@given(strategies.masks(size=(9, 7)))
def test_rings_say_a_mask_without_its_holes(mask: np.ndarray) -> None:
    """Along the edges of pixels, so whole numbers are exact; a hole is filled, and nothing else is different."""
    found = rings.of_mask(as_rle(mask))
    back = rings.to_mask(found, (9, 7))
    assert (back >= mask).all()
    assert rings.has_holes(as_rle(mask)) or np.array_equal(back, mask)
    assert all(float(v).is_integer() for ring in found for v in ring)
    again = rings.mended([(ring, True) for ring in found], as_rle(mask), (9, 7))
    assert np.array_equal(decode_rle(again), mask)


def test_regions_that_touch_by_a_corner_are_two() -> None:
    mask = np.array([[1, 0], [0, 1]], bool)
    assert rings.of_mask(as_rle(mask)) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]


# --- places -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 5000), min_size=4, max_size=8))
def test_what_the_server_cut_off_is_no_move(part: list[float]) -> None:
    assert shapes.same([float(int(v)) for v in part], part, exact=False)
    assert shapes.same(list(part), part, exact=True)
    assert not shapes.same([part[0] + 1, *part[1:]], part, exact=False)


# --- values -------------------------------------------------------------------------------------------------------------

KINDS = {
    "text": st.text(min_size=1, max_size=20),
    "int": st.integers(-(2**53), 2**53),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "checkbox": st.booleans(),
    "list": st.lists(st.text(max_size=5), max_size=4),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_values_come_back_as_their_type(kind: str, data: st.DataObject) -> None:
    text = json.dumps(data.draw(KINDS[kind]))
    asked = values.question(Attribute("a", kind), "a", "a", None)
    assert json.loads(asked.decode(asked.encode(text)) or "null") == json.loads(text)


def test_words_that_are_not_of_the_type_stay_text() -> None:
    assert attr_text.from_plain("int", "many") == '"many"'
    assert attr_text.from_plain("float", "NaN") == '"NaN"'
    assert attr_text.from_plain("checkbox", "maybe") == '"maybe"'
    assert attr_text.from_plain("list", "a") == '"a"'
    assert (attr_text.from_plain("float", "2"), attr_text.from_plain("int", " 2 ")) == ("2.0", "2")


def test_an_option_that_nobody_knows_stays_a_text() -> None:
    asked = values.question(Attribute("a", "select", (1, "x y")), "a", "a", None)
    assert (asked.decode(("1",)), asked.decode(("x y",)), asked.decode(("zzz",))) == ("1", '"x y"', '"zzz"')
    several = values.question(Attribute("a", "list", ("b", "c")), "a", "a", None)
    assert several.encode('["c", "b"]') == ("b", "c")
    assert several.decode(("b", "zzz")) == '["b", "zzz"]'
    for wrong in ('["b", "d"]', '["b", "b"]', '"b"'):
        assert several.misfit(wrong) == "is not a list of 'b', 'c', each once at most"
    assert several.misfit('["c"]') is several.misfit("[]") is None


def test_choices_keep_their_types() -> None:
    asked = values.question(Attribute("a", "select", (1, 2)), "a", "a", None)
    assert [asked.misfit(text) for text in ("1", "true", '"1"')] == [None, *["is not one of 1, 2"] * 2]
    several = values.question(Attribute("a", "list", (1, True, "x")), "a", "a", None)
    assert json.loads(several.decode(several.encode('[1, true, "x"]')) or "") == [1, True, "x"]


@pytest.mark.parametrize("classes", [[5, 6], [True, False], ["a", 2.5]])
def test_the_classes_of_a_scalar_may_be_numbers_and_truth_values(classes: list[Any]) -> None:
    schema = LabelSchema.parse({"grade": {"type": "scalar", "classes": classes}})
    assert limits.of_schema(schema, SAMPLES.empty_table(), DatagymConfig()) == []
    (entry,) = Vocabulary.of(schema, DatagymConfig()).entries
    texts = [json.dumps(c) for c in classes]
    assert [entry.questions[0].decode(entry.questions[0].encode(text)) for text in texts] == texts


# --- exports ------------------------------------------------------------------------------------------------------------


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def image(number: int, note: str = "") -> dict[str, Any]:
    return {"internal_media_ID": f"m-{number}", "external_media_ID": f"{number}.png{note}", "status": "completed"}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_is_read_in_pieces_of_any_size(size: int, indent: int | None) -> None:
    head = {"label_classes": [{"class_name": "é]}", "geometry_type": "point"}]}
    whole = [head, *(image(n, 'é"]}[{🦄') for n in range(9))]
    data = json.dumps(whole, indent=indent, ensure_ascii=False).encode()
    export = Export(pieces(data, size), "x", "y")
    assert (len(export), export.classes) == (9, {"é]}"})
    found = dict(export.of_images(["m-8", "m-x", "m-0"], ["", "", ""]))
    assert {n: item["internal_media_ID"] for n, item in found.items()} == {0: "m-8", 2: "m-0"}
    export.close()


@pytest.mark.parametrize("cut", [1, 5, 20, 60, 100])
def test_an_export_that_is_cut_anywhere_is_refused(cut: int) -> None:
    data = json.dumps([{"label_classes": []}, image(0), image(1)]).encode()
    with pytest.raises(Broken, match=r"x is not a whole export of DataGym: it is (cut off|no JSON array)"):
        Export(pieces(data[:-cut], 16), "x", "y")


def test_images_without_ids_are_known_by_name_unless_two_have_it() -> None:
    data = json.dumps([{"label_classes": []}, image(0), image(1), image(0) | {"internal_media_ID": "m-7"}]).encode()
    export = Export([data], "x", "y")
    assert [n for n, _ in export.of_images([None], ["1.png"])] == [0]
    with pytest.raises(Exception, match=r"x has 2 images with the name '0.png'"):
        list(export.of_images([None], ["0.png"]))
    export.close()
