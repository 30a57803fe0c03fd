"""Samples and labels -> Pixano dataset on disk."""
