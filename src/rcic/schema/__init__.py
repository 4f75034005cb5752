"""YAML documents to typed dataclasses, and the documentation of their keys."""
