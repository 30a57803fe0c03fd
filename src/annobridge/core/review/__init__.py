"""Review: the changes of a plan as a table, and what people decided about them."""
