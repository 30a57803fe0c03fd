"""Checks of labels: ``validate`` runs them, ``value_checks`` and ``shape_checks`` hold them."""
