"""What a load with decisions promises, in plain dictionaries; see ``merge_model``. Nothing of annobridge is used here.

A change is known by the label's name and the component. Each is decided alone: taken as it is proposed, refused, left for
later, settled for one of the sides, or with another value. What nobody decides happens as in a load without a review.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.bridge.merge_model import ASKED, ATTRIBUTES, CARRIED, Label, Labels, Outcome, Write, differ

Change = tuple[str, str]
LOOKED_AT = (*CARRIED, "tags", "confidence")
LEFT = "left"


class Proposal(NamedTuple):
    """A change that the tool proposes: what kind it is, and what there is to look at."""

    kind: str
    content: tuple[Any, ...]


def _of(label: Label | None, part: str) -> Any:
    if label is None:
        return None
    return label[part] if part != "existence" else tuple(repr(label[p]) for p in LOOKED_AT)


def proposals(base: Labels, theirs: Labels, ours: Labels, answered: Iterable[str]) -> dict[Change, Proposal]:
    """Every change of the tool that would be made here, or is in conflict with one that was made here."""
    found: dict[Change, Proposal] = {}
    for name in {**base, **theirs}:
        sent, there, here = base.get(name), theirs.get(name), ours.get(name)
        if (sent or there or {})["sample"] in answered:
            for part, kind in _kinds(sent, there, here).items():
                found[name, part] = Proposal(kind, (kind, *(_of(side, part) for side in (sent, here, there))))
    return found


def _kinds(sent: Label | None, there: Label | None, here: Label | None) -> dict[str, str]:
    if there is None:
        assert sent is not None
        return {} if here is None else {"existence": "delete/edit" if differ(here, sent) else "delete"}
    if sent is None:
        return {"existence": "add"} if here is None else {"existence": "add/add"} if differ(here, there, ASKED) else {}
    edited = differ(sent, there, ASKED)
    if here is None:
        return {"existence": "edit/delete"} if edited else {}
    return {part: "edit/edit" if here[part] != sent[part] else "edit" for part in edited if here[part] != there[part]}


def effective(kind: str, verdict: str | None, policy: str, undecided: str) -> str:
    """What happens: take | keep | base | both | value | left."""
    if verdict is None:
        if undecided == "leave":
            return LEFT
        verdict = policy if "/" in kind else "accept"
    return {"accept": "take", "theirs": "take", "refuse": "keep", "ours": "keep"}.get(verdict, verdict)


def merge(
    base: Labels, theirs: Labels, ours: Labels, answered: Iterable[str], ends: Mapping[Change, tuple[str, Any]]
) -> Outcome:
    """A load; ``ends`` says what happens to each change, with the value for ``"value"``."""
    out = Outcome(dict(base))
    for name in {**base, **theirs}:
        sent, there, here = base.get(name), theirs.get(name), ours.get(name)
        if (sent or there or {})["sample"] not in answered:
            continue
        if sent is not None and there is not None and here is not None:
            _edited(out, name, sent, there, here, ends)
        else:
            _came_or_went(out, name, sent, there, here, ends.get((name, "existence"), ("take", None))[0])
    return out


def _came_or_went(
    out: Outcome, name: str, sent: Label | None, there: Label | None, here: Label | None, end: str
) -> None:
    if end in ("keep", LEFT):
        return
    if there is None:
        del out.base[name]
        if here is not None:
            out.writes.append(Write("delete", name, here, None))
    elif here is not None and end == "take":  # the same new label on both sides
        if apart := differ(here, there, ASKED):
            out.writes.append(Write("edit", name, here, here | {p: there[p] for p in apart}, tuple(apart)))
        out.base[name] = dict(there)
    elif end == "both":
        out.writes.append(Write("add", f"{name}'", None, {**there, "column": None}))
        out.base[f"{name}'"] = dict(there)
    else:
        whole = dict(there) if sent is None else {**sent, **{p: there[p] for p in differ(sent, there, ASKED)}}
        if sent is None or differ(sent, there, ASKED):
            out.writes.append(Write("add", name, None, {**whole, "column": None}))
            out.base[name] = whole


def _edited(
    out: Outcome, name: str, sent: Label, there: Label, here: Label, ends: Mapping[Change, tuple[str, Any]]
) -> None:
    new, accepted = dict(here), {}
    for part in differ(sent, there, ASKED):
        end, value = ends.get((name, part), ("take", None))  # without a proposal, both sides agree
        if end in ("keep", LEFT):
            continue
        if part in ATTRIBUTES and sent["label"] != there["label"] and "label" not in accepted:
            continue  # tools reset attributes with the class, which is not taken
        accepted[part] = there[part]
        new[part] = {"take": there[part], "base": sent[part], "value": value}[end]
    if changed := differ(here, new):
        out.writes.append(Write("edit", name, here, new, tuple(changed)))
    out.base[name] = {**sent, **accepted}
