"""The source: images that a file names, and their labels, in pixels there and relative here."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from annobridge.core.labels import LABELS
from annobridge.core.rows import Label, attributes
from annobridge.exceptions import Broken, InvalidOption, InvalidSource
from annobridge.formats import ids
from annobridge.formats.base import PART, Part
from annobridge.formats.media import known_headers

from .. import files, found
from ..decode import KINDS, shape
from ..found import Found
from ..values import CHECKLIST, FREETEXT, Words
from ..vocabulary import PLACE, TAG, Vocabulary
from . import items

Json = dict[str, Any]
FIELDS = {
    "rectangle": "detections",
    "polygon": "polygons",
    "line": "polylines",
    "point": "keypoints",
    "image_segmentation": "segmentation",
}
_SHOWN = 3
_COLUMNS = [f.with_nullable(True) for f in LABELS if f.name not in ("run", "tool", "annotator", "time", "rev")]
_ROWS = pa.schema(_COLUMNS)
_EMPTY = Vocabulary([], {}, {})


class DocumentSource:
    """The images and labels of a file. Raises ``InvalidSource`` for what is not in its form, or not there."""

    assumptions: Sequence[str] = ()

    def __init__(self, path: Path, folder: Path, media_ids: Path | None) -> None:
        self._path = path
        self._document = items.read(path)
        self._paths = _paths(self._document.items, folder, media_ids)
        self._sizes = _sizes(self._paths)
        self._left: Counter[str] = Counter()
        self.count = len(self._paths)
        self._images = {number: self._read(number) for number in self._paths}

    @property
    def notes(self) -> list[str]:
        """What was left out."""
        counts = {
            "videos have no place here, and were left out": self._document.videos,
            "items have no internal_media_ID, and were left out": self._document.nameless,
            "shapes have no coordinates (DataGym writes none for what lies left of or above the image), and were left out":
                self._left["nowhere"],
            "ids that annobridge showed to labelers were left out; load the run to have them": self._left["ours"],
        }  # fmt: skip
        return [f"{n} {what}." for what, n in counts.items() if n]

    def parts(self) -> Iterator[Part]:
        """The samples and labels."""
        numbers = list(self._paths)
        for some in (numbers[at : at + PART] for at in range(0, len(numbers), PART)):
            paths = [self._paths[number] for number in some]
            sizes = [self._sizes[number] for number in some]
            samples = ids.of_paths(paths)
            table = pa.table(
                {
                    "sample_id": pa.array(samples, pa.string()),
                    "filepath": pa.array(paths, pa.string()),
                    "width": pa.array([w for w, _ in sizes], pa.int32()),
                    "height": pa.array([h for _, h in sizes], pa.int32()),
                }
            )
            rows = [row | {"sample_id": s} for n, s in zip(some, samples, strict=True) for row in self._images[n]]
            yield Part(table, pa.Table.from_pylist(rows, _ROWS))

    def _read(self, number: str) -> list[Json]:
        """The rows of an image's labels."""
        try:
            image = found.of_export({"status": ""} | self._document.items[number], 0, _EMPTY, self._document.types)
        except Broken as error:
            raise InvalidSource(f"{str(self._path)!r}: {str(error).removeprefix('datagym: ')}") from error
        rows = [row for key, told in image.answers.items() for row in self._global(key, told)]
        holders = {id(value.holder) for value in image.values if value.holder is not None}
        names = {
            id(v): blake2b(f"{number}\n{n}".encode(), digest_size=8).hexdigest()
            for n, v in enumerate(image.values)
            if id(v) in holders
        }
        for value in image.values:
            if value.parts:
                rows.append(self._shape(value, names, self._sizes[number]))
            else:
                self._left["nowhere"] += 1
        return rows

    def _shape(self, value: Found, names: Mapping[int, str], size: tuple[int, int]) -> Json:
        said = self._attributes(value.words)
        if value.holder is not None:
            said["parent"] = names[id(value.holder)]
        columns = {
            **shape(KINDS[value.type], value.parts, size),
            "label": value.path[-1],
            "attributes": attributes(said),
        }
        row = Label(KINDS[value.type], columns, names.get(id(value))).row()
        return row | {"field": FIELDS[value.type]}

    def _global(self, key: str, told: Mapping[str, Words]) -> Iterator[Json]:
        """A classification of the image, and what is asked below it."""
        said = self._attributes({name: words for name, words in told.items() if name != key})
        kind = self._document.types.get(key)
        for word in told.get(key, ()):
            if kind == FREETEXT:
                yield Label("scalar", {"value": attributes({"value": word})[0]["value"]}).row() | {"field": key}
            else:
                yield Label("classification", {"label": word, "attributes": attributes(said)}).row() | {"field": key}

    def _attributes(self, told: Mapping[str, Words]) -> dict[str, Any]:
        """Texts, and lists of them of checklists; nothing where nothing is chosen."""
        said: dict[str, Any] = {}
        for name, words in told.items():
            if name == PLACE or name.startswith(TAG):
                self._left["ours"] += bool(words)
            elif words:
                several = self._document.types.get(name) == CHECKLIST or len(words) > 1
                said[name] = list(words) if several else words[0]
        return said


# --- images -------------------------------------------------------------------------------------------------------------


def _paths(listed: Mapping[str, Json], folder: Path, media_ids: Path | None) -> dict[str, str]:
    """The file of each image: by its name, which an export says, a file of ids, or the id itself."""
    there: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            there[_plain(path.name)].append(str(path))
    try:
        known = files.media_ids(str(media_ids)) if media_ids is not None else {}
    except InvalidOption as error:
        raise InvalidSource(str(error)) from error
    by_id = {number: name for name, number in known.items() if number is not None}
    wanted = {n: str(item.get("external_media_ID") or by_id.get(n) or n) for n, item in listed.items()}
    if lost := [name for name in wanted.values() if not there[_plain(name)]]:
        raise InvalidSource(
            f"{len(lost)} of {len(wanted)} images are not in {str(folder)!r}, as {_listed(lost)}; say with images=… where they "
            "lie, and with media_ids=… which names they have, if the labels say DataGym's ids only."
        )
    if twice := [name for name in wanted.values() if len(there[_plain(name)]) > 1]:
        raise InvalidSource(
            f"{len(twice)} images are in {str(folder)!r} several times, as {_listed(twice)}; give a folder that has them once."
        )
    return {number: there[_plain(name)][0] for number, name in wanted.items()}


def _sizes(paths: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    headers = dict(zip(paths, known_headers(list(paths.values())), strict=True))
    if unread := [paths[n] for n, header in headers.items() if header is None]:
        raise InvalidSource(f"{len(unread)} files are no images that can be read, as {_listed(unread)}; replace them.")
    sizes = {n: header for n, header in headers.items() if header is not None}
    if turned := [paths[n] for n, header in sizes.items() if header.orientation > 1]:
        raise InvalidSource(
            f"{len(turned)} images are turned by their EXIF data, as {_listed(turned)}: DataGym's server has them unturned and "
            "its page shows them turned, so where a label lies is uncertain. Turn the files (PIL.ImageOps.exif_transpose)."
        )
    return {n: header.shown for n, header in sizes.items()}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + " …" * (len(names) > _SHOWN)
