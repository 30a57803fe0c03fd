"""What is wrong in a project, in an answer or with a token: each is a sentence, and nothing changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests import labelstudio_servers
from tests.backend.labelstudio_cases import SCHEMA, annotate, dataset, editor, load, make_project, tasks
from tests.labelstudio_servers import Server

from annobridge.core.rows import Detection, Sample, Scalar
from annobridge.dataset import create_dataset
from annobridge.exceptions import Broken, Denied, InvalidLabels, MissingCredential, Rejected, Unsupported
from annobridge_labelstudio import LabelStudioConfig
from annobridge_labelstudio.upload import address_problems

_CONTROL = '<RectangleLabels name="{}" toName="image">{}</RectangleLabels>'
_CAR, _BUS = '<Label value="car"/>', '<Label value="bus"/>'
_ATTRIBUTES = """<Choices name="objects.colour" toName="image" perRegion="true">
<Choice value="red"/><Choice value="blue"/></Choices><TextArea name="objects.note" toName="image" perRegion="true"/>"""


_TWO = '<Image name="a" value="$a"/><Image name="b" value="$b"/>'


@pytest.fixture
def server() -> Iterator[Server]:
    with labelstudio_servers.double() as made:
        yield made


def view(*controls: str, image: str = '<Image name="image" value="$image"/>') -> str:
    return f"<View>{image}{''.join(controls)}</View>"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (view(_CONTROL.format("objects", _CAR), _ATTRIBUTES), "in the project 'Streets', the control 'objects' lacks 'bus'"),
        (
            view(_CONTROL.format("objects", _CAR + _BUS), _CONTROL.format("objects", _CAR + _BUS), _ATTRIBUTES),
            "objects: in the project 'Streets', 2 controls are called 'objects'; rename all but one of them",
        ),
        (
            view('<PolygonLabels name="objects" toName="image"><Label value="car"/></PolygonLabels>', _ATTRIBUTES),
            "the control 'objects' is PolygonLabels, and has to be RectangleLabels",
        ),
        (view(_ATTRIBUTES), "there is no control 'objects'; add it there, or name another one with controls="),
        (
            view(_CONTROL.format("objects", _CAR + _BUS), _ATTRIBUTES.replace('perRegion="true"', "")),
            "the control 'objects.colour' is Choices, and has to be Choices with perRegion",
        ),
        (
            view(_CONTROL.format("objects", _CAR + _BUS), _ATTRIBUTES, image=_TWO),
            "The project 'Streets' shows 2 images at once",
        ),
    ],
)  # fmt: skip
def test_a_project_that_does_not_fit_is_refused(server: Server, tmp_path: Path, config: str, sentence: str) -> None:
    number = make_project(server, view(_CONTROL.format("objects", _CAR)))
    server.double.state.projects[number]["label_config"] = config  # as a server of another version may have it
    made = dataset(tmp_path)
    with pytest.raises(Unsupported) as error:
        annotate(server, made, project="Streets")
    assert sentence in str(error.value)
    assert made.list_annotation_runs() == []
    assert not server.double.state.tasks
    assert not server.double.state.files


def test_a_project_that_is_not_there_or_there_twice_is_refused(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    with pytest.raises(Rejected, match="the project 'Streets' cannot be used: there is none, or not for this token"):
        annotate(server, made, project="Streets")
    for _ in range(2):
        make_project(server, view(_CONTROL.format("objects", _CAR)))
    with pytest.raises(Rejected, match="'Streets' cannot be used: 2 are called so; give the id of one"):
        annotate(server, made, project="Streets")
    assert made.list_annotation_runs() == []


def test_results_of_other_controls_are_unexpected(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    before = made.labels().to_arrow()
    results = annotate(server, made)
    for name in ("s0", "s1"):
        editor(server, results).draw(
            name, "boxes_of_others", "rectanglelabels", {"x": 1, "y": 2, "width": 3, "height": 4}, "car"
        )
    report = load(server, made, unexpected="return")
    assert (report.total, len(report.unexpected)) == (0, 2)
    assert report.unexpected["field"].to_pylist() == ["boxes_of_others"] * 2
    assert made.labels().to_arrow().equals(before)


def test_a_box_outside_the_image_is_refused(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    before = made.labels().to_arrow()
    results = annotate(server, made)
    change(server, results, 0, x=-30.0, width=20.0)
    change(server, results, 1, x=95.0, width=150.0)
    report = load(server, made)
    assert (report.total, len(report.refused)) == (0, 2)
    assert all("not inside the image" in reason for reason in report.refused["reason"].to_pylist())
    assert made.labels().to_arrow().equals(before)


@pytest.mark.parametrize(
    "damage", [{"original_width": 10}, {"value": {"format": "rle", "rle": [1, 2, 3], "brushlabels": ["car"]}}]
)
def test_a_mask_that_cannot_be_read_leaves_its_label_as_it_is(
    server: Server, tmp_path: Path, damage: dict[str, Any]
) -> None:
    made = dataset(tmp_path, [Detection("car", mask=np.eye(48, 64) > 0)], count=1)
    before = made.labels().to_arrow()
    results = annotate(server, made, {"objects": {"type": "instances", "classes": ["car"]}})
    (task,) = tasks(server, results)
    (region,) = task["annotations"][0]["result"]
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": [region | damage]})
    report = load(server, made)
    assert report.total == 0
    assert "1 annotations were left out: its RLE is damaged" in " ".join(report.notes)
    assert made.labels().to_arrow().equals(before)


def test_results_that_are_none_are_told(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=1)
    results = annotate(server, made)
    (task,) = tasks(server, results)
    given = [*task["annotations"][0]["result"], {"foo": 1}, 7]
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": given})
    report = load(server, made)
    assert report.total == 0
    assert "2 annotations were left out: it is no result with a value" in " ".join(report.notes)


def test_files_that_are_not_stored_stop_the_run(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=3)
    server.double.shorten = lambda files: files[-1:]
    with pytest.raises(
        Broken, match="of 3 files that were sent at once, 2 were not stored as they were sent; look at the server's log"
    ):
        annotate(server, made)
    assert not server.double.state.tasks
    server.double.shorten = lambda files: [(name, content[:-1]) for name, content in files]
    with pytest.raises(Broken, match="3 were not stored as they were sent"):
        made.resume_annotation("run", progress=False, **server.options())
    server.double.shorten = lambda files: files
    made.resume_annotation("run", progress=False, **server.options())
    assert load(server, made).total == 0


def test_a_file_that_the_server_refuses_is_a_sentence_with_its_reason(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "image.tiff"
    Image.new("RGB", (64, 48)).save(path)
    made = create_dataset(tmp_path / "dataset")
    made.add_samples([Sample(path, sample_id="s0")])
    with pytest.raises(Rejected, match=r"Validation error: .*\.tiff extension is not supported"):
        annotate(server, made)
    assert not server.double.state.tasks


def test_a_server_that_always_loses_annotations_is_not_believed(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    server.double.state.busy = 100
    with pytest.raises(
        Broken, match="2 of 2 images are not in the project 1 with their labels, although the server took them"
    ):
        annotate(server, made)
    server.double.state.busy = 0
    made.resume_annotation("run", progress=False, **server.options())
    assert load(server, made).total == 0


def test_values_that_a_control_cannot_hold_are_refused(server: Server, tmp_path: Path) -> None:
    config = view('<Number name="count" toName="image"/>')
    make_project(server, config)
    made = dataset(tmp_path, [Scalar("many")], field="count")
    with pytest.raises(InvalidLabels, match='count: some labels have the value "many", which is no number'):
        annotate(server, made, {"count": {"type": "scalar"}}, project="Streets")
    assert not server.double.state.tasks


def test_addresses_that_nobody_can_open_are_refused(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    with pytest.raises(
        Unsupported, match="media='storage': the file .* is not below media_root=None; give media_root and url_root"
    ):
        annotate(server, made, media="storage")
    with pytest.raises(Unsupported, match="is not below media_root="):
        annotate(server, made, media="storage", media_root=str(tmp_path / "elsewhere"))
    assert made.list_annotation_runs() == []


@pytest.mark.parametrize("path", ["ftp://host/a.png", "https://user:word@host/a.png?key=secret"])
def test_an_address_with_a_login_or_of_another_kind_is_refused(path: str) -> None:
    (problem,) = address_problems(pa.table({"filepath": [path]}), LabelStudioConfig(media="storage"))
    assert "no address that Label Studio can open" in problem
    assert "secret" not in problem


def test_a_token_that_expires_in_the_middle_is_renewed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset(tmp_path, count=3)
    double = server.double
    options = {"url": server.url, "token": double.personal_token}
    made.annotate("run", backend="labelstudio", label_schema=SCHEMA, progress=False, **options)
    assert len(double.access_tokens) >= 1
    used = len(double.access_tokens)
    real = double.state.import_tasks

    def expire(*arguments: Any) -> Any:
        double.access_tokens = dict.fromkeys(double.access_tokens, 0.0)  # after the tasks were made
        return real(*arguments)

    monkeypatch.setattr(double.state, "import_tasks", expire)
    made.annotate("again", backend="labelstudio", label_schema=SCHEMA, progress=False, **options)
    assert len(double.access_tokens) > used
    assert made.load_annotations("again", progress=False, **options).total == 0
    assert all(until == 0 or until > time.time() for until in double.access_tokens.values())


def test_a_token_that_was_revoked_is_a_sentence_with_the_cure(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    token = server.double.personal_token
    made.annotate("run", backend="labelstudio", label_schema=SCHEMA, progress=False, url=server.url, token=token)
    server.double.revoked.add(token)
    server.double.access_tokens.clear()
    with pytest.raises(Denied) as error:
        made.load_annotations("run", progress=False, url=server.url, token=token)
    assert "was revoked, or has expired; make a token on Label Studio's page «Account & Settings»" in str(error.value)
    assert token not in str(error.value)
    assert not any(token.encode() in body for call, body in server.double.calls if "token/refresh" not in call)


def test_a_wrong_token_is_found_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    with pytest.raises(Denied, match="make a token on Label Studio's page «Account & Settings»"):
        made.annotate(
            "run", backend="labelstudio", label_schema=SCHEMA, progress=False, url=server.url, token="ab" * 20
        )
    with pytest.raises(MissingCredential):
        made.annotate("run", backend="labelstudio", label_schema=SCHEMA, progress=False, url=server.url)
    assert made.list_annotation_runs() == []


def change(server: Server, results: Any, number: int, **values: float) -> None:
    """Change the box of a task."""
    task = tasks(server, results)[number]
    found = task["annotations"][0]["result"]
    for one in found:
        one["value"] |= values
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": found})
