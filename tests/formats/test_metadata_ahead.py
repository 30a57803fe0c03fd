"""Blocks of lines that others read ahead: a source is the same with any number of them, and so is its first error."""

from __future__ import annotations

import json
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.metadata_cases import folder

from annobridge.exceptions import InvalidSource
from annobridge.formats.base import Calls, CallsHere, Context
from annobridge.formats.folder import FolderFormat
from annobridge.formats.metadata.options import Reading
from annobridge.formats.metadata.reading import ahead, line_blocks

IMAGES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


class Others:
    """Makes some calls before the first result is looked at, with what other processes would get."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self.made = 0

    def processes(self, jobs: int) -> int:
        return jobs + 1

    def results(
        self, function: Callable[[Any, Any], Any], shared: Any, jobs: Iterable[Any], count: int
    ) -> Iterator[Any]:
        waiting: deque[Any] = deque()
        for job in jobs:
            self.made += 1
            waiting.append(pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps((shared, job)))))))
            if len(waiting) >= self._at_once:
                yield waiting.popleft()
        yield from waiting


def outcome(root: Path, calls: Calls, **options: Any) -> Any:
    """All that a source has, in its order, or its error."""
    try:
        source = FolderFormat().open(root, Reading(**options), Context(calls=calls))
        parts = list(source.parts())
    except InvalidSource as error:
        return str(error)
    tables = [(pa.table(p.samples), p.labels, p.files) for p in parts]
    return [list(map(str, table.to_pylist())) for some in tables for table in some], source.notes, source.assumptions


_NUMBERS = st.one_of(st.integers(-5, 5), st.just(2**60), st.floats(0, 1).map(lambda v: round(v, 3)), st.none())
_VALUES = st.one_of(_NUMBERS, st.sampled_from(["x", True, [], [1], {"k": 1}]))
_CLASSES = st.sampled_from(["car", "bus", None, 3])
_BOX = st.sampled_from([[0.1, 0.2, 0.3, 0.4], [1, 2, 10, 8], [0.5, 0.5, 0.9, 0.9], [0, 0, 1, 1]])
_IMAGE = st.sampled_from([*IMAGES, "missing.jpg", "./a.jpg", 7])


@st.composite
def file_names(draw: st.DrawFn) -> dict[str, Any]:
    boxes = draw(st.lists(_BOX, max_size=2))
    key = draw(st.sampled_from(["categories", "categories", "label"]))
    line: dict[str, Any] = {"file_name": draw(_IMAGE), "objects": {"bbox": boxes, key: [draw(_CLASSES) for _ in boxes]}}
    return line | draw(
        st.dictionaries(st.sampled_from(["score", "weather", "tags", "objects", "label"]), _VALUES, max_size=2)
    )


@st.composite
def quickstarts(draw: st.DrawFn) -> dict[str, Any]:
    boxes = draw(st.lists(_BOX, max_size=2))
    objects: Any = {"bboxes": boxes, "category": [draw(_CLASSES) for _ in boxes]}
    entities = [{"annotations": {"image": {"bbox": box}}, "category": draw(_CLASSES)} for box in boxes]
    line = {
        "image": draw(_IMAGE),
        draw(st.sampled_from(["objects", "parts"])): draw(st.sampled_from([objects, entities])),
    }
    return line | draw(st.dictionaries(st.sampled_from(["source", "parts", "id"]), _VALUES, max_size=1))


@st.composite
def views(draw: st.DrawFn) -> dict[str, Any]:
    box = {"kind": "bbox", "coords": draw(_BOX), "format": "xywh", "is_normalized": True}
    annotations = draw(
        st.sampled_from([[box], [box, box], [{"kind": "relation"}], [], {"image": {"bbox": [0, 0, 1, 1]}}])
    )
    entity = {"attrs": {"category": draw(_CLASSES)}, "annotations": annotations}
    line: dict[str, Any] = {"views": {"image": draw(_IMAGE)}, "entities": [entity] * draw(st.integers(0, 2))}
    return line | draw(
        st.dictionaries(st.sampled_from(["attrs", "status", "annotation_files"]), st.just({"n": 1}), max_size=1)
    )


@settings(max_examples=300)
@given(data=st.data(), at_once=st.integers(1, 5), size=st.sampled_from([1, 150, 400]))
def test_a_source_is_the_same_with_others_and_so_is_its_first_error(tmp_path_factory, data, at_once, size) -> None:
    kind = data.draw(st.sampled_from([file_names, quickstarts, views]))
    broken = st.sampled_from(["{", "[1]", " ", '{"file_name": "a.jpg", "file_name": "b.jpg"}'])
    lines = data.draw(st.lists(st.one_of(kind(), kind(), kind(), kind(), broken), min_size=2, max_size=12))
    options = data.draw(st.sampled_from([{}, {"clip": True, "coordinates": "pixels"}, {"coordinates": "normalized"}]))
    root = folder(tmp_path_factory.mktemp("source"), IMAGES, lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_blocks, "_BYTES", size)
        assert outcome(root, Others(at_once), **options) == outcome(root, CallsHere(), **options)


def regular(number: int, **more: Any) -> dict[str, Any]:
    return {"file_name": IMAGES[number % 4], "objects": {"bbox": [[1, 2, number, 8]], "categories": ["car"]}, **more}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_blocks, "_BYTES", 1)  # a line each


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the first lines of blocks that this process read."""
    found: list[int] = []
    read = ahead._Reading._read

    def noted(self: Any, block: line_blocks.Block) -> Any:
        found.append(block.first)
        return read(self, block)

    monkeypatch.setattr(ahead._Reading, "_read", noted)
    return found


@pytest.mark.usefixtures("small_blocks")
def test_of_regular_lines_only_the_first_block_is_read_here(tmp_path, read_here) -> None:
    root = folder(tmp_path, IMAGES, [regular(n) for n in range(1, 20)])
    assert outcome(root, Others(3)) == outcome(root, CallsHere())
    assert read_here == [1]


@pytest.mark.usefixtures("small_blocks")
def test_a_line_that_shows_something_new_is_read_here_with_those_that_were_read_ahead_of_it(
    tmp_path, read_here
) -> None:
    root = folder(tmp_path, IMAGES, [regular(n, **({"weather": "fog"} if n == 8 else {})) for n in range(1, 20)])
    assert outcome(root, Others(3)) == outcome(root, CallsHere())
    assert read_here == [1, 8, 9, 10]


@pytest.mark.usefixtures("small_blocks")
def test_where_every_line_shows_something_new_few_are_read_twice(tmp_path, read_here) -> None:
    root = folder(tmp_path, IMAGES, [regular(n, **{f"key{n}": n}) for n in range(1, 40)])
    others = Others(3)
    assert outcome(root, others) == outcome(root, CallsHere())
    assert read_here == list(range(1, 40))
    assert others.made <= ahead._MOST_MISSES + 3 + 1  # and one call that opens the images


@pytest.mark.usefixtures("small_blocks")
def test_a_file_that_is_changed_while_it_is_read(tmp_path) -> None:
    root = folder(tmp_path, IMAGES, [regular(n) for n in range(1, 9)])

    class Changing(Others):
        def results(self, function, shared, jobs, count):
            (root / "metadata.jsonl").write_text(json.dumps(regular(9)) + "\n")
            return super().results(function, shared, jobs, count)

    assert outcome(root, Changing(2)) == (
        f"{root / 'metadata.jsonl'} was changed while it was read; import it again, once it is complete."
    )
