"""FiftyOne's dictionaries parse unchanged; every mistake is found at once, with its path and a cure."""

import json

import pytest

from annobridge.core.did_you_mean import did_you_mean
from annobridge.core.labels import LABEL_TYPES, SINGULARS
from annobridge.core.schema import ATTRIBUTE_TYPES, FLAGS, Attribute, FieldSchema, Flags, LabelSchema
from annobridge.core.schema.infer import FieldStats
from annobridge.exceptions import InvalidSchema, SchemaError

parse = LabelSchema.parse
PAIRS = [
    ("classification", "classifications"),
    ("detection", "detections"),
    ("instance", "instances"),
    ("polyline", "polylines"),
    ("polygon", "polygons"),
    ("keypoint", "keypoints"),
    ("segmentation", "segmentation"),
    ("scalar", "scalar"),
]

# What FiftyOne's users write: the shapes of its annotation guide and of its CVAT integration.
FIFTYONE = {
    "new_field": {
        "type": "classifications",
        "classes": ["class1", "class2"],
        "attributes": {
            "attr1": {"type": "select", "values": ["val1", "val2"], "default": "val1"},
            "attr2": {"type": "radio", "values": [True, False], "default": False},
        },
    },
    "existing_field": {
        "classes": ["class3", "class4"],
        "attributes": {"attr3": {"type": "text", "values": []}},
    },
    "grouped": {
        "type": "detections",
        "classes": [
            "class1",
            {"classes": ["class2", "class3"], "attributes": {"attr1": {"type": "checkbox", "values": [True, False]}}},
            {"classes": ["class4"]},
        ],
        "attributes": {
            "attr4": {"type": "text", "default": "x", "mutable": False},
            "iscrowd": {"type": "radio", "values": [0, 1], "default": 0, "read_only": True},
            "is_occluded": {"type": "occluded"},
            "group": {"type": "group_id"},
        },
        "allow_additions": False,
    },
}
BOXES = FieldStats(
    {"box"},
    {"cat", "ant"},
    {
        "weight": {"int", "float"},
        "mood": {"str"},
        "sure": {"bool"},
        "any": {"str", "int"},
        "list": {"json"},
        "odd": {"?"},
    },
    labels=9,
    most=3,
)


def one(spec, existing=None, **defaults):
    return parse({"f": spec}, defaults, existing).fields["f"]


def mistakes(schema, defaults=None, existing=None):
    with pytest.raises(InvalidSchema) as caught:
        parse(schema, defaults, existing)
    return list(caught.value.problems)


def mistake(spec, existing=None):
    (found,) = mistakes({"f": spec}, existing=existing)
    return found


def boxes(**spec):
    return {"type": "detections", "classes": ["a"]} | spec


def test_fiftyones_own_examples():
    fields = parse(FIFTYONE, existing={"existing_field": BOXES}).fields
    assert [f.type for f in fields.values()] == ["classifications", "detections", "detections"]
    assert fields["new_field"].attributes == (
        Attribute("attr1", "select", ("val1", "val2"), "val1"),
        Attribute("attr2", "radio", (True, False), False),
    )
    assert fields["existing_field"].existing
    assert fields["existing_field"].attributes == (Attribute("attr3", "text"),)
    grouped = fields["grouped"]
    assert grouped.classes == ("class1", "class2", "class3", "class4")
    assert [a.name for a in grouped.attributes_of("class3")] == ["attr4", "iscrowd", "is_occluded", "group", "attr1"]
    assert grouped.attributes_of("class4") == grouped.attributes_of(None) == grouped.attributes
    assert [a.type for a in grouped.attributes] == ["text", "radio", "checkbox", "int"]
    assert grouped.all_attributes()["iscrowd"] == Attribute("iscrowd", "radio", (0, 1), 0, read_only=True)
    assert grouped.flags == Flags(allow_additions=False)


@pytest.mark.parametrize(("singular", "plural"), PAIRS)
def test_types_in_both_numbers(singular, plural):
    for name in (singular, plural):
        field = one({"type": name, "classes": ["a"]})
        assert field.type == (name if name == "classification" else plural)
        assert field.kind == LABEL_TYPES[plural]


