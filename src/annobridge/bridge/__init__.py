"""The verbs of annotation: annotate, plan, load, undo. They join the store, ``core.merge`` and a backend."""
