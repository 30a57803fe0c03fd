"""Reading: what one CVAT task holds now, of the frames that a load asks for."""

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

from . import decode, identity, jobs, numbers, untouched
from .api import Api
from .config import CvatConfig
from .encode import sent_as
from .fate import Fate, of_entry
from .frames import Frames
from .vocabulary import Entry, Vocabulary

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def read(api: Api, stored: Json, receipt: Receipt, config: CvatConfig) -> Download:
    """The labels of one CVAT task (``stored`` in the receipt). Raises ``Gone`` when it is not there any more."""
    task = stored["task"]
    meta, work, label_set, annotations = api.at_once(
        lambda: api.meta(task),
        lambda: api.jobs(task),
        lambda: api.labels(task_id=task),
        lambda: api.annotations("tasks", task),
    )
    now = numbers.current(Vocabulary.from_dict(stored["vocabulary"]), label_set)
    vocabulary = now.vocabulary
    if len(meta["frames"]) != len(stored["samples"]):
        raise Broken(
            f"cvat: the task {task} has {len(meta['frames'])} files now, and {len(stored['samples'])} were sent to it; nothing of "
            "it can be told apart."
        )
    files = {f["name"]: sample for f, sample in zip(meta["frames"], stored["samples"], strict=True)}
    frames = Frames.of(meta, files)
    chosen = jobs.wanted(work, config)
    kept = _kept(frames, chosen, config)
    looked_at = _kept(frames, [job for job in chosen if jobs.is_regular(job)], config)  # what was sent is in these
    found = list(decode.read(jobs.chosen_annotations(api, annotations, work, chosen), kept, frames.deleted))
    labels = _decoded(found, frames, now, jobs.annotators(work), receipt)
    labels, misread = read_scalars(labels, receipt.baseline, _types(vocabulary, receipt.state["scalars"]))
    is_moved = "project" not in stored or stored["project"] != numbers.project_of(label_set)
    seen = np.append(looked_at, False)[frames.place(receipt.baseline)]
    fate = Fate.of(now, receipt.baseline.filter(pa.array(seen)), labels, is_moved=is_moved)
    hidden = _out_of_sight(receipt.baseline, labels, frames, looked_at, fate.lost)
    notes = (*misread, *_removed(task, frames), *fate.notes(now))
    return Download(pa.concat_tables([labels, hidden]), frames.answered(kept), notes)


def _kept(frames: Frames, chosen: list[Json], config: CvatConfig) -> Bools:
    kept = jobs.covered(chosen, len(frames))
    kept[list(frames.deleted)] = False
    if config.only_samples:
        kept &= as_mask(pc.is_in(frames.samples, value_set=pa.array(config.only_samples)))
    return kept


def _decoded(
    found: list[decode.Found], frames: Frames, now: numbers.Current, people: dict[int, str], receipt: Receipt
) -> pa.Table:
    found = whole(found, receipt.baseline, now.vocabulary, frames)
    found, index = identity.followed(found, receipt.baseline, frames)
    decoder = decode.Decoder(now.vocabulary, frames, now.names, receipt.state["scalars"])
    return untouched.keep(decoder.table(found, index, people), receipt.baseline, now.vocabulary)


def whole(found: list[decode.Found], baseline: pa.Table, vocabulary: Vocabulary, frames: Frames) -> list[decode.Found]:
    """``found`` with the shapes of one label put together."""
    place = frames.place(baseline)  # a receipt may have several CVAT tasks; this is one of them
    sent = sent_as(baseline.filter(pa.array(place >= 0)), vocabulary, frames)
    pools = {
        e.number: (f, e.label or "")
        for e in vocabulary.entries
        for f in e.fields.values()
        if vocabulary.kinds[f] == "segmentation"
    }
    composites = {part: label for part, label in identity.composites(baseline).items() if label in sent}
    return decode.pooled(decode.joined(found, composites, sent), pools, sent)


_HOLDS = {"checkbox": "true or false", "int": "a number", "float": "a number", "number": "a number"}


def _types(vocabulary: Vocabulary, scalars: Mapping[str, str]) -> dict[str, str]:
    """The type of each scalar field that is not of texts, and has no choices: those are the bridge's to compare."""
    free = (f for e in vocabulary.entries if e.label is None and not e.definitions[0].values for f in e.fields.values())
    return {field: scalars[field] for field in free if scalars.get(field) in _HOLDS}


def read_scalars(labels: pa.Table, baseline: pa.Table, types: Mapping[str, str]) -> tuple[pa.Table, list[str]]:
    """``labels`` without the words that somebody typed where the field has numbers, or true and false: CVAT asks for all
    scalars as texts. Such a label keeps the value it was sent with, or is left out; a sentence tells of each.
    """
    field, value = as_array(labels["field"]), as_array(labels["value"])
    was, known = sent_of(labels["remote_id"], baseline)
    sent = as_array(was["value"])
    is_word = as_mask(pc.is_in(field, value_set=pa.array([*types], pa.string()))) & as_mask(pc.starts_with(value, '"'))
    wrong = is_word & ~as_mask(pc.equal(value, sent))
    if not wrong.any():
        return labels, []
    notes = [
        f"{row['field']}: somebody typed {row['value']} on sample {row['sample_id']!r}, which is not {_HOLDS[types[row['field']]]} "
        "as the other values are; it was not taken over. Correct it in CVAT, and load again."
        for row in labels.filter(pa.array(wrong)).select(["field", "value", "sample_id"]).to_pylist()
    ]
    return keep_sent(labels, was, wrong, "value").filter(pa.array(~wrong | known)), notes


def _out_of_sight(baseline: pa.Table, labels: pa.Table, frames: Frames, kept: Bools, lost: Iterable[Entry]) -> pa.Table:
    """What was sent and cannot be seen now, though its sample can: on a frame that was removed or not asked for, or of an entry
    that was ``lost`` on the server. It is said to be as it was, for nobody deleted it.
    """
    place = frames.place(baseline)
    hidden = (place >= 0) & ~np.append(kept, True)[place]
    hidden |= any_of((of_entry(baseline, entry) for entry in lost), baseline.num_rows)
    hidden &= ~as_mask(pc.is_in(baseline["remote_id"], value_set=labels["remote_id"].combine_chunks()))
    hidden &= place >= 0
    return baseline.filter(pa.array(hidden)).select(REMOTE.names)


def _removed(task: int, frames: Frames) -> Iterator[str]:
    if frames.deleted:
        samples = pc.unique(frames.samples.take(pa.array(sorted(frames.deleted)))).to_pylist()
        what = "frames of the video" if frames.numbers.any() else "images"
        yield (
            f"{len(frames.deleted)} {what} were removed in CVAT (task {task}; {', '.join(samples[:3])}"
            f"{' …' if len(samples) > 3 else ''}); their labels here stay as they are."
        )
