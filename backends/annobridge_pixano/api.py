"""The REST calls of Pixano 0.8, and which generation of Pixano a server is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

import pyarrow as pa

from annobridge.backend.http import Http
from annobridge.core.arrays import first_rows
from annobridge.exceptions import Broken, Rejected, Unreachable

_PAGE_SIZE = 1000  # the maximum
_TRIES = 4  # a list that people change while it is read is read again
VERSION = "0.8.0"
RECORDS, ITEMS = "0.8", "0.6"  # the supported generations

# What is read of the server's responses; see annobridge.backend.expect
_PAGE = {"items": [{"id": str}], "total": int}
_DATASET = {"id": str, "name": str, "description": str}
_COLUMNS = ({"fields?": {...: {"type": str, "collection": bool}}}, None)
_CHOICES = {...: [{"name": str, "values": list}]}
_DESCRIPTION = {
    "tables": {...: str}, "info": {"record?": _COLUMNS, "entity?": _COLUMNS},
    "feature_values?": ({"entities?": _CHOICES, "records?": _CHOICES}, None),
}  # fmt: skip
_FINDING = {
    "code": str, "count": int, "severity?": str | None, "suggestion?": str | None,
    "samples?": [{"line?": int | None, "json_pointer?": str | None}],
}  # fmt: skip
_PLAN = {"plan_id": str, "report?": ({"findings?": {...: _FINDING}}, None)}
_JOB = {"status": str, "dataset?": str | None, "error?": ({"message?": str | None}, None)}
_RUNNING = {"job_id": str, "dataset?": str | None, "status": str}
_ENDED = {"done", "error", "cancelled", "interrupted", "rolled_back"}


def generation(openapi: Any) -> str:
    """The generation of a Pixano server, from its OpenAPI document: ``"0.8"``, another one, or ``""`` for another server.

    ``"0.6"`` are two builds with the same routes: the released one, and one whose program can import.
    """
    if not isinstance(openapi, Mapping) or not isinstance(openapi.get("paths"), Mapping):
        return ""
    paths = openapi["paths"]
    info = openapi.get("info") or {}
    if "/io/imports" in paths and info.get("title") == "Pixano":
        return ".".join(str(info.get("version", "")).split(".")[:2])
    if "/datasets/{dataset_id}/records" in paths:
        return "0.7"
    return "0.6" if "/items/{dataset_id}" in paths else ""


def unsupported_server(found: str) -> Rejected:
    """The error for a server of the generation ``found``."""
    who = f"Pixano {found} answers there" if found else "the server there is not Pixano"
    return Rejected(
        f"pixano: {who}, and annobridge speaks with Pixano 0.8; install pixano=={VERSION} in an environment "
        "of its own (`annobridge pixano up` does it), or correct the url."
    )


def is_busy(status: int, detail: Any) -> bool:
    """Whether a response says that somebody else is writing to the dataset."""
    return status == 409 and "dataset_busy" in json.dumps(detail, default=str)


class Api:
    """One Pixano server."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def generation(self) -> str:
        """The generation of the server; see the function ``generation``."""
        try:
            return generation(self.http.get("/openapi.json"))
        except Unreachable as e:
            raise Unreachable(f"{e} `annobridge pixano up` starts one.") from e

    def check(self) -> None:
        """Raise ``Rejected`` unless this is Pixano 0.8."""
        if (found := self.generation()) != RECORDS:
            raise unsupported_server(found)

    def datasets(self) -> list[dict[str, Any]]:
        """All datasets that are in the server's library now."""
        return list(self.http.get("/datasets", expect=[_DATASET]))

    def dataset(self, **wanted: str) -> dict[str, Any] | None:
        """The dataset with this id or name, if there is one."""
        return next((d for d in self.datasets() if all(d.get(k) == v for k, v in wanted.items())), None)

    def describe(self, dataset: str) -> dict[str, Any]:
        """The tables of a dataset, the columns that it adds to them, and the choices that its page offers. Raises ``Gone``."""
        return dict(self.http.get(f"/datasets/{dataset}", expect=_DESCRIPTION))

    def counts(self, dataset: str) -> dict[str, int]:
        """The number of rows of the tables of entities, annotations and views."""
        groups = self.http.get(f"/datasets/{dataset}/stats", expect={...: {...: int}})
        return {name: rows for group in groups.values() for name, rows in group.items()}

    def table(self, dataset: str, name: str, schema: pa.Schema) -> pa.Table:
        """All rows of a table, each once. Rows move when they are edited, so one may be missing: then all is read again."""
        for _ in range(_TRIES):
            rows, total = self._pages(f"/datasets/{dataset}/{name}", schema)
            if len(rows) == total:
                return rows
        raise Broken(
            f"pixano: the list of {name} has {total} rows, but {len(rows)} were found in {_TRIES} readings; "
            "is someone writing to it all the time? Try again."
        )

    def _pages(self, path: str, schema: pa.Schema) -> tuple[pa.Table, int]:
        pages, offset, total = [schema.empty_table()], 0, 1
        while offset < total:
            page = self.http.get(path, {"limit": _PAGE_SIZE, "offset": offset}, expect=_PAGE)
            total = page["total"]
            pages.append(_rows(page["items"], schema, path))
            offset += _PAGE_SIZE
        rows = pa.concat_tables(pages).combine_chunks()
        return rows.take(first_rows(rows["id"])), total

    # --- rows -------------------------------------------------------------------------------------------------------

    def create(self, dataset: str, table: str, row: str, values: Mapping[str, Any]) -> None:
        """Create a row. The server takes the same row twice under one id, so the call may be repeated."""
        path, body = f"/datasets/{dataset}/{table}", {"id": row, **values}
        self.http.send("POST", path, json=body, repeatable=True, retry_on=is_busy)

    def update(self, dataset: str, table: str, row: str, values: Mapping[str, Any]) -> None:
        """Change some columns of a row; the others stay. ``values`` has no id: it would make a second row. Raises ``Gone``."""
        self.http.send("PUT", _row_path(dataset, table, row), json=dict(values), retry_on=is_busy)

    def remove(self, dataset: str, table: str, row: str) -> None:
        """Delete a row, but not those that belong to it. Raises ``Gone``."""
        self.http.send("DELETE", _row_path(dataset, table, row), retry_on=is_busy)

    def blob(self, dataset: str, image: str) -> Iterator[bytes]:
        """The file of an image, as the server has it."""
        return self.http.stream(f"/datasets/{dataset}/images/{quote(image, safe='')}/blob")

    # --- uploads ----------------------------------------------------------------------------------------------------

    def open_upload(self) -> tuple[str, str]:
        """Open an upload session; returns its id, and its folder on the server."""
        answer = self.http.send("POST", "/io/uploads", expect={"upload_id": str, "source": str})
        return answer["upload_id"], answer["source"]

    def put_file(self, upload: str, path: str, data: bytes | BinaryIO) -> None:
        """Send a file of a session."""
        self.http.send("PUT", f"/io/uploads/{upload}/files/{path}", data=data)

    def close_upload(self, upload: str) -> None:
        """Remove a session with its files."""
        self.http.send("DELETE", f"/io/uploads/{upload}")

    def reload(self, dataset: str) -> None:
        """Make the server read the files of a dataset again. It does when a bookmark changes, so one is set and removed."""
        for _ in range(2):
            self.http.send("PATCH", f"/datasets/info/{dataset}/bookmark", params={"bookmark": "TODO"}, retry_on=is_busy)

    def analyze(self, source: str, samples: Sequence[str] = ()) -> str:
        """Have the files of an upload checked; returns the id of a plan to import them.

        Args:
            source: the folder of the upload, on the server.
            samples: the sample of each line of ``metadata.jsonl``.

        Raises:
            Rejected: the server finds errors. The error has those samples whose lines they are in.
        """
        plan = self.http.send("POST", "/io/analyze", json={"source": source, "spec": {}}, repeatable=True, expect=_PLAN)
        findings = (plan.get("report") or {}).get("findings", {}).values()
        if wrong := [f for f in findings if f.get("severity") == "error"]:
            text = "\n  - ".join(["pixano: the server refuses what was sent:", *map(_finding, wrong)])
            raise Rejected(text, detail=plan["report"], samples=_samples_of(wrong, samples))
        return str(plan["plan_id"])

    def start(self, plan: str) -> str:
        """Start an import; returns the id of its job."""
        shape = {"job_id": str}
        return str(
            self.http.send("POST", "/io/imports", json={"plan_id": plan}, retry_on=is_busy, expect=shape)["job_id"]
        )

    def running(self, name: str) -> str | None:
        """The job that is importing a dataset of this name, if there is one."""
        answer = self.http.get("/io/jobs", {"limit": 100}, expect=([_RUNNING], {"items": [_RUNNING]}))
        jobs: Iterable[Any] = answer if isinstance(answer, list) else answer["items"]
        return next((j["job_id"] for j in jobs if j.get("dataset") == name and j["status"] not in _ENDED), None)

    def finish(self, job: str, deadline: float) -> str:
        """Wait for an import; returns the id of its dataset."""
        ended = self.http.poll(f"/io/jobs/{job}", lambda j: j["status"] in _ENDED, deadline=deadline, expect=_JOB)
        if ended["status"] != "done":
            why = (ended.get("error") or {}).get("message") or ended["status"]
            raise Rejected(f"pixano: the import failed: {_no_paths(why)}", detail=ended)
        return str(ended["dataset"])


