"""A request as the handlers see it, and the answer they give."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from .errors import ApiError

Json = Any
API_TYPE = "application/vnd.cvat+json"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass
class Answer:
    status: int
    body: bytes = b""
    content_type: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


def answer(value: Json, status: int = 200, **headers: str) -> Answer:
    """The value as the API's JSON. A header's underscores are hyphens."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, API_TYPE, [(name.replace("_", "-"), text) for name, text in headers.items()])


def empty(status: int, **headers: str) -> Answer:
    return Answer(status, headers=[(name.replace("_", "-"), text) for name, text in headers.items()])


def plain(text: str, status: int) -> Answer:
    """Plain text that calls itself HTML, as the server does in several places."""
    return Answer(status, text.encode(), HTML_TYPE)


@dataclass(frozen=True)
class UploadedFile:
    field: str
    name: str
    content: bytes


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    base_url: str
    cookies: dict[str, str]

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name.lower(), default)

    @property
    def content_type(self) -> str:
        return self.header("Content-Type").split(";")[0].strip().lower()

    def url(self, path: str) -> str:
        return f"{self.base_url}/api{path}"

    def json(self) -> dict[str, Json]:
        """The fields of the body, from JSON or from a form with parts; 415 and 400 as the server gives them."""
        if not self.body:
            return {}
        if self.content_type == "multipart/form-data":
            return dict(self.form()[0])
        if self.content_type != "application/json":
            unsupported(self)
        value = parse_json(self.body)
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise ApiError(400, {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
        return value

    def form(self) -> tuple[list[tuple[str, str]], list[UploadedFile]]:
        """Fields and files of a multipart body. The directory part of a file's name is dropped, as the server does."""
        if not self.body:
            return [], []
        if self.content_type == "application/json":
            return [(name, value) for name, value in self.json().items()], []
        if self.content_type != "multipart/form-data":
            unsupported(self)
        found = re.search(r'boundary="?([^";]+)"?', self.header("Content-Type"))
        if not found:
            raise ApiError(400, {"detail": "Multipart form parse error - Invalid boundary in multipart: None"})
        fields, files = list[tuple[str, str]](), list[UploadedFile]()
        for head, content in parts(self.body, found[1].encode()):
            name, file_name = disposition(head)
            if file_name is None:
                fields.append((name, content.decode()))
            else:
                files.append(UploadedFile(name, re.split(r"[/\\]", file_name)[-1], content))
        return fields, files


def unsupported(request: Request) -> NoReturn:
    raise ApiError(415, {"detail": f'Unsupported media type "{request.header("Content-Type")}" in request.'})


def parse_json(body: bytes) -> Json:
    def refuse(text: str) -> NoReturn:
        raise ValueError(f"Out of range float values are not JSON compliant: {text!r}")

    try:
        return json.loads(body.decode(), parse_constant=refuse)
    except ValueError as error:
        raise ApiError(400, {"detail": f"JSON parse error - {error}"}) from None


def parts(body: bytes, boundary: bytes) -> list[tuple[bytes, bytes]]:
    """(head, content) of each part."""
    found = []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append((head, content))
    return found


def disposition(head: bytes) -> tuple[str, str | None]:
    """Field name and file name of a part: plain UTF-8 names, and the coded form `filename*=`."""
    text = head.decode("utf-8", "surrogateescape")
    name = re.search(r'[; ]name="([^"]*)"', text)
    coded = re.search(r"filename\*=[^;\r\n]+", text, re.IGNORECASE)
    if coded:
        parsed = email.parser.HeaderParser(policy=email.policy.HTTP).parsestr(f"Content-Disposition: x; {coded[0]}\n\n")
        return name[1] if name else "", parsed.get_filename()
    file_name = re.search(r'filename="((?:[^"\\]|\\.)*)"', text)
    return name[1] if name else "", file_name[1].replace('\\"', '"') if file_name else None


def parse_query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))
