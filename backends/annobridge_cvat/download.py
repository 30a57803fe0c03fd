"""Download: the labels that one CVAT task has now, on the frames that a load asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Download, Receipt
from annobridge.backend.kit import keep_sent, sent_of
from annobridge.core.arrays import any_of, as_array, as_mask, not_null
from annobridge.core.collector import paused
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Broken, Gone

from . import decode, issues, jobs, label_set, remote_ids, reviewed
from .api import Api
from .baseline import keep_unchanged
from .config import CvatConfig
from .encode import sent_labels
from .frames import Frames
from .label_changes import LabelChanges
from .vocabulary import Entry, Vocabulary, rows_of

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """A CVAT task as it is on the server now.

    Attributes:
        number: its id.
        frames: its frames.
        jobs: its jobs; each frame is in one of the regular ones only.
        labels: its label set, compared with that of the upload.
        project: the id of the project that the label set belongs to.
    """

    number: int
    frames: Frames
    jobs: list[Json]
    labels: label_set.CurrentLabels
    project: int | None

    @classmethod
    def of(cls, stored: Json, meta: Json, all_jobs: list[Json], labels: list[Json]) -> CurrentTask:
        """The task from what the server says of it, and what the receipt keeps of it. Raises ``Broken`` where the two differ."""
        if len(meta["frames"]) != len(stored["samples"]):
            raise Broken(
                f"cvat: the task {stored['task']} has {len(meta['frames'])} files now, and {len(stored['samples'])} were sent to "
                "it; nothing of it can be told apart."
            )
        now = label_set.find_labels(Vocabulary.from_dict(stored["vocabulary"]), labels)
        frames, project = Frames.of(meta, stored["samples"]), label_set.project_of(labels)
        return cls(stored["task"], frames, jobs.without_overlap(all_jobs), now, project)

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary with the ids that the server uses now."""
        return self.labels.vocabulary

    def job_of(self) -> dict[int, int]:
        """The id of the regular job of each frame that was not deleted, and that shows a sample."""
        usable = not_null(self.frames.samples)
        usable[list(self.frames.deleted)] = False
        spans = ((job["id"], range(job["start_frame"], job["stop_frame"] + 1)) for job in self.regular)
        return {frame: number for number, span in spans for frame in span if usable[frame]}

    def own(self, baseline: pa.Table) -> pa.Table:
        """The rows of a baseline that are on its frames."""
        return baseline.filter(pa.array(self.frames.index_of(baseline) >= 0)).select(REMOTE.names)

    @property
    def regular(self) -> list[Json]:
        """The jobs that are neither ground truth nor replicas."""
        return [job for job in self.jobs if jobs.is_regular(job)]


def read_task(api: Api, stored: Json) -> CurrentTask:
    """Read a task without its annotations. Raises ``Gone`` when it was deleted."""
    task = stored["task"]
    meta, all_jobs, labels = api.concurrently(
        lambda: api.meta(task), lambda: api.jobs(task), lambda: api.labels(task_id=task)
    )
    return CurrentTask.of(stored, meta, all_jobs, labels)


def download_all(api: Api, receipt: Receipt, config: CvatConfig, job_url: issues.JobUrl) -> Download:
    """The labels and comments of the CVAT tasks of a receipt. One that was deleted is left out, with a note; raises ``Gone`` if all
    were.
    """
    found, gone = [], []
    for stored in receipt.state["tasks"]:
        try:
            found.append(download_task(api, stored, receipt, config, job_url))
        except Gone as e:
            gone.append(gone_note(stored, e))
    if not found:
        raise Gone(gone[0])
    samples = pa.concat_arrays([part.samples for part in found])
    notes = [*gone, *(note for part in found for note in part.notes)]
    comments = pa.concat_tables([part.comments for part in found])
    done = pa.concat_tables([part.reviewed for part in found])
    return Download(pa.concat_tables([part.labels for part in found]), samples, tuple(notes), comments, done)


def gone_note(stored: Json, error: Gone) -> str:
    """A sentence about a CVAT task that was deleted."""
    return f"The CVAT task {stored['task']} is not on the server any more, and brought nothing: {error}"


