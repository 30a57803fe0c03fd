"""Conversations: rows of ``message`` labels <-> Pixano's messages.

Pixano numbers the questions of a conversation itself and chooses the ids of messages, so those that were just imported
are found again by what they are. A choice is written ``[[A]]``, a letter per place in ``choices``; here it is its text.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from annobridge.core.rows import attributes
from annobridge.core.schema.choices import as_text, letters_of, picked

Row = dict[str, Any]
ROLES = ("system", "question", "answer")
NAMES = ("choices", "conversation", "question_type", "user")
TYPES = ("OPEN", "SINGLE_CHOICE", "SINGLE_CHOICE_EXPLANATION", "MULTI_CHOICE", "MULTI_CHOICE_EXPLANATION")
_MARKED = re.compile(r"\[\[(.*?)\]\]\s*(.*)", re.DOTALL)


def to_letters(content: str, given: Sequence[str]) -> str:
    """A choice, or several (``a, c``), and an explanation (``a: because``), as Pixano writes them."""
    found = letters_of(content, given)
    return content if found is None else f"[[{','.join(found[0])}]] {found[1]}".rstrip()


def from_letters(content: str, given: Sequence[str]) -> str:
    """The reverse of ``to_letters``; other contents stay as they are."""
    match = _MARKED.fullmatch(content)
    found = picked(match[1], given) if match else []
    return as_text(found, match[2]) if match and found else content


def encode(labels: Iterable[Row], record_of: dict[str, str]) -> list[Row]:
    """Message labels as Pixano's messages, in the order of sending, with the number it will give them.

    Each has the ``remote_id`` of its label.
    """
    threads: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for label in labels:
        extra = {a["name"]: json.loads(a["value"]) for a in label["attributes"] or ()}
        record = record_of.get(label["sample_id"]) or str(label["sample_id"])
        threads[record, str(extra.get("conversation", "0"))].append({**label, "extra": extra})
    return [m for (record, thread), rows in threads.items() for m in _thread(record, thread, rows)]


def _thread(record: str, thread: str, rows: list[Row]) -> Iterator[Row]:
    # One conversation id may occur on many images; ids of messages derive from it, so it takes the record's in front.
    rows.sort(key=lambda r: (r["index"] or 0, ROLES.index(r["label"])))
    number, asked = -1, None
    choices: list[str] = []
    for row in rows:
        extra, question = row["extra"], row["label"] == "question"
        if row["index"] != asked:
            choices, asked = [], row["index"]
        if question:
            number, choices = number + 1, [str(c) for c in extra.get("choices") or ()]
        kind = str(extra.get("question_type", "SINGLE_CHOICE" if choices else "OPEN")) if question else ""
        content = json.loads(row["value"])
        yield {
            "remote_id": row["remote_id"],
            "record_id": record,
            "conversation_id": f"{record}:{thread}",
            "number": 0 if row["label"] == "system" else max(number, 0),
            "type": row["label"].upper(),
            "content": to_letters(content, choices) if row["label"] == "answer" else content,
            "question_type": kind,
            "choices": choices if question else [],
            "user": str(extra.get("user") or "annobridge"),
        }


_SAME = ("record_id", "conversation_id", "number", "type", "content")


def match(sent: Iterable[Row], found: Iterable[Row]) -> dict[str, str]:
    """Server id of each message that was sent, by its ``remote_id``. Equal messages are taken in turn."""
    ids: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for row in found:
        ids[tuple(row[k] for k in _SAME)].append(row["id"])
    out = {}
    for row in sent:
        if same := ids.get(tuple(row[k] for k in _SAME)):
            out[row["remote_id"]] = same.pop(0)
    return out


def decode(found: Sequence[Row], known: dict[str, Row], sent: dict[str, Row]) -> list[Row]:
    """Pixano's messages as label columns.

    ``known`` has the labels by server id, ``sent`` their messages: what is as it was sent stays as it was.
    """
    choices = {(m["conversation_id"], m["number"]): m["choices"] for m in found if m["type"] == "QUESTION"}
    return [_label(m, choices, known.get(m["id"], {}), sent.get(m["id"], {})) for m in found]


def _label(message: Row, choices: dict[tuple[str, int], list[str]], old: Row, sent: Row) -> Row:
    content = message["content"]
    if message["type"] == "ANSWER":
        content = from_letters(content, choices.get((message["conversation_id"], message["number"]), []))
    text = old["value"] if sent and message["content"] == sent["content"] else json.dumps(content)
    return {
        "remote_id": message["id"],
        "record_id": message["record_id"],
        "label": message["type"].lower(),
        "value": text,
        "index": old["index"] if old else message["number"],
        "attributes": _attributes(message, old, sent),
    }


def _attributes(message: Row, old: Row, sent: Row) -> list[dict[str, str]]:
    kept = {a["name"]: a for a in old.get("attributes") or ()}
    now: dict[str, Any] = {}
    for name in NAMES:
        value = _conversation(message) if name == "conversation" else message[name]
        before = (_conversation(sent) if name == "conversation" else sent[name]) if sent else None
        if not sent or value != before:
            kept.pop(name, None)
            now[name] = value or None
    return sorted([*kept.values(), *attributes(now)], key=lambda a: a["name"])


def _conversation(message: Row) -> str:
    return str(message["conversation_id"]).removeprefix(f"{message['record_id']}:")
