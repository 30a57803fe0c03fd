"""Boxes that are turned about their centres: their corners, and the upright boxes around them."""

from __future__ import annotations

import numpy as np


def corners(boxes: np.ndarray, degrees: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The corners (n, 4, 2) of boxes, each turned by some degrees about its centre. ``sizes`` are (width, height) of the images
    where the boxes are relative, and 1 where they are in pixels.

    >>> corners(np.array([[0.0, 0, 4, 2]]), np.array([90.0]), np.ones((1, 2))).round(9).tolist()
    [[[3.0, -1.0], [3.0, 3.0], [1.0, 3.0], [1.0, -1.0]]]
    """
    pixels = boxes * np.tile(sizes, 2)
    centre, half = pixels[:, :2] + pixels[:, 2:] / 2, pixels[:, 2:] / 2
    angle = np.radians(degrees)[:, None]
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    dx, dy = half[:, :1] * signs[:, 0], half[:, 1:] * signs[:, 1]
    turned = np.stack([dx * np.cos(angle) - dy * np.sin(angle), dx * np.sin(angle) + dy * np.cos(angle)], axis=-1)
    result: np.ndarray = (centre[:, None] + turned) / sizes[:, None]
    return result


def around(boxes: np.ndarray, degrees: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The upright boxes around turned ones, as ``corners`` takes them."""
    points = corners(boxes, degrees, sizes)
    low, high = points.min(axis=1), points.max(axis=1)
    return np.hstack([low, high - low])
