"""Reliability proofs: faults are caused on purpose, and what is lost or doubled is counted. Run ``./prove``; see CONTRIBUTING.md.

``framework`` runs the areas ``kills``, ``races``, ``answers`` and ``imports``. ``actions`` is what child processes (``children``)
run, ``states`` has the datasets and servers that trials start from, and ``checks`` compares what is there afterwards.
"""
