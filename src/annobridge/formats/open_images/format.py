"""The format Open Images V6: how it is recognised, and what survives in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.report import ReadReport
from ..common.source import RELATIVE
from ..common.voc_write import flat_names
from .read import Reader
from .tables import DEFAULT, FLAGS, tables
from .write import AS_MASKS, write

_KINDS_OF = {  # attribute → kinds that keep it
    **dict.fromkeys(FLAGS.values(), ("box",)), "source": ("box", "classification"),
    **dict.fromkeys(("box_id", "predicted_iou", "clicks"), ("mask", *AS_MASKS)),
}  # fmt: skip


class OpenImagesFormat(FileFormat):
    """Tables of boxes, classes and masks."""

    name: ClassVar[str] = "open-images"
    title: ClassVar[str] = "Open Images V6"
    unit: ClassVar[str] = RELATIVE
    scales_masks: ClassVar[bool] = True  # those of the original are smaller than their images
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "classification": KEPT, "mask": KEPT, **dict.fromkeys(AS_MASKS, "painted as masks")},
        attributes=frozenset(_KINDS_OF), only={**_KINDS_OF, "confidence": ("box", "classification")}, confidence=True,
        default_confidence=1.0, groups_renumbered=True, splits=True, holes=True, parts=True,
        notes=(
            "The attribute group ties masks to boxes, with other numbers when it is read back.",
            "A rotated box is written as the upright one around it.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """A table by its header."""
        found = next(iter(tables(archive)), None)
        return f"{found.name} has the columns of Open Images' {found.kind}" if found else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """The tables of images, masks, boxes and classes."""
        if not tables(archive):
            raise InvalidSource(
                f"{str(archive.path)!r} has no table with the columns of Open Images, as ImageID and LabelName; "
                "add it, or choose another format."
            )
        yield from Reader(archive, items, report).read()

    def image_folder(self, split: str | None) -> str:
        """The folder of a subset."""
        return f"images/{split or DEFAULT}"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give images ids that are unique in all subsets, and count what cannot be written."""
        flat_names(data)
        kinds = pa.array(list(self.fidelity.kinds))
        written = (table.filter(pc.is_in(table["kind"], value_set=kinds)) for table in data.label_tables())
        lost = sum(table["label"].null_count for table in written)
        data.lose("labels have no class, and are left out", lost)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the tables and the masks."""
        write(data)
