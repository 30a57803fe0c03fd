"""The storage of the echo tool: a file of JSON lines, one for each image, whose labels a fixed rule edits when they are read.

In mode "edit", of every twenty labels one is deleted, two are edited, one gets a new label beside it, and sixteen stay. In mode
"new", every image gets new labels. Images are named by their number, so that the rule does not depend on the tasks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

CLASSES = ["bicycle", "bus", "car", "lorry", "person"]
RULE = ("delete", "edit", "edit", "add", *["keep"] * 16)  # by the number of the label
_STEPS = (0.618034, 0.754878, 0.569840, 0.682328)  # irrational steps, which spread the boxes evenly

Label = tuple[str | None, str, list[float]]  # id (None: new), class, box as relative x, y, width, height


def class_of(number: int) -> str:
    return CLASSES[number % len(CLASSES)]


def box_of(number: int) -> list[float]:
    """The box of the label with a number; it is inside the image."""
    x, y, width, height = (number * step % 1 for step in _STEPS)
    return [round(value, 4) for value in (0.7 * x, 0.7 * y, 0.05 + 0.2 * width, 0.05 + 0.2 * height)]


def write(path: Path, images: Iterable[tuple[str, list[Label]]]) -> None:
    """Store what was sent: the name of each image, and its labels."""
    with path.open("w") as file:
        file.writelines(json.dumps(image) + "\n" for image in images)


def read(path: Path, mode: str, per_image: int) -> Iterator[tuple[str, list[Label]]]:
    """Yield the images with their labels as they are after the rule was applied."""
    with path.open() as file:
        for line in file:
            image, labels = json.loads(line)
            first = int(image) * per_image
            if mode == "new":
                yield image, [(None, class_of(n), box_of(n)) for n in range(first, first + per_image)]
            else:
                yield image, list(_edited(labels, first))


def _edited(labels: Iterable[Label], first: int) -> Iterator[Label]:
    for number, (label_id, name, box) in enumerate(labels, first):
        rule = RULE[number % len(RULE)]
        if rule == "edit":
            yield label_id, class_of(number + 1), box_of(number + 1)
        elif rule != "delete":
            yield label_id, name, box
        if rule == "add":
            yield None, class_of(number + 2), box_of(number + 2)


def expected(mode: str, images: int, per_image: int) -> dict[str, int]:
    """How many labels there are after a load, and how many of them it edited."""
    total = images * per_image
    if mode == "new":
        return {"labels": total, "edited": 0}
    counts = {rule: sum(len(range(k, total, len(RULE))) for k, r in enumerate(RULE) if r == rule) for rule in set(RULE)}
    return {"labels": total - counts["delete"] + counts["add"], "edited": counts["edit"]}
