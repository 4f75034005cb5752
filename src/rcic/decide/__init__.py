"""From logits to labels: pure functions on numpy arrays and tables; no torch, no files."""
