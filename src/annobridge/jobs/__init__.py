"""Jobs in processes of this machine, or on a cluster: where they run, and the calls by which they do."""
