"""Pixano as a tool of ``annobridge demo``: the protocols ``DemoTool`` and ``Annotator`` of ``annobridge.demo.tools``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annobridge.backend import Receipt
from annobridge.exceptions import Unreachable

from . import server
from .annotator import ScriptedAnnotator


class PixanoTool:
    """A Pixano server on this machine, with its data below the folder of the demo."""

    title = "Pixano 0.8"
    has_page = True
    note = "A real server, in an environment of its own; the first time, it is installed: about a minute."

    def __init__(self, folder: Path) -> None:
        self._root = folder / "pixano"
        self.options: Mapping[str, str] = {}

    def start(self) -> None:
        try:
            running = server.up(self._root)
        except Unreachable:  # its usual port is taken
            running = server.up(self._root, 0)
        self.options = {"url": running.url}

    def annotator(self, receipts: Sequence[Receipt]) -> PixanoAnnotator:
        return PixanoAnnotator(ScriptedAnnotator(self.options["url"]), str(receipts[0].state["dataset"]))

    def commands(self) -> Mapping[str, Sequence[str]]:
        port = self.options["url"].rpartition(":")[2]
        more = () if port == str(server.PORT) else ("--port", port)
        folder = ("--folder", str(self._root))
        return {"start": ("pixano", "up", *folder, *more), "stop": ("pixano", "down", *folder)}

    def stop(self) -> None:
        server.down(self._root)


class PixanoAnnotator:
    """Edits one dataset of the server with the calls that the web page makes."""

    def __init__(self, client: ScriptedAnnotator, dataset: str) -> None:
        self._client, self._dataset = client, dataset

    def move(self, label_id: str, box: Sequence[float]) -> None:
        self._client.move(self._dataset, f"{label_id}.bbox", box)

    def set_class(self, label_id: str, name: str) -> None:
        self._client.rename(self._dataset, label_id, name)

    def set_attribute(self, label_id: str, name: str, value: Any) -> None:
        self._client.set_attribute(self._dataset, label_id, name, value)

    def classify(self, sample_id: str, field: str, name: str) -> None:
        self._client.set_record(self._dataset, sample_id, field, name)

    def draw(self, sample_id: str, name: str, box: Sequence[float], attributes: Mapping[str, Any]) -> None:
        self._client.draw(self._dataset, sample_id, box, name, **attributes)

    def delete(self, label_id: str) -> None:
        self._client.delete(self._dataset, label_id)
