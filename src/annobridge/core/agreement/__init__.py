"""Several answers for the same samples: which labels are one object, how far people agree, and what they say together."""
