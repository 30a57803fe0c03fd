"""What trials work on: a small dataset, images and a server; and snapshots of the dataset, to compare."""

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
class Target:
    """The dataset, images to import (``photos``) and server of a trial.

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
        """The options of every verb that calls the server."""
        return ({"token": self.token} if self.token else {}) | dict(self.more)


@dataclass(frozen=True)
class Snapshot:
    """The samples, labels and runs of a dataset as texts without random ids, with their counts; and ids that occur twice."""

    content: Counter[str]
    duplicate_ids: tuple[str, ...] = ()
    states: dict[str, str] | None = None

    def without_runs(self) -> Snapshot:
        """The snapshot without its runs."""
        kept = {text: times for text, times in self.content.items() if not text.startswith("run ")}
        return replace(self, content=Counter(kept))


@dataclass(frozen=True)
class Difference:
    """Texts that are missing, that occur too often, and that should not occur."""

    missing: Counter[str]
    doubled: Counter[str]
    unexpected: Counter[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.unexpected)

    def __str__(self) -> str:
        parts = ((n, getattr(self, n)) for n in ("missing", "doubled", "unexpected"))
        return ", ".join(f"{found.total()} {name} ({next(iter(found))}, …)" for name, found in parts if found)


def difference(found: Counter[str], allowed: Sequence[Counter[str]]) -> Difference:
    """How content differs from what is allowed: fewer of a text than in any, or more than in any."""
    floor, ceiling = allowed[0], allowed[0]
    for one in allowed[1:]:
        floor, ceiling = floor & one, ceiling | one
    more = found - ceiling
    doubled = Counter({text: n for text, n in more.items() if ceiling[text]})
    return Difference(floor - found, doubled, more - doubled)


def draw(folder: Path, first: int) -> None:
    """Write ``IMAGES`` images, numbered from ``first``, with a ``metadata.jsonl``."""
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


def label_texts(rows: Iterable[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Labels as texts; ``names`` maps sample ids to file names."""
    texts = []
    for row in rows:
        box = [round(x, 4) for x in row["bounding_box"] or ()]
        texts.append(f"label on {names[row['sample_id']]}: {row['field']} {row['label']} {box}")
    return texts
