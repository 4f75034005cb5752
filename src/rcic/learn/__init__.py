"""From batches to logits: the only room that knows torch models and Catalyst."""
