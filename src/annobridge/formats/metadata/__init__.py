"""The dialects of ``metadata.jsonl``: Hugging Face's and opsml's ``file_name``, opsml's ``filepath``, and Pixano's three."""
