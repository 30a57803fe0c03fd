"""What a load promises, in plain dictionaries. Nothing of annobridge is used here.

A label is everything that is known of it, in one dictionary: what the tool is asked about (``ASKED``), what it is not asked
about (an attribute outside the schema, tags, confidence), and where the label is (sample, field). The promise:

* A part that changed on one side only takes that side's value; one that changed on both to different values is a conflict.
* A label that was deleted in the tool is deleted here only if it is here exactly as it was sent, in every respect.
  Otherwise it is a conflict.
* Under ``"ours"`` a conflict leaves the label here as it is; under ``"theirs"`` the tool decides. It is listed either way.
* What the tool was not asked about is never changed by a load.
* What is not allowed is not done, and is listed.

``origin`` is the label's name in the model, kept in an attribute, and ``column`` its value in a column that a user added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Label = dict[str, Any]
Labels = dict[str, Label]
Finding = tuple[str, str]  # component and sample

ATTRIBUTES = ("attributes.free", "attributes.fixed")
ASKED = ("label", "spatial", *ATTRIBUTES)  # ``spatial`` is the kind of the label with its coordinates
CARRIED = (*ASKED, "attributes.own")  # merged between a field and the field beside it; "own" is outside the schema
WHOLE = (*CARRIED, "tags", "confidence", "sample", "field")


@dataclass(frozen=True)
class Allowed:
    """The restrictions of the run."""

    flags: Mapping[str, bool]
    fixed: bool = False  # whether "attributes.fixed" is read-only

    def edit(self, part: str) -> bool:
        flag = {"label": "allow_label_edits", "spatial": "allow_spatial_edits"}.get(part)
        return self.flags[flag] if flag else not (part == "attributes.fixed" and self.fixed)


EVERYTHING = Allowed(
    dict.fromkeys(["allow_additions", "allow_deletions", "allow_label_edits", "allow_spatial_edits"], True)
)


@dataclass(frozen=True)
class Write:
    """What a load does to one label here; ``parts`` are those that an edit changes."""

    action: str
    name: str
    old: Label | None
    new: Label | None
    parts: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What a load comes to: what is written here, what the next load compares with, and what is listed."""

    base: Labels
    writes: list[Write] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    conflicts: list[Finding] = field(default_factory=list)

    def applied_to(self, ours: Labels) -> Labels:
        """The labels here after it."""
        changed = {w.name: w.new for w in self.writes}
        return {n: label for n, label in {**ours, **changed}.items() if label is not None}


def differ(a: Label, b: Label, parts: Iterable[str] = WHOLE) -> list[str]:
    """The parts in which two labels differ."""
    return [part for part in parts if a[part] != b[part]]


def merge(
    base: Labels, theirs: Labels, ours: Labels, answered: Iterable[str], allowed: Allowed, policy: str,
    parts: tuple[str, ...] = ASKED,
) -> Outcome:  # fmt: skip
    """A load. ``base`` is what was sent, or what the last load left; ``answered`` are the samples the tool answered for."""
    out = Outcome(dict(base))
    for name in {**base, **theirs}:
        sent, there, here = base.get(name), theirs.get(name), ours.get(name)
        sample = (sent or there or {})["sample"]
        if sample not in answered:
            continue
        if there is None:
            assert sent is not None
            _deleted(out, name, sent, here, allowed, policy)
        elif sent is None:
            _added(out, name, there, here, allowed, policy, parts)
        else:
            _edited(out, name, sent, there, here, allowed, policy, parts)
    return out


def _deleted(out: Outcome, name: str, sent: Label, here: Label | None, allowed: Allowed, policy: str) -> None:
    if not allowed.flags["allow_deletions"]:
        out.refused.append(("existence", sent["sample"]))
        return
    if here is not None and differ(here, sent):
        out.conflicts.append(("existence", sent["sample"]))
        if policy == "ours":
            return
    del out.base[name]
    if here is not None:
        out.writes.append(Write("delete", name, here, None))


def _added(
    out: Outcome, name: str, there: Label, here: Label | None, allowed: Allowed, policy: str, parts: tuple[str, ...]
) -> None:
    if not allowed.flags["allow_additions"]:
        out.refused.append(("existence", there["sample"]))
        return
    taken = dict(there)
    if not allowed.edit("attributes.fixed") and there["attributes.fixed"] is not None:
        out.refused.append(("attributes.fixed", there["sample"]))
        taken["attributes.fixed"] = None
    if here is None:
        out.base[name] = taken
        out.writes.append(Write("add", name, None, {**taken, "column": None}))
        return
    apart = differ(here, taken, parts)  # an undo left it here, as it had been changed
    if apart:
        out.conflicts.append(("existence", there["sample"]))
        if policy == "ours":
            return
        out.writes.append(Write("edit", name, here, here | {p: taken[p] for p in apart}, tuple(apart)))
    out.base[name] = taken


def _edited(
    out: Outcome, name: str, sent: Label, there: Label, here: Label | None, allowed: Allowed, policy: str,
    parts: tuple[str, ...],
) -> None:  # fmt: skip
    accepted: Label = {}
    for part in differ(sent, there, parts):
        if parts is ASKED and part in ATTRIBUTES and sent["label"] != there["label"] and "label" not in accepted:
            out.refused.append((part, sent["sample"]))  # tools reset attributes with the class, which is not taken
        elif not allowed.edit(part):
            out.refused.append((part, sent["sample"]))
        elif here is not None and here[part] != sent[part] and here[part] != there[part]:
            out.conflicts.append((part, sent["sample"]))
            if policy == "theirs":
                accepted[part] = there[part]
        else:
            accepted[part] = there[part]
    if not accepted:
        return
    if here is None:  # deleted here, and edited there
        out.conflicts.append(("existence", sent["sample"]))
        if policy == "ours":
            return
        out.writes.append(Write("add", name, None, {**sent, **accepted, "column": None}))
    elif changed := differ(here, {**here, **accepted}):
        out.writes.append(Write("edit", name, here, {**here, **accepted}, tuple(changed)))
    out.base[name] = {**sent, **accepted}


def copies(
    here: Outcome,
    ours: Labels,
    base: Labels,
    theirs: Labels,
    answered: Iterable[str],
    tasks: Mapping[str, int],
    to: str,
) -> Labels:
    """What the field ``to`` should hold: a copy of each label of the run, as the load would leave it in its own field.

    A label that was moved here to another field, to a sample of another task, or to one without an answer, is not copied.
    """
    found = {}
    for name, label in here.applied_to(ours).items():
        if name not in base and name not in {w.name for w in here.writes}:
            continue
        sent = base.get(name) or theirs[name]
        same_task = tasks[label["sample"]] == tasks[sent["sample"]]
        if label["field"] == sent["field"] and label["sample"] in answered and same_task:
            found[f"{to}/{name}"] = label | {"field": to, "column": None}
    return found


def undo(ours: Labels, write: Write) -> None:
    """Take back one write, unless the label was changed since."""
    now = ours.get(write.name)
    if write.action == "add" and now is not None and write.new is not None and not differ(now, write.new):
        del ours[write.name]
    elif write.action == "delete" and now is None:
        assert write.old is not None
        ours[write.name] = write.old
    elif write.action == "edit" and now is not None:
        assert write.old is not None
        assert write.new is not None
        same = [part for part in write.parts if now[part] == write.new[part]]
        ours[write.name] = now | {part: write.old[part] for part in same}
