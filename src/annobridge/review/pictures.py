"""Encoded pictures, the placeholder for one that cannot be shown, and a cache of bounded size."""

from __future__ import annotations

import html
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from hashlib import blake2b

from PIL import Image

_JPEG_QUALITY = 88
_LINE = 46  # characters of a line of a placeholder
_LINES = 6
_LONGEST = 1000  # characters of a reason


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture.

    Attributes:
        reason: why it is a placeholder; ``None`` for a real one.
        frames: how many frames its video has.
    """

    data: bytes
    media_type: str
    reason: str | None = None
    frames: int | None = None
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{blake2b(self.data, digest_size=12).hexdigest()}"')


def encode(image: Image.Image) -> Picture:
    """A picture of an image of mode L, RGB or RGBA: a JPEG, or a PNG where it is transparent."""
    out = io.BytesIO()
    if image.mode == "RGBA":
        image.save(out, "PNG", compress_level=1)
        return Picture(out.getvalue(), "image/png")
    image.save(out, "JPEG", quality=_JPEG_QUALITY)
    return Picture(out.getvalue(), "image/jpeg")


def placeholder(reason: str, width: int | None, height: int | None) -> Picture:
    """A picture of the given size with a text, without characters that XML or a header does not have."""
    reason = "".join(char if char.isprintable() or char.isspace() else "\ufffd" for char in reason)[:_LONGEST]
    lines = _wrapped(reason)
    rows = "".join(f'<tspan x="480" dy="1.4em">{html.escape(line)}</tspan>' for line in lines)
    top = 360 - 18 * len(lines)
    text = f'<text x="480" y="{top}" font-family="sans-serif" font-size="26" fill="#ddd" text-anchor="middle">{rows}</text>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width or 960}" height="{height or 720}" viewBox="0 0 960 720">'
        f'<rect x="-9999" y="-9999" width="29999" height="29999" fill="#333"/>{text}</svg>'
    )
    return Picture(svg.encode(), "image/svg+xml", reason)


def _wrapped(text: str) -> list[str]:
    """Lines of limited length; words that are longer are cut in pieces, as paths have no spaces."""
    lines = [""]
    for word in text.split():
        pieces = [word[at : at + _LINE] for at in range(0, len(word), _LINE)]
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}".strip()
            if number or len(joined) > _LINE:
                lines.append(piece)
            else:
                lines[-1] = joined
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "…"]


class PictureCache:
    """Pictures by key, the least recently used of which are forgotten when they have more than ``most`` bytes.

    What two threads ask for at the same time is made once.
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._pictures: OrderedDict[Hashable, Picture] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Picture]) -> Picture:
        """The picture of a key, made if it is not there. A placeholder is not kept: its cause may be mended."""
        with self._lock:
            if (found := self._found(key)) is not None:
                return found
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if (found := self._found(key)) is not None:
                    return found
            try:
                made = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            if made.reason is None:
                self.put(key, made)
            return made

    def put(self, key: Hashable, picture: Picture) -> None:
        """Keep a picture."""
        with self._lock:
            if (old := self._pictures.pop(key, None)) is not None:
                self._size -= len(old.data)
            self._pictures[key] = picture
            self._size += len(picture.data)
            while self._size > self._most and len(self._pictures) > 1:
                self._size -= len(self._pictures.popitem(last=False)[1].data)

    def _found(self, key: Hashable) -> Picture | None:
        if key in self._pictures:
            self._pictures.move_to_end(key)
        return self._pictures.get(key)
