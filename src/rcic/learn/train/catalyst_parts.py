"""The parts of Catalyst that a training uses, without those for scikit-learn and matplotlib, which it does not.

Catalyst 22.4 imports every optional package that it finds, ``if SETTINGS.ml_required``: matplotlib and scikit-learn
take a third of the CPU time of a training's start. Where it does not find matplotlib it takes both as absent.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Let an import of a package fail as if it were not installed; afterwards all is as it was."""
    before = {name: module for name, module in sys.modules.items() if name == package}
    sys.modules[package] = None  # type: ignore[assignment]  # what ``import`` takes for "is not there"
    try:
        yield
    finally:
        del sys.modules[package]
        sys.modules.update(before)


with hidden("matplotlib"):
    from catalyst import dl
    from catalyst.loggers.wandb import WandbLogger
    from catalyst.utils.misc import set_global_seed

__all__ = ["WandbLogger", "dl", "set_global_seed"]
