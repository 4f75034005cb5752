"""Many trainings: the cells of a grid, their plan and cost, and the scheduler."""
