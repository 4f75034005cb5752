"""A plate-aware classifier for multi-channel microscopy screens."""
