"""Sources that are damaged, or made to harm: each is read, or refused in a sentence. ``./prove imports`` imports them."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from proofs import hostile
from proofs.imports import ROWS

from annobridge.exceptions import AnnobridgeError
from annobridge.formats import registry
from annobridge.ingest.new_label_rows import new_label_rows

SOURCES = list(chain.from_iterable(sources() for sources in ROWS.values()))
READ = {  # the others are refused
    "nothing", "10,000 keys", "a key of a megabyte", "50,000 × 50,000 pixels in a header", "20,000 × 20,000 pixels in 400 kB",
    "a BMP of 2³¹ pixels", "a pipe", "a folder called as an image", "a link to the folder above", "metadata.jsonl is a folder",
    "beside an image: labels.json.gz", "beside an image: _annotations.coco.json",
    "beside an image: labels/a.txt", "a sample: a confidence that is a list", "a sample: a path that leads out",
}  # fmt: skip


def test_there_are_as_many_as_were_tried() -> None:
    assert len(SOURCES) >= 74
    assert [n for n, times in Counter(s.name for s in SOURCES).items() if times > 1] in ([], ["nothing", "a pickle"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_it_ends_in_a_sentence(tmp_path: Path, source: hostile.Source) -> None:
    source.make(tmp_path)
    place = tmp_path / source.inner
    try:
        found = registry.of(place)
        for part in found.open(place, registry.options(found.reading, {}, "Reading")).parts():
            new_label_rows(part.labels, {}, False, "These labels cannot be stored:")
    except AnnobridgeError as error:
        said = str(error)
        assert len(said) < 3_000
        assert said.rstrip().endswith((".", ")"))
    else:
        assert source.name in READ
