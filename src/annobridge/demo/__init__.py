"""The demo: drawn street scenes, and a scripted person who labels them."""
