"""Files of an import that the dataset has already at other places: moved, copied, or reached by a link."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import Bools, Ints, as_array
from ..core.media import without_secrets
from ..core.wording import plural
from ..store import fingerprints
from ..store.remote import local_path
from ..store.stores import Stores
from .existing_samples import ExistingSamples

_PIECE = 1 << 20  # bytes of files that are compared at a time


class MovedFiles:
    """Recognises files by their content. It is a value for one import: each sample is recognised once.

    A file is the one of a sample if its fingerprint is, and

    - it has the name of the sample's file, and all bytes are the same, where that file is still at its place; or
    - it has the name of the sample's file, which is gone.

    A fingerprint is of a part of the file, and says too little without the name: of frames of a video in uncompressed files, many
    have the same. So a file with another name is another sample, and one that may have been renamed is told; and two files of the
    source itself stay two samples.

    Args:
        stores: the dataset.
        existing: its samples.
        folders: those of the source. Samples whose files are in one of them are found by their paths.

    Attributes:
        count: how many files were recognised.
        ambiguous: how many files have the content of several samples, of which none is closer by its path; they are new samples.
        renamed: how many files may be those of samples whose files are gone and had another name; they are new samples.
    """

    def __init__(self, stores: Stores, existing: ExistingSamples, folders: Sequence[Path] = ()) -> None:
        self._stores, self._existing = stores, existing
        self._folders = tuple(f"{folder}{os.sep}" for folder in folders)
        self.count = self.ambiguous = self.renamed = 0
        self._first: tuple[str, str] | None = None  # where it was found, and where the dataset has it
        self._first_ambiguous = ""
        self._first_renamed: tuple[str, str] | None = None
        self._taken: set[int] = set()
        self._groups: dict[int, dict[str, list[int]]] = {}  # fingerprint → name → samples
        self._content: Ints | None = None  # fingerprints of the samples in the order of the ids; 0 is none
        self._tried: set[str] = set()  # names for which samples without a fingerprint were looked at

    def find(self, files: list[str | None], content: pa.ChunkedArray) -> Ints:
        """The number of the sample of each file, among those that exist; -1 where there is none.

        Args:
            files: paths.
            content: their fingerprints; null where they are not known.
        """
        found = np.full(len(files), -1)
        if not len(self._existing.ids):
            return found
        given = as_array(content.fill_null(0)).to_numpy()
        self._complete(files)
        self._group(given)
        for row, file in enumerate(files):
            if file is not None and (group := self._groups.get(int(given[row]))):
                found[row] = self._find(file, group)
        return found

    @property
    def unrecorded(self) -> Bools:
        """Which samples have no fingerprint, so that none of their copies is recognised."""
        if not len(self._existing.ids):
            return np.zeros(0, bool)
        return np.equal(self._recorded(), 0)

    def notes(self) -> list[str]:
        """What was recognised, a sentence each."""
        notes = []
        if self._first is not None:
            new, old = self._first
            at = [without_secrets(place) for place in _differing_ends(old, new)]
            cure = "" if not _is_gone(old) else f", which repoint({at[0]!r}, {at[1]!r}) corrects if they have moved"
            where, it = (
                ("is in the dataset already, at another path", "It was recognised by its content")
                if self.count == 1
                else ("are in the dataset already, at other paths", "They were recognised by their content")
            )
            notes.append(
                f"{plural(self.count, 'file')} {where}, as {without_secrets(old)!r} for {without_secrets(new)!r}. {it}, and no "
                f"sample was added. The dataset keeps its paths{cure}."
            )
        if self.ambiguous:
            has = "has" if self.ambiguous == 1 else "have"
            notes.append(
                f"{self.ambiguous:,} of the new samples {has} the content of several samples of the dataset, as "
                f"{without_secrets(self._first_ambiguous)!r}, and it is not clear of which; "
                f"{'it was' if self.ambiguous == 1 else 'they were'} added."
            )
        if self._first_renamed is not None:
            new, old = self._first_renamed
            has = "has" if self.renamed == 1 else "have"
            notes.append(
                f"{self.renamed:,} of the new samples {has} the size, and parts of the content, of samples whose files are gone "
                f"and had other names, as {without_secrets(new)!r} and {without_secrets(old)!r}. If files were renamed, they are "
                "in the dataset twice now: give them their names again before an import, or delete samples with delete_samples."
            )
        return notes

    def _recorded(self) -> Ints:
        if self._content is None:
            self._content = (
                as_array(self._stores.fingerprints.of(self._existing.ids)["fingerprint"].fill_null(0)).to_numpy().copy()
            )
        return self._content

    def _complete(self, files: list[str | None]) -> None:
        """Read the fingerprints of samples that have none, where the name of their file is that of a new one."""
        recorded = self._recorded()
        names = {_name(file) for file in files if file is not None} - self._tried
        missing = np.flatnonzero(recorded == 0)
        if not len(missing) or not names:
            return
        self._tried |= names
        paths = self._existing.paths.take(pa.array(missing))
        chosen = pc.is_in(_names(paths), value_set=pa.array(sorted(names), pa.string())).to_numpy(zero_copy_only=False)
        content = fingerprints.of_places(paths.filter(pa.array(chosen)).to_pylist())["fingerprint"]
        recorded[missing[chosen]] = as_array(content.fill_null(0)).to_numpy()

    def _group(self, given: Ints) -> None:
        """Group the samples of these fingerprints by the names of their files."""
        recorded = self._recorded()
        new = np.setdiff1d(given[given != 0], np.fromiter(self._groups, np.int64, len(self._groups)))
        for number in np.flatnonzero(np.isin(recorded, new)).tolist():
            path = self._existing.paths[number].as_py()
            if path is not None:
                self._groups.setdefault(int(recorded[number]), {}).setdefault(_name(path), []).append(number)

    def _find(self, file: str, group: dict[str, list[int]]) -> int:
        """The number of the sample of a file; -1 if there is none."""
        same_name = [
            n for n in group.get(_name(file), ()) if n not in self._taken and self._is_copy(file, self._path(n))
        ]
        if not same_name:
            self._note_renamed(file, group)
            return -1
        found = _closest(file, {n: self._path(n) for n in same_name})
        if found is None:
            self.ambiguous += 1
            self._first_ambiguous = self._first_ambiguous or file
            return -1
        self._taken.add(found)
        self.count += 1
        self._first = self._first or (file, self._path(found))
        return found

    def _note_renamed(self, file: str, group: dict[str, list[int]]) -> None:
        """Count a file if it may be that of a sample whose file is gone and had another name."""
        others = (n for name, numbers in group.items() if name != _name(file) for n in numbers if n not in self._taken)
        gone = next((n for n in others if _is_gone(self._path(n))), None)
        if gone is not None:
            self.renamed += 1
            self._first_renamed = self._first_renamed or (file, self._path(gone))

    def _path(self, number: int) -> str:
        path: str = self._existing.paths[number].as_py()
        return path

    def _is_copy(self, file: str, there: str) -> bool:
        """Whether a file has all bytes of another; of one that is gone, the fingerprint is all that is known."""
        one, other = local_path(file), local_path(there)
        if one is None or other is None or not other.exists():
            return True
        if there.startswith(self._folders):
            return False
        return os.path.samefile(one, other) or _same_bytes(one, other)


def _is_gone(place: str) -> bool:
    """Whether a file is not at its place on this machine."""
    path = local_path(place)
    return path is not None and not path.exists()


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        with one.open("rb") as here, other.open("rb") as there:
            while piece := here.read(_PIECE):
                if there.read(_PIECE) != piece:
                    return False
            return not there.read(1)
    except OSError:
        return False


def _closest(file: str, paths: dict[int, str]) -> int | None:
    """The sample whose path shares most parts with that of a file, from the end; ``None`` if there are several."""
    scores = {number: _shared(file, path) for number, path in paths.items()}
    best = max(scores.values())
    numbers = [number for number, score in scores.items() if score == best]
    return numbers[0] if len(numbers) == 1 else None


def _shared(one: str, other: str) -> int:
    """How many parts two paths share at the end.

    >>> _shared("/new/cam/0.png", "/old/cam/0.png")
    2
    """
    parts = [PurePosixPath(path.replace("\\", "/")).parts[::-1] for path in (one, other)]
    return next((n for n, (a, b) in enumerate(zip(*parts, strict=False)) if a != b), min(map(len, parts)))


def _differing_ends(one: str, other: str) -> tuple[str, str]:
    """Two paths without the parts that they share at the end.

    >>> _differing_ends("/old/cam/0.png", "/new/photos/cam/0.png")
    ('/old', '/new/photos')
    """
    shared = _shared(one, other)
    found = [
        str(PurePosixPath(*PurePosixPath(path).parts[: len(PurePosixPath(path).parts) - shared]))
        for path in (one, other)
    ]
    return found[0], found[1]


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _names(paths: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(paths, r"(?s)^.*[/\\]", "")
