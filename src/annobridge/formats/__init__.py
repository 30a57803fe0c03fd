"""Formats: datasets of other tools, in and out, each as a stream of ``Part``."""
