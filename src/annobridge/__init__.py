"""Send a LanceDB dataset to an annotation tool, and merge the work back."""

__version__ = "0.1.0"
