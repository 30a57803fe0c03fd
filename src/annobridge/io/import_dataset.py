"""A dataset of another tool is imported as a whole, or not at all: into a new dataset, or into one that exists."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.arrow_memory import system_memory
from ..core.labels import SAMPLES
from ..dataset import Dataset, load_dataset
from ..display.progress import ProgressChoice
from ..exceptions import DatasetExists, InvalidOption, InvalidSource, StoreError
from ..formats import registry
from ..formats.base import Context, Format, Source
from ..formats.common.archive import looking
from ..formats.common.file_format import FileFormat
from ..ingest.importer import Importer
from ..ingest.new_label_rows import clip_option
from ..jobs.execution import Execution, ExecutorChoice, telling
from ..jobs.spread import SpreadCalls
from ..store import staging
from ..store.errors import is_disk_full
from ..store.stores import Stores
from ..store.tables import Database

MODES = ("create", "overwrite", "add")
_MEDIA_FOLDERS = ("media_dir", "media_folder")  # options of formats


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        dataset: the dataset.
        format: the name of the format.
        samples: how many samples were added.
        labels: how many labels were added, by field.
        known: how many samples the dataset had already.
        kept: how many labels were left out, by field, as their sample has labels in the field already.
        notes: what the reader assumed, left out or corrected, a sentence each.
        skipped: the annotations that were left out, with place and reason; of formats of label files.
        reason: by what a format of label files was recognised; ``None`` if it was given.
    """

    dataset: Dataset
    format: str
    samples: int
    labels: dict[str, int]
    known: int
    kept: dict[str, int]
    notes: list[str]
    skipped: pa.Table
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        plain = {
            name: getattr(self, name) for name in ("format", "reason", "samples", "labels", "known", "kept", "notes")
        }
        return {"dataset": self.dataset.uri, **plain, "skipped": self.skipped.to_pylist()}


def import_dataset(
    source: str | Path,
    uri: str | Path,
    format: str | None = None,  # noqa: A002 - the word that everybody looks for
    mode: str = "create",
    tags: Sequence[str] = (),
    invalid: str = "refuse",
    ignore: bool = False,
    strict: bool = False,
    progress: ProgressChoice = None,
    storage_options: dict[str, str] | None = None,
    executor: ExecutorChoice = None,
    workers: int | None = None,
    executor_address: str | None = None,
    **options: Any,
) -> ImportReport:
    """Import a dataset of another tool. Media stay where they are; those inside a zip are unpacked beside the dataset.

    Everything is checked before anything is written. An import that is killed leaves the dataset as it was, and can be repeated.

    Args:
        source: the folder or file to import.
        uri: the dataset: a folder, or ``s3://``, ``gs://``, ``az://``.
        format: the name of the format; by default, it is found by looking at the source.
        mode: ``"create"`` makes the dataset. ``"overwrite"`` replaces one, with all its labels and runs, unless it has
            snapshots. ``"add"`` adds to one: samples that it has stay as they are, and get the labels of the fields in which they
            have none.
        tags: tags that the new samples get.
        invalid: ``"clip"`` clips boxes and points that leave their image; ``"refuse"`` refuses them. Shapes in label files are
            always cut back to their image, and counted in the notes.
        ignore: leave out label files that the format does not read, which are an error otherwise.
        strict: refuse a source of which something would be left out or changed.
        progress: whether to show a progress bar; by default, on a terminal. Or a function that is called with the number of
            samples that are done, and of all samples.
        storage_options: options of the object store.
        executor: where lines are read and images are opened, if there are many: ``"local"`` (processes of this machine, with this
            one), ``"dask"``, ``"ray"``, or an object with ``submit``, as executors of ``concurrent.futures`` have it. By default as
            in the settings, or ``"local"``. Workers on other machines need the source at the same path. The result is the same.
        workers: how many of them work at once; by default one for each core, or as many as a cluster has room for.
        executor_address: of the cluster, as ``"tcp://10.0.0.1:8786"``.
        **options: the options of the format. All formats of label files have ``image_dir`` (the folder of the images, where they
            are not in the source), ``field`` (the label field), ``as_predictions``, ``media_dir`` (where images inside a zip are
            unpacked), and the limits ``max_files``, ``max_bytes``, ``max_file_bytes`` and ``max_ratio``.

    Returns:
        The dataset, with counts and notes.

    Raises:
        InvalidSource: the source cannot be read; names the file and the line.
        InvalidLabels: some labels cannot be stored.
        InvalidOption: there is no such format, mode or option.
        DatasetExists: ``mode="create"``, and there is a dataset.
        DatasetNotFound: ``mode="add"``, and there is no dataset.
        ExecutorError: the workers are not there, do not see the source, or ended. Nothing is imported.
        StoreError: there is nothing at ``source``, the disk is full, or ``mode="overwrite"``, and the dataset has
            snapshots or ``source`` is inside it.
    """
    _require_known(mode, tags)
    clip = clip_option(invalid)
    path = _existing(source)
    with looking():
        reader = registry.get(format) if format is not None else registry.of(path)
        reason = _reason(reader, path) if format is None else None
    chosen = _options(reader, options, clip, ignore)
    calls = _calls([path, *_folders(path, chosen)], executor, workers, executor_address)
    _require_outside(str(uri), [path, *_folders(path, chosen)] if mode == "overwrite" else [])
    with _disk_full_explained(), _stores(str(uri), mode, storage_options) as stores, ExitStack() as files:
        files.enter_context(system_memory())
        context = Context(_known_samples(stores) if mode == "add" else None, _media_folder(str(uri), path), calls)
        drafted = _in_draft(chosen, stores.database)
        with telling("Nothing was imported."):
            opened = files.enter_context(_unpacked(context, lambda: reader.open(path, drafted, context)))
        with stores.changing_samples("is being imported into"):
            if mode != "add":
                _require_empty(stores)
            importer = Importer(stores, tags, clip, _folders(path, chosen))
            importer.read(opened, progress)
            notes = [*opened.notes, *importer.notes]
            _require_complete(strict, notes, importer.kept)
            importer.commit()
    return ImportReport(
        dataset=load_dataset(uri, storage_options),
        format=reader.name,
        samples=importer.samples,
        labels=dict(sorted(importer.labels.items())),
        known=importer.known,
        kept=dict(sorted(importer.kept.items())),
        notes=[*notes, *opened.assumptions],
        skipped=opened.skipped,
        reason=reason,
    )


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise StoreError(f"There is no folder or file {str(source)!r}; correct the path.")
    return path