@pytest.mark.parametrize("name", [*LABEL_TYPES, *SINGULARS])
def test_every_type_has_a_kind(name):
    assert one({"type": name, "classes": ["a"]}).kind in LABEL_TYPES.values()


def test_scalars_and_messages_need_no_classes():
    assert one({"type": "scalar"}).classes == one({"type": "messages"}).classes == ()
    assert one({"type": "scalar", "classes": ["1", "2"]}).classes == ("1", "2")


def test_arguments_of_the_call_fill_the_gaps():
    defaults = {"type": "detections", "classes": ["a"], "attributes": {"x": {"type": "text"}}, "allow_deletions": False}
    schema = parse({"one": None, "two": {"type": "polygons", "allow_deletions": True}}, defaults)
    assert schema.fields["one"] == FieldSchema(
        "one", "detections", ("a",), (Attribute("x", "text"),), flags=Flags(allow_deletions=False)
    )
    assert schema.fields["two"].kind == "polygon"
    assert schema.fields["two"].flags == Flags()


@pytest.mark.parametrize("given", ["f", ["f"], ("f",), {"f": {}}, {"f": None}])
def test_names_alone_are_empty_specs(given):
    assert parse(given, {"type": "scalar"}).fields["f"].type == "scalar"


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_by_field_and_by_call(flag):
    assert one(boxes()).flags == Flags()
    for field in (one(boxes(**{flag: False})), one(boxes(), **{flag: False})):
        assert field.flags == Flags(**{flag: False})
    assert one(boxes(**{flag: True}), **{flag: False}).flags == Flags()
    assert mistake(boxes(**{flag: 1})) == f"f.{flag}: is 1; give True or False."


@pytest.mark.parametrize(
    ("given", "names"), [(False, []), (None, []), ({"b": {"type": "text"}}, ["b"]), ([], []), ({}, []), (True, [])]
)
def test_attributes_of_a_new_field(given, names):
    attributes = one(boxes(attributes=given)).attributes
    assert [a.name for a in attributes] == names
    assert {a.type for a in attributes} <= {"text"}


def test_attributes_of_an_existing_field_are_inferred():
    field = one({}, {"f": BOXES})
    assert field.existing
    assert field.type == "detections"
    assert field.classes == ("ant", "cat")
    types = {"any": "text", "list": "list", "mood": "text", "odd": "text", "sure": "checkbox", "weight": "number"}
    assert {a.name: a.type for a in field.attributes} == types
    assert [a.name for a in field.attributes] == sorted(types)
    assert one({"attributes": ["sure", "mood", "sure"]}, {"f": BOXES}).attributes == (
        Attribute("sure", "checkbox"),
        Attribute("mood", "text"),
    )
    assert one({"attributes": "mood"}, {"f": BOXES}).attributes == (Attribute("mood", "text"),)
    assert one({"attributes": False}, {"f": BOXES}).attributes == ()
    assert one({"classes": []}, {"f": BOXES}).classes == ("ant", "cat")


def test_inference_of_types():
    assert one({}, {"f": FieldStats({"classification"}, {"a"}, most=1)}).type == "classification"
    assert one({}, {"f": FieldStats({"classification"}, {"a"}, most=2)}).type == "classifications"
    mixed = FieldStats({"box", "mask"}, {"a"})
    assert (
        mistake({}, {"f": mixed})
        == "f.type: is missing, and the field holds detections and instances; say which to send."
    )
    assert one({"type": "instances"}, {"f": mixed}).kind == "mask"
    assert "holds nothing" in mistakes(["f"], existing={"f": FieldStats()})[0]


def test_types_that_contradict_the_field():
    assert "is 'polygons', but the field holds detections" in mistake({"type": "polygon"}, {"f": BOXES})
    several = {"f": FieldStats({"classification"}, {"a"}, most=2)}
    assert "use 'classifications'" in mistake({"type": "classification"}, several)
    assert (
        one({"type": "classifications"}, {"f": FieldStats({"classification"}, {"a"}, most=1)}).type == "classifications"
    )


