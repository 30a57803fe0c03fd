"""Included data and a scripted annotator, to try things out offline; and the data of ``annobridge demo``.

    ds = demo.street("street")                                         # a dataset of drawn street scenes
    run = ds.annotate("round1", label_field="objects", backend="memory")
    demo.correct(run)                                                  # what people would correct in the tool

``scenes`` draws images, ``scenario`` makes a dataset of them (or of given photos) with the edits that correct it, ``tools`` has the
annotation tools and their scripted annotators, and ``pictures`` draws labels before and after. The command itself is in
``annobridge.cli.commands.demo``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..bridge.results import AnnotationResults
    from ..dataset import Dataset, View
    from .tools import MemoryAnnotator

__all__ = ["annotator", "by_hand", "correct", "street"]


def street(folder: str | Path) -> Dataset:
    """Draw twelve street scenes into ``<folder>/images``, and return a dataset of them in ``<folder>/dataset``.

    Their labels are as a model leaves them: boxes in ``objects``, polygons in ``ground``, a class in ``weather``; some are
    wrong.
    Raises ``StoreError`` for a folder that has something in it.
    """
    from ..dataset import create_dataset
    from ..exceptions import StoreError
    from . import scenario

    root = Path(folder).expanduser()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise StoreError(f"{str(folder)!r} is not empty; remove it, or give another folder.")
    root.mkdir(parents=True, exist_ok=True)
    ds = create_dataset(root / "dataset")
    scenario.street(ds, root / "images")
    return ds


def annotator(results: AnnotationResults, name: str | None = None) -> MemoryAnnotator:
    """Somebody who edits the labels of a run in the memory backend, label by label.

    Args:
        results: the run.
        name: of one of several people who each work on the labels that were sent, and do not see each other's work; by default,
            all work on the same labels.

    Raises ``InvalidOption`` for a run of another backend.
    """
    from .tools import MemoryAnnotator

    return MemoryAnnotator.of(results, name)


def correct(results: AnnotationResults) -> list[str]:
    """Make the corrections that the labels of ``street`` need, in the memory backend; returns what was done, a line each.

    Raises ``InvalidOption`` for a run of another backend.
    """
    from .scenario import street_edits

    somebody = annotator(results)
    edits = street_edits()
    for edit in edits:
        edit.apply(somebody)
    return [f"{edit.sample_id}: {edit.text}" for edit in edits]


def by_hand(
    view: View,
    key: str,
    boxes: dict[str, list[tuple[str, tuple[float, float, float, float]]]],
    url: str = "memory://default",
) -> str:
    """Make a task in the memory backend that no run sent, as a person makes one in a tool, to try ``adopt_annotation``.

    Args:
        view: the images in it.
        key: the key of the task.
        boxes: sample id → (class, (x, y, width, height)) of its boxes, relative to the image.
        url: the server.

    Returns:
        The key.
    """
    from .found_task import make_task

    return make_task(view, key, boxes, url)
