"""One call of each verb is answered with well-formed JSON of another form; whichever it is, the backend says so in a sentence.

``./prove answers`` does the same with many more faults, and looks at what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from proofs import servers
from proofs.faults import Fault, answer
from proofs.gateway import Gateway

import annobridge as ab
from annobridge.exceptions import BackendError

WRONG = ("null", "[]", "{}", "17", '{"results": [null], "items": [null]}', "")
SCHEMA = {"objects": {"type": "detections", "classes": ["car"]}}
BOXES = [[k / 4, 1 / 8, 1 / 8, 1 / 4] for k in range(3)]


@dataclass
class Place:
    """A server, a gateway before it, and datasets of one image."""

    folder: Path
    running: servers.Running
    count: int = 0

    def dataset(self) -> ab.Dataset:
        self.count += 1
        picture = self.folder / f"{self.count}.png"
        Image.new("RGB", (64, 48)).save(picture)
        ds = ab.create_dataset(self.folder / f"{self.count}.lancedb")
        ds.add_samples([ab.Sample(str(picture), objects=[ab.Detection("car", box) for box in BOXES])])
        return ds

    def options(self, gateway: Gateway) -> dict[str, Any]:
        token = {"token": self.running.token} if self.running.token else {}
        return {"url": gateway.url, "timeout": 10, "deadline": 20, "progress": False, **token, **self.running.more}

    def annotate(self, ds: ab.Dataset, gateway: Gateway) -> None:
        key = f"k{self.count}"
        ds.annotate(key, label_schema=SCHEMA, backend=self.running.backend, **self.options(gateway))


@pytest.fixture(params=servers.SERVERS)
def place(request, tmp_path) -> Iterator[Place]:
    with servers.SERVERS[request.param](tmp_path) as running:
        yield Place(tmp_path, running)


def failures(place: Place, do: Callable[[Gateway], None]) -> Iterator[BackendError]:
    """The errors of a verb, of which each call in turn gets a wrong answer."""
    with Gateway(place.running.url) as gateway:
        do(gateway)
    for number, text in zip(range(gateway.calls), cycle(WRONG), strict=False):
        with Gateway(place.running.url, Fault(text, answer(text.encode())), number) as faulty:
            try:
                do(faulty)
            except BackendError as error:
                yield error


def test_a_wrong_answer_to_any_call_of_annotate(place: Place) -> None:
    found = list(failures(place, lambda gateway: place.annotate(place.dataset(), gateway)))
    assert len(found) > 3
    for error in found:
        assert "mistake in the backend" not in str(error), error
        assert error.__cause__ is None or isinstance(error.__cause__, BackendError)


def test_a_wrong_answer_to_any_call_of_a_load(place: Place) -> None:
    ds = place.dataset()
    with Gateway(place.running.url) as gateway:
        place.annotate(ds, gateway)
    before = ds.labels().to_pylist()
    found = list(failures(place, lambda gateway: ds.load_annotations("k1", **place.options(gateway))))
    assert found
    for error in found:
        assert "mistake in the backend" not in str(error), error
        assert "load_annotations('k1') tries again" in str(error) or "delete_annotation_run('k1')" in str(error)
    assert ds.labels().to_pylist() == before
