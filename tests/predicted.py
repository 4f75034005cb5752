"""Prediction folders for tests, as predict-all or another program would leave them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rcic.files.names import prediction_files

ASSUMED = (
    "  no classes.csv: its columns are taken for the treatments in the order of the screen"  # what is said of them
)
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


# The train wells of tests.screen.tiny.KAGGLE and their classes (0..3 are the siRNAs 2, 3, 10, 11).
TRAIN = {"RPE-01": {"1_B03": 2, "1_B04": 0, "2_B03": 3, "2_B04": 1}, "RPE-02": {"1_B03": 1, "1_B04": 3, "2_B03": 2}}


def write_held_out(root: Path, model: str = "tiny", scale: float = 1.0, seed: int = 0, channels: str = "[1]") -> None:
    """Write what a model's two folds say of their held-out experiment: noise, and ``scale`` in the true class."""
    rng = np.random.default_rng(seed)
    for fold, (experiment, labels) in enumerate(TRAIN.items()):
        logits = rng.standard_normal((len(labels), 4)) + scale * np.eye(4)[list(labels.values())]
        codes = [f"{experiment}_{well}" for well in labels]
        write_member(root, f"{channels}/fold_{fold}/{model}", logits.astype(np.float32), codes, "valid")
