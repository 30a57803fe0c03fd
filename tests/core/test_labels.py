"""What the documentation says about the columns is about these columns."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pyarrow as pa
import pytest

from annobridge.core import labels
from annobridge.core.labels import COMMENTS, FOUND_MEDIA, KINDS, LABELS, REFUSALS, REMOTE, REVIEWED, SAMPLES

DOC = str(labels.__doc__)
PAGE = Path(__file__).parents[2] / "docs" / "extend" / "labels.md"
TABLES = re.findall(r"(?:^    \S.*\n)+", DOC, re.MULTILINE)
WORDS = {
    pa.string(): "string", pa.int32(): "int32", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool",
    labels.TIME: "timestamp, us, UTC", labels.MASK: "struct size, counts", pa.list_(pa.string()): "list of strings",
    pa.list_(pa.int8()): "list of int8", pa.list_(pa.float64(), 4): "list of 4 float64",
    pa.list_(labels.ATTRIBUTE): "list of structs", pa.list_(pa.list_(labels.POINT)): "list of lists of [x, y]",
}  # fmt: skip


def told(table: str) -> list[tuple[str, str]]:
    """Each column that a table describes, with the words for its type."""
    lines = [re.match(r"    (\w+(?:, \w+)*) +(.+?)(?:  +|(?<=\[x, y\]) )\S", line) for line in table.splitlines()]
    return [(name, line[2]) for line in lines if line for name in line[1].split(", ")]


def words(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(f.name, WORDS[f.type] + ("" if f.nullable else ", required")) for f in schema]


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        (TABLES[0], LABELS),
        (TABLES[0] + TABLES[1], REMOTE),
        (TABLES[-5], SAMPLES),
        (TABLES[-4], COMMENTS),
        (TABLES[-3], REFUSALS),
        (TABLES[-2], REVIEWED),
        (TABLES[-1], FOUND_MEDIA),
    ],
)
def test_every_column_is_described_with_its_type(table: str, schema: pa.Schema) -> None:
    loose = {"label_id", "field", "rev"} if schema is REMOTE else set()
    wanted = [(n, f"{t}, required" if n in loose else t) for n, t in words(schema)]
    assert told(table) == wanted


def test_every_kind_is_described() -> None:
    assert [line.split()[0] for line in TABLES[2].splitlines()] == list(KINDS)


def test_the_page_has_the_same_tables() -> None:
    text = PAGE.read_text("utf-8")
    for table in TABLES:
        assert re.sub("^    ", "", table, flags=re.MULTILINE) in text


def test_the_examples_run() -> None:
    assert doctest.testmod(labels).failed == 0
    code = next(c for c in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "from_pylist" in c)
    scope: dict[str, pa.Table] = {}
    exec(code, scope)
    assert scope["table"].schema == REMOTE
