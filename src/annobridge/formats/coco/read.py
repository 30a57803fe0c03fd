"""Reading COCO: which files, in which order, and what of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.items import Items
from ..common.report import ReadReport
from .document import Catalogue, Document
from .files import CocoFile, choose, find, none_found
from .panoptic import Panoptic
from .records import Annotations
from .shapes import Seen, Shaper

_NO_CLASSES = "categories are not in the source; their numbers are the classes"


class Reader:
    """Reads all files of an archive.

    Args:
        archive: The source.
        items: Where the images are added.
        report: Where what is skipped is told.
    """

    def __init__(self, archive: Archive, items: Items, report: ReadReport) -> None:
        self._archive, self._items, self._report = archive, items, report
        self._catalogue = Catalogue(archive, items)
        self._documents: list[Document] = []
        self._seen: Seen | None = None

    def tables(self, names: str | None, predictions: bool, ground_truth: Path | None) -> Iterator[pa.Table]:
        """The shapes of all files that are to be read."""
        files = choose(list(find(self._archive, names)), predictions, names is not None, self._report)
        if not files:
            raise none_found(self._archive)
        results = [file for file in files if file.is_results]
        if len(results) == len(files) and names is not None:  # their images and classes are in the other files
            files = [*(file for file in find(self._archive) if not file.is_results), *results]
        with_objects = {file.split for file in files if file.task in ("instances", "") and not file.is_results}
        if any(file.task == "person_keypoints" and file.split in with_objects for file in files):
            self._seen = Seen()
        if ground_truth is not None:
            self._read_ground_truth(ground_truth)
        for file in files:
            if not file.is_results:
                yield from self._document(file, bool(results), file.split in with_objects)
        for file in results:
            yield from self._results(file)

    def _document(self, file: CocoFile, only_images: bool, objects_elsewhere: bool) -> Iterator[pa.Table]:
        document = Document(self._archive, file, self._catalogue, self._report)
        self._documents.append(document)
        annotations = Annotations(document.where, self._report)
        shaper = panoptic = None
        for chunk in document.annotations():
            if only_images:
                continue
            rows = annotations.of(chunk)
            if shaper is None or panoptic is None:
                repeats = file.task == "person_keypoints" and objects_elsewhere
                shaper = self._shaper(document, self._seen if repeats else None)
                panoptic = Panoptic(self._archive, file.name, document.classes, self._report)
            if self._seen is not None and file.task in ("instances", ""):
                self._seen.add(document.ids.find([row.image_id for row in rows]), [row.id for row in rows])
            if file.task == "panoptic" or any(map(attrgetter("segments_info"), rows)):
                yield from panoptic.tables(rows, document.ids.find([row.image_id for row in rows]))
            else:
                yield from shaper.tables(rows, annotations.extras, chunk.first)

    def _shaper(self, document: Document, repeats: Seen | None) -> Shaper:
        classes: Any = document.classes
        if not classes:
            self._report.note(_NO_CLASSES)
            classes = _Numbers()
        return Shaper(
            document.where, document.ids.find, classes, document.point_names, self._report,
            sizes=self._catalogue.sizes, repeats=repeats,
        )  # fmt: skip

    def _results(self, file: CocoFile) -> Iterator[pa.Table]:
        document = Document(self._archive, file, self._catalogue, self._report)
        annotations = Annotations(document.where, self._report)
        classes = {key: name for d in self._documents for key, name in d.classes.items()}
        names = {key: value for d in self._documents for key, value in d.point_names.items()}
        if not classes:
            self._report.note(_NO_CLASSES)
            classes = _Numbers()
        shaper = Shaper(
            document.where, self._items_of_results, classes, names, self._report, sizes=self._catalogue.sizes
        )
        for chunk in document.results():
            yield from shaper.tables(annotations.of(chunk), annotations.extras, chunk.first)

    def _items_of_results(self, ids: Sequence[Any]) -> np.ndarray:
        """The items of the image ids of results: in a document of the source, or named after the id as COCO's own images are."""
        if not self._documents:
            return np.array([self._catalogue.numbered(i) for i in ids], np.int64)
        found = np.full(len(ids), -1, np.int64)
        for document in self._documents:
            found = np.where(found < 0, document.ids.find(ids), found)
        return found

    def _read_ground_truth(self, path: Path) -> None:
        if not path.exists():
            raise InvalidSource(f"ground_truth={str(path)!r} does not exist; correct the path.")
        with Archive(path, self._archive.limits) as archive:
            files = [file for file in find(archive) if not file.is_results]
            if not files:
                raise none_found(archive)
            for file in files:
                document = Document(archive, file, self._catalogue, self._report)
                for _ in document.annotations():
                    pass
                self._documents.append(document)


class _Numbers(dict[Any, str]):
    """Classes that are named by the numbers of their categories."""

    def get(self, key: Any, default: Any = None) -> Any:
        return default if key is None else str(key)

    def __missing__(self, key: Any) -> str:
        return str(key)

    def __contains__(self, key: object) -> bool:
        return key is not None
