"""The dataset at rest. This room knows LanceDB, and nobody else does."""