def _row_path(dataset: str, table: str, row: str) -> str:
    return f"/datasets/{dataset}/{table}/{quote(row, safe='')}"


def _rows(items: list[Any], schema: pa.Schema, path: str) -> pa.Table:
    try:
        return pa.Table.from_pylist(items, schema=schema)
    except (pa.ArrowException, TypeError, AttributeError) as error:
        raise Broken(f"pixano: GET {path} answers rows of another form than Pixano 0.8's ({error}).") from error


def _samples_of(findings: Sequence[Mapping[str, Any]], samples: Sequence[str]) -> tuple[str, ...]:
    """The samples whose lines have errors; none if an error is not in the line of a sample, and so may concern all."""
    # Lines count from 1, and the first is a header.
    rows = [[int(location.get("line") or 0) - 2 for location in f.get("samples") or ()] for f in findings]
    if not all(of_finding and all(0 <= n < len(samples) for n in of_finding) for of_finding in rows):
        return ()
    return tuple(samples[n] for n in sorted({n for of_finding in rows for n in of_finding}))


def _finding(finding: Mapping[str, Any]) -> str:
    lines = [f"line {s['line']}{s.get('json_pointer') or ''}" for s in finding.get("samples", ()) if s.get("line")]
    where = f" ({', '.join(lines[:3])})" if lines else ""
    return f"{finding['code']}, {finding['count']} times{where}. {finding.get('suggestion') or ''}".strip()


def _no_paths(text: str) -> str:
    """The first three lines of a message of the server, without paths on its disk."""
    return " ".join(re.sub(r"\[?\S*/uploads/\S*", "", " ".join(text.splitlines()[:3])).split())
