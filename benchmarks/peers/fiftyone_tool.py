"""The echo tool as an annotation backend of FiftyOne, beside ``echo_backend.py``, which is that of annobridge.

FiftyOne derives the names of the other two classes from that of the configuration.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import thread_time

import fiftyone as fo
import fiftyone.utils.annotations as foua
from bson import ObjectId

import echo_store

TOOL_SECONDS: Counter[str] = Counter()  # CPU seconds in this tool, without FiftyOne's queries, by method
FIELDS = {"new": "annotated", "edit": "ground_truth"}


class EchoToolConfig(foua.AnnotationBackendConfig):
    """Where the tool keeps its file, and which rule it applies."""

    def __init__(self, name, label_schema, file="echo.jsonl", mode="edit", per_image=10, **kwargs):
        super().__init__(name, label_schema, **kwargs)
        self.file, self.mode, self.per_image = file, mode, per_image


class EchoTool(foua.AnnotationBackend):
    """Sends the boxes of a field to the echo store, and returns what its rule made of them."""

    supported_media_types = ("image",)
    supported_label_types = ("detections",)
    supported_scalar_types = ()
    supported_attr_types = ("text",)
    supports_keyframes = supports_video_sample_fields = False
    requires_label_schema = True

    def recommend_attr_tool(self, name, value):  # noqa: ARG002
        return {"type": "text"}

    def requires_attr_values(self, attr_type):  # noqa: ARG002
        return False

    def upload_annotations(self, samples, anno_key, launch_editor=False):  # noqa: ARG002
        editing, field = self.config.mode == "edit", FIELDS[self.config.mode]
        names = ["id", "filepath"]
        if editing:
            names += [f"{field}.detections.{name}" for name in ("id", "label", "bounding_box")]
        columns = samples.values(names)
        start = thread_time()
        numbers = [Path(path).stem for path in columns[1]]
        labels = (
            (list(zip(*each, strict=True)) for each in zip(*columns[2:], strict=True))
            if editing
            else ([] for _ in numbers)
        )
        echo_store.write(Path(self.config.file), zip(numbers, labels, strict=True))
        sent = {field: dict(zip(columns[0], columns[2], strict=True))} if editing else {}
        TOOL_SECONDS["upload"] += thread_time() - start
        return EchoToolResults(samples, self.config, anno_key, sent, self)

    def download_annotations(self, results):
        ids = {
            Path(path).stem: sample_id
            for path, sample_id in zip(*results.samples.values(["filepath", "id"]), strict=True)
        }
        start = thread_time()
        found = {}
        for number, labels in echo_store.read(Path(self.config.file), self.config.mode, self.config.per_image):
            of_sample = found[ids[number]] = {}
            for given, name, box in labels:
                label_id = given or str(ObjectId())
                of_sample[label_id] = fo.Detection(id=label_id, label=name, bounding_box=box)
        TOOL_SECONDS["download"] += thread_time() - start
        return {FIELDS[self.config.mode]: {"detections": found}}


class EchoToolResults(foua.AnnotationResults):
    """What was sent."""

    def launch_editor(self):
        """There is none."""

    def cleanup(self):
        Path(self.config.file).unlink(missing_ok=True)

    @classmethod
    def _from_dict(cls, stored, samples, config, anno_key):
        return cls(samples, config, anno_key, stored["id_map"])