def test_mask_targets_name_the_classes():
    field = one({"type": "segmentation", "mask_targets": {"1": "road", 2: "sky", 3: "road"}})
    assert field.mask_targets == {1: "road", 2: "sky", 3: "road"}
    assert field.classes == ("road", "sky")
    assert one({"type": "segmentation", "mask_targets": {1: "road"}, "classes": ["x"]}).classes == ("x",)
    assert one({"type": "segmentation"}, mask_targets={1: "road"}).classes == ("road",)
    for wrong in (True, {"#ff0000": "road"}, [1]):
        assert mistake({"type": "segmentation", "mask_targets": wrong}).startswith("f.mask_targets: is ")


def test_class_attributes_come_before_those_of_the_field():
    group = {"classes": ["b"], "attributes": {"x": {"type": "int"}}}
    field = one(boxes(classes=["a", group], attributes={"x": {"type": "text"}, "y": {"type": "text"}}))
    assert [(a.name, a.type) for a in field.attributes_of("a")] == [("x", "text"), ("y", "text")]
    assert [(a.name, a.type) for a in field.attributes_of("b")] == [("y", "text"), ("x", "int")]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (boxes(type="detectionss"), "f.type: 'detectionss' is not a label type; did you mean 'detections'?"),
        (boxes(type=5), "f.type: 5 is not a label type; "),
        (boxes(atributes={}), "f.atributes: is not a key of a field; did you mean 'attributes'?"),
        (boxes(allow_adition=True), "did you mean 'allow_additions'?"),
        (boxes(classes=None), "f.classes: is missing, and there is no label to take the classes from"),
        (boxes(classes=[]), "f.classes: is missing"),
        (boxes(classes="car"), "f.classes: is 'car'; give a list of class names."),
        (boxes(classes={"car": 1}), "f.classes: is {'car': 1}; give a list"),
        (boxes(classes=["a", 5]), "f.classes[1]: is 5; give a name, or"),
        (boxes(classes=["a", " "]), "f.classes: holds ' '; a class needs a name."),
        (boxes(classes=["a", "b", "a"]), "f.classes: names 'a' more than once"),
        (boxes(classes=["a", {"classes": ["a"]}]), "f.classes: names 'a' more than once"),
        (boxes(classes=[{"classes": "car"}]), "f.classes[0]: is {'classes': 'car'}; give a name, or"),
        (boxes(classes=[{"classes": ["car", ["x"]]}]), "f.classes[0].classes: holds ['x']; a class is a text."),
        (
            boxes(classes=[{"classes": ["car"], "attribute": {}}]),
            "f.classes[0].attribute: is not a key of a class group; did you mean 'attributes'?",
        ),
        (
            boxes(classes=[{"classes": ["car"], "attributes": {"x": {"type": "txt"}}}]),
            "f.classes[0].attributes.x.type: 'txt' is not an attribute type; did you mean 'text'?",
        ),
        (boxes(attributes=5), "f.attributes: is 5; give True, False, a list of names, or a dictionary."),
        (boxes(attributes=[{"name": "x"}]), "f.attributes: holds {'name': 'x'}; give names"),
        (boxes(attributes={"x": "text"}), "f.attributes.x: is 'text'; describe the attribute with a dictionary"),
        (boxes(attributes={"": {"type": "text"}}), "needs a name"),
        (boxes(attributes={"x": {}}), "f.attributes.x.type: is missing; "),
        (boxes(attributes={"x": {"type": ["text"]}}), "f.attributes.x.type: ['text'] is not an attribute type"),
        (
            boxes(attributes={"x": {"type": "text", "readonly": True}}),
            "f.attributes.x.readonly: is not a key of an attribute; did you mean 'read_only'?",
        ),
        (boxes(attributes={"x": {"type": "text", "name": "y"}}), "f.attributes.x.name: is not a key"),
        (boxes(attributes={"x": {"type": "select"}}), "f.attributes.x.values: is missing; a select needs its choices."),
        (boxes(attributes={"x": {"type": "select", "values": "red"}}), "f.attributes.x.values: is 'red'; give a list"),
        (boxes(attributes={"x": {"type": "radio", "values": ["a"], "default": "b"}}), "is 'b'; give one of 'a'."),
        (boxes(attributes={"x": {"type": "int", "default": True}}), "is True; give a value of the type int."),
        (
            boxes(attributes={"x": {"type": "text", "read_only": "yes"}}),
            "f.attributes.x.read_only: is 'yes'; give True",
        ),
    ],
)
def test_one_mistake(spec, problem):
    assert problem in mistake(spec)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, "names no field"),
        ([], "names no field"),
        (5, "is of the type int; give a dictionary or a list"),
        ({"f": 5}, "f: is of the type int; describe the field with a dictionary."),
        ({"my field": {"type": "scalar"}}, "my field: is not a field name"),
        ({7: {"type": "scalar"}}, "7: is not a field name"),
    ],
)
def test_schemas_that_are_none(schema, problem):
    assert problem in mistakes(schema)[0]


