"""Downloading: the labels that DataGym has of a task now.

The export is read first; the task of an image is read only where the export is not precise enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Download, Receipt
from annobridge.core.arrays import as_array, set_columns
from annobridge.core.labels import REVIEWED
from annobridge.exceptions import Denied, Gone, Rejected

from . import label_config
from .api import Api
from .config import DatagymConfig
from .decode import DecodedLabels, Decoder
from .encode import TaskImages
from .exports import Export
from .parse import ImageLabels, fetch_images, parse_export_item
from .projects import Projects
from .vocabulary import Vocabulary

Json = dict[str, Any]
FINISHED = frozenset({"COMPLETED", "SKIPPED", "REVIEWED"})
DONE = frozenset({"completed", "reviewed"})  # the states of images that people have finished, and not skipped
Fetch = Callable[[Sequence[int]], Iterator[ImageLabels]]  # reads images, by their indices, from their tasks


@dataclass(frozen=True, slots=True)
class SentTask:
    """What a receipt says of a task. ``media_ids`` and ``task_ids`` have ``None`` where DataGym's id is not known."""

    images: TaskImages
    media_ids: list[str | None]
    media_names: list[str]
    task_ids: list[str | None]
    vocabulary: Vocabulary
    is_adopted: bool = False

    @classmethod
    def from_receipt(cls, receipt: Receipt) -> SentTask:
        """Read the state of a receipt."""
        state = receipt.state
        sizes = np.array(state["sizes"], np.int64).reshape(-1, 2)
        media_ids, media_names = list(state["media"]), list(state["names"])
        images = TaskImages(
            list(state["samples"]),
            [media_id or name for media_id, name in zip(media_ids, media_names, strict=True)],
            sizes,
        )
        vocabulary = Vocabulary.from_dict(state["vocabulary"])
        return cls(images, media_ids, media_names, list(state["tasks"]), vocabulary, state.get("adopted", False))


def download_task(
    api: Api,
    projects: Projects,
    receipt: Receipt,
    config: DatagymConfig,
    get_export: Callable[[], Export],
    get_tasks: Callable[[], Mapping[str, Json]],
) -> Download:
    """The labels of a task on the server. Raises ``Gone`` if the task is not there any more.

    ``get_export`` reads the export of the project, and is not called if all tasks are to be read. ``get_tasks`` lists the tasks of
    the project by media id.
    """
    project = projects.require_project(receipt.state)
    sent = SentTask.from_receipt(receipt)

    def fetch(images: Sequence[int]) -> Iterator[ImageLabels]:
        tasks = [(n, task_id) for n in images if (task_id := sent.task_ids[n]) is not None]
        found = fetch_images(api, tasks, sent.vocabulary)
        return map(_without_others, found) if sent.is_adopted else found

    if (
        sent.is_adopted and not receipt.baseline.num_rows
    ):  # what is there at first is there, whether it is finished or not
        config = config.model_copy(update={"unfinished": True})
    if config.source == "tasks" or config.unfinished or sent.is_adopted:
        download = _from_tasks(api, receipt, sent, str(project["id"]), config, fetch)
    else:
        download = from_export(receipt, sent, get_export(), config, fetch)
        if tasks := get_tasks():  # the export has finished images only
            download = replace(download, reviewed=_reviewed(sent, tasks))
    existing = {media["id"] for media in api.media(receipt.state["dataset"])}
    deleted = sum(media_id not in existing for media_id in sent.media_ids)
    if not deleted:
        return download
    note = f"{deleted} images of this task were deleted at DataGym; their labels here stay as they are."
    return replace(download, notes=(*download.notes, note))


def _reviewed(sent: SentTask, tasks: Mapping[str, Json]) -> pa.Table:
    """The state of each image (``REVIEWED``), from the project's tasks by media id."""
    found = [(n, tasks[media]) for n, media in enumerate(sent.media_ids) if media is not None and media in tasks]
    return _states(sent, [(n, str(task["labelTaskState"]).lower(), task.get("labeler")) for n, task in found])


def _states(sent: SentTask, states: Sequence[tuple[int, str, str | None]]) -> pa.Table:
    """``REVIEWED``, from the state and the labeler of images."""
    rows = [
        {"sample_id": sent.images.samples[n], "reviewed": state in DONE, "state": state, "by": labeler}
        for n, state, labeler in states
    ]
    return pa.Table.from_pylist(rows, schema=REVIEWED)


