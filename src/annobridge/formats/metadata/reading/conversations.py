"""Conversations: questions about an image and their answers, parsed into messages (``core.rows.Message``).

Pixano's quickstart shows the choice of an answer as its text; its programs write letters, one for each position in ``choices``
(``A;C``, or ``[[A,C]] why``). Both are parsed. Here an answer is the text of the choice, or of several (``a cat, a dog``), and
an explanation after a colon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ....core.did_you_mean import did_you_mean
from ....core.rows import Message
from ....core.schema.choices import choices_of_letters, format_answer, parse_answer
from ..keys import CONVERSATIONS
from .json_lines import fail

TYPES = ("OPEN", "SINGLE_CHOICE", "SINGLE_CHOICE_EXPLANATION", "MULTI_CHOICE", "MULTI_CHOICE_EXPLANATION")
ROLES = ("SYSTEM", "QUESTION", "ANSWER")
_LETTERS_IN_BRACKETS = re.compile(r"\[\[(.*?)\]\]\s*(.*)", re.DOTALL)

Row = dict[str, Any]


def parse_messages(value: Any, where: str) -> Iterator[Row]:
    """The messages of a record, as columns of ``LABELS``. Raises ``InvalidSource``.

    A record has a list of questions with their responses, or a list of such lists, or a list of ``{"id", "messages"}``.
    """
    if not isinstance(value, list):
        fail(where, f"has {CONVERSATIONS!r} that are not a list; give a list of {{'question': …, 'responses': […]}}.")
    if value and all(isinstance(v, dict) and "messages" in v for v in value):
        for number, conversation in enumerate(value):
            yield from _messages(conversation, str(conversation.get("id") or number), where)
        return
    conversations = value if value and all(isinstance(v, list) for v in value) else [value]
    for number, exchanges in enumerate(conversations):
        for index, exchange in enumerate(exchanges):
            yield from _exchange(exchange, index, str(number), where)


def _exchange(exchange: Any, number: int, conversation: str, where: str) -> Iterator[Row]:
    """A question and its responses."""
    question = exchange.get("question") if isinstance(exchange, dict) else None
    if not isinstance(question, dict) or not isinstance(question.get("content"), str):
        fail(where, f"has no text for question {number + 1}; write {{'question': {{'content': …}}, 'responses': […]}}.")
    kind, choices = _question_type(question, where)
    yield _row("question", question["content"], number, conversation, kind, choices, question.get("user"))
    given = exchange.get("responses", exchange.get("response")) or []
    for response in given if isinstance(given, list) else [given]:
        if not isinstance(response, dict) or not isinstance(response.get("content"), str):
            fail(where, f"has no text for a response to {question['content'][:60]!r}; write {{'content': …}}.")
        why = response.get("explanation")
        if not isinstance(why, str | None):
            fail(where, f"has the explanation {str(why)[:60]!r} of a response; give a text.")
        content = chosen(response["content"], choices, why)
        yield _row("answer", content, number, conversation, None, (), response.get("user"))


def _messages(given: Row, conversation: str, where: str) -> Iterator[Row]:
    """A list of messages; an answer belongs to the question before it."""
    number, choices = -1, list[str]()
    messages = given["messages"] if isinstance(given["messages"], list) else [None]
    for message in [m if isinstance(m, dict) else {} for m in messages]:
        role, content = message.get("type"), message.get("content")
        if role not in ROLES or not isinstance(content, str):
            fail(where, f"has a message without a type ({', '.join(ROLES)}) or a content; give both.")
        kind = None
        if role == "QUESTION":
            number, (kind, choices) = number + 1, _question_type(message, where)
        elif role == "ANSWER":
            content = chosen(content, choices)
        offered = choices if role == "QUESTION" else []
        yield _row(role.lower(), content, max(number, 0), conversation, kind, offered, message.get("user"))


def has_pixano_form(value: Any) -> bool:
    """Whether a value has the form of conversations; other tools have other values under that name."""
    first = value[0] if isinstance(value, list) and value else None
    first = first[0] if isinstance(first, list) and first else first
    return isinstance(first, dict) and bool(first.keys() & {"question", "messages"})


def begins_with_an_answer(value: Any) -> bool:
    """Whether messages are out of order, so that it is not certain which answer belongs to which question."""
    lists = [v.get("messages") for v in value if isinstance(v, dict)] if isinstance(value, list) else []
    roles = [
        [m.get("type") for m in messages if isinstance(m, dict)] for messages in lists if isinstance(messages, list)
    ]
    return any(next((role for role in found if role != "SYSTEM"), None) == "ANSWER" for found in roles)


def _row(
    role: str, content: str, number: int, conversation: str, kind: str | None, choices: Sequence[str], user: Any
) -> Row:
    extra = {"question_type": kind, "choices": list(choices) or None, "user": user or None}
    return Message(role, content, number, conversation, **extra).row()


def _question_type(question: Row, where: str) -> tuple[str, list[str]]:
    """The type and the choices of a question."""
    given, choices = question.get("question_type") or "OPEN", question.get("choices") or []
    kind = given.upper() if isinstance(given, str) else ""
    if kind not in TYPES:
        fail(where, f"has the question type {given!r}; {did_you_mean(kind, TYPES)}")
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        fail(where, "has choices that are not a list of texts; give choices=['…', '…'].")
    if kind != "OPEN" and not choices:
        fail(where, f"asks a question of the type {given!r} without choices; give the list, or make it OPEN.")
    return ("MULTI_CHOICE" if kind == "OPEN" and choices else kind), choices  # as Pixano's own import does


def chosen(content: str, choices: Sequence[str], explanation: str | None = None) -> str:
    """An answer with its choices as texts; anything but letters of the choices stays as it is.

    >>> chosen("[[A,C]] both meow", ["a cat", "a dog", "a kitten"]), chosen("B", ["yes", "no"])
    ('a cat, a kitten: both meow', 'no')
    """
    bracketed = _LETTERS_IN_BRACKETS.fullmatch(content) if choices else None
    letters, why = (bracketed[1], bracketed[2] or explanation or "") if bracketed else (content, explanation or "")
    if (texts := parse_answer(letters, choices)) is not None and not texts[1]:
        return format_answer(texts[0], why)
    found = choices_of_letters(letters, choices)
    return format_answer(found, why) if found else content
