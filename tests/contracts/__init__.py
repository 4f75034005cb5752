"""Contracts: what other packages do that the program relies on or guards against, one test each (docs/behaviours.md).

A contract passes while the behaviour is as it was seen; it fails when a version changes it, for better or worse. Its
docstring says what is so, in which version it was seen, and what the program does about it. ``make contracts`` runs
them in the pinned environment, ``make contracts-all`` those of further packages, too (requirements-contracts.txt), and
``make contracts-newest`` with the newest versions that pyproject.toml allows.
"""
