"""Profiles normalised by pycytominer and harmonypy: ``python benchmarks/profiles_peers.py INPUT.npz OUT_DIR``.

Runs in a Python of their own (`benchmarks/requirements-peers.txt`) and imports nothing of this project. INPUT.npz has
``features`` (N, D) as measured, ``scaled`` (N, D), ``names`` (D,), ``plates`` (N,), ``controls`` (N,) bool; no label.
Writes NAME.npy (N, D') for each normalisation, and ``peers.json``: versions, and what failed with which message.
"""

import json
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from harmonypy import run_harmony
from pycytominer import feature_select, normalize
from sklearn.decomposition import PCA

COMPONENTS = 100  # principal components for Harmony: of 20, 50, 100 and 330 those with its best accuracy
META = ["Metadata_Plate", "Metadata_row", "Metadata_pert_type"]
CONTROLS = "Metadata_pert_type == 'control'"
SELECT = ["variance_threshold", "correlation_threshold", "drop_outliers"]  # with pycytominer's default thresholds


def table(data: dict[str, np.ndarray], features: np.ndarray) -> pd.DataFrame:
    """Return features (N, D) with the metadata of their wells, as pycytominer reads them."""
    kinds = np.where(data["controls"], "control", "trt")
    meta = {"Metadata_Plate": data["plates"], "Metadata_row": np.arange(len(features)), "Metadata_pert_type": kinds}
    return pd.concat([pd.DataFrame(meta), pd.DataFrame(features, columns=data["names"])], axis=1)


def by_plate(data: dict[str, np.ndarray], method: str, samples: str = CONTROLS) -> np.ndarray:
    """Return features (N, D) normalised by each plate's controls, or other samples."""
    out = np.empty_like(data["features"])
    for _, wells in table(data, data["features"]).groupby("Metadata_Plate"):
        done = normalize(wells, list(data["names"]), meta_features=META, samples=samples, method=method)
        out[done["Metadata_row"].to_numpy()] = done[list(data["names"])].to_numpy(float)
    return out


def selected(data: dict[str, np.ndarray], method: str) -> pd.DataFrame:
    """Return the wells with the features that are left of those normalised by each plate's controls."""
    return feature_select(table(data, by_plate(data, method)), list(data["names"]), operation=SELECT)


def sphered(wells: pd.DataFrame, kind: str = "ZCA-cor") -> np.ndarray:
    """Return features (N, D) sphered by all controls; ``kind`` is pycytominer's own default."""
    names = [name for name in wells if name not in META]
    options = {"meta_features": META, "samples": CONTROLS, "method": "spherize", "spherize_method": kind}
    return numbers(normalize(wells, names, **options))


def numbers(wells: pd.DataFrame) -> np.ndarray:
    """Return the features (N, D) of wells."""
    return np.asarray(wells.drop(columns=META).to_numpy(float))


def harmonised(data: dict[str, np.ndarray]) -> np.ndarray:
    """Return principal components (N, COMPONENTS) of scaled features with the plates' differences taken out."""
    components = PCA(COMPONENTS, random_state=0).fit_transform(data["scaled"])
    wells = pd.DataFrame({"plate": data["plates"]})
    return np.asarray(run_harmony(components, wells, "plate", verbose=False, random_state=0, ncores=1).Z_corr)


METHODS = {
    "pycytominer standardize": lambda data: by_plate(data, "standardize"),
    "pycytominer standardize by all wells": lambda data: by_plate(data, "standardize", "all"),
    "pycytominer standardize, feature_select": lambda data: numbers(selected(data, "standardize")),
    "pycytominer mad_robustize": lambda data: by_plate(data, "mad_robustize"),
    "pycytominer mad_robustize, feature_select": lambda data: numbers(selected(data, "mad_robustize")),
    "pycytominer spherize ZCA": lambda data: sphered(table(data, data["features"]), "ZCA"),
    "pycytominer spherize ZCA-cor": lambda data: sphered(table(data, data["features"])),
    "pycytominer standardize, spherize": lambda data: sphered(table(data, by_plate(data, "standardize"))),
    "pycytominer standardize, feature_select, spherize": lambda data: sphered(selected(data, "standardize")),
    "harmonypy": harmonised,
}


def main(given: Path, out: Path) -> None:
    """Write each normalisation, or its error."""
    warnings.simplefilter("ignore")
    data, failed = dict(np.load(given)), {}
    for name, method in METHODS.items():
        try:
            np.save(out / f"{name}.npy", method(data))
        except ValueError as error:
            failed[name] = str(error)
    packages = ("pycytominer", "harmonypy", "scikit-learn", "pandas", "numpy")
    versions = {"Python": platform.python_version(), **{name: version(name) for name in packages}}
    (out / "peers.json").write_text(json.dumps({"versions": versions, "failed": failed, "methods": list(METHODS)}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python benchmarks/profiles_peers.py INPUT.npz OUT_DIR")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
