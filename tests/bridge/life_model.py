"""What a run promises over its life, with plain dictionaries: loads, pushes, extensions, undo, on both sides at once.

A label is a dictionary of its components. A side is a dictionary of name → label.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Label = dict[str, object]
Side = dict[str, Label]
GONE = None
COMPONENTS = ("label", "spatial")
Rows = dict[str, Label | None]  # of the baseline: None where a label is gone


@dataclass
class Event:
    """A change of the baseline: the first sending, an extension, a load or a push."""

    rows: Rows = field(default_factory=dict)
    counts: bool = True
    before: dict[str, Label | None] | None = None  # of a load: the labels here before it, by those that it wrote
    written: dict[str, set[str]] = field(default_factory=dict)  # of an edit: the components


def base_of(events: list[Event]) -> Side:
    """The baseline as it stands."""
    found: Rows = {}
    for event in events:
        if event.counts:
            found |= event.rows
    return {name: label for name, label in found.items() if label is not GONE}


def transfer(base: Side, giver: Side, taker: Side, giver_wins: bool) -> tuple[Side, Event]:
    """What ``giver`` changed since the baseline, made in ``taker``. Returns the taker afterwards, and the event.

    The giver is the tool for a load, the dataset for a push.
    """
    after = {name: dict(label) for name, label in taker.items()}
    event = Event(before={})
    for name in sorted({*base, *giver}):
        was, new, mine = base.get(name), giver.get(name), taker.get(name)
        if was == new:
            continue
        if was is None:
            _add(name, new, mine, giver_wins, after, event)
        elif new is None:
            if mine is None:
                event.rows[name] = GONE
            elif mine == was or giver_wins:
                del after[name]
                event.rows[name] = GONE
                event.before[name] = mine  # type: ignore[index]
        elif mine is None:
            if giver_wins:
                after[name] = dict(new)
                event.rows[name] = dict(new)
                event.before[name] = GONE  # type: ignore[index]
        else:
            _edit(name, was, new, mine, giver_wins, after, event)
    return after, event


def _add(name: str, new: Label | None, mine: Label | None, giver_wins: bool, after: Side, event: Event) -> None:
    assert new is not None
    if mine is not None and mine != new and not giver_wins:
        return
    if mine != new:
        after[name] = dict(new)
        event.before[name] = mine  # type: ignore[index]
        if mine is not None:
            event.written[name] = {c for c in COMPONENTS if mine[c] != new[c]}
    event.rows[name] = dict(new)


def _edit(name: str, was: Label, new: Label, mine: Label, giver_wins: bool, after: Side, event: Event) -> None:
    accepted = dict(was)
    written = set()
    for component in COMPONENTS:
        if was[component] == new[component]:
            continue
        same, untouched = mine[component] == new[component], mine[component] == was[component]
        if same or untouched or giver_wins:
            accepted[component] = new[component]
            if not same:
                after[name][component] = new[component]
                written.add(component)
    if accepted != was:
        event.rows[name] = accepted
    if written:
        event.before[name] = mine  # type: ignore[index]
        event.written[name] = written


def undo(event: Event, here: Side) -> Side:
    """The labels here without what a load wrote, as far as nobody changed it since."""
    after = {name: dict(label) for name, label in here.items()}
    event.counts = False
    for name, before in (event.before or {}).items():
        loaded, now = event.rows[name], here.get(name)
        if before is None:  # it was added or put back
            if now == loaded:
                del after[name]
        elif loaded is None:  # it was deleted
            if now is None:
                after[name] = dict(before)
        elif now is not None:
            for component in event.written[name]:
                if now[component] == loaded[component]:
                    after[name][component] = before[component]
    return after
