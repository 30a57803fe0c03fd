"""Conversations: questions and answers about an image, as messages in the words of ``core.rows.Message``, and back.

Pixano's quickstart shows the choice of an answer as its text; its programs write letters, one for each place in ``choices``
(``A;C``, or ``[[A,C]] why``). Both are read. Here it is the text of the choice, or of several (``a cat, a dog``), and an
explanation after a colon.
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
    """The messages of a record, as label columns. Raises ``InvalidSource``.

    A record has a list of questions with their responses, or a list of such lists, or a list of ``{"id", "messages"}``.
    """
    if not isinstance(value, list):
        fail(where, f"has {CONVERSATIONS!r} that are no list; give a list of {{'question': …, 'responses': […]}}.")
    if value and all(isinstance(v, dict) and "messages" in v for v in value):
        for number, thread in enumerate(value):
            yield from _messages(thread, str(thread.get("id") or number), where)
        return
    threads = value if value and all(isinstance(v, list) for v in value) else [value]
    for number, thread in enumerate(threads):
        for place, exchange in enumerate(thread):
            yield from _exchange(exchange, place, str(number), where)


def _exchange(exchange: Any, number: int, conversation: str, where: str) -> Iterator[Row]:
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


def _messages(thread: Row, conversation: str, where: str) -> Iterator[Row]:
    number, choices = -1, list[str]()
    messages = thread["messages"] if isinstance(thread["messages"], list) else [None]
    for message in [m if isinstance(m, dict) else {} for m in messages]:
        role = message.get("type")
        if role not in ROLES or not isinstance(message.get("content"), str):
            fail(where, f"has a message without a type ({', '.join(ROLES)}) or a content; give both.")
        kind = None
        if role == "QUESTION":
            number, (kind, choices) = number + 1, _question_type(message, where)
        content = chosen(message["content"], choices) if role == "ANSWER" else message["content"]
        asked = choices if role == "QUESTION" else []
        yield _row(role.lower(), content, max(number, 0), conversation, kind, asked, message.get("user"))


def has_pixano_form(value: Any) -> bool:
    """Whether it has the form of conversations; other tools have another under that name."""
    first = value[0] if isinstance(value, list) and value else None
    first = first[0] if isinstance(first, list) and first else first
    return isinstance(first, dict) and bool(first.keys() & {"question", "messages"})


def begins_with_an_answer(value: Any) -> bool:
    """Whether messages are out of order, so that it is not certain which answer belongs to which question."""
    threads = [v.get("messages") for v in value if isinstance(v, dict)] if isinstance(value, list) else []
    heads = [[m.get("type") for m in t if isinstance(m, dict)] for t in threads if isinstance(t, list)]
    return any(next((role for role in roles if role != "SYSTEM"), None) == "ANSWER" for roles in heads)


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
        fail(where, "has choices that are no list of texts; give choices=['…', '…'].")
    if kind != "OPEN" and not choices:
        fail(where, f"asks a question of the type {given!r} without choices; give the list, or make it OPEN.")
    return ("MULTI_CHOICE" if kind == "OPEN" and choices else kind), choices  # so does Pixano's own import


def chosen(content: str, given: Sequence[str], explanation: str | None = None) -> str:
    """An answer with its choices as texts; anything but letters of the choices stays as it is.

    >>> chosen("[[A,C]] both meow", ["a cat", "a dog", "a kitten"]), chosen("B", ["yes", "no"])
    ('a cat, a kitten: both meow', 'no')
    """
    marked = _LETTERS_IN_BRACKETS.fullmatch(content) if given else None
    letters, why = (marked[1], marked[2] or explanation or "") if marked else (content, explanation or "")
    if (texts := parse_answer(letters, given)) is not None and not texts[1]:
        return format_answer(texts[0], why)
    found = choices_of_letters(letters, given)
    return format_answer(found, why) if found else content
