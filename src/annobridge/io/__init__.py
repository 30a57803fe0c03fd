"""Whole datasets in and out: import, export, and attaching an existing LanceDB table."""
