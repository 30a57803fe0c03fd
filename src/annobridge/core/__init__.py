"""Pure functions over Arrow: what a label is, what changed, and what a load may do about it. No I/O."""
