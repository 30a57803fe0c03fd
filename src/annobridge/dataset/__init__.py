"""Datasets and views: the public objects."""

from .dataset import Dataset, create_dataset, list_datasets, load_dataset
from .view import View

__all__ = ["Dataset", "View", "create_dataset", "list_datasets", "load_dataset"]
