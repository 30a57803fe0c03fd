"""Samples and labels on their way into a dataset: parsed, checked, given ids, and written together."""