def test_five_mistakes_are_listed_together():
    schema = {
        "objects": {
            "type": "detections",
            "clases": ["car"],
            "classes": ["car", "car"],
            "attributes": {"x": {"type": "select"}, "y": {"type": "number", "default": "one"}},
        },
        "typo": {},
    }
    found = mistakes(schema, existing={"types": BOXES})
    assert [text.split(":")[0] for text in found] == [
        "objects.clases",
        "objects.classes",
        "objects.attributes.x.values",
        "objects.attributes.y.default",
        "typo",
    ]
    with pytest.raises(SchemaError, match=r"has 5 mistakes:\n  - objects\.clases: .* did you mean 'classes'") as caught:
        parse(schema, existing={"types": BOXES})
    assert "fields here: types" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_mistake_does_not_hide_others_of_its_attribute():
    spec = boxes(attributes={"x": {"type": "select", "valuess": ["a"], "mutable": 1}})
    assert len(mistakes({"f": spec})) == 3


@pytest.mark.parametrize("kind", ATTRIBUTE_TYPES)
def test_accepts(kind):
    good = {"text": "x", "int": 1, "float": 1.5, "number": 1, "checkbox": True, "list": ["x"]}.get(kind, "x")
    assert Attribute("a", kind).accepts(good)
    assert not Attribute("a", kind, ("only",)).accepts(good)
    for value in ("x", 1, 1.5, True, ["x"]):
        expected = {
            "text": isinstance(value, str),
            "int": value == 1 and type(value) is int,
            "float": type(value) in (int, float),
            "number": type(value) in (int, float),
            "checkbox": value is True,
            "list": isinstance(value, list),
        }.get(kind, True)
        assert Attribute("a", kind).accepts(value) is expected


def test_round_trip_through_json():
    extra = {
        "ground": {"type": "segmentation", "mask_targets": {1: "road"}},
        "score": {"type": "scalar"},
        "flags": boxes(
            classes=[{"classes": ["b"], "attributes": {"n": {"type": "int", "default": 0}}}, "a"],
            attributes={
                "ok": {"type": "checkbox", "default": False},
                "t": {"type": "text", "default": "", "mutable": True},
            },
            **dict.fromkeys(FLAGS, False),
        ),
    }
    schema = parse(FIFTYONE | extra, existing={"existing_field": BOXES})
    stored = schema.to_dict()
    text = json.dumps(stored)
    assert json.loads(text) == stored
    assert LabelSchema.from_dict(json.loads(text)) == schema
    assert schema.fields["flags"].classes == ("b", "a")
    assert stored["existing_field"]["existing_field"] is True
    assert stored["flags"]["attributes"]["ok"] == {"type": "checkbox", "default": False}


def test_near():
    assert did_you_mean("boxx", ["box", "mask"]) == "did you mean 'box'?"
    assert did_you_mean("qqq", ["box", "mask"]) == "there is 'box', 'mask'."
    assert did_you_mean("qqq", []) == "there is none."


CHECKLIST = Attribute("sides", "list", ("l", "r", 1))


@pytest.mark.parametrize("value", [[], ["l"], ["r", "l"], ["l", "r", 1], [1.0]])
def test_a_checklist_accepts_its_choices(value):
    assert CHECKLIST.accepts(value)


@pytest.mark.parametrize("value", ["l", ["x"], ["l", "x"], ["l", "l"], [True], [["l"]], None, {"l": True}, [1, 1.0]])
def test_a_checklist_accepts_nothing_else(value):
    assert not CHECKLIST.accepts(value)


