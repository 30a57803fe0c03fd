"""What a release does: the version reported, and whether a change of the official change log is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST = (2, 15)


@dataclass(frozen=True)
class Version:
    """A release as `about` reports it. A change is in force when its release is this one or an earlier one."""

    text: str

    @property
    def release(self) -> tuple[int, int]:
        found = re.match(r"(\d+)\.(\d+)", self.text)
        return max(OLDEST, (int(found[1]), int(found[2]))) if found else (2, 73)

    def since(self, major: int, minor: int) -> bool:
        return self.release >= (major, minor)
