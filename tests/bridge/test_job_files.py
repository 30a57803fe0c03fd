"""The results of jobs come back from JSON as they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.bridge import job_files
from annobridge.bridge.outcome import Tally
from annobridge.bridge.plan_jobs import Planned
from annobridge.spill.streams import DiskFolder, Part

TEXTS = st.lists(st.text(max_size=4), max_size=3)
COUNTS = st.integers(0, 9)
NAMES = st.text(max_size=4)
TALLIES = st.builds(
    Tally,
    looked_at=COUNTS, unanswered=COUNTS, skipped=COUNTS, failing=COUNTS,
    counts=st.dictionaries(st.tuples(NAMES, st.sampled_from(["add", "edit", "delete"])), COUNTS).map(Counter),
    undecided=st.dictionaries(NAMES, COUNTS).map(Counter),
    problems=TEXTS, gone=TEXTS, not_taken=TEXTS, notes=TEXTS,
    seen=st.lists(TEXTS.map(lambda ids: pa.array(ids, pa.string())), max_size=2),
    decided=st.lists(TEXTS.map(lambda ids: pa.array(ids, pa.string())), max_size=2),
    digests=st.dictionaries(NAMES, NAMES),
)  # fmt: skip


@given(tally=TALLIES, tasks=st.lists(COUNTS), rows=st.dictionaries(NAMES, COUNTS).map(Counter))
def test_there_and_back(tmp_path_factory, tally, tasks, rows) -> None:
    folder = DiskFolder(tmp_path_factory.getbasetemp())
    planned = Planned(tasks, tally, Part(folder, {"writes": "writes.1.x"}, rows))
    assert job_files.from_json(job_files.to_json(planned), folder) == planned


def test_every_field_of_a_tally_is_of_a_kind_that_json_can_hold() -> None:
    kinds = {type(getattr(Tally(), each.name)) for each in fields(Tally)}
    assert kinds == {int, Counter, list, dict}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"tasks": [], "tally": {"x": 1}, "part": {"files": {}, "rows": {}}}']
)
def test_other_texts_are_refused(tmp_path, text) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        job_files.from_json(text, DiskFolder(tmp_path))
