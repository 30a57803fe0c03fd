"""Shared by the tests of the DataGym backend: a dataset with every kind of label, and a person with a browser."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from PIL import Image
from tests.contract.datagym_hands import Editor
from tests.datagym_servers import Server

import annobridge as ab

WIDTH, HEIGHT = 640, 480
SCHEMA: dict[str, Any] = {
    "weather": {
        "type": "classification",
        "classes": ["sunny", "rain"],
        "attributes": {
            "temperature": {"type": "select", "values": ["warm", "cold"]},
            "degrees": {"type": "int"},
            "wind": {"type": "text"},
        },
    },
    "cars": {
        "type": "polygons",
        "classes": ["car"],
        "attributes": {"color": {"type": "select", "values": ["red", "light blue"]}, "plate": {"type": "text"}},
    },
    "streets": {"type": "polylines", "classes": ["street"]},
    "pois": {"type": "keypoints", "classes": ["poi"]},
    "buses": {"type": "detections", "classes": ["bus", "tram"], "attributes": {"number": {"type": "int"}}},
}
NESTED = {"nested_attributes": {"degrees": "temperature"}}  # weather → temperature → degrees


def images(folder: Path, count: int = 2) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (WIDTH, HEIGHT), (50 * number, 90, 120)).save(folder / f"photo_{number}.png")
    return sorted(folder.glob("photo_*.png"))


def dataset(folder: Path, count: int = 2) -> ab.Dataset:
    """A dataset of images with the weather, a car, a street, a poi and a bus each; the second has only two labels."""
    made = ab.create_dataset(folder / "data")
    for number, path in enumerate(images(folder / "images", count)):
        sample = ab.Sample(path, sample_id=f"s{number}")
        full = number != 1
        more = {"temperature": "warm", "degrees": 21, "wind": "none"} if full else {}
        sample["weather"] = ab.Classification("rain" if full else "sunny", label_id=f"weather{number}", **more)
        sample["buses"] = [ab.Detection("bus", [0.1, 0.2, 0.123456789, 0.25], label_id=f"bus{number}", number=7)]
        if full:
            triangle = [[(0.5, 0.5), (0.75, 0.5), (0.6, 0.777777)]]
            sample["cars"] = ab.Polyline("car", triangle, filled=True, label_id=f"car{number}", color="light blue")
            sample["streets"] = ab.Polyline("street", [[(0.0, 1 / 3), (1.0, 0.4)]], label_id=f"street{number}")
            sample["pois"] = ab.Keypoint("poi", [(0.25, 1 / 7)], label_id=f"poi{number}")
        made.add_samples([sample])
    return made


def single(folder: Path, **fields: Any) -> ab.Dataset:
    """A dataset of one image with these labels."""
    made = ab.create_dataset(folder / "data")
    made.add_samples([ab.Sample(images(folder / "images", 1)[0], sample_id="s0", **fields)])
    return made


def row(dataset_: ab.Dataset, label_id: str) -> dict[str, Any]:
    """A label of the dataset, with its attributes as a dictionary."""
    (found,) = dataset_.labels(where=f"label_id = '{label_id}'").to_pylist()
    return found | {"attributes": {a["name"]: json.loads(a["value"]) for a in found["attributes"] or []}}


def remote(results: Any, label_id: str) -> dict[str, Any]:
    """The row of the baseline of a label."""
    for receipt in results.receipts():
        for one in results.with_baseline(receipt).baseline.to_pylist():
            if one["label_id"] == label_id:
                return one
    raise LookupError(label_id)


def finish(server: Server, results: Any, *samples: str) -> None:
    """Finish images, as a person does: those that are named, or all."""
    for receipt in results.receipts():
        state = receipt.state
        pairs = zip(state["samples"], state["tasks"], strict=True)
        server.finish([task for sample, task in pairs if not samples or sample in samples])


class ByHand:
    """A person who uploads and downloads files on the pages of the open-core edition."""

    def __init__(self, server: Server) -> None:
        self.server = server
        name = f"By hand {uuid.uuid4().hex}"
        owner = "open-core-dummy-org-sub"
        body = {"owner": owner, "name": name, "shortDescription": "x", "description": None, "mediaType": "IMAGE"}
        self.project = server.call("POST", "", "project", json=body)
        made = {"owner": owner, "name": name, "shortDescription": None, "mediaType": "IMAGE"}
        self.dataset = server.call("POST", "", "dataset", json=made)["id"]
        server.call("POST", "", f"project/{self.project['id']}/dataset/{self.dataset}")

    def close(self) -> None:
        """Leave nothing on the server."""
        self.server.call("DELETE", "", f"dataset/{self.dataset}")
        self.server.call("DELETE", "", f"project/{self.project['id']}")

    def upload_images(self, paths: list[Path], ids: Path) -> None:
        """Upload images, and keep what the server says of them."""
        import base64

        for path in paths:
            name = base64.b64encode(path.name.encode()).decode()
            headers = {"X-filename": name}
            self.server.call("POST", "", f"dataset/{self.dataset}/file", data=path.read_bytes(), headers_=headers)
        ids.write_text(json.dumps(self.server.call("GET", "", f"dataset/{self.dataset}/file")))

    def upload_configuration(self, path: Path) -> None:
        config = f"lconfig/{self.project['labelConfigurationId']}/import"
        self.server.call("POST", "", config, json=json.loads(path.read_text()))

    def upload_labels(self, path: Path) -> str:
        """What the server says to a JSON upload; nothing, if all is well."""
        answer = self.server.call("POST", "", f"project/{self.project['id']}/prediction", data=path.read_bytes())
        return str(answer["errorMessages"])

    def tasks(self) -> list[dict[str, Any]]:
        return list(self.server.call("GET", "", f"project/{self.project['id']}/task"))

    def finish(self) -> None:
        self.server.finish([t["taskId"] for t in self.tasks()])

    def download(self, path: Path) -> Path:
        path.write_text(json.dumps(self.server.call("GET", "", f"project/{self.project['id']}/export"), indent=1))
        return path

    def editor(self, results: Any) -> Editor:
        """Its editor, which needs to know the tasks that files do not tell of."""
        editor = Editor(self.server, results)
        by_media = {t["mediaId"]: t["taskId"] for t in self.tasks()}
        editor.states = [s | {"tasks": [by_media[m] for m in s["media"]]} for s in map(dict, editor.states)]
        return editor
