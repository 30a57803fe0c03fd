"""The words of a tool, where they are not those of the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Terms(NamedTuple):
    """What words of a tool are here: names of classes, and of attributes."""

    classes: Mapping[str, str]
    attributes: Mapping[str, str]
