"""Names: what DataGym takes as a key, a display text, a project or a file; never two things under one name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

LONGEST_KEY = 56  # characters
LONGEST_NAME = 128  # of projects and datasets
LONGEST_FILE = 200
LONGEST_TEXT = 255
FORBIDDEN = frozenset(
    [
        "geometry",
        "geometry_type",
        "class_name",
        "classification",
        "classifications",
        "global_classifications",
        "classification_type",
        "tag",
        "status",
        "label",
        "labeler",
        "label_classes",
        "reviewer",
        "image",
        "imageid",
        "external_image_id",
        "internal_image_id",
        "media",
        "mediaid",
        "external_media_id",
        "internal_media_id",
        "point",
        "line",
        "polygon",
        "rectangle",
        "checklist",
        "radio",
        "select",
        "dummy_project",
        "dummy_dataset_one",
        "dummy_dataset_two",
        "intersections",
    ]
)
_NOT_KEY = re.compile(r"[^a-z0-9_ -]+")
_NOT_OPTION = re.compile(r"[^A-Za-z0-9_ -]+")
_NOT_SHOWN = re.compile(r"[^A-Za-z0-9 _!@#$%^&*()?-]+")
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
    if base.lower().startswith("lcentry"):
        base = f"class {base}"
    name, number = base[:longest].rstrip(), 1
    while name.lower() in taken or name.lower() in FORBIDDEN:
        number += 1
        name = f"{base[: longest - 5].rstrip()} {number}"
    return name


def shown(text: str, otherwise: str, taken: Container[str] = ()) -> str:
    """What labelers read for a class or an attribute; not one of ``taken``."""
    base = _NOT_SHOWN.sub("-", ascii_of(text)).strip(" -") or otherwise
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
    """The names under which files are sent: their own, unless two are the same; numbered then. v1's header takes Latin-1 only."""
    names: list[str] = []
    taken: set[str] = set()
    for number, path in enumerate(paths):
        name = _CONTROL.sub("_", re.split(r"[/\\]", path)[-1]).strip() or "image"
        if latin:
            name = "".join(c if ord(c) < 256 and c.isprintable() else "_" for c in name)
        name = name[-LONGEST_FILE:].strip()
        if name.lower() in taken:
            name = f"{number:06d}_{name}"
        while name.lower() in taken:
            name = f"_{name}"
        taken.add(name.lower())
        names.append(name)
    return names
