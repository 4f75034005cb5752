"""The simulator: a synthetic screen with the batch effects and the difficulty of the real one."""