@pytest.mark.parametrize(
    ("values", "good", "bad"),
    [
        ((1, 2), [1, 2, 1.0], [True, "1", 1.5, None, [1]]),
        ((True, False), [True, False], [1, 0, "true", None]),
        ((0.5, 1.0), [0.5, 1, 1.0], [True, "0.5"]),
        (("1", "true"), ["1", "true"], [1, True]),
        ((None, "a"), [None, "a"], [False, ""]),
        (([1, 2], {"a": 1}), [[1, 2], [1.0, 2], {"a": 1}], [[True, 2], [2, 1], {"a": True}]),
    ],
)
@pytest.mark.parametrize("kind", ["select", "radio"])
def test_a_choice_has_the_type_of_its_value(kind, values, good, bad):
    attribute = Attribute("x", kind, values)
    assert [value for value in good + bad if attribute.accepts(value)] == good
    scalar = FieldSchema("x", "scalar", values)
    assert [value for value in good + bad if scalar.value.accepts(value)] == good


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"type": "select", "values": ["a", "b", "a"]}, "f.attributes.x.values: names 'a' more than once"),
        ({"type": "select", "values": [1, 1.0]}, "f.attributes.x.values: names 1 more than once"),
        ({"type": "list", "values": ["a", "a"]}, "f.attributes.x.values: names 'a' more than once"),
        (
            {"type": "select", "values": [float("nan")]},
            "f.attributes.x.values: holds nan is not a JSON value; give texts",
        ),
        ({"type": "select", "values": [object]}, "is not a JSON value; give texts, numbers, True or False."),
        ({"type": "select", "values": [1, 2], "default": True}, "f.attributes.x.default: is True; give one of 1, 2."),
        (
            {"type": "list", "values": ["a", "b"], "default": "a"},
            "f.attributes.x.default: is 'a'; give a list of 'a', 'b', each once at most.",
        ),
        ({"type": "list", "values": ["a"], "default": ["b"]}, "is ['b']; give a list of 'a', each once at most."),
    ],
)
def test_choices_that_are_none(spec, problem):
    assert problem in mistake(boxes(attributes={"x": spec}))


def test_one_and_true_are_two_choices():
    assert one(boxes(attributes={"x": {"type": "select", "values": [1, True, "1"]}})).attributes[0].values == (
        1,
        True,
        "1",
    )


@pytest.mark.parametrize("default", [[], ["a"], ("b", "a")])
def test_the_default_of_a_checklist_is_a_list_of_choices(default):
    (a,) = one(boxes(attributes={"x": {"type": "list", "values": ["a", "b"], "default": default}})).attributes
    assert a.default == list(default)
    assert a.accepts(a.default)


@pytest.mark.parametrize("classes", [[1, 2, 3], [True, False], [0.5, "half"], ("a", "b")])
def test_the_classes_of_a_scalar_are_values(classes):
    schema = parse({"f": {"type": "scalar", "classes": classes}})
    assert schema.fields["f"].classes == tuple(classes)
    assert LabelSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_classes_of_a_scalar_are_each_given_once():
    assert "f.classes: names 1 more than once" in mistake({"type": "scalar", "classes": [1, 1.0]})
    assert "f.classes[0]: is 5; give a name" in mistake(boxes(classes=[5]))


def test_a_stored_schema_opens_though_it_would_be_refused_today():
    stored = {"f": {"type": "detections", "existing_field": True, "classes": ["a"], "attributes": {
        "x": {"type": "select", "values": [1, 2, 2], "default": True},
        "y": {"type": "list", "values": ["l", "l"]},
    }}}  # fmt: skip
    spec = LabelSchema.from_dict(stored).fields["f"]
    assert [a.values for a in spec.attributes] == [(1, 2, 2), ("l", "l")]
    assert spec.existing
    assert spec.attributes[1].accepts(["l"])


@pytest.mark.parametrize("name", ["objects", "frames.objects", "_x1", "größe"])
def test_field_names(name):
    assert name in parse({name: boxes()}).fields


@pytest.mark.parametrize("name", ["bad field", "a.b", "frames.", "frames.frames.x", "1st", "", "x\n", "frames.a b"])
def test_what_is_no_field_name(name):
    assert any("is not a field name" in problem for problem in mistakes({name: boxes()}))
