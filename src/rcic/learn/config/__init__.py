"""What a training may be told: settings, their rules, and where each value came from."""
