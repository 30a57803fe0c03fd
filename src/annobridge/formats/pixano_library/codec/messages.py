"""Conversations: labels of the kind ``message`` <-> Pixano's messages.

Pixano numbers the questions of a conversation itself and chooses the ids of messages, so messages that were just imported are
identified by their content. A chosen answer is ``[[A]]`` in Pixano, a letter for a position in ``choices``; labels have its text.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ....core.pairing import pair
from ....core.rows import attributes
from ....core.schema.choices import answer_as_letters, choices_of_letters, format_answer
from .layout import Layout

Row = dict[str, Any]
ROLES = ("system", "question", "answer")
ATTRIBUTES = ("choices", "conversation", "question_type", "user")
QUESTION_TYPES = ("OPEN", "SINGLE_CHOICE", "SINGLE_CHOICE_EXPLANATION", "MULTI_CHOICE", "MULTI_CHOICE_EXPLANATION")
NO_USER = "annobridge"  # Pixano insists on a user; this one stands for none
_LETTERS = re.compile(r"\[\[(.*?)\]\]\s*(.*)", re.DOTALL)


def to_letters(content: str, choices: Sequence[str]) -> str:
    """An answer with its choices (``a``, ``a, c`` or ``a: because``) as Pixano's letters; other content unchanged."""
    found = answer_as_letters(content, choices)
    return content if found is None else f"[[{','.join(found[0])}]] {found[1]}".rstrip()


def from_letters(content: str, choices: Sequence[str]) -> str:
    """The inverse of ``to_letters``."""
    match = _LETTERS.fullmatch(content)
    found = choices_of_letters(match[1], choices) if match else []
    return format_answer(found, match[2]) if match and found else content


def encode(labels: pa.Table, layout: Layout) -> list[Row]:
    """Message labels as Pixano's messages, in the order of sending, with the number that Pixano will give them.

    Args:
        labels: labels with their ``remote_id``; those of other kinds are skipped.
        layout: says which record each sample is.

    Returns:
        Columns of ``tables.MESSAGES`` but ``id``, and the ``remote_id`` of the label.
    """
    records = {sample: record for record, sample in layout.samples.items()}
    threads: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for label in labels.filter(pc.equal(labels["kind"], "message")).to_pylist():
        extra = {a["name"]: json.loads(a["value"]) for a in label["attributes"] or ()}
        record = records.get(label["sample_id"]) or str(label["sample_id"])
        threads[record, str(extra.get("conversation", "0"))].append({**label, "extra": extra})
    return [m for (record, thread), rows in threads.items() for m in _thread(record, thread, rows)]


def _thread(record: str, thread: str, rows: list[Row]) -> Iterator[Row]:
    rows.sort(key=lambda r: (r["index"] or 0, ROLES.index(r["label"])))
    number, index = -1, None
    choices: list[str] = []
    for row in rows:
        extra, is_question = row["extra"], row["label"] == "question"
        if row["index"] != index:
            choices, index = [], row["index"]
        if is_question:
            number, choices = number + 1, [str(c) for c in extra.get("choices") or ()]
        question_type = ""
        if is_question:
            question_type = str(extra.get("question_type", "SINGLE_CHOICE" if choices else "OPEN"))
        content = json.loads(row["value"])
        yield {
            "remote_id": row["remote_id"],
            "record_id": record,
            # One conversation id may occur on many images, and Pixano derives the ids of messages from it.
            "conversation_id": f"{record}:{thread}",
            "number": 0 if row["label"] == "system" else max(number, 0),
            "type": row["label"].upper(),
            "content": to_letters(content, choices) if row["label"] == "answer" else content,
            "question_type": question_type,
            "choices": choices if is_question else [],
            "user": str(extra.get("user") or NO_USER),
        }


_CONTENT = ("record_id", "conversation_id", "number", "type", "content")


def match_ids(sent: Sequence[Row], found: Iterable[Row]) -> dict[str, str]:
    """Pixano's id of each message that was sent, by its ``remote_id``. Messages of equal content are taken in order."""
    found_of_sent = pair(sent, found, lambda row: tuple(row[name] for name in _CONTENT))
    return {ours["remote_id"]: theirs["id"] for ours, theirs in zip(sent, found_of_sent, strict=True) if theirs}


def decode(found: Sequence[Row], known: Mapping[str, Row], sent: Mapping[str, Row]) -> list[Row]:
    """Pixano's messages as columns of labels.

    Args:
        found: rows of ``tables.MESSAGES``.
        known: the labels as they were sent, by Pixano's id.
        sent: the messages that were made of them, by Pixano's id. Where a message is as it was sent, so is the label.
    """
    choices = {(m["conversation_id"], m["number"]): m["choices"] for m in found if m["type"] == "QUESTION"}
    return [_label(m, choices, known.get(m["id"], {}), sent.get(m["id"], {})) for m in found]


def _label(message: Row, choices: Mapping[tuple[str, int], list[str]], label: Row, sent: Row) -> Row:
    content = message["content"]
    if message["type"] == "ANSWER":
        content = from_letters(content, choices.get((message["conversation_id"], message["number"]), []))
    return {
        "remote_id": message["id"],
        "record_id": message["record_id"],
        "label": message["type"].lower(),
        "value": label["value"] if sent and message["content"] == sent["content"] else json.dumps(content),
        "index": label["index"] if label else message["number"],
        "attributes": _attributes(message, label, sent),
    }


def _attributes(message: Row, label: Row, sent: Row) -> list[dict[str, str]]:
    """The attributes of the label, with those replaced that differ from what was sent."""
    kept = {a["name"]: a for a in label.get("attributes") or ()}
    changed: dict[str, Any] = {}
    for name in ATTRIBUTES:
        value = _attribute(message, name)
        if not sent or value != _attribute(sent, name):
            kept.pop(name, None)
            changed[name] = value or None
    return sorted([*kept.values(), *attributes(changed)], key=lambda a: a["name"])


def _attribute(message: Row, name: str) -> Any:
    if name == "conversation":  # as the label has it, without the record
        return str(message["conversation_id"]).removeprefix(f"{message['record_id']}:")
    return message[name]
