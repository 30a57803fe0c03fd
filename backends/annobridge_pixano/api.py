"""Pixano's REST calls, thinly: names, pages and jobs. What they mean is the backend's business."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend.http import Http
from annobridge.exceptions import Broken, Rejected, Unreachable

from .arrays import first_rows

PAGE = 1000  # the most that a list answers
TRIES = 4  # a list that people write to while it is read is read again
VERSION = "0.8.0"
RECORDS, ITEMS = "0.8", "0.6"  # the generations that we speak with

# What is read of the server's answers
_PAGE = {"items": [{"id": str}], "total": int}
_DATASET = {"id": str, "name": str, "description": str}
_FINDING = {
    "code": str, "count": int, "severity?": str | None, "suggestion?": str | None,
    "samples?": [{"line?": int | None, "json_pointer?": str | None}],
}  # fmt: skip
_PLAN = {"plan_id": str, "report?": ({"findings?": {...: _FINDING}}, None)}
_JOB = {"status": str, "dataset?": str | None, "error?": ({"message?": str | None}, None)}
_RUNNING = {"job_id": str, "dataset?": str | None, "status": str}
_ENDED = {"done", "error", "cancelled", "interrupted", "rolled_back"}


def generation(openapi: Any) -> str:
    """Which Pixano answers, by its routes: ``"0.8"``, an older or a newer one, or ``""`` for something else.

    ``"0.6"`` are two builds of equal routes: the released one, and the one whose program can import.
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


def strange(found: str) -> Rejected:
    """The refusal of a server whose generation is ``found``."""
    who = f"Pixano {found} answers there" if found else "the server there is not Pixano"
    return Rejected(
        f"pixano: {who}, and annobridge speaks with Pixano 0.8; install pixano=={VERSION} in an environment "
        "of its own (`annobridge pixano up` does it), or correct the url."
    )


def is_busy(status: int, detail: Any) -> bool:
    """Whether a refusal only says that someone else is writing to the dataset just now."""
    return status == 409 and "dataset_busy" in json.dumps(detail, default=str)


