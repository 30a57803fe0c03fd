"""Names that DataGym accepts for keys, display texts, projects and files, made distinct."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container

from annobridge.core.media import without_secrets

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
_ACCENTED = "àâçéèêëîïôûùüÿñæœäöüß"  # the letters with accents that DataGym accepts in a display text
_NOT_DISPLAYED = re.compile(rf"[^A-Za-z0-9 _!@#$%^&*()?{_ACCENTED}-]+")
_NOT_NAME = re.compile(r"[^A-Za-z0-9_ ]+")
_PROJECT_NAME = re.compile(r"[A-Za-z0-9_ ]{1,128}")
_PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H"}
)  # fmt: skip
_KEPT_END = 20  # characters
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def base_name(path: str) -> str:
    """The last component of a path of any platform or of a URI."""
    return re.split(r"[/\\]", without_secrets(path))[-1]


def to_ascii(text: str) -> str:
    """The text without accents, and without letters that have no ASCII form."""
    return unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()


def key(text: str, used: Container[str], default: str = "class") -> str:
    """A key for a name: lower case, not a reserved word, and not in ``used``."""
    base = _replaced(_NOT_KEY, to_ascii(text).lower()) or default
    return _numbered(base, LONGEST_KEY, lambda name: name.lower() in used or name.lower() in FORBIDDEN)


def option_key(text: str, used: Container[str]) -> str:
    """A key for an option; ``used`` are in lower case, because some databases ignore case."""
    base = _replaced(_NOT_OPTION, to_ascii(text)) or "option"
    return _numbered(base, LONGEST_TEXT, lambda name: name.lower() in used or name.lower() in FORBIDDEN)


def display_name(text: str, default: str, used: Container[str] = ()) -> str:
    """What labelers read for a class or an attribute; not in ``used``."""
    letters = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isascii() or c in _ACCENTED else to_ascii(c) for c in letters)
    return _numbered(_replaced(_NOT_DISPLAYED, plain) or default, LONGEST_KEY, lambda name: name in used)


def _replaced(forbidden: re.Pattern[str], text: str) -> str:
    return forbidden.sub("-", text).strip(" -")


def _numbered(base: str, longest: int, is_used: Callable[[str], bool]) -> str:
    """The name cut to its longest size, with a number at its end if it is used already."""
    name, number = base[:longest].rstrip(), 1
    while is_used(name):
        number += 1
        name = f"{base[: longest - 5].rstrip()} {number}"
    return name


def is_readable(text: str) -> bool:
    """Whether anything of a name is left when DataGym displays it."""
    return any(c.isalnum() for c in to_ascii(text))


def project_name(text: str) -> str:
    """The name of a project or dataset for a run or task."""
    return shortened(_NOT_NAME.sub(" ", text), LONGEST_NAME)


def shortened(text: str, longest: int) -> str:
    """A long name without its middle: the end, which has the number of the task, is kept."""
    return text if len(text) <= longest else text[: longest - _KEPT_END] + text[-_KEPT_END:]


def is_project_name(text: str) -> bool:
    """Whether DataGym accepts this as the name of a project or dataset."""
    return bool(_PROJECT_NAME.fullmatch(text)) and text.lower() not in FORBIDDEN


def file_names(paths: list[str], *, latin: bool) -> list[str]:
    """The names under which files are uploaded: their own, with a number before those that the server takes for equal.

    ``latin`` limits them to Latin-1, which is all that the header of API v1 can carry.
    """
    names: list[str] = []
    used: set[str] = set()
    for number, path in enumerate(paths):
        name = _CONTROL.sub("_", base_name(path)).strip() or "image"
        if latin:
            name = "".join(c if ord(c) < 256 and c.isprintable() else "_" for c in name)
        name = name[-LONGEST_FILE:].strip()
        if used & _collation_keys(name):
            name = f"{number:06d}_{name}"
        while used & _collation_keys(name):
            name = f"_{name}"
        used |= _collation_keys(name)
        names.append(name)
    return names


def _collation_keys(name: str) -> set[str]:
    """A name as databases compare it; two names are equal if they share one of these.

    ``utf8mb4_general_ci`` of MySQL and MariaDB compares character by character, and takes all characters outside the basic
    multilingual plane for equal; the collations of later Unicode versions also compare ligatures with their letters.
    """
    expanded = unicodedata.normalize("NFKD", name).translate(_PLAIN)
    letters = "".join(c for c in unicodedata.normalize("NFKD", expanded) if unicodedata.category(c) not in ("Mn", "Cf"))
    basic = "".join(c if ord(c) <= 0xFFFF else _REPLACEMENT for c in letters.casefold())
    return {"".join(map(_collation_weight, name)), basic}


def _collation_weight(c: str) -> str:
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
