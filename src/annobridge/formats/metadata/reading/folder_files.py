"""The files of a folder of images, and which of them a line names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....core.arrays import Ints
from ....exceptions import InvalidSource
from ... import unread
from ...base import Calls
from ...common.look import look_at
from ...names import composed, with_slashes, without_drive
from ..keys import METADATA_FILES
from .json_lines import fail

_SHOWN = 20
_LONGEST = 4096  # characters of a path


@dataclass
class ImageFolder:
    """A folder with images. Files are named by their number in ``files``.

    Attributes:
        path: the folder.
        split: the name of the split, if the folder is one.
        files: the files, relative to the folder, with ``/``.
        sizes: ``[width, height]`` in pixels of each image, once ``look_at`` was called; 0 for other files.
    """

    path: Path
    split: str | None
    files: list[str] = field(default_factory=list)
    sizes: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))

    @classmethod
    def of(cls, path: Path, split: str | None, deep: bool = True) -> ImageFolder:
        """List the files of a folder; with ``deep``, of its sub-folders too."""
        return cls(path, split, sorted(walk_files(path, deep=deep)))

    def __post_init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.files)}
        self._own_name = self.path.name

    @property
    def metadata(self) -> Path | None:
        """The file of lines, if there is one. Raises ``InvalidSource`` for several."""
        found = [name for name in METADATA_FILES if name in self._numbers]
        if len(found) > 1:
            raise InvalidSource(f"There are {' and '.join(found)} in {str(self.path)!r}; keep one of them.")
        return self.path / found[0] if found else None

    def images(self) -> list[int]:
        """The files that are images and not hidden."""
        return [
            number
            for number, name in enumerate(self.files)
            if not unread.is_hidden(name) and unread.is_image_file(self.path, name)
        ]

    def find(self, name: object, where: str, or_above: bool) -> int:
        """The file that a line names.

        Args:
            name: the path that the line has. It may differ from that of the file in backslashes and in its form of Unicode.
            where: the location of the line.
            or_above: whether the path may begin with the name of the folder.

        Raises:
            InvalidSource: the path is not that of a file in the folder, or could be that of several.
        """
        if not isinstance(name, str) or not name:
            fail(where, f"names the image {name!r}; give its path, a text.")
        if len(name) > _LONGEST:
            fail(
                where,
                f"names the image {name[:40]!r}…, a path of {len(name)} characters, which no file has; correct it.",
            )
        if (found := self._numbers.get(name)) is not None and not (or_above and self._may_be_another(name)):
            return found
        given, name = name, name if name in self._numbers else with_slashes(name)
        if (inner := without_drive(given)) is not None:
            return self._find_end(given, inner, where)
        parts = name.split("/")
        if name.startswith("/"):
            fail(where, f"names the image {given!r}; give a path with '/', relative to the folder of the file.")
        if ".." in parts:
            fail(where, f"names the image {name!r}, which is outside the folder; put the images into it.")
        parts = [p for p in parts if p not in ("", ".")]
        if not parts:
            fail(where, f"names the image {name!r}, which is the folder; give the path of a file in it.")
        candidates = [self._numbers.get("/".join(parts))]
        if or_above and parts[0] == self._own_name:
            candidates.append(self._numbers.get("/".join(parts[1:])))
        hits = [number for number in candidates if number is not None]
        if len(hits) > 1:
            fail(
                where,
                f"names the image {name!r}, which could be {' or '.join(repr(self.files[h]) for h in hits)}; rename one.",
            )
        name = "/".join(parts)
        equal = hits or self._composed.get(composed(name), [])
        return equal[0] if len(equal) == 1 else self._fail_missing(name, len(equal), where)

    def _may_be_another(self, name: str) -> bool:
        """Whether the name of a file can be read in another way too: from the folder above, or as a path of Windows."""
        return ":" in name or "\\" in name or name.startswith(f"{self._own_name}/")

    def _find_end(self, given: str, inner: str, where: str) -> int:
        """The file that an absolute path of Windows ends with, by the longest such end."""
        parts = inner.split("/")
        ends = (self._composed.get(composed("/".join(parts[at:])), []) for at in range(len(parts)))
        found = next((equal[0] for equal in ends if len(equal) == 1), None)
        if found is None:
            fail(
                where,
                f"names the image {given!r}, a path of Windows, and no end of it is a file in {str(self.path)!r}: looked for "
                f"{inner!r}, …, {parts[-1]!r}. Put the images beside the file, or give paths relative to it.",
            )
        return found

    @cached_property
    def _composed(self) -> dict[str, list[int]]:
        """The files by their names in composed Unicode."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, file in enumerate(self.files):
            found[composed(file)].append(number)
        return found

    def _fail_missing(self, name: str, equal: int, where: str) -> NoReturn:
        if equal:
            fail(
                where,
                f"names the image {name!r}, and there are {equal} files whose names differ in their Unicode form only "
                "(NFC, NFD); rename one.",
            )
        alike = [f for f in self.files if f.casefold() == name.casefold()]
        if alike:
            fail(where, f"names the image {name!r}, but the file is {alike[0]!r}; spell it exactly so.")
        path = self.path / name
        if os.path.exists(path) and not os.path.isfile(path):
            fail(where, f"names the image {name!r}, which is not a regular file; put the image itself there.")
        fail(
            where,
            f"names the image {name!r}, which does not exist in {str(self.path)!r}; add the file, or correct the name.",
        )

    def paths(self, numbers: Iterable[int]) -> list[str]:
        """The absolute paths of some files."""
        root = f"{self.path}/"
        return [root + self.files[number] for number in numbers]

    def look_at(self, wanted: Ints, calls: Calls) -> None:
        """Open some files, which are images, and keep their sizes. Raises ``InvalidSource`` with all that are not images."""
        names = wanted.tolist()
        self._require_utf8(names)
        sizes, files = look_at(self.paths(names), calls)
        self.sizes = np.zeros((len(self.files), 2), np.int32)
        self.sizes[wanted] = sizes
        row = np.zeros(len(self.files), np.int64)
        row[wanted] = np.arange(len(wanted))
        self._looked_at, self._row = files, row
        bad = [self.files[number] for number in wanted[sizes[:, 0] == 0].tolist()]
        if bad:
            shown = ", ".join(map(repr, bad[:_SHOWN])) + (f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")
            heic = any(name.lower().endswith((".heic", ".heif", ".hif")) for name in bad)
            cure = "; HEIC is read if pillow-heif is installed" if heic else ""
            raise InvalidSource(
                f"In {str(self.path)!r}, {len(bad)} files are empty, cut off or not images: {shown}; replace them, or take them "
                f"out{cure}."
            )

    def file_table(self, numbers: Ints) -> pa.Table:
        """``size`` and ``fingerprint`` of some of the files that were looked at."""
        return self._looked_at.take(pa.array(self._row[numbers]))

    def _require_utf8(self, wanted: Sequence[int]) -> None:
        """Raise ``InvalidSource`` for a path that is not UTF-8, which no column can hold."""
        try:
            "".join(self.paths(wanted)).encode()
        except UnicodeEncodeError:
            bad = next(p for p in self.paths(wanted) if not _is_utf8(p))
            raise InvalidSource(f"The name of the image {os.fsencode(bad)!r} is not UTF-8; rename it.") from None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def walk_files(
    path: Path, prefix: str = "", deep: bool = True, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[str]:
    """The files below a folder, relative to it.

    Links to folders are followed, but not to one of the folders above. Pipes and devices are left out, as reading one may never
    end. A link to nothing is yielded, and is reported when it is read.
    """
    state = path.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if (entry.is_symlink() and not os.path.exists(entry.path)) or entry.is_file():
                yield prefix + entry.name
            elif deep and entry.is_dir():
                yield from walk_files(Path(entry.path), f"{prefix}{entry.name}/", True, above | {here})
