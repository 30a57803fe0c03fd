"""The versions of a dataset: snapshots, what differs between two of them, the past of one label, and clean-up."""
