"""Numbers: those that the server has for a vocabulary's labels and attributes now, found by number, or else by name.

A task that moves into a project gets the project's labels and attributes, under other numbers; so does a label, or an attribute,
that is deleted and made again. What is found in neither way says nothing about what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .vocabulary import Entry, Vocabulary

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Current:
    """A vocabulary with the numbers of now, and the names of all labels of the server.

    ``unknown`` are the entries that have no label there; ``renumbered`` those that were found by name only.
    """

    vocabulary: Vocabulary
    names: Mapping[int, str]
    unknown: tuple[Entry, ...] = ()
    renumbered: tuple[Entry, ...] = ()


def current(vocabulary: Vocabulary, labels: Sequence[Json]) -> Current:
    """Find each entry of a vocabulary, as it was sent, in a label set of the server."""
    by_number = {label["id"]: label for label in labels}
    theirs = by_number.keys() & {e.number for e in vocabulary.entries}
    by_name = {label["name"]: label for label in labels if label["id"] not in theirs}
    entries, unknown, renumbered = [], [], []
    for entry in vocabulary.entries:
        label = by_number.get(entry.number)
        if label is None and (label := by_name.get(entry.name)) is not None:
            entry = _renumbered(entry, label)
            renumbered.append(entry)
        elif label is None:
            unknown.append(entry)
        else:
            entry = _kept(entry, label)
        entries.append(entry)
    names = {number: label["name"] for number, label in by_number.items()}
    return Current(Vocabulary(entries, vocabulary.kinds), names, tuple(unknown), tuple(renumbered))


def _renumbered(entry: Entry, label: Json) -> Entry:
    """The entry as another label of its name has it."""
    spots = {s["name"]: s["id"] for s in label.get("sublabels") or ()}
    points = tuple(spots.get(name, number) for name, number in zip(entry.skeleton, entry.points, strict=True))
    attributes = {a["name"]: a["id"] for a in label["attributes"] if a["name"] in entry.attributes}
    return replace(entry, number=label["id"], points=points, attributes=attributes)


def _kept(entry: Entry, label: Json) -> Entry:
    """The entry with its attributes as its label has them now; those that were made again hold defaults only."""
    there = {a["id"]: a for a in label["attributes"]}
    by_name = {a["name"]: a for a in label["attributes"] if a["id"] not in entry.attributes.values()}
    attributes, remade = {}, {}
    for name, number in entry.attributes.items():
        if number in there:
            attributes[name] = number
        elif name in by_name:
            attributes[name] = by_name[name]["id"]
            remade[name] = str(by_name[name]["default_value"])
    return replace(entry, attributes=attributes, remade=remade)


def project_of(labels: Iterable[Json]) -> int | None:
    """The number of the project that a label set belongs to; ``None`` for that of a task alone."""
    return next((label.get("project_id") for label in labels), None)
