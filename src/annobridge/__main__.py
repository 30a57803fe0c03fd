"""``python -m annobridge``."""

from .cli import main

main()
