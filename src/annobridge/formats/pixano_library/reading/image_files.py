"""The image file of each sample: pixels that are inside of Pixano's tables are written to files, other images are looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import Ints, as_array, equal
from ....exceptions import InvalidSource
from ....store.lance_files import READ_ERRORS
from ... import ids
from .dataset_folder import DatasetFolder, unreadable
from .samples import Samples

_BATCH = 16  # images in memory
_SUFFIXES = {"jpeg": "jpg", "mpo": "jpg", "tiff": "tif"}
_THREADS = 4


def default_folder(dataset: Path) -> Path:
    """The folder for images of a dataset: in ``media`` of the server, or beside the dataset."""
    library = dataset.parent
    if library.name == "library":
        return library.parent / "media" / dataset.name
    return library / f"{dataset.name}-media"


class ImageFiles:
    """The image files of a dataset.

    Attributes:
        folder: where the images from inside of the tables are written.
        embedded: whether the image of each sample is inside of the tables.

    Raises:
        InvalidSource: an image that is elsewhere does not exist.
    """

    def __init__(self, dataset: DatasetFolder, samples: Samples, folder: Path) -> None:
        self._dataset, self._samples, self.folder = dataset, samples, folder
        uris = as_array(samples.views["uri"])
        self.embedded = equal(uris, "")
        external = pc.unique(uris.filter(pa.array(~self.embedded)))
        known = [self._locate(uri) for uri in external.to_pylist()]
        if missing := [uri for uri, path in zip(external.to_pylist(), known, strict=True) if path is None]:
            raise InvalidSource(
                f"{len(missing)} images of {dataset.path} are not where its tables say, as {missing[0]!r}; "
                "put them there, or correct the tables."
            )
        self._paths = pa.array(known, pa.string()).take(pc.index_in(uris, value_set=external))

    def get(self, start: int, stop: int) -> pa.Array:
        """The paths or addresses of the images of a range of samples; embedded images are written by this call."""
        rows = np.flatnonzero(self.embedded[start:stop]) + start
        written = self._file_names(rows)
        for at in range(0, len(rows), _BATCH):
            self._write(rows[at : at + _BATCH], written[at : at + _BATCH])
        paths = self._paths.slice(start, stop - start).to_pylist()
        for row, path in zip(rows - start, written, strict=True):
            paths[row] = str(path)
        return pa.array(paths, pa.string())

    def _file_names(self, rows: Ints) -> list[Path]:
        """A file for each of these samples, named after its id as far as a file name allows."""
        names = self._samples.ids.take(pa.array(rows)).to_pylist()
        formats = self._samples.views["format"].take(pa.array(rows)).to_pylist()
        files = []
        for name, format_ in zip(names, formats, strict=True):
            stem = name if re.fullmatch(r"\w[\w .:-]{0,150}", name, re.ASCII) else ids.of_paths([name])[0]
            suffix = re.sub(r"\W", "", format_.lower()) or "img"
            files.append(self.folder / f"{stem.replace(':', '_')}.{_SUFFIXES.get(suffix, suffix)}")
        return files

    def _write(self, rows: Ints, paths: list[Path]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        views = self._samples.views.take(pa.array(rows))
        pixels: dict[int, bytes] = {}
        for table in pc.unique(views["table"]).to_pylist():
            where = np.flatnonzero(equal(views["table"], table))
            offsets = views["row"].take(pa.array(where)).to_pylist()
            try:
                found = self._dataset.tables[table].take(offsets, ["raw_bytes"])["raw_bytes"].to_pylist()
            except READ_ERRORS as error:
                raise unreadable(self._dataset.path, table, error) from error
            pixels |= dict(zip(where.tolist(), found, strict=True))
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._write_file, paths, (pixels[i] for i in range(len(paths)))))

    def _write_file(self, path: Path, pixels: bytes | None) -> None:
        if not pixels:
            raise InvalidSource(
                f"The image {path.stem!r} of {self._dataset.path} has neither pixels nor an address; "
                "restore the table from a copy, or delete the record in Pixano."
            )
        if path.exists():  # written by an earlier import of the same dataset
            if path.stat().st_size != len(pixels) or path.read_bytes() != pixels:
                raise InvalidSource(f"{path} is another image than that of Pixano; give another media_folder.")
            return
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(pixels)
        draft.replace(path)

    def _locate(self, uri: str) -> str | None:
        """The path or address that a table means by a URI; ``None`` for a file that does not exist."""
        if uri.startswith("file:"):
            return next(_existing([Path(unquote(urlparse(uri).path))]), None)
        if "://" in uri:
            return uri
        root = self._dataset.path.parent.parent
        return next(_existing([base / uri for base in (self._dataset.path, root / "media", root)]), None)


def _existing(paths: list[Path]) -> Iterator[str]:
    yield from (str(p) for p in paths if p.is_file())
