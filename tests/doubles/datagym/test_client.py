"""The double, driven by DataGym's own Python client, to check that the double behaves as the real server.

Its pins do not install on today's Python, and it does not need them: ``pip install --no-deps datagym==0.7.2``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from tests.doubles.datagym import places, server, tasks

pytestmark = pytest.mark.filterwarnings("ignore")  # of the client's
CAR: dict[str, Any] = {
    "entryKey": "Car", "entryValue": "Car", "type": "rectangle", "color": "#22AA33", "shortcut": "1",
    "children": [{"entryKey": "color", "entryValue": "Color", "type": "freetext", "maxLength": 64, "required": False,
                  "children": []}],
}  # fmt: skip


@pytest.fixture
def double() -> Iterator[server.Double]:
    with server.running("hosted") as found:
        body = {"owner": found.state.owner, "name": "Road signs", "shortDescription": "signs"}
        places.create_project(found.state, body)
        yield found


@pytest.fixture
def client(double: server.Double, monkeypatch: pytest.MonkeyPatch) -> Any:
    if "cv2" not in sys.modules:
        monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))  # for a converter that is not used here
    datagym = pytest.importorskip(
        "datagym", reason="DataGym's client is not installed: datagym==0.7.2, without its pins"
    )
    return datagym.Client(server.TOKEN, f"{double.url}/")


def test_labels_are_exported_as_they_were_imported(client: Any, double: server.Double, tmp_path: Path) -> None:
    """Project, dataset, image, configuration, labels and export."""
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    project = client.get_project_by_name("Road signs")
    dataset = client.create_dataset("drive 7", "the seventh")
    image = client.upload_image(dataset.id, str(tmp_path / "a.png"))
    assert client.add_dataset(dataset.id, project.id)
    assert client.add_dataset(dataset.id, project.id)  # 412 ``ex_already_contains`` is a warning to it
    assert client.create_dataset("drive 7", None).id == dataset.id  # as is 412 ``ex_alreadyexists``
    assert client.upload_label_config(project.label_config_id, [CAR])
    label = {"rectangle": [{"x": 1.75, "y": 2, "w": 3, "h": 4}], "classifications": {"color": ["red"]}}
    items = [{"internal_media_ID": image.id, "keepData": False, "labels": {"car": [label]}}]
    assert client.import_label_data(project.id, items) == {"errorMessages": ""}
    assert client.export_labels(project.id) == []
    for task in double.state.tasks.values():
        tasks.complete(double.state, task, {"lastChangedConfig": task.project.changed})
    head, found = client.export_labels(project.id)
    assert head["label_classes"][0] == {"class_name": "car", "geometry_type": "rectangle"}
    assert found["labels"]["car"][0]["rectangle"] == [{"x": 1, "y": 2, "w": 3, "h": 4}]
    assert found["labels"]["car"][0]["classifications"] == {"color": ["red"]}
    assert client.download_image_bytes(image) == (tmp_path / "a.png").read_bytes()
    assert [i.id for i in client.get_dataset_by_name("drive 7").images] == [image.id]
    assert client.delete_image(image)
    assert client.remove_dataset(dataset.id, project.id)


def test_errors_are_those_that_the_client_expects(client: Any) -> None:
    import datagym

    with pytest.raises(datagym.ClientException):
        client.create_dataset("not-a-name")
    with pytest.raises(datagym.ClientException):
        client.export_labels("nowhere")
    project = client.get_project_by_name("Road signs")
    with pytest.raises(datagym.APIException):
        client.import_label_data(project.id, [{"internal_media_ID": "nowhere", "labels": {}}])
    refused = client.import_label_data(project.id, [{"labels": {"car": [{"rectangle": []}]}}])
    assert refused["errorMessages"].startswith("Schema validation failed")
