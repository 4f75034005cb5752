"""What is made from predictions depends on these inputs: the identity under which it is kept beside them.

``PREDICT_ROOT/kept_WHAT_SPLIT.npz`` (`rcic.files.kept`): for each split and purpose the last ones are kept, of default
and of chosen options (``_chosen``).
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import prediction_contents
from rcic.files.atomic import sha256_of
from rcic.files.checksums import Checksum
from rcic.files.kept import kept_record
from rcic.files.record import Record
from rcic.files.sealed_json import digest_of_values, plain_values
from rcic.screen.identity import digest_of_wells
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

_COLUMNS = ["id_code", "experiment", "plate", "well", "cell_type"]  # of wells that decisions depend on


@dataclass(frozen=True, eq=False)
class PredictionInputs:
    """The inputs of a decision on N wells: everything that its answers depend on."""

    screen: Screen
    groups: Groups
    wells: pd.DataFrame  # N rows of the screen's table
    root: Path  # of the predictions
    split: str
    ensemble: EnsembleOptions
    by_site: bool = False
    truth: np.ndarray | None = None  # (N,) int64, where it has a part in what is kept

    def record(self, checksum: Checksum) -> Record:
        """Return the record of what is made from these inputs as they are now, without files.

        Raises as `rcic.ensemble.predictions.prediction_contents`.
        """
        options = asdict(replace(self.ensemble, calibration=None))
        fitted = self.ensemble.calibration
        models = self.ensemble.model_names
        contents = prediction_contents(self.root, self.screen, self.split, models, self.by_site, checksum)
        made_from = {
            "predictions": {folder: network for folder, (network, _) in contents.items()},
            "contents": {folder: digest for folder, (_, digest) in contents.items()},
            "classes": self.screen.identity.treatments,
            "wells": digest_of_wells(self.wells, _COLUMNS),
            "groups": digest_of_values(plain_values(asdict(self.groups))),
            "truth": "" if self.truth is None else hashlib.sha256(self.truth.astype(np.int64).tobytes()).hexdigest(),
            "calibration": sha256_of(Path(fitted)) if fitted else "",
        }
        return kept_record(made_from, plain_values(options))

    def path(self, what: str) -> Path:
        """Return where the record of ``what`` is kept."""
        chosen = "" if self.ensemble == EnsembleOptions() else "_chosen"
        return self.root / f"kept_{what}_{self.split}{chosen}.json"