def from_export(
    receipt: Receipt, sent: SentTask, export: Export, config: DatagymConfig, fetch: Fetch | None
) -> Download:
    """The labels of a task as the export has them. ``fetch`` reads images with changes from their tasks, where that is possible."""
    decoder = Decoder(receipt.baseline, sent.vocabulary, sent.images, config.parent_attr, export.keys)
    total = DecodedLabels()
    to_fetch: dict[int, Json] = {}
    answered: list[int] = []
    states: list[tuple[int, str, str | None]] = []
    for image, item in export.find_images(sent.media_ids, sent.media_names):
        found = parse_export_item(item, image, sent.vocabulary, export.types)
        decoded = decoder.decode(found)
        answered.append(image)
        states.append((image, found.state, found.annotator))
        is_unclear = decoded.changed_images or decoded.invalid_images
        if fetch is not None and is_unclear and sent.task_ids[image] is not None:
            to_fetch[image] = item
        else:
            total.add(decoded)
    if fetch is not None and to_fetch:
        try:
            for found in fetch(list(to_fetch)):
                total.add(decoder.decode(found))
                del to_fetch[found.image]
        except (Gone, Denied):  # older servers show no tasks to a token
            pass
    for image, item in to_fetch.items():
        total.add(decoder.decode(parse_export_item(item, image, sent.vocabulary, export.types)))
    return _download(receipt, sent, decoder, total, answered, _states(sent, states))


def _from_tasks(
    api: Api, receipt: Receipt, sent: SentTask, project_id: str, config: DatagymConfig, fetch: Fetch
) -> Download:
    try:
        tasks = api.tasks(project_id)
    except (Gone, Denied) as error:
        raise Rejected(
            "datagym: this server shows tasks to no program, as older hosted ones, so that source='tasks' and unfinished=True "
            "cannot be used; leave them out, and finished images are loaded from the export."
        ) from error
    wanted = {t["taskId"] for t in tasks if config.unfinished or t["labelTaskState"] in FINISHED}
    images = [n for n, task_id in enumerate(sent.task_ids) if task_id in wanted]
    keys = None
    if images:
        entries = api.task(sent.task_ids[images[0]] or "")["labelConfig"]["entries"]
        keys = {entry["entryKey"] for entry in label_config.walk(entries)}
    decoder = Decoder(
        receipt.baseline, sent.vocabulary, sent.images, config.parent_attr, keys, is_adopted=sent.is_adopted
    )
    total = DecodedLabels()
    for found in fetch(images):
        total.add(decoder.decode(found))
    return _download(receipt, sent, decoder, total, images, _reviewed(sent, {t["mediaId"]: t for t in tasks}))


def _without_others(found: ImageLabels) -> ImageLabels:
    """An image without nested shapes and segmentations, which no field of an adopted task has."""
    kept = [g for g in found.geometries if len(g.path) == 1 and g.type != "image_segmentation"]
    return replace(found, geometries=kept)


def _download(
    receipt: Receipt,
    sent: SentTask,
    decoder: Decoder,
    total: DecodedLabels,
    answered: Sequence[int],
    reviewed: pa.Table,
) -> Download:
    samples = pa.array([sent.images.samples[n] for n in answered], pa.string())
    labels = total.to_table(receipt.baseline)
    if sent.is_adopted:  # an id that several shapes show, as copies do, is none
        repeats = pc.value_counts(labels["label_id"].drop_null())
        once = repeats.field("values").filter(pc.equal(repeats.field("counts"), 1))
        label_ids = as_array(labels["label_id"])
        labels = set_columns(labels, label_id=pc.if_else(pc.is_in(label_ids, value_set=once), label_ids, None))
    skipped = pc.and_(pc.equal(reviewed["state"], "skipped"), pc.is_in(reviewed["sample_id"], value_set=samples))
    notes = _notes(sent, decoder, total, pc.sum(skipped, min_count=0).as_py())
    return Download(labels, samples, tuple(notes), reviewed=reviewed)


def _notes(sent: SentTask, decoder: Decoder, total: DecodedLabels, skipped: int) -> Iterator[str]:
    if skipped:
        yield f"{skipped} images were skipped by their labelers; their labels were read as they are there."
    if total.invalid_images:
        yield (
            f"{total.invalid_images} images have shapes that DataGym considers invalid (partly left of or above the image, or "
            "without points): those that were sent stay where they were, new ones were left out."
        )
    if total.unknown_ids:
        shown = ", ".join(map(repr, sorted(set(total.unknown_ids))[:3]))
        yield (
            f"{len(total.unknown_ids)} shapes show the id of no label that was sent with their image ({shown}); they are new ones."
        )
    if decoder.existing_keys is not None:
        removed = [e.key for e in sent.vocabulary.entries if e.key not in decoder.existing_keys]
        if removed:
            yield f"The classes {', '.join(removed)} were removed from the label configuration; their labels here stay as they are."
