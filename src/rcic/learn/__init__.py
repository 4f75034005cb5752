"""From batches to logits: the only package that knows torch models and Catalyst."""
