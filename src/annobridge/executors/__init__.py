"""Where jobs run: processes of this machine, or workers of a cluster. Found by the entry points of a group."""
