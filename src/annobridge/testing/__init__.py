"""Tests for those who write backends: hypothesis strategies for labels, and (in ``contract``) the suite to pass."""
