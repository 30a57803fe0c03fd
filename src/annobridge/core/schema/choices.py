"""Answers to questions with choices: as text, and as the letters that Pixano uses.

As text, an answer is one choice or several (``a cat, a dog``), and optionally an explanation after a colon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTERS = re.compile(r"\s*[A-Z](\s*[;,]\s*[A-Z])*\s*")
_MAX_CHOICES = 26  # that have a letter


def choices_of_letters(letters: str, choices: Sequence[str]) -> list[str]:
    """The choices that the letters stand for: ``A`` is the first. Empty if the text is not letters of these choices.

    >>> choices_of_letters("A;C", ["a cat", "a dog", "a bird"])
    ['a cat', 'a bird']
    """
    indices = [ord(c) - 65 for c in re.findall("[A-Z]", letters)] if _LETTERS.fullmatch(letters) else []
    return [choices[i] for i in indices] if all(i < len(choices) for i in indices) else []


def format_answer(chosen: Sequence[str], explanation: str) -> str:
    """The chosen choices and an explanation (which may be empty) as text."""
    return f"{', '.join(chosen)}: {explanation}" if explanation else ", ".join(chosen)


def answer_as_letters(answer: str, choices: Sequence[str]) -> tuple[list[str], str] | None:
    """The letters and the explanation of an answer; ``None`` if the answer is not made of the choices.

    >>> answer_as_letters("a cat, a kitten: both meow", ["a cat", "a dog", "a kitten"])
    (['A', 'C'], 'both meow')
    """
    found = parse_answer(answer, choices)
    if found is None or len(choices) > _MAX_CHOICES:
        return None
    return [chr(65 + list(choices).index(c)) for c in found[0]], found[1]


def parse_answer(answer: str, choices: Sequence[str]) -> tuple[list[str], str] | None:
    """The choices and the explanation of an answer; ``None`` if the answer is not made of the choices.

    >>> parse_answer("a cat, a kitten: both meow", ["a cat", "a dog", "a kitten"])
    (['a cat', 'a kitten'], 'both meow')
    """
    head, _, explanation = (answer, "", "") if answer in choices else answer.partition(": ")
    chosen = [head] if head in choices else head.split(", ")
    return (chosen, explanation) if choices and all(c in choices for c in chosen) else None
