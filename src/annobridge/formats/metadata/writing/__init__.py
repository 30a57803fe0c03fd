"""Writing of images with a ``metadata.jsonl`` in each of its dialects."""
