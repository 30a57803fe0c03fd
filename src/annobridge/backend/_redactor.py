"""Texts of servers and libraries, made fit for messages: no secrets, queries, control characters or markup."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

_MAX_LENGTH = 200  # characters
_MAX_READ = 1 << 16  # bytes of a body
_MIN_SECRET = 4  # shorter values would be cut out of unrelated words
_USER = re.compile(r"(\w+://)[^\s/\"'<>@]*@")
_QUERY = re.compile(r"(\w+://[^\s\"'<>?]*)\?[^\s\"'<>]*")
_NOT_SHOWN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[!/?a-zA-Z][^<>]*>")


class Redactor:
    """Knows the secrets of a connection, and replaces them in texts by ``***``."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Replace this secret from now on, also its last word (as in ``Token …``), URL-quoted and JSON-escaped."""
        for value in {secret, *secret.split()[-1:]}:
            self._secrets |= {value, quote(value, safe=""), json.dumps(value)[1:-1]}

    def redact(self, text: str) -> str:
        """The text without secrets."""
        # The longest first: a secret may contain another.
        for value in sorted((s for s in self._secrets if len(s) >= _MIN_SECRET), key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def excerpt(self, body: bytes | str) -> str:
        """The beginning of a response body on one line, without secrets, queries and markup."""
        text = body[:_MAX_READ].decode("utf-8", "replace") if isinstance(body, bytes) else body
        text = _QUERY.sub(r"\1?…", _USER.sub(r"\1", self.redact(text)))
        if text.lstrip().startswith("<"):
            text = self.redact(_visible_text(text))  # again, as it may have been HTML-escaped
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"


def _visible_text(page: str) -> str:
    """The text of an HTML page; the page itself if there is none.

    Regular expressions that cannot backtrack far, and not ``html.parser``: that takes minutes for some 60 KB of broken markup.
    """
    text = html.unescape(_TAG.sub(" ", _NOT_SHOWN.sub(" ", page)))
    return text if text.strip() else page
