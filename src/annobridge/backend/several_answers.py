"""Checks what the method ``answers`` of a backend returned, as ``return_values`` does for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from .return_values import InvalidReturnValue, check_download
from .values import Answer, Download


def check_answers(found: object) -> list[Answer]:
    """The answers, in their exact types. Raises ``InvalidReturnValue``."""
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise InvalidReturnValue(f"an object of type {type(found).__name__} instead of several Answers")
    checked = [_answer(one) for one in found]
    names = Counter(answer.annotator for answer in checked)
    if twice := [name for name, times in names.items() if times > 1]:
        raise InvalidReturnValue(f"several Answers of {twice[0]!r}")
    return checked


def _answer(found: object) -> Answer:
    if not isinstance(found, Answer):
        raise InvalidReturnValue(f"an object of type {type(found).__name__} among the Answers")
    if not isinstance(found.annotator, str) or not found.annotator:
        raise InvalidReturnValue("an Answer whose annotator is not a text, or empty")
    given = check_download(Download(found.labels, found.samples, found.notes))
    return replace(found, labels=given.labels, samples=given.samples, notes=given.notes)