def _options(reader: Format, given: dict[str, Any], clip: bool, ignore: bool) -> Any:
    """The options of reading, with what the reader has of the arguments of the import."""
    fields = reader.reading.model_fields if reader.reading is not None else {}
    named = {name: True for name, wanted in (("clip", clip), ("ignore", ignore)) if wanted and name in fields}
    return registry.options(reader.reading, given | named, f"Reading {reader.title}")


def _calls(
    places: Sequence[Path], executor: ExecutorChoice, workers: int | None, executor_address: str | None
) -> SpreadCalls:
    """Calls of readers where the arguments or the settings say, in workers that see these places. Raises ``ConfigError``."""
    execution = Execution.of({"executor": executor, "workers": workers, "executor_address": executor_address})
    return SpreadCalls(execution, list(dict.fromkeys(map(str, places))))


def _require_empty(stores: Stores) -> None:
    """Begin a new dataset, perhaps where an earlier import into an object store ended before it added its samples."""
    uri = stores.database.place
    if stores.samples.count():  # another import into the same object store was faster
        raise DatasetExists(f"There is a dataset at {uri!r} already; give mode='add', or another place.")
    stores.labels.delete_all()


def _reason(reader: Any, path: Path) -> str | None:
    found: str | None = reader.reason(path) if isinstance(reader, FileFormat) else None
    return found


def _require_known(mode: str, tags: Sequence[str]) -> None:
    if mode not in MODES:
        raise InvalidOption(f"mode={mode!r} is not known; give {', '.join(map(repr, MODES))}.")
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidOption(f"tags={tags!r} is not a list of texts; give one, as ['train'].")


def _require_complete(strict: bool, notes: Sequence[str], kept: Mapping[str, int]) -> None:
    already = [
        f"{n:,} labels of field {name!r} are of samples that have labels there already." for name, n in kept.items()
    ]
    if strict and (left_out := [*notes, *already]):
        raise InvalidSource(
            "Nothing was imported: strict=True was given, and not everything would be taken as it is: "
            + " ".join(left_out)
        )


def _folders(source: Path, chosen: Any) -> list[Path]:
    """The folders that a source has its files in."""
    image_dir = getattr(chosen, "image_dir", None)
    found = [source] if source.is_dir() else []
    return found if image_dir is None else [*found, Path(image_dir).expanduser().absolute()]


def _require_outside(uri: str, sources: Sequence[Path]) -> None:
    """Raise ``StoreError`` if a source is inside the dataset that is overwritten, and would be deleted with it."""
    target = Path(uri).resolve()
    inside = [source for source in sources if source.resolve().is_relative_to(target)] if "://" not in uri else []
    if inside:
        raise StoreError(
            f"The source {str(inside[0])!r} is inside the dataset {uri!r}, and overwriting would delete it; move it away, or "
            "import into another place."
        )


def _known_samples(stores: Stores) -> pa.Table:
    names = [f.name for f in SAMPLES if f.name != "tags"]
    batches = list(stores.samples.scan(None, names))
    return pa.Table.from_batches(batches) if batches else SAMPLES.empty_table()


def _media_folder(uri: str, source: Path) -> Path | None:
    """Where images inside an archive, or inside tables, go: beside the dataset. One in an object store has no such place."""
    if "://" in uri:
        return None
    place = Path(uri).absolute()
    return place.with_name(f"{place.stem}-media") / (source.name if source.is_dir() else source.stem)


def _in_draft(chosen: Any, database: Database) -> Any:
    """Options whose folder for media is inside the dataset that is being made: until it is complete, that is in its draft."""
    changed = {}
    for name in _MEDIA_FOLDERS:
        folder = getattr(chosen, name, None)
        if folder is not None and database.place != database.uri:
            inner = Path(os.path.relpath(os.path.realpath(Path(folder).expanduser()), database.place))
            if inner.parts[:1] not in ((), (os.pardir,)):
                changed[name] = Path(database.uri) / inner
    return chosen.model_copy(update=changed) if changed else chosen


@contextmanager
def _unpacked(context: Context, open_source: Callable[[], Source]) -> Iterator[Source]:
    """Open a source. If the import fails, images that it unpacked are removed, unless they were there before."""
    folder = context.media_folder
    new = [place for place in (folder.parent, folder) if not place.exists()] if folder is not None else []
    try:
        yield open_source()
    except BaseException:
        for place in new:
            shutil.rmtree(place, ignore_errors=True)
        raise


@contextmanager
def _stores(uri: str, mode: str, storage_options: dict[str, str] | None) -> Iterator[Stores]:
    if mode == "add":
        yield load_dataset(uri, storage_options).stores
        return
    with staging.staged_database(uri, storage_options, replace=mode == "overwrite") as database:
        yield Stores.open(database)


@contextmanager
def _disk_full_explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            raise StoreError(
                "The disk is full, so nothing was imported; make room there and in the folder for temporary files, and repeat."
            ) from error
        raise
