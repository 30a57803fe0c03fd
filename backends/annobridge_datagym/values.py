"""Values: our JSON texts <-> the words of DataGym's classifications, which are all texts.

No words, ``null`` and an empty text are one: nothing is chosen, nothing is written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from annobridge.core import attr_text
from annobridge.core.schema import Attribute

from . import names

Json = dict[str, Any]
Words = tuple[str, ...]
SELECT, CHECKLIST, FREETEXT = "select", "checklist", "freetext"


@dataclass(frozen=True, slots=True)
class Question:
    """One classification: how it is asked, and what its options stand for (key -> JSON text).

    ``below`` is the key of the classification that it hangs on, if it hangs on one; ``attribute`` is ``None`` where the answer is
    a class or a value.
    """

    key: str
    shown: str
    type: str
    attribute: Attribute | None = None
    options: dict[str, str] = field(default_factory=dict)
    below: str | None = None

    def definition(self) -> Json:
        """The entry of the label configuration, without children."""
        made: Json = {"entryKey": self.key, "entryValue": self.shown, "type": self.type, "required": False}
        if self.type == FREETEXT:
            return {**made, "maxLength": names.LONGEST_TEXT}
        return {
            **made,
            "options": {key: attr_text.to_plain(text)[: names.LONGEST_TEXT] for key, text in self.options.items()},
        }

    def encode(self, text: str | None) -> Words:
        """The words for a JSON text. Raises ``KeyError`` for what is no option."""
        if text is None:
            return ()
        if self.type == FREETEXT:
            word = attr_text.to_plain(text)
            return (word,) if word else ()
        back = {attr_text.to_plain(t): k for k, t in self.options.items()}
        if self.type == CHECKLIST:
            return tuple(sorted({back[attr_text.to_plain(json.dumps(v))] for v in json.loads(text)}))
        return (back[attr_text.to_plain(text)],)

    def decode(self, found: Words) -> str | None:
        """The JSON text for words. What is no option, or not of the type, stays a text, and is reported as such."""
        if not found:
            return None
        kind = self.attribute.type if self.attribute else "text"
        if self.type == FREETEXT:
            return attr_text.from_plain(kind, found[0])
        if self.type == CHECKLIST:
            return json.dumps([json.loads(self.options.get(w, json.dumps(w))) for w in found])
        return self.options.get(found[0], json.dumps(found[0]))

    def misfit(self, text: str, most: int = names.LONGEST_TEXT) -> str | None:
        """Why a value cannot be sent, or ``None``. ``most`` are the characters that a free text may have."""
        a = self.attribute
        if a is not None and not a.accepts(json.loads(text)):
            return f"is not {a.expects}"
        try:
            found = self.encode(text)
        except KeyError as error:
            return f"holds {error.args[0]!r}, which is not one of {', '.join(map(attr_text.to_plain, self.options.values()))}"
        size, most = max(map(len, found), default=0), most if self.type == FREETEXT else names.LONGEST_TEXT
        return f"has {size} characters, and DataGym keeps {most}" if size > most else None


def question(a: Attribute, key: str, label: str, below: str | None) -> Question:
    """How DataGym asks for an attribute; ``label`` is what people read."""
    if a.type == "checkbox":
        return Question(key, label, SELECT, a, {"true": "true", "false": "false"}, below)
    if a.values:
        return Question(key, label, CHECKLIST if a.type == "list" else SELECT, a, options(a.values), below)
    return Question(key, label, FREETEXT, a, {}, below)


def options(choices: tuple[Any, ...]) -> dict[str, str]:
    """Option keys that do not collide, and the JSON text of each."""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for choice in choices:
        text = json.dumps(choice)
        found = names.option(attr_text.to_plain(text), taken)
        taken.add(found.lower())
        made[found] = text
    return made
