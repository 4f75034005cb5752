"""Many commands side by side: on this machine, on the nodes of a Ray cluster, or as jobs of SLURM."""
