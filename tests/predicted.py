"""Prediction folders for tests, as predict-all or another program would leave them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rcic.files import prediction_files

WELLS = ["U2OS-01_1_B03", "U2OS-01_1_B04", "U2OS-01_2_B03"]  # the test wells of tests.screen.tiny.KAGGLE
# Classes 2, 3, 10, 11 in groups {2, 10} and {3, 11}. The first two wells both look like 10, and one of them must be 2.
LOGITS = np.array([[1, 0, 9, 2], [2, 0, 8, 3], [4, 5, 1, 0]], np.float32)


def write_member(
    root: Path,
    folder: str = "[1,2,3,4,5]/fold_0/tiny",
    logits: np.ndarray = LOGITS,
    codes: Sequence[str] | None = WELLS,
    split: str = "test",
) -> Path:
    """Write one member's logits (N, K) and list of wells (None: no list); return the .npy file's path."""
    files = prediction_files(root / folder, split)
    files["logits"].parent.mkdir(parents=True, exist_ok=True)
    np.save(files["logits"], logits)
    if codes is not None:
        files["wells"].write_text("\n".join(["id_code", *codes]) + "\n")
    return files["logits"]
