"""Remote ids: which of the server's objects is which label.

A remote id is made of the ids that the server gives its objects, which people cannot edit. They are assigned at the upload: the
server answers with the objects in another order than they were sent in, so they are matched by content. When people merge or
split tracks, new objects replace the old ones; their frames are matched with those of the old tracks by position.
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
from annobridge.core.collector import paused
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Broken

from . import points
from .decode import FoundLabel, segmentation_id
from .encode import SHAPES, TAGS, TRACKS, Encoded
from .frames import Frames
from .vocabulary import Vocabulary

Json = dict[str, Any]
Content = tuple[Any, ...]
_ID = {TAGS: "tag", SHAPES: "shape"}
TOLERANCE = 1e-3  # pixels; the server rounds
_FRAME_AND_LABEL = itemgetter(0, 1)  # of a ``Content``; unique among the parts of one object


@paused()
def assign(
    sent: Encoded, stored: Mapping[str, Sequence[Json]], labels: pa.Table, vocabulary: Vocabulary
) -> dict[int, str]:
    """The remote ids of the labels that were sent, by row.

    Args:
        sent: the annotations as they were sent.
        stored: the objects that the server has made of them, by kind; no tracks where it has cut those among several jobs.
        labels: the labels of the task.
        vocabulary: the vocabulary with the server's ids.
    """
    parts: dict[int, list[str]] = defaultdict(list)
    ids: dict[int, str] = {}
    for kind in (TAGS, SHAPES):
        for number, row in zip(stored_ids(sent.items[kind], stored[kind], kind), sent.rows[kind], strict=True):
            parts[row].append(f"{_ID[kind]}:{number}")
    if stored[TRACKS]:
        numbers = stored_ids(sent.items[TRACKS], stored[TRACKS], TRACKS)
        for number, frames in zip(numbers, sent.rows[TRACKS], strict=True):
            ids |= {row: f"track:{number}:{frame}" for frame, row in frames}
    fields, classes = labels["field"].to_pylist(), labels["label"].to_pylist()
    segmentations = {f for f, kind in vocabulary.kinds.items() if kind == "segmentation"}
    frame_of = {row: item["frame"] for item, row in zip(sent.items[SHAPES], sent.rows[SHAPES], strict=True)}
    for row, shapes in parts.items():
        ids[row] = (
            segmentation_id(fields[row], frame_of[row], classes[row])
            if fields[row] in segmentations
            else "+".join(shapes)
        )
    return ids


def stored_ids(items: Sequence[Json], stored: Sequence[Json], kind: str) -> list[int]:
    """The server's id of each item."""
    found = _stored_objects(items, stored)
    missing = sum(one is None for one in found)
    if missing:
        raise Broken(
            f"cvat: the server stored {len(items) - missing} of the {len(items)} {kind} that were sent; look at its log, "
            "abort the run, and send it again."
        )
    return [one["id"] for one in found if one is not None]


def _stored_objects(items: Sequence[Json], stored: Sequence[Json]) -> list[Json | None]:
    """The stored object that each item became: one with the same content; or, where the server or a person has changed it already,
    another of its label on its frame, or of any label there.
    """
    return pair(items, stored, content, _frame_and_label, _frame_and_type)


def not_stored(items: Mapping[str, Sequence[Json]], stored: Mapping[str, Sequence[Json]]) -> dict[str, list[Json]]:
    """The items that the server does not have, not even changed."""
    return {
        kind: [
            item for item, found in zip(objects, _stored_objects(objects, stored[kind]), strict=True) if found is None
        ]
        for kind, objects in items.items()
    }


def _frame_and_label(item: Json) -> tuple[Any, ...]:
    return item["frame"], item["label_id"], item.get("type")


def _frame_and_type(item: Json) -> tuple[Any, ...]:
    return item["frame"], item.get("type")


def content(item: Json, group: bool = True) -> Content:
    """Everything that an object is sent with, for comparison; without ids, and without what only the server adds."""
    get = item.get
    return (
        item["frame"], get("label_id") or 0, get("type"), group and (get("group") or 0), get("rotation") or 0, get("z_order") or 0,
        bool(get("occluded")), bool(get("outside")), get("source") or "manual", tuple(get("points") or ()),
        _strings(item["attributes"]), _parts(get("elements")), _parts(get("shapes")),
    )  # fmt: skip


def _strings(attributes: Sequence[Json]) -> Content:
    return tuple(sorted([(a["spec_id"], str(a["value"])) for a in attributes])) if attributes else ()


def _parts(items: Sequence[Json] | None) -> Content:
    return tuple(sorted(map(content, items), key=_FRAME_AND_LABEL)) if items else ()


