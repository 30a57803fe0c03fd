"""Identity: which object of the server is which label, by the server's ids, which people cannot edit.

Ids are given when a task is filled: the answer has the objects in another order, so they are told by what they are. Merging or
splitting tracks makes new objects; their frames are found again by lying where a frame of a vanished track lay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend.kit import pair
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Broken

from . import points
from .decode import Found, pool_id
from .encode import SHAPES_, TAGS, TRACKS, Sent
from .frames import Frames
from .vocabulary import Vocabulary

Json = dict[str, Any]
Content = tuple[Any, ...]
_ID = {TAGS: "tag", SHAPES_: "shape"}
NEAR = 1e-3  # pixels
_FRAME_AND_LABEL = itemgetter(0, 1)  # of a content: they tell the parts of one object apart


def remote_ids(
    sent: Sent, stored: Mapping[str, Sequence[Json]], labels: pa.Table, vocabulary: Vocabulary
) -> dict[int, str]:
    """The remote id of each row of the labels that was sent. ``stored`` are the objects as the server has them; of tracks that
    it has cut, none.
    """
    parts: dict[int, list[str]] = defaultdict(list)
    ids: dict[int, str] = {}
    for kind in (TAGS, SHAPES_):
        for number, row in zip(_paired(sent.items[kind], stored[kind], kind), sent.rows[kind], strict=True):
            parts[row].append(f"{_ID[kind]}:{number}")
    if stored[TRACKS]:
        numbers = _paired(sent.items[TRACKS], stored[TRACKS], TRACKS)
        for number, frames in zip(numbers, sent.rows[TRACKS], strict=True):
            ids |= {row: f"track:{number}:{frame}" for frame, row in frames}
    fields, classes = labels["field"].to_pylist(), labels["label"].to_pylist()
    pooled = {f for f, kind in vocabulary.kinds.items() if kind == "segmentation"}
    frame_of = {row: item["frame"] for item, row in zip(sent.items[SHAPES_], sent.rows[SHAPES_], strict=True)}
    for row, found in parts.items():
        ids[row] = pool_id(fields[row], frame_of[row], classes[row]) if fields[row] in pooled else "+".join(found)
    return ids


def _paired(items: Sequence[Json], stored: Sequence[Json], kind: str) -> list[int]:
    """The number of the stored object that each item became."""
    found = _found(items, stored)
    missing = sum(one is None for one in found)
    if missing:
        raise Broken(
            f"cvat: the server stored {len(items) - missing} of the {len(items)} {kind} that were sent; look at its log, "
            "abort the run, and send it again."
        )
    return [one["id"] for one in found if one is not None]


def _found(items: Sequence[Json], stored: Sequence[Json]) -> list[Json | None]:
    """The stored object that each item became: the same one; or, where the server or people changed it, the next of its label
    on its frame, or of any label there.
    """
    return pair(items, stored, _content, _place, _frame_and_type)


def lacking(items: Mapping[str, Sequence[Json]], stored: Mapping[str, Sequence[Json]]) -> dict[str, list[Json]]:
    """What of the items is not stored, changed or not."""
    return {
        kind: [item for item, one in zip(objects, _found(objects, stored[kind]), strict=True) if one is None]
        for kind, objects in items.items()
    }


def _place(item: Json) -> tuple[Any, ...]:
    return item["frame"], item["label_id"], item.get("type")


def _frame_and_type(item: Json) -> tuple[Any, ...]:
    return item["frame"], item.get("type")


def _content(item: Json) -> Content:
    """All of an object that it was sent with; not its ids, nor what only servers add."""
    get = item.get
    return (
        item["frame"], get("label_id") or 0, get("type"), get("group") or 0, get("rotation") or 0, get("z_order") or 0,
        bool(get("occluded")), bool(get("outside")), get("source") or "manual", tuple(get("points") or ()),
        tuple(sorted((a["spec_id"], str(a["value"])) for a in item["attributes"])),
        *(tuple(sorted(map(_content, get(name) or ()), key=_FRAME_AND_LABEL)) for name in ("elements", "shapes")),
    )  # fmt: skip


def cut_tracks(sent: Sent, found: Iterable[Found], labels: pa.Table, frames: Frames) -> dict[int, str]:
    """The remote id of each row of a track, where the server has cut the tracks among several jobs."""
    names = {row: f"track:{n}:{frame}" for n, of in enumerate(sent.rows[TRACKS]) for frame, row in of}
    again = _found_again((one for one in found if one.track is not None), baseline_of(labels, names), frames)
    back = {ours: theirs for theirs, ours in again.items()}
    if lost := [row for row, name in names.items() if name not in back]:
        raise Broken(
            f"cvat: {len(lost)} frames of the tracks that were sent are not on the server as they were sent; give no "
            "segment_size, so that a video is one job."
        )
    return {row: back[name] for row, name in names.items()}


def composites(baseline: pa.Table) -> dict[str, str]:
    """The id of each part of a label that has several -> the id of the label."""
    joined = [i for i in baseline["remote_id"].to_pylist() if "+" in i]
    return {part: whole for whole in joined for part in whole.split("+")}


def followed(found: Sequence[Found], baseline: pa.Table, frames: Frames) -> tuple[list[Found], dict[int, int]]:
    """``found`` with the frames of merged and split tracks under the ids that they had, and the index of each track."""
    base = baseline.filter(pa.array([i.startswith("track:") for i in baseline["remote_id"].to_pylist()], pa.bool_()))
    index_of = dict(zip(base["remote_id"].to_pylist(), base["index"].to_pylist(), strict=True))
    tracks = {int(i.split(":")[1]): n for i, n in index_of.items()}
    unknown = {one.track for one in found if one.track is not None} - set(tracks)
    if not unknown:
        return list(found), tracks
    there = {one.remote_id for one in found}
    vanished = base.filter(pa.array([i not in there for i in base["remote_id"].to_pylist()], pa.bool_()))
    names = _found_again([one for one in found if one.track in unknown], vanished, frames)
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for one in found:
        if one.track in unknown and one.remote_id in names:
            votes[one.track][index_of[names[one.remote_id]]] += 1
    used = {n for t, n in tracks.items() if any(one.track == t for one in found)}
    highest = max([0, *(n for n in baseline["index"].to_pylist() if n is not None)])
    for track in sorted(unknown, key=lambda t: (-max([0, *votes[t].values()]), t)):
        free = [n for n, _ in votes[track].most_common() if n not in used]
        tracks[track] = free[0] if free else _number(track, used, highest)
        used.add(tracks[track])
    return [replace(o, remote_id=names.get(o.remote_id, o.remote_id)) for o in found], tracks


def _number(track: int, used: set[int], highest: int) -> int:
    """The index of a new track: the server's own number, which no other task's tracks have either."""
    return track if track not in used else highest + track


def _found_again(strangers: Iterable[Found], vanished: pa.Table, frames: Frames) -> dict[str, str]:
    """The id of a frame of a new track -> the id of the frame of a vanished one that it was."""
    free: dict[int, dict[str, list[float]]] = defaultdict(dict)
    place = frames.place(vanished)
    for kind in set(vanished["kind"].to_pylist()):
        at = np.flatnonzero([k == kind for k in vanished["kind"].to_pylist()])
        rows = vanished.take(pa.array(at)).combine_chunks()
        wire = points.to_wire(kind, rows, frames.sizes[place[at]])
        for remote_id, frame, parts in zip(rows["remote_id"].to_pylist(), place[at].tolist(), wire, strict=True):
            free[frame][remote_id] = parts[0]
    names: dict[str, str] = {}
    by_track: dict[int | None, list[Found]] = defaultdict(list)
    for one in strangers:
        by_track[one.track].append(one)
    for shapes in by_track.values():
        was: set[str] = set()
        for moved in (False, True):  # where a track lies as it lay elsewhere, its other frames are its too
            for one in shapes:
                fits = [i for i, p in free[one.frame].items() if (i.split(":")[1] in was if moved else _near(p, one))]
                if one.remote_id not in names and fits:
                    names[one.remote_id] = fits[0]
                    was.add(fits[0].split(":")[1])
                    del free[one.frame][fits[0]]
    return names


def _near(wire: Sequence[float], one: Found) -> bool:
    here = one.parts[0] if one.type != "skeleton" else [v for e in one.elements for v in e["points"]]
    return len(wire) == len(here) and bool(np.allclose(wire, here, rtol=0, atol=NEAR, equal_nan=True))


def baseline_of(labels: pa.Table, ids: Mapping[int, str]) -> pa.Table:
    """What was sent, with its ids (``REMOTE``); what was not sent is no part of it."""
    rows = sorted(ids)
    sent = labels.take(pa.array(rows, pa.int64()))
    return sent.append_column(REMOTE.field("remote_id"), pa.array([ids[r] for r in rows], pa.string())).cast(REMOTE)
