"""Hypothesis counts examples here, not milliseconds: a busy machine is no mistake."""

from hypothesis import settings

settings.register_profile("annobridge", deadline=None)
settings.load_profile("annobridge")
