"""The double of the server: the routes of its openapi.json that matter, over a library on disk, on loopback."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .library import Dataset, Row, datasets, now
from .tables import BASES, Invalid, row

PREFIXES = {
    "items": "item",
    "sources": "source",
    "views": "views",
    "entities": "entities",
    "annotations": "annotations",
}
PATHS = [
    "/datasets/info", "/datasets/info/{id}", "/browser/{id}", "/items/{dataset_id}", "/items/{dataset_id}/{id}",
    "/sources/{dataset_id}", "/views/{dataset_id}/{table}", "/entities/{dataset_id}/{table}",
    "/annotations/{dataset_id}/{table}", "/annotations/{dataset_id}/{table}/{id}", "/thumbnail/{b64_image_path}",
]  # fmt: skip
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """#!{python}
import runpy, sys
sys.path.insert(0, {root!r})
runpy.run_module("tests.doubles.pixano_items.program", run_name="__main__")
"""


class Answer(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refuse(status: int, detail: Any) -> Answer:
    return Answer(status, {"detail": detail})


def crash() -> Answer:
    return Answer(500, "Internal Server Error")


class PixanoItems:
    """A server on a folder with ``library`` and ``media``, and the program for it at ``executable``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("library", "media", "models"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.executable = folder / "bin" / "pixano"
        self.executable.parent.mkdir()
        self.executable.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT)))
        self.executable.chmod(0o755)
        self.calls: list[tuple[str, str, Any]] = []  # method, path, body
        self._lock, self._opened = threading.Lock(), set[str]()
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._web.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._web.server_port}"

    def __enter__(self) -> PixanoItems:
        threading.Thread(target=self._web.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._web.shutdown()
        self._web.server_close()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """The body of a 200; raises ``Answer`` otherwise."""
        with self._lock:
            self.calls.append((method, path, body))
            if path == "/openapi.json":
                return {"info": {"title": "FastAPI", "version": "0.1.0"}, "paths": {p: {} for p in PATHS}}
            if path == "/datasets/info" and method == "GET":
                return self.infos()
            parts = [unquote(p) for p in path.strip("/").split("/")]
            if parts[:2] == ["datasets", "info"] and len(parts) == 3:
                return self.info(self.dataset(parts[2]))
            if parts[0] == "browser" and len(parts) == 2:
                return self.browse(self.dataset(parts[1]), query)
            group = PREFIXES.get(parts[0])
            named = group in ("item", "source")
            if group is None or len(parts) not in ((2, 3) if named else (3, 4)):
                raise refuse(404, "Not Found")
            dataset = self.dataset(parts[1])
            table = group if named else parts[2]
            if dataset.group(table) != group:
                raise refuse(404, f"Table {table} is not in the {group} group table.")
            key = parts[(2 if named else 3) :]
            verb = {"GET": self.get, "POST": self.post, "PUT": self.put, "DELETE": self.delete}.get(method)
            if verb is None:
                raise refuse(405, "Method Not Allowed")
            return verb(dataset, table, key[0] if key else None, query, body)

    # --- datasets

    def infos(self) -> list[Row]:
        found = [self.info(d) for d in datasets(self.folder / "library")]
        if not found:
            raise refuse(404, f"No datasets found in {self.folder / 'library'}.")
        return found

    def info(self, dataset: Dataset) -> Row:
        try:
            count = len(dataset.rows("item"))
        except OSError:  # one import that failed early breaks the list of all
            raise crash() from None
        return {**dataset.info, "size": "Unknown", "preview": "", "num_items": count}

    def dataset(self, key: str) -> Dataset:
        for found in datasets(self.folder / "library"):
            if found.info["id"] == key:
                self._opened.add(key)
                return found
        if key in self._opened:  # it remembers the dataset, not its tables
            raise crash()
        raise refuse(404, f"Dataset {key} not found in {self.folder / 'library'}.")

    def browse(self, dataset: Dataset, query: dict[str, list[str]]) -> Row:
        if "where" in query:
            raise crash()
        return {**self.info(dataset), "table_data": {"rows": [r["data"] for r in dataset.rows("item")]}}

    # --- rows

    def get(self, dataset: Dataset, table: str, key: str | None, query: dict[str, list[str]], _: Any) -> Any:
        rows = dataset.rows(table)
        ids = [key] if key else query.get("ids")
        limit, skip = (int(query[n][0]) if n in query else None for n in ("limit", "skip"))
        if (ids and (limit or "item_ids" in query)) or limit == 0:
            raise refuse(400, "Invalid query parameters. limit and skip must be positive integers")
        if "where" in query:
            raise crash()
        if ids:
            rows = [r for r in rows if r["id"] in ids]
        if items := query.get("item_ids"):
            rows = [r for r in rows if (r["id"] if table == "item" else r["data"]["item_ref"]["id"]) in items]
        rows = rows[skip or 0 :][:limit]
        if not rows:
            raise refuse(404, f"No rows found for {dataset.info['id']}/{table}.")
        return rows[0] if key else rows

    def post(self, dataset: Dataset, table: str, key: str | None, _: Any, body: Any) -> Any:
        rows = self.rows(dataset, table, key, body)
        there = dataset.rows(table)
        ids = [r["id"] for r in rows]
        known = {r["id"] for r in there}
        wrong = [f"- The id {i} is not unique in table {table}." for i in ids if i in known or ids.count(i) > 1]
        self.whole(dataset, table, rows, wrong)
        for r in rows:
            r["created_at"] = r["updated_at"] = now()
        dataset.write(table, there + rows)
        return rows[0] if key else rows

    def put(self, dataset: Dataset, table: str, key: str | None, _: Any, body: Any) -> Any:
        rows = self.rows(dataset, table, key, body)
        self.whole(dataset, table, rows, [])
        there = dataset.rows(table)
        known, ids = {r["id"] for r in there}, {r["id"] for r in rows}
        for r in rows:
            r["updated_at"] = now()
            if r["id"] not in known or not r["created_at"]:
                r["created_at"] = r["updated_at"]
        dataset.write(table, [r for r in there if r["id"] not in ids] + rows)  # a row that is edited moves
        return rows[0] if key else rows

    def delete(self, dataset: Dataset, table: str, key: str | None, query: dict[str, list[str]], _: Any) -> None:
        ids = [key] if key else query.get("ids")
        if not ids:
            raise refuse(422, [{"type": "missing", "loc": ["query", "ids"], "msg": "Field required"}])
        dataset.write(table, [r for r in dataset.rows(table) if r["id"] not in ids])  # missing ones: no error

    def rows(self, dataset: Dataset, table: str, key: str | None, body: Any) -> list[Row]:
        """The rows of a body, as they are stored."""
        if not isinstance(body, dict if key else list):
            raise refuse(422, [{"type": "list_type", "loc": ["body"], "msg": "Input should be a valid list"}])
        given = [body] if key else body
        if not given:
            raise crash()
        known = dataset.schema[table]
        info = {"name": table, "group": BASES[known["base"]][0], "base_schema": known["base"]}
        out = []
        for r in given:
            if " " in r["id"]:
                raise refuse(422, [{"loc": ["body", "id"], "msg": "Value error, id must not contain spaces"}])
            if key and key != r["id"]:
                raise refuse(400, "ID in path and body do not match.")
            if r["table_info"]["group"] != info["group"]:
                raise refuse(422, [{"loc": ["body", "table_info"], "msg": "Table info group must be another."}])
            if r.get("updated_at") and not r.get("created_at"):
                raise refuse(
                    422, [{"loc": ["body"], "msg": "Value error, created_at should be set if updated_at is set."}]
                )
            try:
                data = row(known["base"], known["fields"], r["data"])
            except Invalid as error:
                raise refuse(400, f"Invalid data.\n{error}") from None
            out.append(
                {"id": r["id"], "created_at": r.get("created_at"), "updated_at": "", "table_info": info, "data": data}
            )
        return out

    @staticmethod
    def whole(dataset: Dataset, table: str, rows: list[Row], wrong: list[str]) -> None:
        wrong += [f"- An id is not defined in table {table}." for r in rows if not r["id"]]
        wrong += dataset.wrong_refs(table, rows)
        if wrong:
            errors = "\n".join(["Integrity check errors:", *wrong])
            raise refuse(400, f"Dataset integrity compromised.\n{errors}\n")


def _handler(double: PixanoItems) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(size)
            parts = urlsplit(self.path)
            status, answer = 200, None
            try:
                body = json.loads(text) if text else None
                answer = double.answer(self.command, parts.path, parse_qs(parts.query, keep_blank_values=True), body)
            except Answer as other:
                status, answer = other.status, other.body
            except (KeyError, TypeError, OSError):  # what the server does not expect, it does not catch
                status, answer = 500, "Internal Server Error"
            plain = isinstance(answer, str)
            out = answer.encode() if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if plain else "application/json")
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: Any) -> None:
            pass

    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        setattr(Handler, f"do_{method}", Handler._any)
    return Handler
