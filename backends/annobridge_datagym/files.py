"""Files: what a person uploads on the project's page and downloads there, where no program may speak with the server."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from annobridge.backend import Download, Receipt, Task
from annobridge.exceptions import InvalidOption, Rejected

from . import names, reading, validate
from .config import DatagymConfig
from .encode import Pictures, batches, items, pieces
from .exports import Export
from .filling import BATCH, baseline, sizes_of
from .reading import Known
from .vocabulary import Vocabulary

Json = dict[str, Any]
CONFIGURATION = "label-configuration.json"
_PIECE = 1 << 20


def file_names(samples: pa.Table) -> list[str]:
    """What the images are called at DataGym: as their files."""
    return [p.replace("\\", "/").rpartition("/")[2] for p in samples["filepath"].to_pylist()]


def media_ids(path: str) -> dict[str, str | None]:
    """DataGym's ids by the names of images: from an export, a dataset as API v1 shows it, or a list of media. ``None`` for a name
    that occurs twice. Raises ``InvalidOption``.
    """
    try:
        found = json.loads(Path(path).expanduser().read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidOption(f"media_ids: {path!r} cannot be read as JSON ({error}); give the file again.") from error
    listed = found.get("media") if isinstance(found, dict) else found
    ids: dict[str, str | None] = {}
    for one in listed if isinstance(listed, list) else []:
        name, number = _pair(one)
        if name is not None and number is not None:
            ids[name] = None if name in ids and ids[name] != number else number
    if not ids:
        raise InvalidOption(
            f"media_ids: {path!r} names no images; give an export of the project, or what GET /api/v1/dataset/<id> answers."
        )
    return ids


def _pair(one: Any) -> tuple[str | None, str | None]:
    if not isinstance(one, dict):
        return None, None
    name, number = one.get("external_media_ID", one.get("mediaName")), one.get("internal_media_ID", one.get("id"))
    return (name, number) if isinstance(name, str) and isinstance(number, str) else (None, None)


def problems(task: Task, ids: Mapping[str, str | None] | None) -> Iterator[str]:
    """Images whose labels could not be uploaded, for DataGym's import knows images by its own ids only."""
    labelled = set(task.labels["sample_id"].to_pylist())
    if not labelled:
        return
    if ids is None:
        yield (
            "transport='files' with labels needs media_ids: DataGym's import knows images by the ids that it gave them. "
            "Upload the images "
            "first, and give what GET /api/v1/dataset/<id> answers, or an export that has them; without labels none is needed."
        )
        return
    pairs = zip(task.samples["sample_id"].to_pylist(), file_names(task.samples), strict=True)
    lost = [name for sample, name in pairs if sample in labelled and ids.get(name) is None]
    if lost:
        yield (
            f"media_ids says nothing, or two things, of {len(lost)} images, as {lost[0]!r}; upload them to DataGym, make the "
            "file anew, or "
            "leave them out of the view."
        )


def taken(folder: str, vocabulary: Vocabulary) -> Iterator[str]:
    """A folder with the files of another run, whose label configuration would be written over."""
    path = Path(folder).expanduser() / CONFIGURATION
    if path.exists() and path.read_text("utf-8") != _shown(vocabulary):
        yield f"folder: {folder!r} has another label configuration in it ({CONFIGURATION}); give another folder, or remove it."


def _shown(vocabulary: Vocabulary) -> str:
    return json.dumps(vocabulary.definition(), indent=2, ensure_ascii=False)


def write(task: Task, vocabulary: Vocabulary, config: DatagymConfig, ids: Mapping[str, str | None] | None) -> Receipt:
    """Write the import of a task, and the label configuration beside it. Written again, they are the same."""
    folder = Path(config.folder or ".").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    known = file_names(task.samples)
    media = [(ids or {}).get(name) for name in known]
    pictures = Pictures(
        task.samples["sample_id"].to_pylist(),
        [m or n for m, n in zip(media, known, strict=True)],
        sizes_of(task.samples),
    )
    sent = pieces(task.labels.combine_chunks(), vocabulary, pictures, config.parent_attr)
    with _Whole(folder / CONFIGURATION) as out:
        out.write(_shown(vocabulary))
    with _Whole(labels_file(folder, task.name)) as out:
        _write_items(out, batches(items(sent, pictures, keep=not config.replace_labels), BATCH))
    state = {
        "folder": str(folder.resolve()), "samples": pictures.samples, "media": media, "names": known, "tasks": [None] * len(known),
        "sizes": pictures.sizes.tolist(), "vocabulary": json.loads(json.dumps(vocabulary.to_dict())),
    }  # fmt: skip
    return Receipt(task.name, state, baseline(task.labels, sent, pictures, {}))


def labels_file(folder: Path, task: str) -> Path:
    """The import of a task."""
    return folder / f"{names.short(task, names.LONGEST_NAME)}.labels.json"


def _write_items(out: TextIO, parts: Iterator[list[Json]]) -> None:
    separator = "[\n"
    for part in parts:
        validate.require(part)
        for item in part:
            out.write(separator + json.dumps(item, allow_nan=False))
            separator = ",\n"
    out.write("\n]\n" if separator != "[\n" else "[]\n")


class _Whole:
    """A text file that is there whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> TextIO:
        self._out = tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self._path.parent, prefix=".annobridge-", delete=False
        )
        return self._out  # type: ignore[return-value]

    def __exit__(self, kind: object, *_: object) -> None:
        self._out.close()
        if kind is None:
            os.replace(self._out.name, self._path)
        else:
            os.unlink(self._out.name)


def open_export(path: str | None) -> Export:
    """The export that a person downloaded. Raises ``InvalidOption`` where there is none, ``Broken`` for one that is not whole."""
    if path is None:
        raise InvalidOption(
            "datagym with transport='files' reads the export that you downloaded: give it as path='datagym_export_….json'."
        )
    place = Path(path).expanduser()
    if not place.is_file():
        raise InvalidOption(
            f"path: there is no file {path!r}; download the export on the project's page, and give its place."
        )
    with place.open("rb") as stream:
        return Export(iter(lambda: stream.read(_PIECE), b""), repr(path), "Download it again on the project's page.")


def read(receipt: Receipt, export: Export, config: DatagymConfig) -> Download:
    """The labels of a task, as an export has them. Raises ``Rejected`` for that of another project."""
    known = Known.of(dict(receipt.state))
    roots = {e.key for e in known.vocabulary.entries if e.below is None}
    if export.classes is not None and not roots & export.classes:
        raise Rejected(
            f"datagym: {export.where} is the export of another project: its classes are {_some(export.classes)}, and those of "
            "this run "
            f"are {_some(roots)}. Download that of the project to which the run's files were uploaded."
        )
    found = reading.from_export(receipt, known, export, config, None)
    if len(export) and not len(found.samples):
        note = f"{export.where} has {len(export)} images, and none of the task {receipt.task}: not finished, or of another project?"
        return Download(found.labels, found.samples, (*found.notes, note))
    return found


def _some(keys: Sequence[str] | set[str]) -> str:
    shown = sorted(keys)
    return ", ".join(map(repr, shown[:5])) + (" …" if len(shown) > 5 else "")


def delete(receipt: Receipt) -> None:
    """Remove what was written; the label configuration with the last of the imports."""
    folder = Path(receipt.state["folder"])
    labels_file(folder, receipt.task).unlink(missing_ok=True)
    if folder.is_dir() and not list(folder.glob("*.labels.json")):
        (folder / CONFIGURATION).unlink(missing_ok=True)
