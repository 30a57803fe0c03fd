"""The files of samples: whether they are there, unchanged, and how their paths are rewritten when they have moved."""
