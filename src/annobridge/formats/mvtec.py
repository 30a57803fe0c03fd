"""MVTec AD: images without and with defects, in folders named after them, and a mask of the defect beside each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from ..core.geometry import encode_rle
from .common import mask_images
from .common.archive import Archive
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes
from .common.path_lookup import stem
from .common.report import ReadReport

_TRUTH, _MASK, _GOOD = "ground_truth", "_mask", "good"
_SPLITS = frozenset({"train", "test", "val", "valid", "validation", "dev"})
Key = tuple[str, str]  # the folder of the object, and the path of the image from its split on, without suffix


class MvtecFormat(FileFormat):
    """Images with masks of defects. They are read only."""

    name: ClassVar[str] = "mvtec"
    title: ClassVar[str] = "MVTec AD"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"mask": KEPT, "classification": KEPT}, splits=True,
        notes=("Classes are folders that have a folder of masks, and \"good\"; where there are none, masks have no class.",),
    )  # fmt: skip
    writing: ClassVar[type[WriteOptions] | None] = None

    def detect(self, archive: Archive) -> str | None:
        """Masks by their folder and their name, of images in folders of splits."""
        masks = _masks(archive)
        images = {_key(name) for name in image_names(archive)}
        found = next((name for key, name in masks.items() if key in images), None)
        return f"{found} is the mask of a defect" if found else None

    def is_image(self, name: str) -> bool:
        """All are but the masks."""
        return _TRUTH not in name.split("/")[:-1]

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each image of each split."""
        masks = _masks(archive)
        defects = {(root, path.split("/")[0]) for root, path in masks if "/" in path}
        used: set[str] = set()
        shapes = Shapes()
        for name in image_names(archive):
            key = _key(name)
            if key is None:
                continue
            root, path = key
            split = name[len(root) :].split("/")[0]
            folder = path.split("/")[0] if "/" in path else None
            label = folder if folder == _GOOD or (root, folder) in defects else None
            item = items.add(f"{root}{path}", split, file=name)
            if label is not None:
                shapes.add(item, "classification", label, place=archive.where(name))
            mask_file = masks.get(key)
            if mask_file is not None and mask_file not in used and (split != "train" or label != _GOOD):
                used.add(mask_file)
                mask = mask_images.load(archive, mask_file, report)
                where = None if mask is None else mask.values != 0
                if where is not None and where.any():
                    shapes.add(item, "mask", label, mask=dict(encode_rle(where)), place=archive.where(mask_file))
            yield from shapes.take_full()
        for mask_file in sorted(set(masks.values()) - used):
            report.skip(archive.where(mask_file), "the image of the mask is not there")
        yield shapes.take()


def _masks(archive: Archive) -> dict[Key, str]:
    """The masks by the image that they are of."""
    found: dict[Key, str] = {}
    for name in archive.by_suffix.get(".png", ()):
        parts = name.split("/")
        if _TRUTH in parts[:-1] and stem(name).endswith(_MASK):
            at = parts.index(_TRUTH)
            root = "".join(f"{part}/" for part in parts[:at])
            found[root, stem("/".join(parts[at + 1 :])).removesuffix(_MASK)] = name
    return found


def _key(name: str) -> Key | None:
    """The object and the path of an image in the folder of a split; ``None`` for others.

    >>> _key("bottle/test/broken_large/000.png"), _key("bottle/ground_truth/broken_large/000_mask.png")
    (('bottle/', 'broken_large/000'), None)
    """
    parts = name.split("/")
    at = next((at for at, part in enumerate(parts[:-1]) if part in _SPLITS), None)
    if at is None or _TRUTH in parts[:at]:
        return None
    return "".join(f"{part}/" for part in parts[:at]), stem("/".join(parts[at + 1 :]))
