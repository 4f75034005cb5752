"""A plate-aware classifier for multi-channel microscopy screens."""

__version__ = "0.2.0"