def download_task(api: Api, stored: Json, receipt: Receipt, config: CvatConfig, job_url: issues.JobUrl) -> Download:
    """The labels and comments of one of the CVAT tasks of a receipt; ``stored`` is what the receipt keeps of it, ``job_url`` gives
    the page of a job. Raises ``Gone`` when the task was deleted on the server.
    """
    number = stored["task"]
    meta, all_jobs, server_labels, annotations = api.concurrently(
        lambda: api.meta(number),
        lambda: api.jobs(number),
        lambda: api.labels(task_id=number),
        lambda: api.annotations("tasks", number),
    )
    task = CurrentTask.of(stored, meta, all_jobs, server_labels)
    receipt = replace(receipt, baseline=task.own(receipt.baseline))
    frames, selected = task.frames, jobs.selected(task.jobs, config)
    kept = _kept_frames(frames, selected, config)
    # What was sent is in the regular jobs: ground truth and replicas begin empty.
    regular = _kept_frames(frames, [job for job in selected if jobs.is_regular(job)], config)
    found = decode.read_labels(jobs.annotations_of(api, annotations, task.jobs, selected), kept, frames.deleted)
    labels, mistyped = labels_of(found, task, selected, receipt)
    is_moved = "project" not in stored or stored["project"] != task.project
    in_regular = np.append(regular, False)[
        frames.index_of(receipt.baseline)
    ]  # index -1, no frame, is the appended False
    changes = LabelChanges.of(task.labels, receipt.baseline.filter(pa.array(in_regular)), labels, is_moved=is_moved)
    unseen = _unseen(receipt.baseline, labels, frames, regular, changes.lost)
    labels = pa.concat_tables([labels, unseen])
    comments, lost = issues.read_comments(issues.issues_of(api, number, selected), frames, labels, job_url, selected)
    if config.only_samples:
        comments = comments.filter(pc.is_in(comments["sample_id"], value_set=pa.array(config.only_samples)))
    notes = (
        *mistyped, *deleted_frames(number, frames), *_shared_frames(number, task.jobs), *changes.notes(task.labels), *lost,
    )  # fmt: skip
    return Download(labels, frames.answered(kept), notes, comments, reviewed.samples(task.regular, frames))


def _kept_frames(frames: Frames, selected: list[Json], config: CvatConfig) -> Bools:
    """Which frames are in the selected jobs, not deleted, and of the samples that the options name."""
    kept = jobs.frames_of(selected, len(frames))
    kept[list(frames.deleted)] = False
    kept &= not_null(frames.samples)
    if config.only_samples:
        kept &= as_mask(pc.is_in(frames.samples, value_set=pa.array(config.only_samples)))
    return kept


def labels_of(
    found: Iterable[decode.FoundLabel], task: CurrentTask, read: Sequence[Json], receipt: Receipt
) -> tuple[pa.Table, list[str]]:
    """What was found in the jobs ``read``, as ``REMOTE``, and a sentence for each scalar that is left out as mistyped."""
    with paused():
        labels = decoded(list(found), task, jobs.work(read), receipt)
    return drop_mistyped_scalars(labels, receipt.baseline, _typed_fields(task.vocabulary, receipt.state["scalars"]))


def decoded(
    found: list[decode.FoundLabel], task: CurrentTask, work: Mapping[int, jobs.Work], receipt: Receipt
) -> pa.Table:
    """The labels as ``REMOTE``, with the values of the baseline where nobody has changed them."""
    found = join_parts(found, receipt.baseline, task.vocabulary, task.frames)
    found, index = remote_ids.follow_tracks(found, receipt.baseline, task.frames)
    decoder = decode.Decoder(task.vocabulary, task.frames, task.labels.names, receipt.state["scalars"])
    return keep_unchanged(decoder.table(found, index, work), receipt.baseline, task.vocabulary)


