"""Write Pascal VOC: XML of boxes, lists of images and classes, masks."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import Any

from ..common.export import ExportData
from ..common.mask_images import save_colours, save_indexed
from ..common.paint import PAINTED
from ..common.painter import Painter
from ..common.palette import labelmap_text
from ..common.voc_tree import CLASSES, OBJECTS
from ..common.voc_write import write_lists
from ..common.xml_text import escape

_PLAIN = ("truncated", "occluded", "difficult")
_MASKS = tuple(kind for kind in PAINTED if kind != "box")


def write(data: ExportData) -> None:
    """Write all files. Boxes stay boxes; other labels with an inside are painted."""
    painter = Painter(data)
    (data.folder / "labelmap.txt").write_text(labelmap_text(painter.palette), "utf-8")
    stems = [os.path.splitext(name)[0] for name in data.items["name"].to_pylist()]
    tagged: dict[str, set[int]] = defaultdict(set)
    painted: list[bool] = []
    for part in data.parts():
        for number, item, labels in part.by_item():
            rows = labels.to_pylist()
            masks = [row for row in rows if row["kind"] in _MASKS]
            _write_xml(data, stems[number], item, [row for row in rows if row["kind"] == "box"], bool(masks))
            for row in rows:
                if row["kind"] == "classification":
                    tagged[row["label"]].add(number)
            painted.append(bool(masks))
            if masks:
                canvas = painter.canvas(masks, item)
                save_colours(data.folder / CLASSES / f"{stems[number]}.png", canvas.classes, painter.palette)
                save_indexed(data.folder / OBJECTS / f"{stems[number]}.png", canvas.instances(), len(canvas.rows) + 1)
    write_lists(data, "Main", stems)
    if any(painted):
        write_lists(data, "Segmentation", stems, painted)
    _write_classes(data, stems, tagged)


def _write_classes(data: ExportData, stems: list[str], tagged: dict[str, set[int]]) -> None:
    """``ImageSets/Main/CLASS_SPLIT.txt`` of each class that images have."""
    splits = data.items["split"].to_pylist()
    for class_ in sorted(tagged):
        for split in data.splits:
            rows = (
                f"{stem} {'1' if at in tagged[class_] else '-1':>2}\n"
                for at, stem in enumerate(stems)
                if splits[at] == split
            )
            name = f"{class_.replace('/', '_')}_{split or 'default'}.txt"
            (data.folder / "ImageSets" / "Main" / name).write_text("".join(rows), "utf-8")


def _write_xml(data: ExportData, stem: str, item: dict[str, Any], boxes: list[dict[str, Any]], has_masks: bool) -> None:
    path = data.folder / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    folder, _, base = str(item["name"]).rpartition("/")
    sources = "".join(f"    <{name}>Unknown</{name}>\n" for name in ("database", "annotation", "image"))
    size = "".join(f"    <{side}>{item[side] or 0}</{side}>\n" for side in ("width", "height"))
    lines = [
        "<annotation>",
        f"  <folder>{escape(folder)}</folder>",
        f"  <filename>{escape(base)}</filename>",
        f"  <source>\n{sources}  </source>",
        f"  <size>\n{size}    <depth>3</depth>\n  </size>",
        f"  <segmented>{int(has_masks)}</segmented>",
        *map(_object, boxes),
        "</annotation>\n",
    ]
    path.write_text("\n".join(lines), "utf-8")


def _object(row: dict[str, Any]) -> str:
    given = {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}
    flags = {name: given.pop(name) for name in _PLAIN if isinstance(given.get(name), bool)}
    x, y, width, height = row["bounding_box"]
    lines = ["  <object>", f"    <name>{escape(row['label'])}</name>"]
    lines += [f"    <{name}>{int(flags[name])}</{name}>" for name in _PLAIN if name in flags]
    corners = (("xmin", x), ("ymin", y), ("xmax", x + width), ("ymax", y + height))
    lines += [
        "    <bndbox>",
        *(f"      <{name}>{round(value, 6) + 0.0}</{name}>" for name, value in corners),
        "    </bndbox>",
    ]
    for name, value in (
        ("confidence", row["confidence"]),
        ("track_id", row["index"]),
        ("rotation", row["rotation"] or None),
    ):
        if value is not None:
            given[name] = value
    if given:
        lines += ["    <attributes>", *(_attribute(name, given[name]) for name in sorted(given)), "    </attributes>"]
    return "\n".join([*lines, "  </object>"])


def _attribute(name: str, value: Any) -> str:
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    type_ = {bool: "bool", int: "int", float: "float"}.get(type(value))
    told = f"<type>{type_}</type>" if type_ else ""
    return f"      <attribute><name>{escape(name)}</name><value>{escape(plain)}</value>{told}</attribute>"
