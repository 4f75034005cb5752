"""What holds for every input, tried on inputs that hypothesis makes: the same ones in every run."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=40)
settings.load_profile("repeatable")
