"""Names: what DataGym takes as a key, a display text, a project or a file; never two things under one name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

LONGEST_KEY = 56  # characters
LONGEST_NAME = 128  # of projects and datasets
LONGEST_FILE = 200
LONGEST_TEXT = 255
_SHAPES, _CLASSIFICATIONS = "point line polygon rectangle", "checklist radio select"
FORBIDDEN = frozenset(
    "geometry geometry_type class_name classification classifications global_classifications classification_type tag status "
    "label labeler label_classes reviewer image imageid external_image_id internal_image_id media mediaid external_media_id "
    f"internal_media_id {_SHAPES} {_CLASSIFICATIONS} dummy_project dummy_dataset_one dummy_dataset_two intersections".split()
) | {f"lcentry{word}{end}" for word in f"{_SHAPES} {_CLASSIFICATIONS}".split() for end in ("", "value")}
_NOT_KEY = re.compile(r"[^a-z0-9_ -]+")
_NOT_OPTION = re.compile(r"[^A-Za-z0-9_ -]+")
_ACCENTED = "àâçéèêëîïôûùüÿñæœäöüß"  # of letters with accents, those that DataGym takes in a text that people read
_NOT_SHOWN = re.compile(rf"[^A-Za-z0-9 _!@#$%^&*()?{_ACCENTED}-]+")
_NOT_NAME = re.compile(r"[^A-Za-z0-9_ ]+")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ ]{1,128}")
_PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H"}
)  # fmt: skip
_END = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def ascii_of(text: str) -> str:
    """The text without accents, and without letters that have no plain form."""
    return unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()


def key(text: str, taken: Container[str], otherwise: str = "class") -> str:
    """A key for a name: lower case, no word of DataGym's own, and not one of ``taken``."""
    return _unlike(_trimmed(_NOT_KEY, ascii_of(text).lower()) or otherwise, taken, LONGEST_KEY)


def option(text: str, taken: Container[str]) -> str:
    """A key for a choice; ``taken`` are in lower case, for some databases see no difference."""
    return _unlike(_trimmed(_NOT_OPTION, ascii_of(text)) or "option", taken, LONGEST_TEXT)


def _trimmed(strange: re.Pattern[str], text: str) -> str:
    return strange.sub("-", text).strip(" -")


def _unlike(base: str, taken: Container[str], longest: int) -> str:
    name, number = base[:longest].rstrip(), 1
    while name.lower() in taken or name.lower() in FORBIDDEN:
        number += 1
        name = f"{base[: longest - 5].rstrip()} {number}"
    return name


def shown(text: str, otherwise: str, taken: Container[str] = ()) -> str:
    """What labelers read for a class or an attribute; not one of ``taken``."""
    letters = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isascii() or c in _ACCENTED else ascii_of(c) for c in letters)
    base = _NOT_SHOWN.sub("-", plain).strip(" -") or otherwise
    name, number = base[:LONGEST_KEY].rstrip(), 1
    while name in taken:
        number += 1
        name = f"{base[: LONGEST_KEY - 5].rstrip()} {number}"
    return name


def is_readable(text: str) -> bool:
    """Whether labelers can read a name as DataGym shows it."""
    return any(c.isalnum() for c in ascii_of(text))


def place(text: str) -> str:
    """The name of a project or dataset for a name of ours."""
    return short(_NOT_NAME.sub(" ", text), LONGEST_NAME)


def short(text: str, longest: int) -> str:
    """A long name without its middle: which run it is, and which task, stands at its end."""
    return text if len(text) <= longest else text[: longest - _END] + text[-_END:]


def is_place(text: str) -> bool:
    """Whether DataGym takes this as the name of a project or dataset."""
    return bool(_PLAIN_NAME.fullmatch(text)) and text.lower() not in FORBIDDEN


def files(paths: list[str], *, latin: bool) -> list[str]:
    """The names under which files are sent: their own, numbered where the server takes two for the same. v1's header takes
    Latin-1 only.
    """
    names: list[str] = []
    taken: set[str] = set()
    for number, path in enumerate(paths):
        name = _CONTROL.sub("_", re.split(r"[/\\]", path)[-1]).strip() or "image"
        if latin:
            name = "".join(c if ord(c) < 256 and c.isprintable() else "_" for c in name)
        name = name[-LONGEST_FILE:].strip()
        if taken & _folds(name):
            name = f"{number:06d}_{name}"
        while taken & _folds(name):
            name = f"_{name}"
        taken |= _folds(name)
        names.append(name)
    return names


def _folds(name: str) -> set[str]:
    """A name as databases compare it; two names are equal where they share one of these.

    MySQL's and MariaDB's ``utf8mb4_general_ci`` compares character by character, and holds all characters outside the basic
    plane for equal; its collations of later Unicode versions also compare ligatures with their letters.
    """
    expanded = unicodedata.normalize("NFKD", name).translate(_PLAIN)
    letters = "".join(c for c in unicodedata.normalize("NFKD", expanded) if unicodedata.category(c) not in ("Mn", "Cf"))
    return {"".join(map(_weight, name)), "".join(map(_basic, letters.casefold()))}


def _basic(c: str) -> str:
    return c if ord(c) <= 0xFFFF else _REPLACEMENT


def _weight(c: str) -> str:
    """The upper-case letter without accents that a character is compared as."""
    if ord(c) > 0xFFFF:
        return _REPLACEMENT
    if c in _COMPARED_AS or _HANGUL[0] <= c <= _HANGUL[1]:
        return _COMPARED_AS.get(c, c)
    base = unicodedata.normalize("NFD", c)[0]
    upper = base.upper()
    return upper if len(upper) == 1 else base


_REPLACEMENT = "\ufffd"
_COMPARED_AS = {"ß": "S", "ϲ": "Σ"}
_HANGUL = ("\uac00", "\ud7a3")
