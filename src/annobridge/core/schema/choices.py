"""Choices: the answer to a question that offers some, as Pixano's letters and as the texts of the choices.

As text an answer is a choice, or several (``a cat, a dog``), and perhaps an explanation after a colon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTERS = re.compile(r"\s*[A-Z](\s*[;,]\s*[A-Z])*\s*")
_MOST_LETTERS = 26


def choices_of_letters(letters: str, choices: Sequence[str]) -> list[str]:
    """The choices that letters stand for, one for each place; none where they are no letters of these choices.

    >>> picked("A;C", ["a cat", "a dog", "a bird"])
    ['a cat', 'a bird']
    """
    places = [ord(c) - 65 for c in re.findall("[A-Z]", letters)] if _LETTERS.fullmatch(letters) else []
    return [choices[p] for p in places] if all(p < len(choices) for p in places) else []


def format_answer(chosen: Sequence[str], explanation: str) -> str:
    """An answer as text."""
    return f"{', '.join(chosen)}: {explanation}" if explanation else ", ".join(chosen)


def answer_as_letters(answer: str, choices: Sequence[str]) -> tuple[list[str], str] | None:
    """The letters and the explanation of an answer; ``None`` for one that is not made of the choices.

    >>> letters_of("a cat, a kitten: both meow", ["a cat", "a dog", "a kitten"])
    (['A', 'C'], 'both meow')
    """
    found = parse_answer(answer, choices)
    if found is None or len(choices) > _MOST_LETTERS:
        return None
    return [chr(65 + list(choices).index(c)) for c in found[0]], found[1]


def parse_answer(answer: str, choices: Sequence[str]) -> tuple[list[str], str] | None:
    """The choices and the explanation of an answer; ``None`` for one that is not made of the choices.

    >>> chosen_of("a cat, a kitten: both meow", ["a cat", "a dog", "a kitten"])
    (['a cat', 'a kitten'], 'both meow')
    """
    head, _, why = (answer, "", "") if answer in choices else answer.partition(": ")
    chosen = [head] if head in choices else head.split(", ")
    return (chosen, why) if choices and all(c in choices for c in chosen) else None
