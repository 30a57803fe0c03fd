"""Pixano."""
