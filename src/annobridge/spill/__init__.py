"""Arrow rows kept in temporary files, so that memory is bounded by a task and not by the dataset."""
