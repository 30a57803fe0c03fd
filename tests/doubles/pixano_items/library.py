"""A library on disk: a folder for each dataset, written by the program, read and written by the server.

It scans its folders whenever it is asked for the datasets; a dataset that was opened once is remembered, and then breaks
when its folder goes.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .tables import BASES

Row = dict[str, Any]
_ALPHABET = string.digits[2:] + string.ascii_letters


def new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(22))


def now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


class Dataset:
    """One folder: ``info.json``, ``schema.json`` (table -> base and fields), and the rows of each table."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.info: dict[str, Any] = json.loads((home / "info.json").read_text())

    @classmethod
    def create(cls, home: Path, info: dict[str, Any], schema: dict[str, Any]) -> Dataset:
        (home / "db").mkdir(parents=True, exist_ok=True)
        (home / "info.json").write_text(json.dumps(info))
        (home / "features_values.json").write_text("{}")
        (home / "schema.json").write_text(json.dumps(schema))
        made = cls(home)
        for table in schema:
            made.write(table, [])
        return made

    @property
    def schema(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "schema.json").read_text()))

    def group(self, table: str) -> str | None:
        return BASES[self.schema[table]["base"]][0] if table in self.schema else None

    def rows(self, table: str) -> list[Row]:
        return list(json.loads((self.home / "db" / f"{table}.json").read_text()))

    def write(self, table: str, rows: list[Row]) -> None:
        (self.home / "db" / f"{table}.json").write_text(json.dumps(rows))

    def wrong_refs(self, table: str, rows: list[Row]) -> Iterator[str]:
        """Sentences about references that lead nowhere."""
        groups: dict[str, str] = {name: BASES[t["base"]][0] for name, t in self.schema.items()}
        known: dict[str, set[str]] = {}
        for row in rows:
            for field, kind in self.schema[table]["fields"].items():
                if kind not in groups.values():
                    continue
                at, key = row["data"][field]["name"], row["data"][field]["id"]
                if not at:
                    continue
                if groups.get(at) != kind:
                    yield f"- The reference {field} from {row['id']} to the table {at} does not exist."
                    continue
                if at not in known:
                    known[at] = {r["id"] for r in self.rows(at)}
                if key and key not in known[at]:
                    yield f"- The reference {field} from {row['id']} to the table {at} has an invalid id. Got {key}."


def datasets(library: Path) -> list[Dataset]:
    return [Dataset(path.parent) for path in sorted(library.glob("*/info.json"))]
