"""Reading: what DataGym holds of a task now. The export first; a single task where the export says too little."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend import Download, Receipt
from annobridge.exceptions import Denied, Gone, Rejected

from . import found
from .api import Api
from .config import DatagymConfig
from .decode import Decoded, Decoder
from .encode import Pictures
from .exports import Export
from .found import Image
from .places import Places
from .vocabulary import Vocabulary

Json = dict[str, Any]
FINISHED = frozenset({"COMPLETED", "SKIPPED", "REVIEWED"})
_DELETED = "{n} images of this task were deleted at DataGym; their labels here stay as they are."
Look = Callable[[Sequence[int]], Iterator[Image]]


@dataclass(frozen=True, slots=True)
class Known:
    """What a receipt says, ready to use. ``media`` and ``tasks`` have ``None`` where DataGym's id is not known."""

    pictures: Pictures
    media: list[str | None]
    names: list[str]
    tasks: list[str | None]
    vocabulary: Vocabulary

    @classmethod
    def of(cls, state: Json) -> Known:
        """From a receipt's state."""
        sizes = np.array(state["sizes"], np.int64).reshape(-1, 2)
        media = [m or name for m, name in zip(state["media"], state["names"], strict=True)]
        pictures = Pictures(list(state["samples"]), media, sizes)
        vocabulary = Vocabulary.from_dict(state["vocabulary"])
        return cls(pictures, list(state["media"]), list(state["names"]), list(state["tasks"]), vocabulary)


def of_server(
    api: Api, places: Places, receipt: Receipt, config: DatagymConfig, export: Callable[[], Export]
) -> Download:
    """The labels of a task. Raises ``Gone`` when it is not there any more."""
    project = places.require(receipt.state)
    known = Known.of(dict(receipt.state))
    if config.source == "tasks" or config.unfinished:
        read = _from_tasks(api, receipt, known, str(project["id"]), config)
    else:
        read = from_export(receipt, known, export(), config, lambda rows: _look(api, known, rows))
    there = {media["id"] for media in api.media(receipt.state["dataset"])}
    gone = sum(number not in there for number in known.media)
    return replace(read, notes=(*read.notes, _DELETED.format(n=gone))) if gone else read


def from_export(receipt: Receipt, known: Known, export: Export, config: DatagymConfig, look: Look | None) -> Download:
    """What the export says; of images on which something was changed, ``look`` tells more, if it can."""
    decoder = Decoder(receipt.baseline, known.vocabulary, known.pictures, config.parent_attr, export.classes)
    total, again, answered, states = Decoded(), [], [], []
    for sample, item in export.of_images(known.media, known.names):
        image = found.of_export(item, sample, known.vocabulary, export.types)
        one = decoder.image(image)
        answered.append(sample)
        states.append(image.state)
        if look is not None and (one.unlike or one.odd) and known.tasks[sample] is not None:
            again.append((sample, item))
        else:
            total.add(one)
    seen: set[int] = set()
    if look is not None and again:
        seen = _again(decoder, total, look, [sample for sample, _ in again])
    for sample, item in again:
        if sample not in seen:
            total.add(decoder.image(found.of_export(item, sample, known.vocabulary, export.types)))
    return _download(receipt, known, decoder, total, answered, states)


def _again(decoder: Decoder, total: Decoded, look: Look, samples: Sequence[int]) -> set[int]:
    """Take in these images as their tasks show them; which of them that were."""
    seen: set[int] = set()
    try:
        for image in look(samples):
            total.add(decoder.image(image))
            seen.add(image.sample)
    except (Gone, Denied):  # older servers show no tasks to a token: the export has to do
        pass
    return seen


def _from_tasks(api: Api, receipt: Receipt, known: Known, project: str, config: DatagymConfig) -> Download:
    wanted = {t["taskId"] for t in _listed(api, project) if config.unfinished or t["labelTaskState"] in FINISHED}
    rows = [n for n, task in enumerate(known.tasks) if task in wanted]
    classes = classes_of(api.task(known.tasks[rows[0]] or "")) if rows else None
    decoder = Decoder(receipt.baseline, known.vocabulary, known.pictures, config.parent_attr, classes)
    total, states = Decoded(), []
    for image in _look(api, known, rows):
        total.add(decoder.image(image))
        states.append(image.state)
    return _download(receipt, known, decoder, total, rows, states)


def _listed(api: Api, project: str) -> list[Json]:
    try:
        return api.tasks(project)
    except (Gone, Denied) as error:
        raise Rejected(
            "datagym: this server shows tasks to no program, as older hosted ones, so that source='tasks' and unfinished=True "
            "cannot be; leave them out, and finished images are loaded from the export."
        ) from error


def _look(api: Api, known: Known, rows: Sequence[int]) -> Iterator[Image]:
    """These images as their tasks show them."""
    return found.look(api, [(n, task) for n in rows if (task := known.tasks[n]) is not None], known.vocabulary)


def classes_of(task: Json) -> set[str]:
    """The keys of the label configuration that a task shows."""
    return set(_keys(task["labelConfig"]["entries"]))


def _keys(entries: Iterable[Json]) -> Iterator[str]:
    for entry in entries:
        yield entry["entryKey"]
        yield from _keys(entry.get("children") or ())


def _download(
    receipt: Receipt, known: Known, decoder: Decoder, total: Decoded, answered: Sequence[int], states: Sequence[str]
) -> Download:
    samples = pa.array([known.pictures.samples[n] for n in answered], pa.string())
    return Download(total.table(receipt.baseline), samples, tuple(_notes(known, decoder, total, states)))


def _notes(known: Known, decoder: Decoder, total: Decoded, states: Sequence[str]) -> Iterator[str]:
    if skipped := list(states).count("skipped"):
        yield f"{skipped} images were skipped by their labelers; their labels were read as they are there."
    if total.odd:
        yield (
            f"{total.odd} images have shapes that DataGym holds for broken (partly left of or above the image, or without "
            "points): those that were sent stay where they were, new ones were left out."
        )
    if total.strange:
        shown = ", ".join(map(repr, sorted(set(total.strange))[:3]))
        yield f"{len(total.strange)} shapes bear the id of no label that was sent with their image ({shown}); they are new ones."
    if decoder.classes is not None:
        gone = [e.key for e in known.vocabulary.entries if e.key not in decoder.classes]
        if gone:
            yield f"The classes {', '.join(gone)} were removed from the label configuration; their labels here stay as they are."
