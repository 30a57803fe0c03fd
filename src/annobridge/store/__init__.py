"""The storage of a dataset: its LanceDB tables, the ledger of runs, and access to media. No other package uses LanceDB."""