def assign_cut_tracks(sent: Encoded, found: Iterable[FoundLabel], labels: pa.Table, frames: Frames) -> dict[int, str]:
    """The remote ids of the labels of tracks, by row, where the server has cut the tracks among several jobs: ``found`` are the
    labels that the jobs have.
    """
    own_ids = {row: f"track:{n}:{frame}" for n, track in enumerate(sent.rows[TRACKS]) for frame, row in track}
    matched = _match_by_position(
        (label for label in found if label.track is not None), with_remote_ids(labels, own_ids), frames
    )
    server_ids = {ours: theirs for theirs, ours in matched.items()}
    if lost := [row for row, own in own_ids.items() if own not in server_ids]:
        raise Broken(
            f"cvat: {len(lost)} frames of the tracks that were sent are not on the server as they were sent; give no "
            "segment_size, so that a video is one job."
        )
    return {row: server_ids[own] for row, own in own_ids.items()}


def label_of_part(baseline: pa.Table) -> dict[str, str]:
    """The remote id of the label by that of each part, for the labels that have several parts."""
    several = [i for i in baseline["remote_id"].to_pylist() if "+" in i]
    return {part: label for label in several for part in label.split("+")}


def follow_tracks(
    found: Sequence[FoundLabel], baseline: pa.Table, frames: Frames
) -> tuple[list[FoundLabel], dict[int, int]]:
    """Find merged and split tracks again.

    Returns:
        The labels, those of merged and split tracks with the remote ids that they had before; and the ``index`` of each track,
        by the server's id of the track.
    """
    base = baseline.filter(pa.array([i.startswith("track:") for i in baseline["remote_id"].to_pylist()], pa.bool_()))
    index_of = dict(zip(base["remote_id"].to_pylist(), base["index"].to_pylist(), strict=True))
    tracks = {int(i.split(":")[1]): n for i, n in index_of.items()}
    unknown = {label.track for label in found if label.track is not None} - set(tracks)
    if not unknown:
        return list(found), tracks
    there = {label.remote_id for label in found}
    vanished = base.filter(pa.array([i not in there for i in base["remote_id"].to_pylist()], pa.bool_()))
    old_ids = _match_by_position([label for label in found if label.track in unknown], vanished, frames)
    # A new track gets the index of the old one that most of its frames were in, if no other track has that.
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for label in found:
        if label.track in unknown and label.remote_id in old_ids:
            votes[label.track][index_of[old_ids[label.remote_id]]] += 1
    used = {index for track, index in tracks.items() if any(label.track == track for label in found)}
    highest = max([0, *(n for n in baseline["index"].to_pylist() if n is not None)])
    for track in sorted(unknown, key=lambda track: (-max([0, *votes[track].values()]), track)):
        free = [index for index, _ in votes[track].most_common() if index not in used]
        # Otherwise the server's id: no track of another task has it either.
        tracks[track] = free[0] if free else track if track not in used else highest + track
        used.add(tracks[track])
    return [replace(label, remote_id=old_ids.get(label.remote_id, label.remote_id)) for label in found], tracks


def _match_by_position(found: Iterable[FoundLabel], vanished: pa.Table, frames: Frames) -> dict[str, str]:
    """For labels of new tracks, the remote ids of the ``vanished`` labels that they were, by their own."""
    # frame -> remote id -> points of the vanished labels that are not matched yet
    free: dict[int, dict[str, list[float]]] = defaultdict(dict)
    frame_of = frames.index_of(vanished)
    for kind in set(vanished["kind"].to_pylist()):
        at = np.flatnonzero([k == kind for k in vanished["kind"].to_pylist()])
        rows = vanished.take(pa.array(at)).combine_chunks()
        pixels = points.to_pixels(kind, rows, frames.sizes[frame_of[at]])
        for remote_id, frame, parts in zip(rows["remote_id"].to_pylist(), frame_of[at].tolist(), pixels, strict=True):
            free[frame][remote_id] = parts[0]
    old_ids: dict[str, str] = {}
    by_track: dict[int | None, list[FoundLabel]] = defaultdict(list)
    for label in found:
        by_track[label.track].append(label)
    for track in by_track.values():
        # First the frames where the shape is where it was; these say which old tracks the new one is made of. Then the frames
        # where it was moved: they belong to the same old tracks.
        old_tracks: set[str] = set()
        for is_moved in (False, True):
            for label in track:
                fits = [
                    remote_id
                    for remote_id, part in free[label.frame].items()
                    if (remote_id.split(":")[1] in old_tracks if is_moved else _is_at(label, part))
                ]
                if label.remote_id not in old_ids and fits:
                    old_ids[label.remote_id] = fits[0]
                    old_tracks.add(fits[0].split(":")[1])
                    del free[label.frame][fits[0]]
    return old_ids


def _is_at(label: FoundLabel, part: Sequence[float]) -> bool:
    here = label.parts[0] if label.type != "skeleton" else [v for e in label.elements for v in e["points"]]
    return len(part) == len(here) and bool(np.allclose(part, here, rtol=0, atol=TOLERANCE, equal_nan=True))


def with_remote_ids(labels: pa.Table, ids: Mapping[int, str]) -> pa.Table:
    """The labels that have a remote id, as ``REMOTE``; ``ids`` are by row. Labels that were not sent have none."""
    rows = sorted(ids)
    sent = labels.take(pa.array(rows, pa.int64()))
    return sent.append_column(REMOTE.field("remote_id"), pa.array([ids[r] for r in rows], pa.string())).cast(REMOTE)
