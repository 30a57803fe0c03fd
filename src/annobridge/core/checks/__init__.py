"""Checks of labels: which rows cannot be stored or sent, and why."""
