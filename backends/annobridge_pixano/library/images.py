"""Images that lie inside of Pixano's tables become files; those that lie elsewhere are found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.exceptions import InvalidSource
from annobridge.formats import ids

from ..arrays import bools, one
from .place import Place
from .samples import Samples

_AT_ONCE = 16  # images in memory
_SUFFIXES = {"jpeg": "jpg", "mpo": "jpg", "tiff": "tif"}
_THREADS = 4


def default_folder(place: Place) -> Path:
    """Where images are put when nobody says it: the folder ``media`` of the server, or one beside the dataset."""
    library = place.folder.parent
    if library.name == "library":
        return library.parent / "media" / place.folder.name
    return library / f"{place.folder.name}-media"


class Images:
    """The image files of a dataset. Raises ``InvalidSource`` for those that lie elsewhere and are not there."""

    def __init__(self, place: Place, samples: Samples, folder: Path) -> None:
        self._place, self._samples, self.folder = place, samples, folder
        uris = one(samples.views["uri"])
        self.embedded = bools(pc.equal(uris, ""))
        given = pc.unique(uris.filter(pa.array(~self.embedded)))
        known = [self._found(uri) for uri in given.to_pylist()]
        if missing := [uri for uri, path in zip(given.to_pylist(), known, strict=True) if path is None]:
            raise InvalidSource(
                f"{len(missing)} images of {place.folder} are not where its tables say, as {missing[0]!r}; "
                "put them there, or correct the tables."
            )
        self._paths = pa.array(known, pa.string()).take(pc.index_in(uris, value_set=given))

    def of(self, start: int, stop: int) -> pa.Array:
        """The file of each of these samples; those inside of the tables are written now."""
        inside = np.flatnonzero(self.embedded[start:stop]) + start
        written = self._names(inside)
        for at in range(0, len(inside), _AT_ONCE):
            self._write(inside[at : at + _AT_ONCE], written[at : at + _AT_ONCE])
        out = self._paths.slice(start, stop - start).to_pylist()
        for row, path in zip(inside - start, written, strict=True):
            out[row] = str(path)
        return pa.array(out, pa.string())

    def _names(self, rows: np.ndarray) -> list[Path]:
        """A name for each sample: its id, as far as a file can have it, else one made of it."""
        names = self._samples.ids.take(pa.array(rows)).to_pylist()
        formats = self._samples.views["format"].take(pa.array(rows)).to_pylist()
        out = []
        for name, said in zip(names, formats, strict=True):
            stem = name if re.fullmatch(r"\w[\w .:-]{0,150}", name, re.ASCII) else ids.of_paths([name])[0]
            suffix = re.sub(r"\W", "", said.lower()) or "img"
            out.append(self.folder / f"{stem.replace(':', '_')}.{_SUFFIXES.get(suffix, suffix)}")
        return out

    def _write(self, rows: np.ndarray, paths: list[Path]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        views = self._samples.views.take(pa.array(rows))
        found: dict[int, bytes] = {}
        for table in pc.unique(views["table"]).to_pylist():
            where = np.flatnonzero(bools(pc.equal(views["table"], table)))
            offsets = views["row"].take(pa.array(where)).to_pylist()
            try:
                pixels = self._place.tables[table].take(offsets, columns=["raw_bytes"])["raw_bytes"].to_pylist()
            except (OSError, ValueError) as error:
                raise self._place.damaged(table, error) from error
            found |= dict(zip(where.tolist(), pixels, strict=True))
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._put, paths, (found[i] for i in range(len(paths)))))

    def _put(self, path: Path, pixels: bytes | None) -> None:
        if not pixels:
            raise InvalidSource(
                f"The image {path.stem!r} of {self._place.folder} has neither pixels nor a place; "
                "restore the table from a copy, or delete the record in Pixano."
            )
        if path.exists():  # an import that is repeated finds its files
            if path.stat().st_size != len(pixels) or path.read_bytes() != pixels:
                raise InvalidSource(f"{path} is another image than that of Pixano; give another media_folder.")
            return
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(pixels)
        draft.replace(path)

    def _found(self, uri: str) -> str | None:
        """The file or address that a table means; ``None`` for a file that is not there."""
        if uri.startswith("file:"):
            return next(_existing([Path(unquote(urlparse(uri).path))]), None)
        if "://" in uri:
            return uri
        root = self._place.folder.parent.parent
        return next(_existing([base / uri for base in (self._place.folder, root / "media", root)]), None)


def _existing(paths: list[Path]) -> Iterator[str]:
    yield from (str(p) for p in paths if p.is_file())
