"""The answers of three annotators to the drawn dataset, and a picture of their consensus."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from annobridge import demo
from annobridge.dataset import Dataset

PEOPLE = {
    "alice": (0.03, (230, 60, 60)),
    "bob": (0.07, (40, 150, 255)),
    "carol": (0.14, (255, 190, 30)),
}  # mistakes, colour
FIELDS = [f"objects_{name}" for name in PEOPLE]
SCENE = "street_06"
_LAMP = (0.286, 0.3, 0.052, 0.31)  # there, which one of them takes for a sign
_AGREED = (60, 220, 120)
_LEFT = (255, 255, 255)
_SCALE = 2  # the drawn images are small
_HEAD = 44  # pixels above the image, for the legend
_DASH = 12  # pixels


def answered(folder: Path) -> Dataset:
    """The drawn dataset with a field for each annotator, who move every box a little and make mistakes in some."""
    ds = demo.street(folder / "street")
    run = ds.annotate("round1", label_field="objects", backend="memory", progress=False)
    labels = ds.labels("objects").to_pylist()
    for name, (mistakes, _) in PEOPLE.items():
        chance, somebody = random.Random(name), demo.annotator(run, name)  # noqa: S311
        for row in labels:
            x, y, width, height = row["bounding_box"]
            if chance.random() < mistakes:
                somebody.delete(row["label_id"])
            else:
                dx, dy, dw, dh = (chance.gauss(0, 0.3 * mistakes + 0.02) for _ in range(4))
                moved = [x + dx * width, y + dy * height, width * (1 + dw), height * (1 + dh)]
                somebody.move(row["label_id"], moved)
                if chance.random() < mistakes:
                    somebody.set_class(row["label_id"], chance.choice(["car", "person", "sign"]))
                if chance.random() < mistakes:
                    somebody.set_attribute(row["label_id"], "occluded", True)
    demo.annotator(run, "carol").draw(SCENE, "sign", _LAMP, {"occluded": False})
    ds.load_answers("round1", progress=False)
    return ds


def consensus(ds: Dataset) -> Image.Image:
    """One image with the boxes of all three, thin, and those of the consensus, thick; what is left for a decision is dashed."""
    with Image.open(ds.select(SCENE).first()["filepath"]) as opened:
        size = tuple(_SCALE * side for side in opened.size)
        picture = opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for field, (_, colour) in zip(FIELDS, PEOPLE.values(), strict=True):
        for row in ds.select(SCENE).labels(field).to_pylist():
            draw.rectangle(_corners(row["bounding_box"], size), outline=colour, width=2)
    plan = ds.plan_merge(FIELDS, into="truth", progress=False)
    rows = [row for row in plan.changes.to_pylist() if row["sample_id"] == SCENE]
    for row in rows:
        if row["proposal"] == "leave":
            _dashed(draw, _corners(row["theirs_box"], size))
            _tag(draw, _corners(row["theirs_box"], size), row["why"].partition(";")[0])
        else:
            draw.rectangle(_corners(row["theirs_box"], size), outline=_AGREED, width=5)
    sheet = Image.new("RGB", (size[0], size[1] + _HEAD), (24, 26, 32))
    sheet.paste(picture, (0, _HEAD))
    _legend(ImageDraw.Draw(sheet))
    return sheet


def _corners(box: Sequence[float], size: Sequence[int]) -> tuple[float, ...]:
    x, y, width, height = box
    return x * size[0], y * size[1], (x + width) * size[0], (y + height) * size[1]


def _dashed(draw: ImageDraw.ImageDraw, corners: tuple[float, ...]) -> None:
    left, top, right, bottom = corners
    for x0, y0, x1, y1 in ((left, top, right, top), (right, top, right, bottom), (right, bottom, left, bottom),
                           (left, bottom, left, top)):  # fmt: skip
        length = max(abs(x1 - x0), abs(y1 - y0))
        for start in range(0, int(length), 2 * _DASH):
            ends = (start / length, min(start + _DASH, length) / length)
            draw.line([(x0 + at * (x1 - x0), y0 + at * (y1 - y0)) for at in ends], fill=_LEFT, width=5)


def _tag(draw: ImageDraw.ImageDraw, corners: tuple[float, ...], text: str) -> None:
    """A text above a box."""
    font = ImageFont.load_default(20)
    left, top = corners[0] - 2, corners[1] - 30
    draw.rectangle((left, top, left + draw.textlength(text, font) + 12, top + 28), _LEFT)
    draw.text((left + 6, top + 1), text, (24, 26, 32), font)


def _legend(draw: ImageDraw.ImageDraw) -> None:
    font, x = ImageFont.load_default(22), 20
    thin = [(name, colour) for name, (_, colour) in PEOPLE.items()]
    for text, colour in [*thin, ("consensus", _AGREED), ("left for a decision", _LEFT)]:
        box = (x, _HEAD / 2 - 9, x + 30, _HEAD / 2 + 9)
        if colour == _LEFT:
            _dashed(draw, box)
        else:
            draw.rectangle(box, outline=colour, width=2 if (text, colour) in thin else 5)
        draw.text((x + 42, 8), text, (240, 240, 240), font)
        x += 42 + int(draw.textlength(text, font)) + 40
