"""Reading of images with a ``metadata.jsonl``: lines are parsed into tables on disk, checked, and read back part by part."""
