"""Transport by files: a person uploads what is written here on the project's page, and downloads the export there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from annobridge.backend import Download, Receipt, Task
from annobridge.exceptions import InvalidOption, Rejected

from . import download, names
from .config import DatagymConfig
from .encode import TaskImages, batches, encode_labels, import_items
from .exports import Export
from .upload import BATCH, baseline_of, sizes_of
from .validate import validate
from .vocabulary import Vocabulary

Json = dict[str, Any]
CONFIGURATION = "label-configuration.json"
_CHUNK = 1 << 20


def read_media_ids(path: str) -> dict[str, str | None]:
    """Read DataGym's media ids from a file, by the names of images; ``None`` for a name that has two of them.

    The file is an export, a dataset as API v1 shows it, or a list of media. Raises ``InvalidOption``.
    """
    try:
        content = json.loads(Path(path).expanduser().read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidOption(f"media_ids: {path!r} cannot be read as JSON ({error}); give the file again.") from error
    listed = content.get("media") if isinstance(content, dict) else content
    ids: dict[str, str | None] = {}
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict):
            name = one.get("external_media_ID", one.get("mediaName"))
            media_id = one.get("internal_media_ID", one.get("id"))
            if isinstance(name, str) and isinstance(media_id, str):
                ids[name] = None if name in ids and ids[name] != media_id else media_id
    if not ids:
        raise InvalidOption(
            f"media_ids: {path!r} names no images; give an export of the project, or what GET /api/v1/dataset/<id> answers."
        )
    return ids


def check_media_ids(task: Task, ids: Mapping[str, str | None] | None) -> Iterator[str]:
    """The problem of images with labels whose ids are not known: DataGym's import finds images by id only."""
    labelled = set(task.labels["sample_id"].to_pylist())
    if not labelled:
        return
    if ids is None:
        yield (
            "transport='files' with labels needs media_ids: DataGym's import knows images by the ids that it gave them. Upload "
            "the images first, and give what GET /api/v1/dataset/<id> answers, or an export that has them; without labels none "
            "is needed."
        )
        return
    pairs = zip(task.samples["sample_id"].to_pylist(), _media_names(task), strict=True)
    unknown = [name for sample, name in pairs if sample in labelled and ids.get(name) is None]
    if unknown:
        yield (
            f"media_ids has no id, or two, for {len(unknown)} images, as {unknown[0]!r}; upload them to DataGym, make the file "
            "again, or leave them out of the view."
        )


def check_folder(folder: str, vocabulary: Vocabulary) -> Iterator[str]:
    """The problem of a folder with the files of another run, whose label configuration would be overwritten."""
    path = Path(folder).expanduser() / CONFIGURATION
    if path.exists() and path.read_text("utf-8") != _configuration_text(vocabulary):
        yield f"folder: {folder!r} has another label configuration in it ({CONFIGURATION}); give another folder, or remove it."


def _media_names(task: Task) -> list[str]:
    """What the images are called at DataGym: as their files."""
    return [names.base_name(path) for path in task.samples["filepath"].to_pylist()]


def _configuration_text(vocabulary: Vocabulary) -> str:
    return json.dumps(vocabulary.configuration(), indent=2, ensure_ascii=False)


def write(task: Task, vocabulary: Vocabulary, config: DatagymConfig, ids: Mapping[str, str | None] | None) -> Receipt:
    """Write the import of a task and the label configuration. Writing them again makes the same files."""
    folder = Path(config.folder or ".").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    media_names = _media_names(task)
    media_ids = [(ids or {}).get(name) for name in media_names]
    images = TaskImages(
        task.samples["sample_id"].to_pylist(),
        [media_id or name for media_id, name in zip(media_ids, media_names, strict=True)],
        sizes_of(task.samples),
    )
    labels = encode_labels(task.labels.combine_chunks(), vocabulary, images, config.parent_attr)
    with _atomic_file(folder / CONFIGURATION) as out:
        out.write(_configuration_text(vocabulary))
    with _atomic_file(labels_file(folder, task.name)) as out:
        separator = "[\n"
        for batch in batches(import_items(labels, images, keep=not config.replace_labels), BATCH):
            validate(batch)
            for item in batch:
                out.write(separator + json.dumps(item, allow_nan=False))
                separator = ",\n"
        out.write("\n]\n" if separator != "[\n" else "[]\n")
    state = {
        "folder": str(folder.resolve()), "samples": images.samples, "media": media_ids, "names": media_names,
        "tasks": [None] * len(media_names), "sizes": images.sizes.tolist(),
        "vocabulary": json.loads(json.dumps(vocabulary.to_dict())),
    }  # fmt: skip
    return Receipt(task.name, state, baseline_of(task.labels, labels, images, {}))


def labels_file(folder: Path, task_name: str) -> Path:
    """The path of the import of a task."""
    return folder / f"{names.shortened(task_name, names.LONGEST_NAME)}.labels.json"


@contextmanager
def _atomic_file(path: Path) -> Iterator[TextIO]:
    """A text file that replaces ``path`` when it is complete, and is removed after an error."""
    out = tempfile.NamedTemporaryFile(  # noqa: SIM115
        "w", encoding="utf-8", dir=path.parent, prefix=".annobridge-", delete=False
    )
    try:
        with out:
            yield out  # type: ignore[misc]
        os.replace(out.name, path)
    except BaseException:
        os.unlink(out.name)
        raise


def open_export(path: str | None) -> Export:
    """Read the export that a person downloaded. Raises ``InvalidOption`` if there is none, ``Broken`` if it is not complete."""
    if path is None:
        raise InvalidOption(
            "datagym with transport='files' reads the export that you downloaded: give it as path='datagym_export_….json'."
        )
    file = Path(path).expanduser()
    if not file.is_file():
        raise InvalidOption(
            f"path: there is no file {path!r}; download the export on the project's page, and give its path."
        )
    with file.open("rb") as stream:
        chunks = iter(lambda: stream.read(_CHUNK), b"")
        return Export(chunks, repr(path), "Download it again on the project's page.")


def read(receipt: Receipt, export: Export, config: DatagymConfig) -> Download:
    """The labels of a task, as an export has them. Raises ``Rejected`` for the export of another project."""
    sent = download.SentTask.from_receipt(receipt)
    roots = {e.key for e in sent.vocabulary.entries if e.parent is None}
    if export.keys is not None and not roots & export.keys:
        raise Rejected(
            f"datagym: {export.where} is the export of another project: its classes are {_first_of(export.keys)}, and those of "
            f"this run are {_first_of(roots)}. Download that of the project to which the run's files were uploaded."
        )
    found = download.from_export(receipt, sent, export, config, None)
    if len(export) and not len(found.samples):
        note = f"{export.where} has {len(export)} images, and none of the task {receipt.task}: not finished, or of another project?"
        return replace(found, notes=(*found.notes, note))
    return found


def _first_of(keys: Collection[str]) -> str:
    shown = sorted(keys)
    return ", ".join(map(repr, shown[:5])) + (" …" if len(shown) > 5 else "")


def delete(receipt: Receipt) -> None:
    """Remove the import of a task, and the label configuration with the last import."""
    folder = Path(receipt.state["folder"])
    labels_file(folder, receipt.task).unlink(missing_ok=True)
    if folder.is_dir() and not list(folder.glob("*.labels.json")):
        (folder / CONFIGURATION).unlink(missing_ok=True)