class Api:
    """One Pixano server."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def generation(self) -> str:
        """Which Pixano answers: see ``generation`` above."""
        try:
            return generation(self.http.get("/openapi.json"))
        except Unreachable as e:
            raise Unreachable(f"{e} `annobridge pixano up` starts one.") from e

    def check(self) -> None:
        """Raise ``Rejected`` unless this is Pixano 0.8."""
        if (found := self.generation()) != RECORDS:
            raise strange(found)

    def datasets(self) -> list[dict[str, Any]]:
        """All datasets of the library, as it is on the server's disk now."""
        return list(self.http.get("/datasets", expect=[_DATASET]))

    def dataset(self, **wanted: str) -> dict[str, Any] | None:
        """The dataset with this id or name, if there is one."""
        return next((d for d in self.datasets() if all(d.get(k) == v for k, v in wanted.items())), None)

    def table(self, dataset: str, name: str, schema: pa.Schema) -> pa.Table:
        """All rows of a table, once each. Rows move when edited, so a page may miss one: then it reads again."""
        for _ in range(TRIES):
            rows, total = self._pages(f"/datasets/{dataset}/{name}", schema)
            if len(rows) == total:
                return rows
        raise Broken(
            f"pixano: the list of {name} has {total} rows, but {len(rows)} were found in {TRIES} readings; "
            "is someone writing to it all the time? Try again."
        )

    def _pages(self, path: str, schema: pa.Schema) -> tuple[pa.Table, int]:
        pages, offset, total = [schema.empty_table()], 0, 1
        while offset < total:
            page = self.http.get(path, {"limit": PAGE, "offset": offset}, expect=_PAGE)
            total = page["total"]
            pages.append(_rows(page["items"], schema, path))
            offset += PAGE
        rows = pa.concat_tables(pages).combine_chunks()
        return rows.take(first_rows(rows["id"])), total

    # --- sending ----------------------------------------------------------------------------------------------------

    def open_upload(self) -> tuple[str, str]:
        """A new upload session: its id, and its folder on the server."""
        answer = self.http.send("POST", "/io/uploads", expect={"upload_id": str, "source": str})
        return answer["upload_id"], answer["source"]

    def put_file(self, upload: str, path: str, data: bytes | BinaryIO) -> None:
        """A file of the session."""
        self.http.send("PUT", f"/io/uploads/{upload}/files/{path}", data=data)

    def close_upload(self, upload: str) -> None:
        """Remove a session and its files."""
        self.http.send("DELETE", f"/io/uploads/{upload}")

    def reload(self, dataset: str) -> None:
        """Make the server read the files of a dataset anew, which it does when a bookmark changes: one is set and taken back."""
        for _ in range(2):
            self.http.send("PATCH", f"/datasets/info/{dataset}/bookmark", params={"bookmark": "TODO"}, retry_on=is_busy)

    def analyze(self, source: str, samples: Sequence[str] = ()) -> str:
        """The id of a plan to import this. Raises ``Rejected`` with all that is wrong, and those of the ``samples``, one a line,
        that it is wrong with.
        """
        plan = self.http.send("POST", "/io/analyze", json={"source": source, "spec": {}}, repeatable=True, expect=_PLAN)
        findings = (plan.get("report") or {}).get("findings", {}).values()
        if wrong := [f for f in findings if f.get("severity") == "error"]:
            text = "\n  - ".join(["pixano: the server refuses what was sent:", *map(_finding, wrong)])
            raise Rejected(text, detail=plan["report"], samples=_samples_of(wrong, samples))
        return str(plan["plan_id"])

    def start(self, plan: str) -> str:
        """Start an import; its job id."""
        shape = {"job_id": str}
        return str(
            self.http.send("POST", "/io/imports", json={"plan_id": plan}, retry_on=is_busy, expect=shape)["job_id"]
        )

    def running(self, name: str) -> str | None:
        """The job that is importing a dataset of this name just now."""
        answer = self.http.get("/io/jobs", {"limit": 100}, expect=([_RUNNING], {"items": [_RUNNING]}))
        jobs: Iterable[Any] = answer if isinstance(answer, list) else answer["items"]
        return next((j["job_id"] for j in jobs if j.get("dataset") == name and j["status"] not in _ENDED), None)

    def finish(self, job: str, deadline: float) -> str:
        """Wait for an import; the id of its dataset."""
        ended = self.http.poll(f"/io/jobs/{job}", lambda j: j["status"] in _ENDED, deadline=deadline, expect=_JOB)
        if ended["status"] != "done":
            why = (ended.get("error") or {}).get("message") or ended["status"]
            raise Rejected(f"pixano: the import failed: {_no_paths(why)}", detail=ended)
        return str(ended["dataset"])


def _rows(items: list[Any], schema: pa.Schema, path: str) -> pa.Table:
    try:
        return pa.Table.from_pylist(items, schema=schema)
    except (pa.ArrowException, TypeError, AttributeError) as error:
        raise Broken(f"pixano: GET {path} answers rows of another form than Pixano 0.8's ({error}).") from error


def _samples_of(findings: Sequence[Mapping[str, Any]], samples: Sequence[str]) -> tuple[str, ...]:
    """The samples in whose lines something was found; none, if something is in no sample's line, and so may be about all."""
    numbers = [
        [int(place.get("line") or 0) - 2 for place in f.get("samples") or ()] for f in findings
    ]  # after a header
    if not all(of and all(0 <= n < len(samples) for n in of) for of in numbers):
        return ()
    return tuple(samples[n] for n in sorted({n for of in numbers for n in of}))


def _finding(finding: Mapping[str, Any]) -> str:
    places = [f"line {s['line']}{s.get('json_pointer') or ''}" for s in finding.get("samples", ()) if s.get("line")]
    where = f" ({', '.join(places[:3])})" if places else ""
    return f"{finding['code']}, {finding['count']} times{where}. {finding.get('suggestion') or ''}".strip()


def _no_paths(text: str) -> str:
    """A message of the server, less the places in its own disk and the lines after the first two."""
    return " ".join(re.sub(r"\[?\S*/uploads/\S*", "", " ".join(text.splitlines()[:3])).split())
