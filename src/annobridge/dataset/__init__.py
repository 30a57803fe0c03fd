"""Datasets and views: the public objects."""

from .dataset import Dataset, create_dataset, list_datasets, load_dataset
from .export import ExportReport
from .view import View

__all__ = ["Dataset", "ExportReport", "View", "create_dataset", "list_datasets", "load_dataset"]
