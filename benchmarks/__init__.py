"""Speed and memory. Run ``./bench``; see README.md in this folder.

Each benchmark is a script that can be run alone, and reports its figures by ``measure``. ``catalogue`` names them with the sizes
of a quick and of a full run, ``table`` writes what they report, and ``environments`` makes those of the peers.
"""
