"""The collation of the server's database: ``utf8mb4_general_ci``, which compares single characters of Unicode 3."""

from __future__ import annotations

from unicodedata import ucd_3_2_0 as unicode3

_PAGES = frozenset(
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x1E, 0x1F, 0x21, 0x24, 0xFF}
)  # others are compared as they are
_SPECIAL = {"ß": "S", "ϲ": "Σ", "й": "Й"}
_AS_THEY_ARE = frozenset(
    "ƞϙϵЙҋӆӊӎԁԃԅԇԉԋԍԏ΄΅\u0344\u1fc1\u1fcd\u1fce\u1fcf\u1fdd\u1fde\u1fdf\u1fed\u1fee↚↛↮⇍⇎⇏آأؤإئۀۂۓ΅"
)


def key(text: str) -> str:
    """A key that is equal for texts that the database takes for equal; trailing blanks are ignored."""
    return "".join(map(_weight, text)).rstrip(" ")


def _weight(c: str) -> str:
    if ord(c) > 0xFFFF:
        return "\ufffd"
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c in _AS_THEY_ARE or ord(c) >> 8 not in _PAGES or unicode3.category(c) == "Cn":
        return c
    base = c
    while len(parts := unicode3.decomposition(base).split()) == 2 and not parts[0].startswith("<"):
        base = chr(int(parts[0], 16))
    upper = base.upper()
    return upper if len(upper) == 1 and unicode3.category(upper) != "Cn" else base
