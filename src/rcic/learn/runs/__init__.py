"""What a run folder holds: its record, its checkpoints, how far it is, and which process writes."""
