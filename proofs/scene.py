"""What proofs work on: a small dataset somewhere, images, and a CVAT server; and what is found there afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES, PER_IMAGE, PER_TASK = 12, 3, 3
WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True)
class Scene:
    """Where a child finds everything; ``photos`` is a folder to import.

    ``url`` and ``token`` are those of the server, whose ``backend`` it is, and ``more`` has other options to reach it.
    """

    uri: str
    options: dict[str, str] | None
    photos: Path
    url: str = ""
    token: str = ""
    backend: str = "cvat"
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def login(self) -> dict[str, Any]:
        """The options of every verb that speaks to the server."""
        return ({"token": self.token} if self.token else {}) | dict(self.more)


@dataclass(frozen=True)
class Look:
    """What a fresh process sees: samples, labels and runs as text without random ids; ``twins`` are ids seen twice."""

    content: Counter[str]
    twins: tuple[str, ...] = ()
    states: dict[str, str] | None = None

    def without_runs(self) -> Look:
        """The same with samples and labels alone."""
        kept = {text: times for text, times in self.content.items() if not text.startswith("run ")}
        return replace(self, content=Counter(kept))


@dataclass(frozen=True)
class Difference:
    """What is missing, what is there too often, and what should not be there at all."""

    missing: Counter[str]
    doubled: Counter[str]
    strange: Counter[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.strange)

    def __str__(self) -> str:
        parts = ((n, getattr(self, n)) for n in ("missing", "doubled", "strange"))
        return ", ".join(f"{found.total()} {name} ({next(iter(found))}, …)" for name, found in parts if found)


def difference(found: Counter[str], allowed: Sequence[Counter[str]]) -> Difference:
    """How content differs from all that is allowed: less than each of it, or more than any of it."""
    floor, ceiling = allowed[0], allowed[0]
    for one in allowed[1:]:
        floor, ceiling = floor & one, ceiling | one
    more = found - ceiling
    doubled = Counter({text: n for text, n in more.items() if ceiling[text]})
    return Difference(floor - found, doubled, more - doubled)


def draw(folder: Path, first: int) -> None:
    """``IMAGES`` images with a ``metadata.jsonl``, numbered from ``first``."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(first, first + IMAGES):
        Image.new("RGB", (WIDTH, HEIGHT), (number * 7 % 256, 90, 60)).save(folder / f"{number}.png")
        boxes = [[x * WIDTH, y * HEIGHT, w * WIDTH, h * HEIGHT] for x, y, w, h in boxes_of(number)]
        objects = {"bbox": boxes, "categories": ["car"] * len(boxes)}
        lines.append(json.dumps({"file_name": f"{number}.png", "objects": objects}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def boxes_of(number: int) -> list[list[float]]:
    """The boxes of an image, from left to right; exact in binary and in pixels."""
    return [[k / 4, (number % 4) / 8, 1 / 8, 1 / 4] for k in range(PER_IMAGE)]


def text_of(rows: Iterable[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Labels as text, by the file of their sample."""
    texts = []
    for row in rows:
        box = [round(x, 4) for x in row["bounding_box"] or ()]
        texts.append(f"label on {names[row['sample_id']]}: {row['field']} {row['label']} {box}")
    return texts
