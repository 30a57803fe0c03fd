"""An earlier generation of Pixano: items, views, entities and annotations. Only its own command makes a dataset.

generation     the calls of the backend
import_folder  the folder that the command imports, and ``columns`` its ``schema.py``
program        the command
api            the REST calls
rows           labels <-> rows of its tables
removal        removing a dataset
"""

from .generation import ItemsGeneration

__all__ = ["ItemsGeneration"]
