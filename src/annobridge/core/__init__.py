"""Labels, label schemas, checks and the merge: pure functions over Arrow tables, without I/O."""
