"""Output for people: progress bars, HTML tables for notebooks, and whether there is a terminal."""
