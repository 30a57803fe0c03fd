"""What was refused goes back to DataGym's labelers, as far as it has a place for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests import datagym_servers
from tests.backend.datagym_cases import finish, images
from tests.datagym_servers import Server

import annobridge as ab
from annobridge.backend import SentBack
from annobridge.core.labels import REFUSALS
from annobridge_datagym.send_back import LONGEST, comment_of

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")
SCHEMA = {"objects": {"type": "detections", "classes": ["car"]}}
INTERNAL = ["open_core", *(["real"] if datagym_servers.HAS_REAL else [])]


@pytest.fixture(params=INTERNAL)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with datagym_servers.running(request.param) as found:
        if found.v1:
            pytest.skip("the internal API is asked here")
        yield found


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Three images with a car each, s0 … s2."""
    made = ab.create_dataset(tmp_path / "data")
    for n, path in enumerate(images(tmp_path / "images", 3)):
        car = ab.Detection("car", [0.1, 0.2, 0.3, 0.4], label_id=f"car{n}")
        made.add_samples([ab.Sample(path, sample_id=f"s{n}", objects=[car])])
    return made


def annotate(ds: ab.Dataset, server: Server, **more: Any) -> ab.AnnotationResults:
    return ds.annotate("run", label_schema=SCHEMA, backend="datagym", progress=False, **server.options(), **more)


def send_back(results: ab.AnnotationResults, *rows: dict[str, Any]) -> SentBack:
    receipt = results.with_baseline(results.receipts()[0])
    return results.backend.send_back(receipt, pa.Table.from_pylist([*rows], REFUSALS))


def refusal(number: int, change: str = "", message: str = "Refused: class car → bus. “Look” (alice)") -> dict[str, Any]:
    return {"change_id": f"c{number}{change}", "sample_id": f"s{number}", "message": message}


def tasks(results: ab.AnnotationResults, server: Server) -> dict[str, tuple[str, str | None]]:
    """The state and the comment of each image."""
    (receipt,) = results.receipts()
    found = server.call("GET", "", f"project/{receipt.state['project']}/task")
    sample_of = dict(zip(receipt.state["tasks"], receipt.state["samples"], strict=True))
    return {sample_of[t["taskId"]]: (t["labelTaskState"], t["reviewComment"]) for t in found}


def test_a_finished_image_goes_back_with_a_comment(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    finish(server, results, "s0", "s1")
    (receipt,) = results.receipts()
    server.call("PUT", "", f"task/{receipt.state['tasks'][1]}/skipTask")
    done = send_back(results, refusal(0), refusal(1, message="Refused: new car (box)."))
    assert (done.placed, done.existing, len(done.left_out)) == (2, 0, 0)
    assert done.notes == ("2 images at DataGym wait for their labelers again, with a comment.",)
    found = tasks(results, server)
    assert found["s0"] == ("WAITING_CHANGED", "Refused: class car → bus. “Look” (alice)")
    assert found["s1"] == ("WAITING_CHANGED", "Refused: new car (box).")
    assert found["s2"][0] == "WAITING"
    again = send_back(results, refusal(0), refusal(1, message="Refused: new car (box)."))
    assert (again.placed, again.existing, len(again.left_out)) == (0, 2, 0)


def test_what_was_finished_again_goes_back_again(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    for placed in (1, 1):
        finish(server, results, "s0")
        assert send_back(results, refusal(0)).placed == placed
    assert send_back(results, refusal(0)).existing == 1


def test_what_does_not_fit_is_left_out(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    finish(server, results)
    of_s0 = [refusal(0, name) for name in "abcd"]
    done = send_back(results, *of_s0, refusal(1, message="Refused: " + "x" * 200))
    assert (done.placed, done.left_out.to_pylist()) == (2, ["c0c", "c0d", "c1"])
    assert (
        done.notes[-1]
        == "3 refused changes have no place at DataGym, which takes 128 characters for each finished image."
    )
    found = tasks(results, server)
    assert found["s0"][1].endswith(" · 2 more refused")
    assert found["s1"] == ("WAITING_CHANGED", "Refused: " + "x" * 118 + "…")
    again = send_back(results, *of_s0)
    assert (again.placed, again.existing, again.left_out.to_pylist()) == (0, 2, ["c0c", "c0d"])


def test_images_that_are_open_or_reviewed_take_no_comment(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    finish(server, results, "s0")
    server.call("PUT", "", "task/reviewedSuccess", json={"taskId": results.receipts()[0].state["tasks"][0]})
    done = send_back(results, refusal(0), refusal(1), refusal(9))
    assert (done.placed, sorted(done.left_out.to_pylist())) == (0, ["c0", "c1", "c9"])
    assert done.notes == (
        "1 images at DataGym wait for their labelers again, without a comment, as their review was over.",
        "1 images at DataGym are with their labelers, and stayed as they are: only finished ones take a comment.",
        "1 images are not at DataGym any more.",
        "3 refused changes have no place at DataGym, which takes 128 characters for each finished image.",
    )
    found = tasks(results, server)
    assert (found["s0"][0], found["s1"]) == ("WAITING_CHANGED", ("WAITING", None))


def test_what_is_left_out_is_in_a_file(ds: ab.Dataset, server: Server, tmp_path: Path) -> None:
    results = annotate(ds, server)
    finish(server, results)
    row = {"task": results.receipts()[0].task, "sample_id": "s0", "field": "objects", "component": "label", "kind": "edit",
           "label": "car", "class_from": "car", "class_to": "bus", "note": "x" * 50, "their_by": "bob"}  # fmt: skip
    rows = [{**row, "label_id": f"car{n}", "change_id": f"c{n}"} for n in range(3)]
    report = results.send_back(pa.Table.from_pylist(rows), folder=tmp_path / "out")
    assert (report.placed, report.written) == (1, 2)
    assert [f.name for f in report.files] == ["run-bob.csv"]


def test_a_project_that_was_deleted_is_gone(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    results.cleanup()
    with pytest.raises(ab.Gone):
        send_back(results, refusal(0))


def test_the_hosted_edition_takes_nothing_back(ds: ab.Dataset) -> None:
    with datagym_servers.hosted() as server:
        results = annotate(ds, server)
        finish(server, results)
        done = send_back(results, refusal(0))
    assert (done.placed, done.left_out.to_pylist()) == (0, ["c0"])
    assert done.notes == (
        "The API of DataGym's hosted edition gives no image back to its labelers; reopen the images on the project's page.",
    )


@pytest.mark.parametrize("count", [1, 2, 3, 10, 200])
def test_a_comment_is_never_longer_than_the_server_takes(count: int) -> None:
    for length in (5, 50, 110, 118, 127, 128, 129, 500):
        rows = [{"change_id": str(n), "message": "x" * length} for n in range(count)]
        comment, fitting = comment_of(rows)
        assert len(comment) <= LONGEST
        assert len(fitting) <= count
        assert comment.count("x" * length) >= len(fitting)
