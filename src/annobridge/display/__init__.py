"""What people see while and after something runs: progress bars, notebook tables, questions on a terminal."""
