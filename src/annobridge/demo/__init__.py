"""The data of ``annobridge demo``: drawn street scenes, a scenario of edits, and tools to carry it out in.

``scenes`` draws images, ``scenario`` makes a dataset of them (or of given photos) with the edits that correct it, ``tools`` has the
annotation tools and their scripted annotators, and ``pictures`` draws labels before and after. The command itself is in
``annobridge.cli.commands.demo``.
"""
