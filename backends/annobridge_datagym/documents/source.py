"""Reading a label file: its images as samples, and their labels, converted from pixels to relative coordinates."""

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
from annobridge.formats.base import PART, SKIPPED, Part
from annobridge.formats.media import known_headers

from ..classifications import CHECKLIST, FREETEXT, Answer
from ..decode import KINDS, shape_columns
from ..file_transport import read_media_ids
from ..parse import Geometry, parse_export_item
from ..vocabulary import ID_KEY, POINT_KEY, Vocabulary
from . import document

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
_NO_VOCABULARY = Vocabulary([], {}, {})


class DocumentSource:
    """The images and labels of a file. Raises ``InvalidSource`` for a file that is not in DataGym's form and for missing images."""

    skipped: pa.Table = SKIPPED.empty_table()

    assumptions: Sequence[str] = ()

    def __init__(self, path: Path, folder: Path, media_ids: Path | None) -> None:
        self._path = path
        self._document = document.read(path)
        self._paths = _paths(self._document.items, folder, media_ids)
        self._sizes = _sizes(self._paths)
        self._left_out: Counter[str] = Counter()
        self.count = len(self._paths)
        self._rows = {media_id: self._read_image(media_id) for media_id in self._paths}

    @property
    def notes(self) -> list[str]:
        """What was left out."""
        counts = {
            "videos cannot be imported, and were left out": self._document.videos,
            "items have no internal_media_ID, and were left out": self._document.without_id,
            "shapes have no coordinates (DataGym writes none for what is left of or above the image), and were left out":
                self._left_out["shapes"],
            "ids that annobridge showed to labelers were left out; load the run to have them": self._left_out["ids"],
        }  # fmt: skip
        return [f"{n} {what}." for what, n in counts.items() if n]

    def parts(self) -> Iterator[Part]:
        """The samples and labels, some at a time."""
        media_ids = list(self._paths)
        for some in (media_ids[start : start + PART] for start in range(0, len(media_ids), PART)):
            paths = [self._paths[media_id] for media_id in some]
            sizes = [self._sizes[media_id] for media_id in some]
            samples = ids.of_paths(paths)
            table = pa.table(
                {
                    "sample_id": pa.array(samples, pa.string()),
                    "filepath": pa.array(paths, pa.string()),
                    "width": pa.array([w for w, _ in sizes], pa.int32()),
                    "height": pa.array([h for _, h in sizes], pa.int32()),
                }
            )
            rows = [row | {"sample_id": s} for m, s in zip(some, samples, strict=True) for row in self._rows[m]]
            yield Part(table, pa.Table.from_pylist(rows, _ROWS))

    def _read_image(self, media_id: str) -> list[Json]:
        """The rows of an image's labels."""
        item = {"status": ""} | self._document.items[media_id]
        try:
            image = parse_export_item(item, 0, _NO_VOCABULARY, self._document.types)
        except Broken as error:
            raise InvalidSource(f"{str(self._path)!r}: {str(error).removeprefix('datagym: ')}") from error
        rows = [row for key, answers in image.classifications.items() for row in self._global_rows(key, answers)]
        parents = {id(g.parent) for g in image.geometries if g.parent is not None}
        label_ids = {  # only a label that others are nested in needs an id here
            id(g): blake2b(f"{media_id}\n{n}".encode(), digest_size=8).hexdigest()
            for n, g in enumerate(image.geometries)
            if id(g) in parents
        }
        for geometry in image.geometries:
            if geometry.parts:
                rows.append(self._shape_row(geometry, label_ids, self._sizes[media_id]))
            else:
                self._left_out["shapes"] += 1
        return rows

    def _shape_row(self, geometry: Geometry, label_ids: Mapping[int, str], size: tuple[int, int]) -> Json:
        values = self._attribute_values(geometry.answers)
        if geometry.parent is not None:
            values["parent"] = label_ids[id(geometry.parent)]
        columns = {
            **shape_columns(KINDS[geometry.type], geometry.parts, size),
            "label": geometry.path[-1],
            "attributes": attributes(values),
        }
        row = Label(KINDS[geometry.type], columns, label_ids.get(id(geometry))).row()
        return row | {"field": FIELDS[geometry.type]}

    def _global_rows(self, key: str, answers: Mapping[str, Answer]) -> Iterator[Json]:
        """The rows of a global classification, with the classifications nested in it as attributes."""
        values = self._attribute_values({name: answer for name, answer in answers.items() if name != key})
        is_scalar = self._document.types.get(key) == FREETEXT
        for chosen in answers.get(key, ()):
            if is_scalar:
                label = Label("scalar", {"value": attributes({"value": chosen})[0]["value"]})
            else:
                label = Label("classification", {"label": chosen, "attributes": attributes(values)})
            yield label.row() | {"field": key}

    def _attribute_values(self, answers: Mapping[str, Answer]) -> dict[str, Any]:
        """Answers as a text each, or a list of texts for a checklist, without the empty ones and our own attributes."""
        values: dict[str, Any] = {}
        for name, answer in answers.items():
            if name == POINT_KEY or name.startswith(ID_KEY):
                self._left_out["ids"] += bool(answer)
            elif answer:
                is_list = self._document.types.get(name) == CHECKLIST or len(answer) > 1
                values[name] = list(answer) if is_list else answer[0]
        return values


# --- images -------------------------------------------------------------------------------------------------------------


def _paths(items: Mapping[str, Json], folder: Path, media_ids: Path | None) -> dict[str, str]:
    """The file of each image, by media id: found by the name in the export or in the file of ids, or by the id itself."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            by_name[_normalized(path.name)].append(str(path))
    try:
        id_of = read_media_ids(str(media_ids)) if media_ids is not None else {}
    except InvalidOption as error:
        raise InvalidSource(str(error)) from error
    name_of = {media_id: name for name, media_id in id_of.items() if media_id is not None}
    wanted = {m: str(item.get("external_media_ID") or name_of.get(m) or m) for m, item in items.items()}
    if missing := [name for name in wanted.values() if not by_name[_normalized(name)]]:
        raise InvalidSource(
            f"{len(missing)} of {len(wanted)} images are not in {str(folder)!r}, as {_first_of(missing)}; say with images=… where "
            "they are, and with media_ids=… which names they have, if the labels have DataGym's ids only."
        )
    if repeated := [name for name in wanted.values() if len(by_name[_normalized(name)]) > 1]:
        raise InvalidSource(
            f"{len(repeated)} images are in {str(folder)!r} several times, as {_first_of(repeated)}; give a folder that has them "
            "once."
        )
    return {media_id: by_name[_normalized(name)][0] for media_id, name in wanted.items()}


def _sizes(paths: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Width and height of each image, by media id."""
    headers = dict(zip(paths, known_headers(list(paths.values())), strict=True))
    if unread := [paths[m] for m, header in headers.items() if header is None]:
        raise InvalidSource(
            f"{len(unread)} files are not images that can be read, as {_first_of(unread)}; replace them."
        )
    known = {m: header for m, header in headers.items() if header is not None}
    if rotated := [paths[m] for m, header in known.items() if header.orientation > 1]:
        raise InvalidSource(
            f"{len(rotated)} images are turned by their EXIF data, as {_first_of(rotated)}: DataGym's server has them unturned and "
            "its page shows them turned, so where a label is would be uncertain. Turn the files (PIL.ImageOps.exif_transpose)."
        )
    return {m: header.shown for m, header in known.items()}


def _normalized(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # some file systems store names decomposed


def _first_of(names: list[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + " …" * (len(names) > _SHOWN)
