"""Whole datasets in and out: import, export, attach a table of the user."""
