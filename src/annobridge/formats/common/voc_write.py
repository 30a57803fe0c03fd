"""Write the tree that Pascal VOC and CVAT's Segmentation mask share."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa

from .export import ExportData
from .items import ITEMS
from .mask_images import save_colours, save_indexed
from .paint import PAINTED
from .painter import Painter
from .palette import labelmap_text
from .voc_tree import CLASSES, FLAGGED, OBJECTS


def flat_names(data: ExportData) -> None:
    """Rename items so that their names without suffix are unique in all splits: of two, the split is put before as a folder."""
    names, splits = data.items["name"].to_pylist(), data.items["split"].to_pylist()
    stems = [os.path.splitext(name)[0] for name in names]
    repeated = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    taken: set[str] = set()
    for at, (name, split) in enumerate(zip(names, splits, strict=True)):
        stem, suffix = os.path.splitext(name)
        if stem in repeated:
            stem = f"{split or 'default'}/{stem}"
        new, number = stem, 1
        while new in taken:
            number += 1
            new = f"{stem}_{number}"
        taken.add(new)
        names[at] = new + suffix
    data.items = data.items.set_column(0, ITEMS.field("name"), pa.array(names, pa.string()))


def write_masks(data: ExportData, folder: str = "") -> list[bool]:
    """Paint the labels that have an inside, and write the label map; returns which items have a mask."""
    painter = Painter(data)
    root = data.folder / folder
    root.mkdir(parents=True, exist_ok=True)
    (root / "labelmap.txt").write_text(labelmap_text(painter.palette), "utf-8")
    painted = []
    for part in data.parts():
        for _, item, labels in part.by_item():
            rows = [row for row in labels.to_pylist() if row["kind"] in PAINTED]
            painted.append(bool(rows))
            if rows:
                canvas = painter.canvas(rows, item)
                name = f"{os.path.splitext(str(item['name']))[0]}.png"
                save_colours(root / CLASSES / name, canvas.classes, painter.palette)
                save_indexed(root / OBJECTS / name, canvas.instances(), len(canvas.rows) + 1)
    return painted


def write_lists(data: ExportData, folder: str, stems: Sequence[str], wanted: Sequence[bool] | None = None) -> None:
    """Write ``ImageSets/FOLDER/SPLIT.txt``: the images of each split."""
    place = data.folder / "ImageSets" / folder
    place.mkdir(parents=True, exist_ok=True)
    splits = data.items["split"].to_pylist()
    for split in data.splits:
        chosen = [s for at, s in enumerate(stems) if splits[at] == split and (wanted is None or wanted[at])]
        if folder != "Main" and all(map(FLAGGED.match, chosen)):  # their numbers would be flags; CVAT takes no quotes
            chosen = [f'"{stem}"' for stem in chosen]
        (place / f"{split or 'default'}.txt").write_text("".join(f"{stem}\n" for stem in chosen), "utf-8")
