"""Draws the labels of one image before and after, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_COLORS = [(230, 60, 60), (40, 150, 255), (255, 190, 30), (60, 200, 110), (200, 90, 230), (255, 130, 60)]
_HEAD = 34  # pixels above the images, for the titles
_GAP = 12  # pixels between them
_LARGEST = 900  # pixels, of one half
Row = Mapping[str, Any]


def side_by_side(path: Path, image: Path, before: Iterable[Row], after: Iterable[Row], titles: tuple[str, str]) -> None:
    """Write a PNG with both states of an image's labels (rows of ``LABELS``); labels that differ have thick lines and a text."""
    halves = [{row["label_id"]: row for row in rows} for rows in (before, after)]
    classes = sorted({str(row["label"]) for half in halves for row in half.values()})
    colors = {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(classes)}
    with Image.open(image) as opened:
        small = opened.convert("RGB")
    small.thumbnail((_LARGEST, _LARGEST))
    width, height = small.size
    sheet = Image.new("RGB", (2 * width + _GAP, height + _HEAD), (24, 26, 32))
    draw = ImageDraw.Draw(sheet)
    for side, (half, other) in enumerate([(halves[0], halves[1]), (halves[1], halves[0])]):
        left = side * (width + _GAP)
        draw.text((left + 10, 7), titles[side], (240, 240, 240), ImageFont.load_default(17))
        changed = {i for i, row in half.items() if _compared(row) != _compared(other.get(i, {}))}
        sheet.paste(_drawn(small, half, changed, colors), (left, _HEAD))
    sheet.save(path)


def _compared(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("label", "bounding_box", "points", "attributes"))


def _drawn(image: Image.Image, labels: Mapping[str, Row], changed: set[str], colors: Mapping[str, Any]) -> Image.Image:
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    for label_id in sorted(labels, key=lambda i: i in changed):  # what changed is drawn last, on top
        row = labels[label_id]
        if row["bounding_box"]:
            _box(draw, copy.size, row, colors[str(row["label"])], highlighted=label_id in changed)
    classes = [f"{row['field']}: {row['label']}" for row in labels.values() if row["kind"] == "classification"]
    if classes:
        _tag(draw, (6, 24), ", ".join(classes), (60, 60, 70))
    return copy


def _box(draw: ImageDraw.ImageDraw, size: tuple[int, int], row: Row, color: Any, highlighted: bool) -> None:
    x, y, w, h = (v * size[i % 2] for i, v in enumerate(row["bounding_box"]))
    draw.rectangle((x, y, x + w, y + h), outline=color, width=4 if highlighted else 1)
    if highlighted:
        _tag(draw, (x, y), " ".join([str(row["label"]), *_attributes(row)]), color)


def _attributes(row: Row) -> Iterator[str]:
    """Attribute values that are text, and the names of those that are true."""
    for a in row["attributes"] or ():
        if a["type"] == "str":
            yield json.loads(a["value"])
        elif a["value"] == "true":
            yield a["name"]


def _tag(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, color: Any) -> None:
    """A text on a coloured background, above a point, or below it at the upper edge of the image."""
    font = ImageFont.load_default(14)
    width = draw.textlength(text, font) + 8
    x, y = at[0], at[1] - 19 if at[1] >= 19 else at[1]
    draw.rectangle((x, y, x + width, y + 19), color)
    draw.text((x + 4, y + 1), text, (255, 255, 255), font)
