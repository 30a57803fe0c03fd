"""Pixano dataset on disk -> samples and labels."""
