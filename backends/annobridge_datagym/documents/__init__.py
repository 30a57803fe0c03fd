"""The format ``datagym``: DataGym's JSON of labels, as it is exported and imported, without a run."""

from .format import DocumentFormat

__all__ = ["DocumentFormat"]
