"""The base of formats of label files. A format says how it is recognised, read and written, and what survives in it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ...core.arrays import as_array
from ...core.collection import no_collection
from ...core.media import PICTURES
from ...exceptions import InvalidOption, InvalidSource, Unsupported
from ...spill.groups import Groups
from ..base import Options, Part
from .archive import Archive, Limits, look
from .corners import CORNERS, straightened
from .export import ExportData
from .fidelity import Fidelity, Loss
from .images import Context, Found, image_names, resolve, resolve_known, video_names
from .items import ITEMS, SHAPES, Items
from .place_media import place_media
from .report import ReadReport
from .source import GROUP, PIXELS, RELATIVE, LabelSource, field_names, item_sizes

_MASKS = re.compile(r"(?i)(^|/)(masks?|labels?|segmentation\w*|annotations?|instances?|panoptic\w*|depth)(/|$)")


_SHOWN = 3  # names in a sentence
Pair = tuple[str | None, str]  # role and kind of labels


class ReadOptions(Options):
    """The options of reading that all formats have."""

    image_dir: Path | None = Field(None, description="the folder of the images, where they are not in the source")
    media_dir: Path | None = Field(None, description="the folder into which images inside a zip are unpacked")
    field: str | None = Field(None, description="the label field; by default each kind has one named after its type")
    as_predictions: bool = Field(False, description="labels of a model: the field is `predictions` if none is given")
    max_files: int = Field(Limits.max_files, gt=0, description="how many files an archive may hold")
    max_bytes: int = Field(Limits.max_bytes, gt=0, description="how many bytes it may unpack to")
    max_file_bytes: int = Field(Limits.max_file_bytes, gt=0, description="how many bytes one file may unpack to")
    max_ratio: int = Field(Limits.max_ratio, gt=0, description="to how many times its size a file may unpack")

    @property
    def limits(self) -> Limits:
        """The limits of an archive."""
        return Limits(self.max_files, self.max_bytes, self.max_file_bytes, self.max_ratio)


class WriteOptions(Options):
    """The options of writing that all formats have."""

    save_media: bool | Literal["link"] = Field(True, description="copy the images, link to them, or leave them out")
    classes: tuple[str, ...] = Field(
        (), description="the classes in the order that their numbers follow; others are appended"
    )
    strict: bool = Field(False, description="refuse to write what the format cannot hold, instead of counting it")


class FileFormat(ABC):
    """One format of label files. A new one is a subclass with these four declarations and three methods, and an entry point in
    the group ``annobridge.formats``; ``annobridge.testing.FormatContract`` has its tests.
    """

    name: ClassVar[str]  # as in format="coco"
    title: ClassVar[str]  # as in "a COCO dataset"
    fidelity: ClassVar[Fidelity]
    unit: ClassVar[str] = PIXELS  # of positions that ``read`` gives and ``write`` gets: PIXELS or RELATIVE
    scales_masks: ClassVar[bool] = False  # whether masks of another size than their image are resized, not skipped
    video: ClassVar[bool] = False  # whether it has frames of videos; videos are refused otherwise
    reading: ClassVar[type[ReadOptions]] = ReadOptions
    writing: ClassVar[type[WriteOptions] | None] = WriteOptions
    has_images_inside: ClassVar[bool] = (
        False  # whether images are inside the label files; then ``place_images`` is overridden
    )

    @abstractmethod
    def detect(self, archive: Archive) -> str | None:
        """Why the archive is of this format, as "annotations/instances_train.json has images and annotations"; ``None`` if it is
        not. Cheap: it looks at names, and at the beginning of a few files.
        """

    @abstractmethod
    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Add all items, and yield their shapes (columns of ``SHAPES``) in any order, some thousands at a time.

        An annotation that cannot be read is skipped in the report, with its place; a file that cannot be read raises
        ``InvalidSource``.
        """

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the label files. Images are already in place; ``data`` has their names."""
        raise InvalidOption(f"{self.title} can be read, but not written; choose another format.")

    def image_folder(self, split: str | None) -> str:
        """Where images of a split are in an export, relative to its folder; ``"."`` for the folder itself."""
        return f"images/{split}" if split else "images"

    def video_folder(self, split: str | None) -> str | None:
        """Where videos of a split are in an export; ``None`` if they have no place there. Frames are never decoded."""
        return None

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """What survives in one export, where that depends on its options or on what is in it."""
        return self.fidelity

    def prepare(self, data: ExportData, options: WriteOptions) -> None:  # noqa: B027 - most formats need nothing
        """Look at an export before an image is copied: rename its items, or refuse it. Does nothing by default."""

    def place_images(self, data: ExportData, options: WriteOptions) -> None:
        """Copy or link the images. A format that has them in files of its own overrides this, and writes them itself."""
        place_media(data, self.image_folder, self.video_folder, options.save_media)

    # --- the verbs of ``Format`` --------------------------------------------------------------------------------------

    def recognises(self, source: Path) -> bool:
        """Whether ``detect`` knows it; never raises."""
        try:
            with look(source) as archive:
                return self.detect(archive) is not None
        except (InvalidSource, OSError, ValueError):
            return False

    def reason(self, source: Path) -> str | None:
        """What ``detect`` says of it."""
        with look(source) as archive:
            return self.detect(archive)

    def open(self, source: Path, options: Options, context: Context | None = None) -> LabelSource:
        """Read all of a source. Raises ``InvalidSource``; shapes wait in temporary files."""
        assert isinstance(options, ReadOptions)  # noqa: S101 - the options of this format
        context = context or Context()
        if options.media_dir is not None:
            context = replace(context, media_folder=options.media_dir)
        return self._open(
            source,
            options,
            lambda path: Archive(path, options.limits, context.media_folder, calls=context.calls),
            lambda archive, items: self._images(archive, items, options, context),
        )

    def open_onto(self, source: Path, options: ReadOptions, known: Sequence[pa.Table]) -> LabelSource:
        """As ``open``, for labels of samples that are known (tables as in ``Context``; the first that has a name counts). Images
        in the source are not looked at.
        """
        return self._open(
            source,
            options,
            lambda path: Archive(path, options.limits, unpacks=False),
            lambda _, items: (resolve_known(items.table(), known), items.table()),
        )

    def _open(
        self,
        source: Path,
        options: ReadOptions,
        archive_of: Callable[[Path], Archive],
        find_images: Callable[[Archive, Items], tuple[Found, pa.Table]],
    ) -> LabelSource:
        report, items, pairs = ReadReport(), Items(), set[Pair]()
        shapes = Groups(SHAPES)
        try:
            with archive_of(source) as archive:
                for table in _uncollected(self.read(archive, items, options, report)):
                    rows = _conformed(table)
                    pairs |= _pairs(rows)
                    for batch in rows.to_batches():
                        shapes.add(batch, batch["item"].to_numpy() // GROUP)
                with no_collection():
                    found, listed = find_images(archive, items)
                unread = _unread(archive, video_names(archive) if self.video else ())
            if any(kind == CORNERS for _, kind in pairs):
                shapes, pairs = _straighten(shapes, found, listed, self.unit, report)
        except BaseException:
            shapes.close()
            raise
        name = options.field or ("predictions" if options.as_predictions else None)
        fields = field_names(pairs, name)
        notes = [*report.assumptions, *_assumptions(found, listed), *unread]
        return LabelSource(listed, shapes, found, fields, self.unit, report, notes, self.scales_masks, items.columns())

    def write(self, parts: Iterable[Part], folder: Path, options: Options) -> list[str]:
        """Write samples and labels into a new folder; returns a note for each loss. With ``strict``, a loss is ``Unsupported``."""
        assert isinstance(options, WriteOptions)  # noqa: S101 - the options of this format
        with ExportData(parts, folder, self.unit, options.classes, self.video, self.title) as data:
            losses = self._losses(data, options)
            if losses and options.strict:
                raise self._refused(losses)
            self.place_images(data, options)
            self.write_files(data, options)
            more = [loss for loss in data.lost if loss not in losses]
            if more and options.strict:
                raise self._refused(more)
            return [*map(str, [*losses, *more]), *data.notes]

    def losses(self, parts: Iterable[Part], options: Options) -> list[Loss]:
        """What ``write`` would lose; nothing is written. What only writing finds (pixels that other labels cover) is not in it."""
        assert isinstance(options, WriteOptions)  # noqa: S101 - the options of this format
        with ExportData(parts, Path(), self.unit, options.classes, self.video, self.title) as data:
            return self._losses(data, options)

    def _losses(self, data: ExportData, options: WriteOptions) -> list[Loss]:
        fidelity = self.fidelity_of(data, options)
        data.keep_classes_of(fidelity.kinds)
        self.prepare(data, options)
        return data.losses(fidelity)

    def _refused(self, losses: Iterable[Loss]) -> Unsupported:
        return Unsupported(f"{self.title} cannot hold all of this, and strict=True was given:", list(map(str, losses)))

    def is_image(self, name: str) -> bool:
        """Whether an image of the archive can be a sample; by default not in folders of masks."""
        return not _is_of_masks(name.rpartition("/")[0])

    def _images(self, archive: Archive, items: Items, options: ReadOptions, context: Context) -> tuple[Found, pa.Table]:
        """The images of the items, and the items; images and videos that no item names are items without labels."""
        images = [name for name in image_names(archive) if self.is_image(name)]
        table = items.table()
        found = resolve(archive, table, images, options.image_dir, context)
        named = {path for path in found.paths if path is not None}
        if table.num_rows and not named:
            first = table["name"][0].as_py()
            places = [", in image_dir"] * (options.image_dir is not None) + [", or in the dataset"] * (
                context.known is not None
            )
            raise InvalidSource(
                f"None of the {table.num_rows:,} images of {str(archive.path)!r} (as {first!r}) is in it{''.join(places)}; "
                "give image_dir= for the folder of the images, or mode='add' to add the labels to a dataset that has them."
            )
        media = [*images, *video_names(archive)] if self.video else images
        extra = [n for n in media if n not in found.copies and _path_of(archive, n, context) not in named]
        if not extra:
            return found, table
        more = pa.table({"name": extra, "file": extra})
        items.extend(more)
        both = items.table()
        rest = resolve(archive, both.slice(table.num_rows), images, None, context)
        for name in ("paths", "sample_ids", "sizes", "frames", "files"):
            getattr(found, name).extend(getattr(rest, name))
        return found, both


@lru_cache(10_000)
def _is_of_masks(folder: str) -> bool:
    return bool(_MASKS.search(folder))


def _path_of(archive: Archive, name: str, context: Context) -> str:
    return archive.file_text(name) or str(((context.media_folder or Path()) / name).absolute())


def _uncollected(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The tables, each read without the search for cycles."""
    while True:
        with no_collection():
            table = next(tables, None)
        if table is None:
            return
        yield table


