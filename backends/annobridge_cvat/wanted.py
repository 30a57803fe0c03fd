"""What a push asks for, in CVAT's terms: each label on its frame, in its job, with what it changes of the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from annobridge.backend import Edits
from annobridge.backend.kit import sent_of
from annobridge.core.arrays import Bools, as_array
from annobridge.core.labels import SINGLE

from .decode import segmentation_id
from .download import CurrentTask
from .encode import shapes
from .object_edits import Changes
from .tracks import Shape

NO_FRAME = "are on images or frames that their task in CVAT does not show you"
NO_CLASS = "have a class that is not in CVAT's label set"
EMPTY = "have an empty mask, which CVAT cannot store"
OTHER_SIZE = "have a mask of another size than CVAT has for their image"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A label to delete, with the ids that the server had for it."""

    label_id: str
    remote_id: str
    kind: str
    frame: int
    job: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A label to add or to edit.

    Attributes:
        row: of the labels of the push.
        remote_id: ``None`` for one to add.
        shape: the label as it is to be.
        before: as the baseline has it; ``None`` where it does not.
        changes: from there to here.
        job: the id of the job that its frame is in.
        origin: where it is on the server; ``None`` for one to add.
        place: what no other label may have: field and frame of a label of which a sample has one, or the remote id of a class of a
            segmentation.
    """

    row: int
    remote_id: str | None
    shape: Shape
    before: Shape | None
    changes: Changes
    job: int
    origin: Unwanted | None = None
    place: str | None = None

    @property
    def is_moved(self) -> bool:
        """Whether it goes to another frame, or into a track or out of one: it then becomes another object."""
        old, new = self.before, self.shape
        return old is not None and (
            old.frame != new.frame or old.type != new.type or (old.track is None) != (new.track is None)
        )


@dataclass(slots=True)
class Request:
    """What a push asks of one CVAT task. ``left_out`` has a reason, the end of a note, for each label that has no place there."""

    wanted: list[Wanted] = field(default_factory=list)
    unwanted: list[Unwanted] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, edits: Edits, baseline: pa.Table, task: CurrentTask) -> Request:
        """The request.

        Args:
            edits: the changes of labels on samples of the CVAT task.
            baseline: the labels of the CVAT task as the last push or load left them.
            task: the CVAT task.
        """
        request, job_of = cls(), task.job_of()
        labels = edits.task.labels.combine_chunks()
        at = task.frames.index_of(labels)
        reasons = _reasons(labels, at, task, job_of)
        ids = as_array(labels["label_id"]).to_pylist()
        request.left_out = {ids[row]: reason for row, reason in reasons.items()}
        rows = np.array([row for row in range(labels.num_rows) if row not in reasons], np.int64)
        labels, remote = labels.take(pa.array(rows)).combine_chunks(), edits.remote_ids.take(pa.array(rows))
        found = shapes(labels, task.vocabulary, task.frames, at[rows])
        single = {name for name, spec in edits.task.schema.fields.items() if spec.type in SINGLE}
        columns = zip(
            rows.tolist(), remote.to_pylist(), found, _before(remote, baseline, task),
            *(as_array(labels[name]).to_pylist() for name in ("kind", "field", "label")), strict=True,
        )  # fmt: skip
        for row, remote_id, shape, before, kind, name, label in columns:
            if shape.type == "mask" and not all(shape.parts):
                request.left_out[ids[row]] = EMPTY
                continue
            place = f"{name}\n{shape.frame}" if name in single else None
            if kind == "segmentation":
                place = segmentation_id(name, shape.frame, label)
            origin = None
            if remote_id is not None:
                frame = before.frame if before is not None else shape.frame
                if frame not in job_of:
                    request.left_out[ids[row]] = NO_FRAME
                    continue
                origin = Unwanted(ids[row], remote_id, kind, frame, job_of[frame])
            changes = Changes.between(before, shape)
            request.wanted.append(Wanted(row, remote_id, shape, before, changes, job_of[shape.frame], origin, place))
        request._add_unwanted(edits.deleted, task, job_of)
        return request

    def jobs(self) -> set[int]:
        """The ids of the jobs that it is about."""
        origins = [w.origin for w in self.wanted if w.origin is not None]
        return {w.job for w in self.wanted} | {u.job for u in (*self.unwanted, *origins)}

    def _add_unwanted(self, deleted: pa.Table, task: CurrentTask, job_of: dict[int, int]) -> None:
        frames = task.frames.index_of(deleted).tolist()
        columns = (as_array(deleted[name]).to_pylist() for name in ("label_id", "remote_id", "kind"))
        for label_id, remote_id, kind, frame in zip(*columns, frames, strict=True):
            if frame in job_of:
                self.unwanted.append(Unwanted(label_id, remote_id, kind, frame, job_of[frame]))
            else:
                self.left_out[label_id] = NO_FRAME


def _reasons(labels: pa.Table, frames: np.ndarray, task: CurrentTask, job_of: dict[int, int]) -> dict[int, str]:
    """Why some labels, by row, have no place in the CVAT task."""
    found = {row: NO_FRAME for row, frame in enumerate(frames.tolist()) if frame not in job_of}
    known = _has_class(labels, task)
    masks = labels["mask"].to_pylist()
    for row, frame in enumerate(frames.tolist()):
        if row in found:
            continue
        if not known[row]:
            found[row] = NO_CLASS
        elif masks[row] is not None and [*reversed(masks[row]["size"])] != task.frames.sizes[frame].tolist():
            found[row] = OTHER_SIZE
    return found


def _has_class(labels: pa.Table, task: CurrentTask) -> list[bool]:
    """Whether the label set on the server has a label for each row's class."""
    pairs = zip(as_array(labels["field"]).to_pylist(), as_array(labels["label"]).to_pylist(), strict=True)
    return [(e := task.vocabulary.find(*pair)) is not None and e.number in task.labels.names for pair in pairs]


def _before(remote: pa.Array, baseline: pa.Table, task: CurrentTask) -> Iterator[Shape | None]:
    """Each label as the baseline has it; ``None`` for one to add, and for one whose class the server has no label for."""
    sent, known = sent_of(remote, baseline)
    usable: Bools = known & np.array(_has_class(sent, task), bool)
    found = sent.filter(pa.array(usable)).combine_chunks()
    encoded = shapes(found, task.vocabulary, task.frames, task.frames.index_of(found))
    return (next(encoded) if is_usable else None for is_usable in usable.tolist())
