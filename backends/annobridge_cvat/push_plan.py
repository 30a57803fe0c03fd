"""What a push sends to the jobs of a CVAT task, from what is asked and what the server has now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend.kit import pair

from . import decode, remote_ids
from .download import CurrentTask
from .encode import SHAPES, TAGS, TRACKS
from .object_edits import Misfit, edit_objects, new_items
from .wanted import Unwanted, Wanted

Json = dict[str, Any]
_PRIVATE = {"job", "first", "last"}  # keys that ``jobs.read_annotations`` adds
content_without_group = partial(remote_ids.content, group=False)

DELETED_THERE = "were deleted in CVAT meanwhile"
TAKEN = "are where people have another in CVAT that is not loaded yet; load first"


@dataclass(slots=True)
class Write:
    """What is sent to one job: whole objects, by kind. ``rows`` has the row of the label that each object to create is for; of a
    track, pairs of frame and row.
    """

    update: dict[str, list[Json]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})
    create: dict[str, list[Json]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})
    delete: dict[str, list[Json]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})
    rows: dict[str, list[Any]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})


class Server:
    """The annotations that some jobs have now, by the ids that labels have.

    Attributes:
        objects: tags and shapes by ``tag:7`` and ``shape:7``.
        tracks: by their id.
        index_of: the index of each track of which the baseline has a frame.
        places: the track and the frame of each label on a track, by remote id; merged and split tracks have those from before.
        unknown: tags and shapes that the baseline does not have, by kind and frame.
        unknown_tracks: tracks of which it has no frame, by job.
    """

    def __init__(self, annotations: Mapping[str, Sequence[Json]], baseline: pa.Table, task: CurrentTask) -> None:
        self.objects = {f"tag:{tag['id']}": tag for tag in annotations[TAGS]}
        self.objects |= {f"shape:{shape['id']}": shape for shape in annotations[SHAPES]}
        self.tracks = {track["id"]: track for track in annotations[TRACKS]}
        everywhere = np.ones(len(task.frames), bool)
        found = list(
            decode.read_labels({TAGS: [], SHAPES: [], TRACKS: annotations[TRACKS]}, everywhere, task.frames.deleted)
        )
        followed, _ = remote_ids.follow_tracks(found, baseline, task.frames)
        self.places = {label.remote_id: (label.track, label.frame) for label in followed if label.track is not None}
        known = {part for i in baseline["remote_id"].to_pylist() for part in i.split("+")}
        index = dict(zip(baseline["remote_id"].to_pylist(), baseline["index"].to_pylist(), strict=True))
        self.index_of = {self.places[i][0]: n for i, n in index.items() if i in self.places and n is not None}
        self.unknown: dict[tuple[str, int], list[Json]] = defaultdict(list)
        self.unknown_tracks: dict[int, list[Json]] = defaultdict(list)
        self._masks: dict[tuple[int, int], list[Json]] = defaultdict(list)
        for name, item in self.objects.items():
            if name not in known:
                self.unknown[TAGS if name.startswith("tag") else SHAPES, item["frame"]].append(item)
            if item.get("type") == "mask":
                self._masks[item["label_id"], item["frame"]].append(item)
        for number, track in self.tracks.items():
            if number not in self.index_of:
                self.unknown_tracks[track["job"]].append(track)

    def last_group(self) -> int:
        """The highest number of a group."""
        return max((item.get("group") or 0 for item in (*self.objects.values(), *self.tracks.values())), default=0)

    def masks(self, number: int, frame: int) -> list[Json]:
        """The masks of a CVAT label on a frame."""
        return sorted(self._masks.get((number, frame), ()), key=lambda mask: mask["id"])


class Plan:
    """What is to be sent, and what becomes of each label.

    Attributes:
        writes: by the id of the job.
        left_out: the reason, the end of a note, by row of the labels; of labels to delete, none is left out.
        parts: the remote ids of the objects of each label, by row.
        names: the remote id of each label that is not made of those of its objects, by row.
        done: the labels that are sent, by row.
        going: the remote ids of the objects that are deleted.
    """

    def __init__(self, server: Server, task: CurrentTask) -> None:
        self.server, self.task = server, task
        self.writes: dict[int, Write] = defaultdict(Write)
        self.left_out: dict[int, str] = {}
        self.parts: dict[int, list[str]] = defaultdict(list)
        self.names: dict[int, str] = {}
        self.done: dict[int, Wanted] = {}
        self.going: set[str] = set()
        self.groups = count(server.last_group() + 1)

    def leave_out(self, labels: Iterable[Wanted], reason: str) -> None:
        """Leave labels out."""
        self.left_out |= {w.row: reason for w in labels}

    def name(self, wanted: Wanted, remote_id: str) -> None:
        """Set the remote id of a label that is, or will be, in the tool."""
        self.names[wanted.row] = remote_id
        self.done[wanted.row] = wanted

    def remote_ids(self) -> dict[int, str]:
        """The remote id of each label that was sent, by row."""
        return {row: "+".join(parts) for row, parts in self.parts.items()} | self.names

    # Tags and shapes

    def edit(self, wanted: Wanted) -> None:
        """Edit a label that is a tag or shapes."""
        assert wanted.remote_id is not None  # noqa: S101
        now = self._objects_of(wanted)
        if not now:
            self.leave_out([wanted], DELETED_THERE)
            return
        try:
            edit = edit_objects(now, wanted.shape, wanted.changes, self.task.vocabulary, self.groups)
        except Misfit as e:
            self.leave_out([wanted], str(e))
            return
        kind, write = TAGS if wanted.shape.type == "tag" else SHAPES, self.writes[wanted.job]
        write.update[kind] += edit.update
        write.delete[kind] += edit.delete
        self._are(wanted, kind, edit.kept)
        self._make(wanted, kind, edit.create, self._existing(wanted, kind, edit.create))

    def _objects_of(self, wanted: Wanted) -> list[Json]:
        """What a label to edit is made of. A class of a segmentation may have its new name, by a push that was killed."""
        if wanted.before is not None and wanted.before.type == "mask" and wanted.place:
            before, after = (self.server.masks(s.entry.number, s.frame) for s in (wanted.before, wanted.shape))
            return before or [mask for mask in after if mask["points"] in wanted.shape.parts]
        return [item for i in (wanted.remote_id or "").split("+") if (item := self.server.objects.get(i)) is not None]

    def add(self, labels: Sequence[Wanted]) -> None:
        """Add labels that are tags or shapes. Those that an earlier push has added are found by their content."""
        for wanted in labels:
            kind = TAGS if wanted.shape.type == "tag" else SHAPES
            items = new_items(wanted.shape, self.groups)
            existing = self._existing(wanted, kind, items)
            if wanted.place and sum(item is not None for item in existing) < len(self._at_place(wanted)):
                self.leave_out([wanted], TAKEN)
            else:
                self._make(wanted, kind, items, existing)

    def _at_place(self, wanted: Wanted) -> list[Json]:
        """What the server has in the place of a label of which there can be only one, and the baseline has not."""
        entry, frame = wanted.shape.entry, wanted.shape.frame
        if wanted.shape.type == "mask":
            return [m for m in self.server.masks(entry.number, frame) if f"shape:{m['id']}" not in self.going]
        fields, numbers = set(entry.fields.values()), self.task.vocabulary.by_number
        return [
            tag
            for tag in self.server.unknown[TAGS, frame]
            if (e := numbers.get(tag["label_id"])) and fields & {e.fields.get("tag")}
        ]

    def _are(self, wanted: Wanted, kind: str, objects: Iterable[Json]) -> None:
        """Note which objects a label is made of."""
        self.done[wanted.row] = wanted
        self.parts[wanted.row] += [f"{'tag' if kind == TAGS else 'shape'}:{item['id']}" for item in objects]
        if wanted.place and wanted.shape.type == "mask":
            self.names[wanted.row] = wanted.place

    def _existing(self, wanted: Wanted, kind: str, items: Sequence[Json]) -> list[Json | None]:
        """For each object to create, the one of the server that an earlier push has made of it."""
        return pair(items, self.server.unknown[kind, wanted.shape.frame], content_without_group)

    def _make(self, wanted: Wanted, kind: str, items: Sequence[Json], existing: Sequence[Json | None]) -> None:
        """Create objects, except those that exist."""
        there = [item for item in existing if item is not None]
        unknown = self.server.unknown[kind, wanted.shape.frame]
        self.server.unknown[kind, wanted.shape.frame] = [
            item for item in unknown if not any(item is one for one in there)
        ]
        self._are(wanted, kind, there)
        write = self.writes[wanted.job]
        for item, one in zip(items, existing, strict=True):
            if one is None:
                write.create[kind].append(item)
                write.rows[kind].append(wanted.row)

    def delete(self, unwanted: Unwanted) -> None:
        """Delete a label that is a tag or shapes; what is gone is no error."""
        if unwanted.kind == "segmentation":
            objects = self._segmentation(unwanted)
        else:
            found = (self.server.objects.get(i) for i in unwanted.remote_id.split("+"))
            objects = [item for item in found if item is not None]
        for item in objects:
            is_shape = "type" in item
            self.writes[unwanted.job].delete[SHAPES if is_shape else TAGS].append(item)
            self.going.add(f"{'shape' if is_shape else 'tag'}:{item['id']}")

    def _segmentation(self, unwanted: Unwanted) -> list[Json]:
        vocabulary = self.task.vocabulary
        names = {
            decode.segmentation_id(f, unwanted.frame, e.label or ""): e
            for e in vocabulary.entries
            for f in e.fields.values()
        }
        entry = names.get(unwanted.remote_id)
        return self.server.masks(entry.number, unwanted.frame) if entry else []

    def has(self, wanted: Wanted) -> bool:
        """Whether a label to edit is on the server still."""
        remote_id = wanted.remote_id or ""
        return remote_id in self.server.places or bool(self._objects_of(wanted))


def without_private(item: Json) -> Json:
    """An object as the server knows it."""
    return {key: value for key, value in item.items() if key not in _PRIVATE}
