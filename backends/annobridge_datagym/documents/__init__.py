"""The format ``datagym``: DataGym's label files, its exports and what its import takes, read without a run."""

from .format import DocumentFormat

__all__ = ["DocumentFormat"]
