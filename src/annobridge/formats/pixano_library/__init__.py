"""Pixano datasets on disk: their Lance tables are read, and written so that a Pixano 0.8 server opens them; without Pixano.

codec    labels <-> rows of Pixano's tables; the Pixano backend uses it too
reading  a dataset on disk -> samples and labels
writing  samples and labels -> a dataset on disk
sidecar  what Pixano's tables cannot hold, kept beside them
"""

from .format import LibraryFormat

__all__ = ["LibraryFormat"]