def join_parts(
    found: list[decode.FoundLabel], baseline: pa.Table, vocabulary: Vocabulary, frames: Frames
) -> list[decode.FoundLabel]:
    """``found`` with the shapes that are parts of one label joined."""
    index = frames.index_of(
        baseline
    )  # the baseline is that of all CVAT tasks of the receipt, the frames are those of one
    sent = sent_labels(baseline.filter(pa.array(index >= 0)), vocabulary, frames)
    segmentations = {
        e.number: (f, e.label or "")
        for e in vocabulary.entries
        for f in e.fields.values()
        if vocabulary.kinds[f] == "segmentation"
    }
    label_of = {part: label for part, label in remote_ids.label_of_part(baseline).items() if label in sent}
    return decode.join_masks(decode.join_shapes(found, label_of, sent), segmentations, sent)


_EXPECTED = {"checkbox": "true or false", "int": "a number", "float": "a number", "number": "a number"}


def _typed_fields(vocabulary: Vocabulary, scalars: Mapping[str, str]) -> dict[str, str]:
    """The type of each scalar field of numbers or booleans. Not of fields with choices: the bridge compares those."""
    free = (f for e in vocabulary.entries if e.label is None and not e.definitions[0].values for f in e.fields.values())
    return {field: scalars[field] for field in free if scalars.get(field) in _EXPECTED}


def drop_mistyped_scalars(labels: pa.Table, baseline: pa.Table, types: Mapping[str, str]) -> tuple[pa.Table, list[str]]:
    """``labels`` without texts in the fields of ``types``, which hold numbers or booleans: CVAT asks for all scalars as texts, so
    people can type anything. Such a label keeps the value that it was sent with; a new one is left out. Also a sentence for each.
    """
    field, value = as_array(labels["field"]), as_array(labels["value"])
    is_text = as_mask(pc.is_in(field, value_set=pa.array([*types], pa.string()))) & as_mask(pc.starts_with(value, '"'))
    if not is_text.any():
        return labels, []
    sent, known = sent_of(labels["remote_id"], baseline)
    wrong = is_text & ~as_mask(pc.equal(value, as_array(sent["value"])))
    if not wrong.any():
        return labels, []
    notes = [
        f"{row['field']}: somebody typed {row['value']} on sample {row['sample_id']!r}, which is not "
        f"{_EXPECTED[types[row['field']]]} as the other values are; it was not taken over. Correct it in CVAT, and load again."
        for row in labels.filter(pa.array(wrong)).select(["field", "value", "sample_id"]).to_pylist()
    ]
    return keep_sent(labels, sent, wrong, "value").filter(pa.array(~wrong | known)), notes


def _unseen(baseline: pa.Table, labels: pa.Table, frames: Frames, seen: Bools, lost: Iterable[Entry]) -> pa.Table:
    """What was sent and cannot be seen now although its sample was answered: on a frame that was deleted or not asked for, or
    of an entry that was ``lost`` on the server. Nobody deleted these labels, so the baseline's rows are returned.
    """
    index = frames.index_of(baseline)
    unseen = (index >= 0) & ~np.append(seen, True)[index]
    unseen |= any_of((rows_of(baseline, entry) for entry in lost), baseline.num_rows)
    unseen &= ~as_mask(pc.is_in(baseline["remote_id"], value_set=labels["remote_id"].combine_chunks()))
    unseen &= index >= 0
    return baseline.filter(pa.array(unseen)).select(REMOTE.names)


def deleted_frames(task: int, frames: Frames) -> Iterator[str]:
    """A sentence about the frames that people have removed, if there are any."""
    if frames.deleted:
        samples = pc.unique(frames.samples.take(pa.array(sorted(frames.deleted))).drop_null()).to_pylist()
        if not samples:
            return
        what = "frames of the video" if frames.numbers.any() else "images"
        yield (
            f"{len(frames.deleted)} {what} were removed in CVAT (task {task}; {', '.join(samples[:3])}"
            f"{' …' if len(samples) > 3 else ''}); their labels here stay as they are."
        )


def _shared_frames(task: int, all_jobs: Iterable[Json]) -> Iterator[str]:
    if shared := sum(job["overlap"] for job in all_jobs):
        yield (
            f"{shared} frames of the CVAT task {task} are in two jobs each, with labels of their own; those of the earlier job are "
            "taken."
        )
