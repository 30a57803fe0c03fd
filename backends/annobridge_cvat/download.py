"""Download: the labels that one CVAT task has now, on the frames that a load asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Download, Receipt
from annobridge.backend.kit import keep_sent, sent_of
from annobridge.core.arrays import any_of, as_array, as_mask
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Broken

from . import decode, issues, jobs, label_set, remote_ids
from .api import Api
from .baseline import keep_unchanged
from .config import CvatConfig
from .encode import sent_labels
from .frames import Frames
from .label_changes import LabelChanges
from .vocabulary import Entry, Vocabulary, rows_of

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def download_task(api: Api, stored: Json, receipt: Receipt, config: CvatConfig, job_url: issues.JobUrl) -> Download:
    """The labels and comments of one of the CVAT tasks of a receipt; ``stored`` is what the receipt keeps of it, ``job_url`` gives
    the page of a job. Raises ``Gone`` when the task was deleted on the server.
    """
    task = stored["task"]
    meta, all_jobs, server_labels, annotations = api.concurrently(
        lambda: api.meta(task),
        lambda: api.jobs(task),
        lambda: api.labels(task_id=task),
        lambda: api.annotations("tasks", task),
    )
    now = label_set.find_labels(Vocabulary.from_dict(stored["vocabulary"]), server_labels)
    vocabulary = now.vocabulary
    if len(meta["frames"]) != len(stored["samples"]):
        raise Broken(
            f"cvat: the task {task} has {len(meta['frames'])} files now, and {len(stored['samples'])} were sent to it; nothing of "
            "it can be told apart."
        )
    files = {f["name"]: sample for f, sample in zip(meta["frames"], stored["samples"], strict=True)}
    frames = Frames.of(meta, files)
    selected = jobs.selected(all_jobs, config)
    kept = _kept_frames(frames, selected, config)
    # What was sent is in the regular jobs: ground truth and replicas begin empty.
    regular = _kept_frames(frames, [job for job in selected if jobs.is_regular(job)], config)
    found = list(decode.read_labels(jobs.annotations_of(api, annotations, all_jobs, selected), kept, frames.deleted))
    labels = _decoded(found, frames, now, jobs.annotators(all_jobs), receipt)
    labels, mistyped = drop_mistyped_scalars(
        labels, receipt.baseline, _typed_fields(vocabulary, receipt.state["scalars"])
    )
    is_moved = "project" not in stored or stored["project"] != label_set.project_of(server_labels)
    in_regular = np.append(regular, False)[
        frames.index_of(receipt.baseline)
    ]  # index -1, no frame, is the appended False
    changes = LabelChanges.of(now, receipt.baseline.filter(pa.array(in_regular)), labels, is_moved=is_moved)
    unseen = _unseen(receipt.baseline, labels, frames, regular, changes.lost)
    labels = pa.concat_tables([labels, unseen])
    comments, lost = issues.read_comments(issues.issues_of(api, task, selected), frames, labels, job_url, selected)
    if config.only_samples:
        comments = comments.filter(pc.is_in(comments["sample_id"], value_set=pa.array(config.only_samples)))
    notes = (*mistyped, *_deleted_frames(task, frames), *changes.notes(now), *lost)
    return Download(labels, frames.answered(kept), notes, comments)


def _kept_frames(frames: Frames, selected: list[Json], config: CvatConfig) -> Bools:
    """Which frames are in the selected jobs, not deleted, and of the samples that the options name."""
    kept = jobs.frames_of(selected, len(frames))
    kept[list(frames.deleted)] = False
    if config.only_samples:
        kept &= as_mask(pc.is_in(frames.samples, value_set=pa.array(config.only_samples)))
    return kept


def _decoded(
    found: list[decode.FoundLabel],
    frames: Frames,
    now: label_set.CurrentLabels,
    annotators: dict[int, str],
    receipt: Receipt,
) -> pa.Table:
    found = join_parts(found, receipt.baseline, now.vocabulary, frames)
    found, index = remote_ids.follow_tracks(found, receipt.baseline, frames)
    decoder = decode.Decoder(now.vocabulary, frames, now.names, receipt.state["scalars"])
    return keep_unchanged(decoder.table(found, index, annotators), receipt.baseline, now.vocabulary)


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
    sent, known = sent_of(labels["remote_id"], baseline)
    is_text = as_mask(pc.is_in(field, value_set=pa.array([*types], pa.string()))) & as_mask(pc.starts_with(value, '"'))
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


def _deleted_frames(task: int, frames: Frames) -> Iterator[str]:
    if frames.deleted:
        samples = pc.unique(frames.samples.take(pa.array(sorted(frames.deleted)))).to_pylist()
        what = "frames of the video" if frames.numbers.any() else "images"
        yield (
            f"{len(frames.deleted)} {what} were removed in CVAT (task {task}; {', '.join(samples[:3])}"
            f"{' …' if len(samples) > 3 else ''}); their labels here stay as they are."
        )
