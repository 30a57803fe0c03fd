"""Import: a dataset of another tool becomes one of ours, or part of one, as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dataset import Dataset, load_dataset
from ..display.progress import ProgressChoice
from ..exceptions import DatasetExists, InvalidOption, InvalidSource, StoreError
from ..formats import registry
from ..ingest.importer import Importer
from ..ingest.label_input import clips
from ..store import staging
from ..store.errors import is_disk_full
from ..store.stores import Stores

MODES = ("create", "overwrite", "add")


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    ``samples`` and ``labels`` (by field) were added; ``known`` are the samples that the dataset had already, and ``kept``
    the labels (by field) that were left out because their sample has labels in that field. ``notes`` are what the reader
    decided, left out or mended, a sentence each.
    """

    dataset: Dataset
    format: str
    samples: int
    labels: dict[str, int]
    known: int
    kept: dict[str, int]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        plain = {name: getattr(self, name) for name in ("format", "samples", "labels", "known", "kept", "notes")}
        return {"dataset": self.dataset.uri, **plain}


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
    **options: Any,
) -> ImportReport:
    """Read a dataset of another tool into a LanceDB dataset. Media stay where they are.

    ``format`` is found by looking at the source when it is not given; ``options`` are those of the format. ``mode``:
    ``"create"`` makes the dataset (``DatasetExists`` if there is one), ``"overwrite"`` puts it in the place of one, with all
    its labels and runs, ``"add"`` adds to one: samples that it has stay as they are, and get the labels of those fields in
    which they have none. ``tags`` are given to the new samples. ``invalid="clip"`` cuts boxes and points that leave their
    image back to it; they are refused otherwise. Label files that the format does not read are an error, unless ``ignore``;
    ``strict=True`` refuses all that would be left out or changed.

    Everything is checked before anything can be seen; raises ``InvalidSource`` with file and line. An import that is killed
    leaves the dataset as it was; repeated, it goes on.
    """
    _require_known(mode, tags)
    clip = clips(invalid)
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise StoreError(f"There is no folder or file {str(source)!r}; correct the path.")
    reader = registry.get(format) if format is not None else registry.of(path)
    known = reader.reading.model_fields if reader.reading is not None else {}
    options |= {name: True for name, wanted in (("clip", clip), ("ignore", ignore)) if wanted and name in known}
    chosen = registry.options(reader.reading, options, f"Reading {reader.title}")
    with _enough_room(), _stores(str(uri), mode, storage_options) as stores:
        opened = reader.open(path, chosen)
        with stores.changing_samples("is being imported into"):
            if mode != "add" and stores.samples.count():  # of another import, which had the same place until now
                raise DatasetExists(f"There is a dataset at {str(uri)!r} already; give mode='add', or another place.")
            found = Importer(stores, tags, clip)
            found.read(opened, progress)
            left = [*opened.notes, *found.notes]
            if strict:
                _require_complete(left, found.kept)
            found.commit()
    return ImportReport(
        load_dataset(uri, storage_options), reader.name, found.samples, _sorted(found.labels), found.known, _sorted(found.kept),
        [*left, *opened.assumptions],
    )  # fmt: skip


def _require_known(mode: str, tags: Sequence[str]) -> None:
    if mode not in MODES:
        raise InvalidOption(f"mode={mode!r} is not known; give {', '.join(map(repr, MODES))}.")
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidOption(f"tags={tags!r} is no list of texts; give one, as ['train'].")


def _require_complete(left: Sequence[str], kept: Mapping[str, int]) -> None:
    known = [
        f"{n:,} labels of field {name!r} are of samples that have labels there already." for name, n in kept.items()
    ]
    if told := [*left, *known]:
        raise InvalidSource(
            "Nothing was imported: strict=True was given, and not everything would be taken as it is: " + " ".join(told)
        )


@contextmanager
def _stores(uri: str, mode: str, storage_options: dict[str, str] | None) -> Iterator[Stores]:
    if mode == "add":
        yield load_dataset(uri, storage_options).stores
        return
    with staging.staged_database(uri, storage_options, replace=mode == "overwrite") as database:
        yield Stores.open(database)


@contextmanager
def _enough_room() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            raise StoreError(
                "The disk is full, so nothing was imported; make room there and in the folder for temporary files, and repeat."
            ) from error
        raise


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
