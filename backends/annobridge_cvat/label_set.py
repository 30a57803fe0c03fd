"""The label set that a task has on the server now: which of its labels and attributes belong to the entries that were sent.

They are found by id, or else by name: a task that moves into a project gets the project's labels and attributes, with other
ids, and so does a label or an attribute that somebody deletes and makes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .vocabulary import Entry, Vocabulary

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CurrentLabels:
    """A vocabulary with the ids that the server uses now, and the names of all labels there, by id.

    ``unknown`` are the entries that have no label there; ``renumbered`` those that were found by name only.
    """

    vocabulary: Vocabulary
    names: Mapping[int, str]
    unknown: tuple[Entry, ...] = ()
    renumbered: tuple[Entry, ...] = ()


def find_labels(vocabulary: Vocabulary, labels: Sequence[Json]) -> CurrentLabels:
    """Find the label of each entry in a label set of the server. ``vocabulary`` has the ids of when it was sent."""
    by_id = {label["id"]: label for label in labels}
    matched = by_id.keys() & {e.number for e in vocabulary.entries}
    by_name = {label["name"]: label for label in labels if label["id"] not in matched}
    entries, unknown, renumbered = [], [], []
    for entry in vocabulary.entries:
        label = by_id.get(entry.number)
        if label is None and (label := by_name.get(entry.name)) is not None:
            entry = _renumbered(entry, label)
            renumbered.append(entry)
        elif label is None:
            unknown.append(entry)
        else:
            entry = _updated(entry, label)
        entries.append(entry)
    names = {number: label["name"] for number, label in by_id.items()}
    return CurrentLabels(Vocabulary(entries, vocabulary.kinds), names, tuple(unknown), tuple(renumbered))


def _renumbered(entry: Entry, label: Json) -> Entry:
    """The entry with the ids of another label that has its name."""
    points = {s["name"]: s["id"] for s in label.get("sublabels") or ()}
    return replace(
        entry,
        number=label["id"],
        points=tuple(points.get(name, number) for name, number in zip(entry.skeleton, entry.points, strict=True)),
        attributes={a["name"]: a["id"] for a in label["attributes"] if a["name"] in entry.attributes},
    )


def _updated(entry: Entry, label: Json) -> Entry:
    """The entry with the attributes that its label has now. One that was deleted and made again is found by name; it has its
    default on every shape until somebody sets it.
    """
    by_id = {a["id"]: a for a in label["attributes"]}
    by_name = {a["name"]: a for a in label["attributes"] if a["id"] not in entry.attributes.values()}
    attributes, remade = {}, {}
    for name, number in entry.attributes.items():
        if number in by_id:
            attributes[name] = number
        elif name in by_name:
            attributes[name] = by_name[name]["id"]
            remade[name] = str(by_name[name]["default_value"])
    return replace(entry, attributes=attributes, remade=remade)


def project_of(labels: Iterable[Json]) -> int | None:
    """The id of the project that a label set belongs to; ``None`` for that of a task without a project."""
    return next((label.get("project_id") for label in labels), None)
