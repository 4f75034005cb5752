"""torch.compile, and a line where it cannot: without a C++ compiler (CPU) or Triton (GPU), or for some networks."""

from collections.abc import Iterator
from contextlib import contextmanager

from rcic.errors import UserError, brief


@contextmanager
def compiling(wanted: bool, name: str) -> Iterator[None]:
    """Raise UserError, naming the flag or key ``name``, where torch fails to compile within the block."""
    if not wanted:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException  # a second to import

    try:
        yield
    except TorchDynamoException as error:
        cause = str(getattr(error, "inner_exception", error))  # of its compiler, if that failed
        reason = next((line.strip() for line in cause.splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{name}: torch cannot compile this network here ({brief(reason)}); leave it out") from error
