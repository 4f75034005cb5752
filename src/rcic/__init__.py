"""A plate-aware classifier for multi-channel microscopy screens.

The names below are the public API (docs/api.md). Each is imported when it is first used, so ``import rcic`` is quick
and imports no torch. What is not listed here may change without notice.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcic.check.verdicts import check_results as check_results
    from rcic.ensemble.decision import Decision as Decision
    from rcic.ensemble.decision import decide_logits as decide_logits
    from rcic.ensemble.decision import decide_predictions as decide_predictions
    from rcic.ensemble.ensemble_options import EnsembleOptions as EnsembleOptions
    from rcic.ensemble.predictions import read_predictions as read_predictions
    from rcic.ensemble.scoring import score as score
    from rcic.errors import UserError as UserError
    from rcic.learn.predict.prediction_options import PredictionOptions as PredictionOptions
    from rcic.learn.predict.trained_member import TrainedMember as TrainedMember
    from rcic.learn.predict.trained_member import load_member as load_member
    from rcic.learn.predict.trained_member import load_members as load_members
    from rcic.pixels.packed.open_store import open_store as open_store
    from rcic.pixels.packed.open_store import read_images as read_images
    from rcic.screen.source import ScreenSource as ScreenSource
    from rcic.screen.table import Screen as Screen
    from rcic.screen.table import read_screen as read_screen
    from rcic.simulate.simulation import simulate_screen as simulate_screen

__version__ = "0.2.0"

_MODULES = {  # name -> module
    "Decision": "ensemble.decision",
    "EnsembleOptions": "ensemble.ensemble_options",
    "PredictionOptions": "learn.predict.prediction_options",
    "Screen": "screen.table",
    "ScreenSource": "screen.source",
    "TrainedMember": "learn.predict.trained_member",
    "UserError": "errors",
    "check_results": "check.verdicts",
    "decide_logits": "ensemble.decision",
    "decide_predictions": "ensemble.decision",
    "load_member": "learn.predict.trained_member",
    "load_members": "learn.predict.trained_member",
    "open_store": "pixels.packed.open_store",
    "read_images": "pixels.packed.open_store",
    "read_predictions": "ensemble.predictions",
    "read_screen": "screen.table",
    "score": "ensemble.scoring",
    "simulate_screen": "simulate.simulation",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'rcic' has no attribute {name!r}")
    value = getattr(import_module(f"rcic.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