def _conformed(table: pa.Table) -> pa.Table:
    columns = [
        as_array(table[f.name]).cast(f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
        for f in SHAPES
    ]
    return pa.Table.from_arrays(columns, schema=SHAPES).combine_chunks()


def _pairs(rows: pa.Table) -> set[Pair]:
    """The roles and kinds of some shapes."""
    if rows["role"].null_count == rows.num_rows:
        return {(None, kind) for kind in pc.unique(rows["kind"]).to_pylist()}
    return set(zip(rows["role"].to_pylist(), rows["kind"].to_pylist(), strict=True))


def _straighten(
    shapes: Groups, found: Found, items: pa.Table, unit: str, report: ReadReport
) -> tuple[Groups, set[Pair]]:
    """The shapes with boxes in the place of those that were given by their corners, and all roles and kinds."""
    new, pairs, images = Groups(SHAPES), set[Pair](), found.table()
    try:
        for group in range(-(-items.num_rows // GROUP)):
            rows = shapes.get(group).combine_chunks()
            if rows.num_rows:
                sizes = item_sizes(items, images, rows["item"].to_numpy())[0] if unit == RELATIVE else None
                rows, others = straightened(rows, sizes)
                if others:
                    report.note("shapes of four corners are no rectangles; they are polygons", others)
                pairs |= _pairs(rows)
                for batch in rows.combine_chunks().to_batches():
                    new.add(batch, np.full(batch.num_rows, group))
    except BaseException:
        new.close()
        raise
    shapes.close()
    return new, pairs


def _unread(archive: Archive, videos: Sequence[str]) -> list[str]:
    """A sentence about files that are neither media nor were read, as labels of another format may be in them."""
    names = [
        name
        for suffix, group in archive.by_suffix.items()
        if suffix not in PICTURES
        for name in group
        if name not in archive.opened and name not in videos
    ]
    if not names:
        return []
    what = "1 other file was" if len(names) == 1 else f"{len(names):,} other files were"
    return [f"{what} not read: {', '.join(map(repr, sorted(names)[:_SHOWN]))}{', …' * (len(names) > _SHOWN)}."]


def _assumptions(found: Found, listed: pa.Table) -> list[str]:
    said = [f"{count:,} images were found {how}." for how, count in found.how.items()]
    missing = int(np.sum([path is None for path in found.paths]))
    if missing:
        first = next(listed["name"][at].as_py() for at, path in enumerate(found.paths) if path is None)
        said.append(f"{missing:,} images were not found, as {first!r}; they and their labels were left out.")
    return said


__all__ = ["ITEMS", "SHAPES", "FileFormat", "ReadOptions", "WriteOptions"]
