"""Arrow rows in temporary files: ``Streams`` by name, ``Tables`` by number, ``Groups`` of rows that belong together."""
