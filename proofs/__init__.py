"""Reliability proofs: processes that are killed or race each other, and what is found in the dataset and on the server
afterwards. Run with ``./prove``; see CONTRIBUTING.md.
"""
