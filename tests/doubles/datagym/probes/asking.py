"""Ask, and keep the answer without ids, times and the order in which a database happens to give its rows."""

from __future__ import annotations

import base64
import io
import json
import re
import uuid
from typing import Any

import requests
from PIL import Image

Json = dict[str, Any]
Answers = dict[str, Any]
OWNER = "open-core-dummy-org-sub"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_POSITION = re.compile(r"\Aline: \d+, column: \d+\n.*", re.DOTALL)
_API = re.compile(r"https?://[^/]+/api/v1/")  # an address that the server is told of itself
_TIMES = {"timestamp", "lastChangedConfig", "deleteTime"}
_ORDERED = {"point", "points", "polygon", "line", "params", "pointsCollection"}  # whose order means something


class Asker:
    """One server. ``answers`` has what it said to each question, by name."""

    def __init__(self, url: str, token: str | None = None, project: str | None = None, owner: str = OWNER) -> None:
        self.url, self.project, self.owner = url.rstrip("/"), project, owner
        self.answers: Answers = {}
        self.mark = uuid.uuid4().hex[:8]  # names are new each time: a real server keeps what was there
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Token {token}"

    def ask(self, name: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Ask, keep the answer under a name, and return what it holds."""
        assert name not in self.answers, name
        response = self.send(method, path, body, **more)
        self.answers[name] = {"status": response.status_code, "body": self.plain(_content(response))}
        return _content(response)

    def do(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """A step on the way to a question, which has to succeed."""
        response = self.send(method, path, body, **more)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:300]}"
        return _content(response)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            more = {"data": data, "headers": {"Content-Type": "application/json"}} | more
        return self._session.request(method, f"{self.url}/api/{path}", timeout=60, allow_redirects=False, **more)

    def plain(self, value: Any, key: str = "") -> Any:
        """What is the same each time."""
        if isinstance(value, dict):
            if set(value) == {
                "name",
                "key",
                "params",
            }:  # of bean validation; its parameters are the framework's objects
                return f"{value['name']}: {value['key']}"
            return {self._text(k): self.plain(v, k) for k, v in sorted(value.items())}
        if isinstance(value, list):
            items = [self.plain(v, key) for v in value]
            return items if key in _ORDERED else sorted(items, key=lambda v: json.dumps(v, sort_keys=True))
        if isinstance(value, str):
            return self._text(value)
        return "<time>" if key in _TIMES and isinstance(value, int) else value

    def _text(self, text: str) -> str:
        text = _POSITION.sub("line: <n>, column: <n>", text)  # what follows are the words of a parser
        text = _API.sub("<api>/", text)
        text = text.replace(self.project, "<project>") if self.project else text
        return (
            _ID.sub("<id>", text).replace(self.mark, "<mark>").replace(self.url, "<url>").replace(self.owner, "<owner>")
        )

    # --- what many questions need -------------------------------------------------------------------------------------

    def new_project(self, name: str) -> Json:
        body = {"owner": self.owner, "name": f"{name} {self.mark}", "shortDescription": "probe", "mediaType": "IMAGE"}
        return dict(self.do("POST", "project", body))

    def new_dataset(self, name: str) -> str:
        body = {"owner": self.owner, "name": f"{name} {self.mark}", "shortDescription": "probe", "mediaType": "IMAGE"}
        return str(self.do("POST", "dataset", body)["id"])

    def upload(self, dataset: str, name: str, data: bytes | None = None) -> Json:
        headers = {"X-filename": base64.b64encode(name.encode()).decode(), "Content-Type": "image/png"}
        return dict(self.do("POST", f"dataset/{dataset}/file", data or picture(), headers=headers))

    def new_task(self, name: str, entries: list[Json], images: int = 1) -> tuple[Json, list[Json]]:
        """A project with a configuration and as many images: the project, and its tasks in the order of the images."""
        project, dataset = self.new_project(name), self.new_dataset(name)
        self.do("POST", f"lconfig/{project['labelConfigurationId']}/import", entries)
        for number in range(images):
            self.upload(dataset, f"image {number}.png")
        self.do("POST", f"project/{project['id']}/dataset/{dataset}")
        tasks = self.do("GET", f"project/{project['id']}/task")
        return project, sorted(tasks, key=lambda t: str(t["mediaName"]))


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (90, 120, 30)).save(out, kind)
    return out.getvalue()


def _content(response: requests.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return f"{len(response.content)} bytes"


def entry(key: str, type_: str, *children: Json, shown: str | None = None, **more: Any) -> Json:
    """An entry of a label configuration."""
    made: Json = {
        "entryKey": key,
        "entryValue": key if shown is None else shown,
        "type": type_,
        "children": list(children),
    }
    return made | ({"maxLength": 64} if type_ == "freetext" else {}) | more
