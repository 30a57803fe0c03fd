"""Keys and values of ``metadata.jsonl`` that reading and writing share."""

from __future__ import annotations

METADATA = "metadata.jsonl"
METADATA_FILES = (METADATA, "metadata.csv", "metadata.parquet")
OBJECTS = "objects"
CATEGORIES = "categories"  # the classes of an image, and the label field that they become
LABEL = "label"  # the class of an image, and the label field that it becomes
CONVERSATIONS = "conversations"
HEADER, VERSION = "$pixano", "jsonl/2"  # of the first line of a file of Pixano 0.8
KEYPOINT_STATES = ("invisible", "hidden", "visible")  # Pixano's words for a visibility of 0, 1 and 2
NO_CONFIDENCE = -1.0  # Pixano's value for a label without a confidence
