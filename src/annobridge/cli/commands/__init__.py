"""The commands, one module for each group. ``annobridge.cli`` has the table of them."""
