"""Simulated annotators of known noise, to measure what becomes of their answers together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..core.agreement.given import Given
from ..core.labels import REMOTE, conform


@dataclass(frozen=True)
class Noise:
    """What an annotator does wrong.

    Attributes:
        miss: the share of objects that are not drawn.
        double: the share of those drawn that are drawn twice.
        jitter: the standard deviation of each edge, as a share of the size of the box.
        wrong: the share of labels that get another class.
    """

    miss: float = 0.05
    double: float = 0.03
    jitter: float = 0.03
    wrong: float = 0.05


@dataclass(frozen=True)
class Scene:
    """Boxes of classes on images: the truth.

    Attributes:
        images: of each box, the number of its image.
        classes: of each box, the number of its class.
        boxes: x, y, width and height of each, relative to the image; shape (n, 4).
        class_count: how many classes there are.
    """

    images: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    class_count: int = 5

    @classmethod
    def random(cls, images: int, per_image: int, rng: np.random.Generator) -> Scene:
        """Boxes at random places, which may overlap."""
        count = images * per_image
        size = rng.uniform(0.05, 0.2, (count, 2))
        return cls(
            np.repeat(np.arange(images), per_image),
            rng.integers(0, 5, count),
            np.hstack([rng.uniform(0, 0.8, (count, 2)), size]),
        )

    def seen_by(self, noise: Noise, rng: np.random.Generator) -> Scene:
        """What an annotator makes of it."""
        kept = np.flatnonzero(rng.random(len(self.images)) >= noise.miss)
        rows = np.concatenate([kept, kept[rng.random(len(kept)) < noise.double]])
        boxes, classes = self.boxes[rows], self.classes[rows].copy()
        edges = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        edges = np.clip(edges + rng.normal(0, noise.jitter, edges.shape) * np.tile(boxes[:, 2:], 2), 0, 1)
        size = np.maximum(edges[:, 2:] - edges[:, :2], 1e-4)
        wrong = rng.random(len(rows)) < noise.wrong
        classes[wrong] = (classes[wrong] + rng.integers(1, self.class_count, int(wrong.sum()))) % self.class_count
        return Scene(self.images[rows], classes, np.hstack([edges[:, :2], size]), self.class_count)

    def given(self, annotator: str, images: int, field: str = "objects") -> Given:
        """The boxes as the answer of an annotator to all images."""
        names = pa.array([f"image_{number:06d}" for number in range(images)])
        columns = {
            "sample_id": names.take(pa.array(self.images)),
            "label": pa.array([f"class_{number}" for number in range(self.class_count)]).take(pa.array(self.classes)),
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(self.boxes.ravel()), 4),
            "remote_id": pa.array(np.arange(len(self.images))).cast(pa.string()),
        }
        return Given(annotator, conform(pa.table(columns), REMOTE, field=field, kind="box"), names)
