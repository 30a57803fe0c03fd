"""Before and after, side by side: the labels of one image drawn on it, those that changed in full colour."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_COLORS = [(230, 60, 60), (40, 150, 255), (255, 190, 30), (60, 200, 110), (200, 90, 230), (255, 130, 60)]
_HEAD = 34
_LARGEST = 900  # of one half
Row = Mapping[str, Any]


def side_by_side(path: Path, photo: Path, before: Iterable[Row], after: Iterable[Row], titles: tuple[str, str]) -> Path:
    """Write a picture of both states of an image's labels (rows of ``LABELS``)."""
    halves = [{row["label_id"]: row for row in rows} for rows in (before, after)]
    classes = sorted({str(row["label"]) for half in halves for row in half.values()})
    colors = {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(classes)}
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    image.thumbnail((_LARGEST, _LARGEST))
    width, height = image.size
    sheet = Image.new("RGB", (2 * width + 12, height + _HEAD), (24, 26, 32))
    draw = ImageDraw.Draw(sheet)
    for side, (half, other) in enumerate([(halves[0], halves[1]), (halves[1], halves[0])]):
        left = side * (width + 12)
        draw.text((left + 10, 7), titles[side], (240, 240, 240), ImageFont.load_default(17))
        changed = {i for i, row in half.items() if _shown(row) != _shown(other.get(i, {}))}
        sheet.paste(_drawn(image, half, changed, colors), (left, _HEAD))
    sheet.save(path)
    return path


def _shown(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("label", "bounding_box", "points", "attributes"))


def _drawn(image: Image.Image, labels: Mapping[str, Row], changed: set[str], colors: Mapping[str, Any]) -> Image.Image:
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    for label_id in sorted(labels, key=lambda i: i in changed):  # what changed comes last, on top
        row = labels[label_id]
        if row["bounding_box"]:
            _box(draw, copy.size, row, colors[str(row["label"])], loud=label_id in changed)
    words = [f"{row['field']}: {row['label']}" for row in labels.values() if row["kind"] == "classification"]
    if words:
        _tag(draw, (6, 24), ", ".join(words), (60, 60, 70))
    return copy


def _box(draw: ImageDraw.ImageDraw, size: tuple[int, int], row: Row, color: Any, loud: bool) -> None:
    x, y, w, h = (v * size[i % 2] for i, v in enumerate(row["bounding_box"]))
    draw.rectangle((x, y, x + w, y + h), outline=color, width=4 if loud else 1)
    if loud:
        _tag(draw, (x, y), " ".join([str(row["label"]), *_attributes(row)]), color)


def _attributes(row: Row) -> Iterator[str]:
    """Texts as they are, and the names of what is true."""
    for a in row["attributes"] or ():
        if a["type"] == "str":
            yield json.loads(a["value"])
        elif a["value"] == "true":
            yield a["name"]


def _tag(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, color: Any) -> None:
    """A text on a ground of its own, above a place, or below it at the upper edge."""
    font = ImageFont.load_default(14)
    wide = draw.textlength(text, font) + 8
    x, y = place[0], place[1] - 19 if place[1] >= 19 else place[1]
    draw.rectangle((x, y, x + wide, y + 19), color)
    draw.text((x + 4, y + 1), text, (255, 255, 255), font)
