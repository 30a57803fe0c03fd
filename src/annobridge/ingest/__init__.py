"""Samples and labels are added to a dataset: parsed, checked, given ids, and committed."""
