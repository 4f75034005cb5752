"""Names in run and prediction folders, atomic writes, the disk, and locks."""
