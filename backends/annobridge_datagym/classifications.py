"""Classifications of DataGym, which ask for an attribute or a class, and their answers: JSON text <-> strings.

An answer is a tuple of strings: the keys of the chosen options, or the text. DataGym does not tell an empty text from no answer, so
``null`` and an empty text are both sent as an empty tuple.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from annobridge.backend.kit import choice_text, choices_text
from annobridge.core import attr_text
from annobridge.core.schema import Attribute

from . import names

Json = dict[str, Any]
Answer = tuple[str, ...]
SELECT, CHECKLIST, FREETEXT = "select", "checklist", "freetext"


@dataclass(frozen=True, slots=True)
class Classification:
    """One classification of the label configuration.

    ``attribute`` is the attribute that it asks for, or ``None`` where the answer is a class or the value of a scalar. ``options``
    maps the key of each option to the JSON text of its value. ``parent`` is the key of the classification that it is nested in.
    """

    key: str
    display_name: str
    type: str
    attribute: Attribute | None = None
    options: dict[str, str] = field(default_factory=dict)
    parent: str | None = None

    def configuration(self) -> Json:
        """The entry of the label configuration, without its children."""
        entry: Json = {"entryKey": self.key, "entryValue": self.display_name, "type": self.type, "required": False}
        if self.type == FREETEXT:
            return {**entry, "maxLength": names.LONGEST_TEXT}
        options = {key: attr_text.to_plain(text)[: names.LONGEST_TEXT] for key, text in self.options.items()}
        return {**entry, "options": options}

    def encode(self, text: str | None) -> Answer:
        """The answer for a JSON text. Raises ``KeyError`` for a value that is not an option."""
        if text is None:
            return ()
        if self.type == FREETEXT:
            plain = attr_text.to_plain(text)
            return (plain,) if plain else ()
        key_of = {attr_text.to_plain(option): key for key, option in self.options.items()}
        if self.type == CHECKLIST:
            return tuple(sorted({key_of[attr_text.to_plain(json.dumps(value))] for value in json.loads(text)}))
        return (key_of[attr_text.to_plain(text)],)

    def decode(self, answer: Answer) -> str | None:
        """The JSON text for an answer. What is not an option, or not of the attribute's type, is returned as a JSON string."""
        if not answer:
            return None
        if self.type == FREETEXT:
            return attr_text.from_plain(self.attribute.type if self.attribute else "text", answer[0])
        if self.type == CHECKLIST:
            return choices_text(answer, self.options)
        return choice_text(answer[0], self.options)

    def problem_with(self, text: str, max_length: int = names.LONGEST_TEXT) -> str | None:
        """Why a value cannot be sent, as the end of a sentence, or ``None``. ``max_length`` is the limit of a free text."""
        if self.attribute is not None and not self.attribute.accepts(json.loads(text)):
            return f"is not {self.attribute.expects}"
        try:
            answer = self.encode(text)
        except KeyError as error:
            return f"holds {error.args[0]!r}, which is not one of {', '.join(map(attr_text.to_plain, self.options.values()))}"
        limit = max_length if self.type == FREETEXT else names.LONGEST_TEXT
        size = max(map(len, answer), default=0)
        return f"has {size} characters, and DataGym keeps {limit}" if size > limit else None


def for_attribute(attribute: Attribute, key: str, display_name: str, parent: str | None) -> Classification:
    """The classification that asks for an attribute."""
    if attribute.type == "checkbox":
        return Classification(key, display_name, SELECT, attribute, {"true": "true", "false": "false"}, parent)
    if attribute.values:
        type_ = CHECKLIST if attribute.type == "list" else SELECT
        return Classification(key, display_name, type_, attribute, options_of(attribute.values), parent)
    return Classification(key, display_name, FREETEXT, attribute, {}, parent)


def options_of(choices: tuple[Any, ...]) -> dict[str, str]:
    """A distinct option key for each choice, with the choice as JSON text."""
    options: dict[str, str] = {}
    used: set[str] = set()
    for choice in choices:
        text = json.dumps(choice)
        key = names.option_key(attr_text.to_plain(text), used)
        used.add(key.lower())
        options[key] = text
    return options
