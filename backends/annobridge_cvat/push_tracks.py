"""What a push sends of tracks: edits of single frames are gathered by track, frames that are added find theirs by its index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from annobridge.backend.kit import pair

from . import tracks
from .encode import TRACKS
from .object_edits import Changes, Misfit, strings_by_name
from .push_plan import DELETED_THERE, TAKEN, Plan, content_without_group
from .remote_ids import TOLERANCE
from .track_edits import FrameEdit, edit_track, refused, visible
from .wanted import Unwanted, Wanted

Json = dict[str, Any]
ByFrame = dict[int, Wanted]

WHOLE_TRACK = (
    "change the class of a track, its group, its source or an attribute that is not mutable, on some of its frames only; change it "
    "on all"
)
OTHER_TRACK = "have other values of attributes that are not mutable than their track has in CVAT"
_NEW = Changes(label=False, spatial=True, attributes={}, builtin={})


def plan_tracks(plan: Plan, edited: Sequence[Wanted], new: Sequence[Wanted], unwanted: Iterable[Unwanted]) -> None:
    """Plan what happens to labels on tracks.

    Args:
        plan: is added to.
        edited: labels on tracks that stay on their track.
        new: labels to add to a track.
        unwanted: labels on tracks to delete.
    """
    edits = _located(plan, edited)
    hidden: dict[int, set[int]] = defaultdict(set)
    for u in unwanted:
        if place := plan.server.places.get(u.remote_id):
            hidden[place[0]].add(place[1])
    leaving = _leaving(plan, edits, hidden)
    moved = [(w, *p) for w in new if w.origin is not None and (p := plan.server.places.get(w.origin.remote_id))]
    for number, by_frame in edits.items():
        track = plan.server.tracks[number]
        frames = {*visible(track, plan.task.frames.deleted)} - hidden[number]
        wrong = refused({f: FrameEdit(w.shape, w.changes) for f, w in by_frame.items()}, frames)
        plan.leave_out((by_frame.pop(f) for f in wrong), WHOLE_TRACK)
    added, made = _placed(plan, edits, hidden, [*new, *(wanted for wanted, *_ in leaving)])
    for wanted, number, frame in (*leaving, *moved):
        if wanted.row not in plan.left_out:
            hidden[number].add(frame)
    for number in {*edits, *hidden, *added}:
        _edit(plan, number, edits.get(number, {}), added.get(number, {}), hidden[number])
    for key, labels in made.items():
        _make(plan, key[0], labels)


def _located(plan: Plan, edited: Iterable[Wanted]) -> dict[int, ByFrame]:
    """The labels to edit by the id of their track and by frame."""
    found: dict[int, ByFrame] = defaultdict(dict)
    for wanted in edited:
        place = plan.server.places.get(wanted.remote_id or "")
        if place is None:
            plan.leave_out([wanted], DELETED_THERE)
        else:
            found[place[0]][place[1]] = wanted
    return found


def _leaving(
    plan: Plan, edits: Mapping[int, ByFrame], hidden: Mapping[int, Collection[int]]
) -> list[tuple[Wanted, int, int]]:
    """Labels that go to another track, with the one that they are on, and their frame; they are taken out of ``edits``. Where all
    frames of a track get the same new index, it is still the same track, as CVAT has no index.
    """
    found = []
    for number, by_frame in edits.items():
        changed = [f for f, w in by_frame.items() if w.before is not None and w.before.track != w.shape.track]
        frames = {*visible(plan.server.tracks[number], plan.task.frames.deleted)} - {*hidden.get(number, ())}
        indices = {by_frame[f].shape.track for f in changed}
        if frames <= {*changed} and len(indices) == 1:
            plan.server.index_of[number] = indices.pop() or 0
        else:
            found += [(by_frame.pop(frame), number, frame) for frame in changed]
    return found


def _placed(
    plan: Plan, edits: Mapping[int, ByFrame], hidden: Mapping[int, Collection[int]], new: Iterable[Wanted]
) -> tuple[dict[int, ByFrame], dict[tuple[Any, ...], list[Wanted]]]:
    """The labels to add by track and frame; and those that make new tracks, by job and track."""
    added: dict[int, ByFrame] = defaultdict(dict)
    made: dict[tuple[Any, ...], list[Wanted]] = defaultdict(list)
    numbers = {_key(plan, number, edits.get(number, {})): number for number in plan.server.tracks}
    shown_by_track: dict[int, dict[int, tracks.TrackFrame]] = {}
    for wanted in new:
        key = wanted.job, wanted.shape.entry.number, wanted.shape.type, wanted.shape.track
        number = numbers.get(key)
        if number is None:
            made[key].append(wanted)
            continue
        frame = wanted.shape.frame
        if number not in shown_by_track:
            shown_by_track[number] = visible(plan.server.tracks[number], plan.task.frames.deleted)
        shown = shown_by_track[number].get(frame)
        if shown is not None and frame not in hidden.get(number, ()):
            if _is_same(shown, wanted):
                plan.name(wanted, f"track:{number}:{frame}")
            else:
                plan.leave_out([wanted], TAKEN)
        elif _fixed(wanted) != _fixed_of(plan, number, edits.get(number, {}), wanted):
            plan.leave_out([wanted], OTHER_TRACK)
        else:
            added[number][frame] = wanted
    return added, made


def _key(plan: Plan, number: int, edits: ByFrame) -> tuple[Any, ...]:
    """What identifies a track of the server, after its edits."""
    track = plan.server.tracks[number]
    label = next((w.shape.entry.number for w in edits.values() if w.changes.label), track["label_id"])
    return track["job"], label, next((s["type"] for s in track["shapes"]), ""), plan.server.index_of.get(number)


def _fixed(wanted: Wanted) -> dict[str, str]:
    names = {a.name for a in wanted.shape.entry.definitions if not a.mutable}
    return {name: string for name, string in strings_by_name(wanted.shape).items() if name in names}


def _fixed_of(plan: Plan, number: int, edits: ByFrame, wanted: Wanted) -> dict[str, str]:
    """The attributes of a track that hold for all of it, after its edits."""
    names = {spec: name for name, spec in wanted.shape.entry.attributes.items()}
    there = {names.get(a["spec_id"]): a["value"] for a in plan.server.tracks[number]["attributes"]}
    for edit in edits.values():
        there |= {name: s for name, s in edit.changes.attributes.items() if name in _fixed(edit)}
    return {name: there.get(name, "") for name in _fixed(wanted)}


def _is_same(shown: tracks.TrackFrame, wanted: Wanted) -> bool:
    """Whether a track has a label on a frame already, as after a push that was killed."""
    if wanted.shape.type == "skeleton":
        there = {e["label_id"]: e["points"] for e in shown.elements}
        here = {e["label_id"]: e["points"] for e in wanted.shape.elements(wanted.shape.parts[0]) if not e["outside"]}
        return there.keys() == here.keys() and all(_close(there[n], here[n]) for n in here)
    strings = {a["spec_id"]: a["value"] for a in shown.attributes}
    mutable = {a["spec_id"]: a["value"] for a in wanted.shape.attributes if a["spec_id"] in strings}
    return _close(shown.points, wanted.shape.parts[0]) and mutable == strings


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and bool(np.allclose(a, b, rtol=0, atol=TOLERANCE))


def _edit(plan: Plan, number: int, edits: ByFrame, added: ByFrame, hidden: Collection[int]) -> None:
    """Edit a track."""
    track, task = plan.server.tracks[number], plan.task
    new = {frame: FrameEdit(w.shape, _NEW) for frame, w in added.items()}
    try:
        both = {f: FrameEdit(w.shape, w.changes) for f, w in edits.items()} | new
        after = edit_track(track, both, hidden, task.frames.deleted, task.vocabulary)
    except Misfit as e:
        plan.leave_out(edits.values(), str(e))
        edits = {}
        after = edit_track(track, new, hidden, task.frames.deleted, task.vocabulary)
    for wanted in edits.values():
        plan.name(wanted, wanted.remote_id or "")
    for frame, wanted in added.items():
        plan.name(wanted, f"track:{number}:{frame}")
    write = plan.writes[track["job"]]
    if after is None:
        write.delete[TRACKS].append(track)
    elif new or edits or hidden:
        write.update[TRACKS].append(after)


def _make(plan: Plan, job: int, labels: Sequence[Wanted]) -> None:
    """Make a track, unless an earlier push has made it."""
    last = next(j["stop_frame"] for j in plan.task.regular if j["id"] == job)
    labels = sorted(labels, key=lambda w: w.shape.frame)
    item = tracks.encode([w.shape for w in labels], last + 1)
    unknown = plan.server.unknown_tracks[job]
    (there,) = pair([item], unknown, content_without_group)
    if there is not None:
        unknown.remove(there)
        for wanted in labels:
            plan.name(wanted, f"track:{there['id']}:{wanted.shape.frame}")
        return
    plan.writes[job].create[TRACKS].append(item)
    plan.writes[job].rows[TRACKS].append([(w.shape.frame, w.row) for w in labels])
    plan.done |= {w.row: w for w in labels}
