"""Which colour stands for which class: label maps, lists of colours, and the colours that are made where none are given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...exceptions import InvalidSource
from .archive import Archive

Colour = tuple[int, int, int]
BACKGROUND = "background"
_NOTHING = (BACKGROUND, "void", "unlabeled")
_LABEL = re.compile(r"^(?P<name>.+?):(?P<colour>\s*\d+\s*,\s*\d+\s*,\s*\d+\s*)?:[^:]*(:[^:]*)?$")
_COLOURED = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.+?)\s*$")
VOC = (
    *(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
    ),
    *("dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


@dataclass(frozen=True)
class Palette:
    """Classes by their number, each with its colour."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def number_of(self) -> dict[int, int]:
        """Colour, as one number, to class. The first class of a colour has it."""
        found: dict[int, int] = {}
        for number, colour in enumerate(self.colours):
            found.setdefault(code(colour), number)
        return found


def code(colour: Sequence[int]) -> int:
    """A colour as one number."""
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def voc_colour(number: int) -> Colour:
    """The colour of a class by its number, as Pascal VOC defines it.

    >>> voc_colour(0), voc_colour(1), voc_colour(3)
    ((0, 0, 0), (128, 0, 0), (128, 128, 0))
    """
    channels = [0, 0, 0]
    for bit in range(7, -1, -1):
        for channel in range(3):
            channels[channel] |= ((number >> channel) & 1) << bit
        number >>= 3
    return channels[0], channels[1], channels[2]


def of_names(names: Sequence[str]) -> Palette:
    """A palette of classes that have no colours of their own."""
    return Palette(tuple(names), tuple(map(voc_colour, range(len(names)))))


def with_background(classes: Sequence[str], background: str = BACKGROUND) -> Palette:
    """The palette of an export: the background first, which is black, then the classes."""
    return of_names([background, *(name for name in classes if name != background)])


def read_labelmap(archive: Archive, name: str) -> Palette:
    """A ``labelmap.txt``: ``name:r,g,b:parts:actions`` in each line. Raises ``InvalidSource`` with the line."""
    names: list[str] = []
    colours: list[Colour | None] = []
    for number, line in archive.lines(name):
        if line.lstrip().startswith("#"):
            continue
        plain, found = _label(line)
        if found is None:
            raise InvalidSource(
                f"{archive.where(name)}, line {number}, is {plain[:80]!r}; write name:r,g,b:parts:actions, as car:128,0,0::."
            )
        names.append(found["name"].strip())
        colours.append(_colour(archive, name, number, found["colour"].split(",")) if found["colour"] else None)
    made = [given if given is not None else voc_colour(at) for at, given in enumerate(colours)]
    return Palette(tuple(names), tuple(made))


def _label(line: str) -> tuple[str, re.Match[str] | None]:
    plain = re.sub(r"\s#.*$", "", line).strip()
    return plain, _LABEL.match(plain)


def fits_labelmap(name: str) -> bool:
    """Whether a class is read back from a ``labelmap.txt`` as it is."""
    found = _label(f"{name}:0,0,0::")[1]
    return found is not None and found["name"] == name and not name.startswith("#") and name.splitlines() == [name]


def fits_colours(name: str) -> bool:
    """Whether a class is read back from a list of colours as it is."""
    found = _COLOURED.match(f"0 0 0 {name}")
    return found is not None and found[4] == name and name.splitlines() == [name]


def read_colours(archive: Archive, name: str) -> Palette:
    """A list of ``r g b name``, or of names only. Raises ``InvalidSource`` with the line."""
    names: list[str] = []
    colours: list[Colour] = []
    for number, line in archive.lines(name):
        if line.lstrip().startswith("#"):
            continue
        found = _COLOURED.match(line)
        names.append(found[4] if found else line.strip())
        colours.append(_colour(archive, name, number, found.groups()[:3]) if found else voc_colour(len(colours) + 1))
    if not names:  # as of an export without labels
        return of_names([BACKGROUND])
    return Palette(tuple(names), tuple(colours))


def _colour(archive: Archive, name: str, line: int, texts: Sequence[str]) -> Colour:
    r, g, b = (int(text) if len(text.strip()) < 4 else 256 for text in texts)
    if max(r, g, b) > 255:
        raise InvalidSource(
            f"{archive.where(name)}, line {line}, has a colour above 255; write r, g and b from 0 to 255."
        )
    return r, g, b


def labelmap_text(palette: Palette) -> str:
    """A ``labelmap.txt``."""
    rows = (
        f"{name}:{','.join(map(str, colour))}::\n" for name, colour in zip(palette.names, palette.colours, strict=True)
    )
    return "# label:color_rgb:parts:actions\n" + "".join(rows)


def colours_text(palette: Palette) -> str:
    """A list of ``r g b name``."""
    rows = zip(palette.names, palette.colours, strict=True)
    return "".join(f"{' '.join(map(str, colour))} {name}\n" for name, colour in rows)
