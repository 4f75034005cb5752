"""One training: setup, the Catalyst runner, checkpoints, logs, and resuming."""
