"""Conversations: questions of all types, responses and users, in the three forms in which Pixano has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.formats.metadata_cases import folder, image, labels_of, opened, refused

from annobridge.core.schema.choices import answer_as_letters
from annobridge.formats.metadata.reading.conversations import TYPES, chosen

OPEN = {"content": "What color is the car?", "question_type": "OPEN"}
VQA = [
    {
        "image": "image_001.jpg",
        "conversations": [
            {
                "question": OPEN,
                "responses": [
                    {"content": "red", "user": "annotator_0"},
                    {"content": "dark red", "user": "annotator_1"},
                ],
            },
            {
                "question": {"content": "How many people are visible?", "question_type": "OPEN"},
                "responses": [{"content": "3", "user": "annotator_0"}],
            },
        ],
    },
    {
        "image": "image_002.jpg",
        "conversations": [
            {
                "question": {
                    "content": "What is in the image?",
                    "question_type": "multi_choice",
                    "choices": ["a cat", "a dog", "a bird", "a fish"],
                },
                "responses": [{"content": "a cat"}, {"content": "B;D", "explanation": "wet"}],
            }
        ],
    },
]


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(x["image"], x["index"], x["label"], x["value"], x["attributes"]) for x in rows]


def test_vqa_data(tmp_path: Path) -> None:
    root = tmp_path / "vqa_data"
    folder(root / "train", ("image_001.jpg", "image_002.jpg"), VQA)
    folder(root / "val", ("image_003.jpg",), [{"image": "image_003.jpg", "conversations": []}])
    rows = labels_of(root)
    assert {(x["field"], x["kind"]) for x in rows} == {("conversations", "message")}
    asked = {"conversation": "0", "question_type": "OPEN"}
    choices = ["a cat", "a dog", "a bird", "a fish"]
    assert told(rows) == [
        ("image_001.jpg", 0, "question", '"What color is the car?"', asked),
        ("image_001.jpg", 0, "answer", '"red"', {"conversation": "0", "user": "annotator_0"}),
        ("image_001.jpg", 0, "answer", '"dark red"', {"conversation": "0", "user": "annotator_1"}),
        ("image_001.jpg", 1, "question", '"How many people are visible?"', asked),
        ("image_001.jpg", 1, "answer", '"3"', {"conversation": "0", "user": "annotator_0"}),
        (
            "image_002.jpg",
            0,
            "question",
            '"What is in the image?"',
            {"conversation": "0", "question_type": "MULTI_CHOICE", "choices": choices},
        ),
        ("image_002.jpg", 0, "answer", '"a cat"', {"conversation": "0"}),
        ("image_002.jpg", 0, "answer", '"a dog, a fish: wet"', {"conversation": "0"}),
    ]


def test_several_conversations_of_one_image(tmp_path: Path) -> None:
    talk = [{"question": OPEN, "response": {"content": "red"}}]
    rows = labels_of(folder(tmp_path, lines=[{"image": "a.jpg", "conversations": [talk, talk]}]))
    assert [(x["attributes"]["conversation"], x["label"]) for x in rows] == [
        ("0", "question"),
        ("0", "answer"),
        ("1", "question"),
        ("1", "answer"),
    ]


def test_messages_of_pixano_0_8(tmp_path: Path) -> None:
    messages = [
        {"type": "SYSTEM", "content": "Be brief."},
        {
            "type": "QUESTION",
            "content": "Which?",
            "question_type": "single_choice",
            "choices": ["yes", "no"],
            "user": "u",
        },
        {"type": "ANSWER", "content": "[[B]] never", "views": ["image"]},
    ]
    line = {"id": "r", "views": {"image": "a.jpg"}, "conversations": [{"id": "c7", "messages": messages}]}
    rows = labels_of(folder(tmp_path, lines=[line]))
    assert [(x["label"], x["value"], x["index"]) for x in rows] == [
        ("system", '"Be brief."', 0),
        ("question", '"Which?"', 0),
        ("answer", '"no: never"', 0),
    ]
    assert rows[1]["attributes"]["question_type"] == "SINGLE_CHOICE"
    assert {x["attributes"]["conversation"] for x in rows} == {"c7"}


@pytest.mark.parametrize(
    ("talk", "sentence"),
    [
        ("red", "has 'conversations' that are not a list; give a list of {'question': …, 'responses': […]}."),
        ([{"question": {"question_type": "OPEN"}}], "has no text for question 1; write {'question'"),
        ([{"answer": 3}], "has no text for question 1"),
        (
            [{"question": OPEN, "responses": [{"text": "x"}]}],
            "has no text for a response to 'What color is the car?'; write",
        ),
        (
            [{"question": {**OPEN, "question_type": "CHOOSE"}}],
            "has the question type 'CHOOSE'; there is 'MULTI_CHOICE'",
        ),
        ([{"question": {**OPEN, "question_type": "multi_choise"}}], "did you mean 'MULTI_CHOICE'?"),
        (
            [{"question": {**OPEN, "question_type": "SINGLE_CHOICE"}}],
            "asks a question of the type 'SINGLE_CHOICE' without choices;",
        ),
        ([{"question": {**OPEN, "choices": "ab"}}], "has choices that are not a list of texts; give choices="),
        (
            [{"messages": [{"type": "REPLY", "content": "x"}]}],
            "has a message without a type (SYSTEM, QUESTION, ANSWER) or a content",
        ),
        ([{"messages": 3}], "has a message without a type"),
    ],
)
def test_conversations_that_do_not_fit(tmp_path: Path, talk: Any, sentence: str) -> None:
    image(tmp_path / "b.jpg")
    said = refused(folder(tmp_path, lines=[{"image": "b.jpg"}, {"image": "a.jpg", "conversations": talk}]))
    assert "metadata.jsonl:2 " in said
    assert sentence in said


def test_an_open_question_with_choices_is_what_pixano_makes_of_it(tmp_path: Path) -> None:
    talk = [{"question": {"content": "?", "choices": ["a"]}, "responses": []}]
    (row,) = labels_of(folder(tmp_path, lines=[{"image": "a.jpg", "conversations": talk}]))
    assert row["attributes"]["question_type"] == "MULTI_CHOICE"
    assert row["attributes"]["question_type"] in TYPES
    assert opened(tmp_path).count == 1


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, unique=True),
    st.sampled_from(("", "since it meows", "x: y")),
    st.data(),
)
def test_letters_and_choices(choices: list[str], why: str, data: st.DataObject) -> None:
    picked = data.draw(st.lists(st.sampled_from(choices), min_size=1, unique=True))
    content = ", ".join(picked) + (f": {why}" if why else "")
    found = answer_as_letters(content, choices)
    assert found is not None
    assert chosen(f"[[{','.join(found[0])}]] {found[1]}".rstrip(), choices) == content
    assert chosen(";".join(found[0]), choices, found[1]) == content


def test_free_answers_stay_as_they_are() -> None:
    assert chosen("neither", ["yes", "no"]) == "neither"
    assert chosen("Z", ["yes", "no"]) == "Z"
    assert answer_as_letters("neither", ["yes", "no"]) is None


def test_messages_out_of_order_are_told(tmp_path: Path) -> None:
    messages = [{"type": "ANSWER", "content": "red"}, {"type": "QUESTION", "content": "What color?"}]
    line = {"id": "r", "views": {"image": "a.jpg"}, "conversations": [{"id": "c", "messages": messages}]}
    notes = opened(folder(tmp_path, lines=[line])).notes
    assert any(note.startswith("1 records have a conversation that begins with an answer") for note in notes)


@pytest.mark.parametrize("content", ["a cat, a fish", "A;D", "[[A,D]]", "A, D"])
def test_answers_are_read_as_texts_and_as_letters(content: str) -> None:
    choices = ["a cat", "a dog", "a bird", "a fish"]
    assert chosen(content, choices) == "a cat, a fish"
    assert chosen(content, choices, "wet") == "a cat, a fish: wet"
