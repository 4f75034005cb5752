"""Parallel commands: on this machine, on the nodes of a Ray cluster, or as SLURM jobs."""
