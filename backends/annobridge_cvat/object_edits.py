"""What a push changes of an object on the server: the components that differ between the label as it was and as it is to be.

Everything else of the object stays as the server has it now, so that what people changed meanwhile is not overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .encode import shape_items, tag_item
from .tracks import Shape
from .vocabulary import Vocabulary

Json = dict[str, Any]
_SPATIAL = ("type", "points", "rotation", "elements")


class Misfit(Exception):
    """An edit that has no place in the object as it is now; the message is the end of a note."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two encoded labels.

    Attributes:
        label: whether it gets another label of CVAT, with all attributes of that.
        spatial: whether its shape changes.
        attributes: the new string of each attribute that changes, by name.
        builtin: the new values of those of CVAT's builtin properties that are attributes here, and change.
    """

    label: bool
    spatial: bool
    attributes: Mapping[str, str]
    builtin: Mapping[str, Any]

    @classmethod
    def between(cls, before: Shape | None, wanted: Shape) -> Changes:
        """The changes from a label to another; from ``None``, everything is one."""
        strings = strings_by_name(wanted)
        if before is None:
            return cls(True, True, strings, wanted.builtin)
        old, label = strings_by_name(before), before.entry.number != wanted.entry.number
        return cls(
            label,
            _spatial(before) != _spatial(wanted),
            {name: s for name, s in strings.items() if label or old.get(name) != s},
            {
                key: wanted.builtin[key]
                for key in wanted.entry.builtin.values()
                if before.builtin[key] != wanted.builtin[key]
            },
        )

    def names(self, wanted: Shape) -> set[str]:
        """The names of the dataset's attributes among them."""
        return {*self.attributes, *(name for name, key in wanted.entry.builtin.items() if key in self.builtin)}


def strings_by_name(shape: Shape) -> dict[str, str]:
    """The strings of the attributes of an encoded label."""
    names = {number: name for name, number in shape.entry.attributes.items()}
    return {names[a["spec_id"]]: a["value"] for a in shape.attributes}


def _spatial(shape: Shape) -> list[Any]:
    parts = [list(shape.elements(part)) for part in shape.parts] if shape.type == "skeleton" else shape.parts
    return [shape.type, shape.rotation, parts]


def with_attributes(
    given: Iterable[Json], changes: Mapping[str, str], label: int, vocabulary: Vocabulary
) -> list[Json]:
    """The attributes of an object that has a ``label`` of CVAT, with some changed. Raises ``Misfit`` for one that is not there."""
    entry = vocabulary.by_number.get(label)
    numbers = {name: entry.attributes.get(name) if entry else None for name in changes}
    if lost := [name for name, number in numbers.items() if number is None]:
        raise Misfit(f"have no attribute {lost[0]!r} in CVAT any more, as their class was changed there")
    new = {numbers[name]: string for name, string in changes.items()}
    kept = [a for a in given if a["spec_id"] not in new]
    return [*kept, *({"spec_id": number, "value": string} for number, string in new.items())]


@dataclass(slots=True)
class ObjectEdit:
    """What to send for one label: objects to ``update``, whole and with their ids; to ``create``; and to ``delete``.

    ``kept`` are the objects that it is made of and that exist already, in order; those to create come after them.
    """

    update: list[Json] = field(default_factory=list)
    create: list[Json] = field(default_factory=list)
    delete: list[Json] = field(default_factory=list)
    kept: list[Json] = field(default_factory=list)


def edit_objects(
    now: Sequence[Json], wanted: Shape, changes: Changes, vocabulary: Vocabulary, groups: Iterator[int]
) -> ObjectEdit:
    """Edit a label that is a tag or shapes.

    Args:
        now: the objects that it is made of, as the server has them; at least one.
        wanted: the label as it is to be.
        changes: what of it is to be changed.
        vocabulary: the vocabulary with the ids that the server uses now.
        groups: numbers of groups that nothing has.

    Raises:
        Misfit: people have changed its class, and the new one lacks an attribute that is to be changed.
    """
    made, out = _changed(now[0], wanted, changes, vocabulary), ObjectEdit()
    if not changes.spatial or wanted.type == "tag":
        pairs = [(old, _changed(old, wanted, changes, vocabulary)) for old in now]
    else:
        group = made.get("group") or (next(groups) if len(wanted.parts) > 1 and wanted.type != "skeleton" else 0)
        items = [
            {**made, **{key: item[key] for key in _SPATIAL}, "group": group} for item in shape_items(wanted, count())
        ]
        pairs = [({}, item) for item in items]
        for n, old in enumerate(now[: len(items)]):
            pairs[n] = (old, {**items[n], "id": old["id"], "elements": _with_ids(items[n]["elements"], old)})
        out.delete = list(now[len(items) :])
    for old, new in pairs:
        if not old:
            out.create.append({key: value for key, value in new.items() if key != "id"})
            continue
        out.kept.append(old)
        if new != old:
            out.update.append(new)
    return out


def _changed(old: Json, wanted: Shape, changes: Changes, vocabulary: Vocabulary) -> Json:
    """An object with everything changed but its shape."""
    new = {**old, **{key: value for key, value in changes.builtin.items() if key in old}}
    if changes.label:
        return {**new, "label_id": wanted.entry.number, "attributes": wanted.attributes}
    if changes.attributes:
        new["attributes"] = with_attributes(old["attributes"], changes.attributes, old["label_id"], vocabulary)
    return new


def _with_ids(elements: Iterable[Json], old: Json) -> list[Json]:
    """The points of a skeleton with the ids, and the attributes, that they have on the server."""
    there = {e["label_id"]: e for e in old.get("elements") or ()}
    moved = ("points", "occluded", "outside")
    return [
        {**there[e["label_id"]], **{key: e[key] for key in moved}} if e["label_id"] in there else e for e in elements
    ]


def new_items(wanted: Shape, groups: Iterator[int]) -> list[Json]:
    """The objects to create for a label that is a tag or shapes."""
    return [tag_item(wanted)] if wanted.type == "tag" else list(shape_items(wanted, groups))
