"""Our profiles through pycytominer and anndata, and back: equal wells and features.

Slow, and it needs a network: the environment is made with pip. RCIC_FOREIGN names a folder to keep it in, and
RCIC_FOREIGN_PYTHON the Python, 3.11 or newer, that makes it. Beside pandas 3 anndata 0.12.6
cannot write text, so neither can pycytominer 1.7.1 write an h5ad; we hand it objects.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.profiles.profile_export import ExportOptions, export_profiles
from rcic.profiles.profile_file import read_profile_file
from rcic.profiles.profile_import import ImportedModel, import_profiles
from rcic.profiles.profile_options import FeatureOptions, ProfileColumns
from rcic.screen.table import read_screen
from tests.profiles.test_profile_import import imported, profiles_of, vectors_by_well
from tests.screen.tiny import KAGGLE, write_tables

HERE, SOURCE = Path(__file__).parent / "foreign", Path(__file__).parents[2] / "src"
NEEDED = ("PyYAML", "scipy")  # what reading and writing here needs besides
PINS = {
    "pandas 3": ("pycytominer==1.7.1", "anndata==0.12.6", "pyarrow==26.0.1", "pandas==3.1.1", *NEEDED),
    "pandas 2": ("pycytominer[anndata]==1.7.1", "pyarrow==26.0.1", "pandas==2.3.3", *NEEDED),
}
Run = Callable[..., None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs a script of foreign/ in an environment of PINS, which is made if needed."""
    folder = Path(os.environ.get("RCIC_FOREIGN") or tmp_path_factory.mktemp("foreign"))

    def run_in(name: str, script: str, *words: object) -> None:
        home = folder / f"profiles {name}"
        if not (home / "made").exists():
            python = os.environ.get("RCIC_FOREIGN_PYTHON") or sys.executable
            subprocess.run([python, "-m", "venv", "--clear", home], check=True)
            made = subprocess.run([home / "bin/pip", "install", "-q", *PINS[name]], capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"{' '.join(PINS[name])} cannot be installed: {made.stderr.strip()[-200:]}")
            (home / "made").touch()
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [home / "bin/python", HERE / script, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]

    return run_in


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_tables(tmp_path / "data", KAGGLE)


@pytest.fixture
def exported(data: Path, tmp_path: Path) -> Path:
    profiles_of(data, tmp_path / "p.csv")
    imported(data, tmp_path / "p.csv")
    export_profiles(data, tmp_path / "emb", tmp_path / "ours.csv.gz", ExportOptions())
    return tmp_path / "ours.csv.gz"


def check_back(data: Path, path: Path, expected: pd.DataFrame) -> None:
    """Import a table, and compare its wells and features with those expected, indexed by plate and well."""
    model, out = ImportedModel("back", path.parent / "back", str(path.parent / "folds")), FeatureOptions(scale="off")
    folder = import_profiles(data, [str(path)], model, ProfileColumns(), out)[0]
    found = {}
    for split in ("train", "test", "controls"):
        found |= vectors_by_well(read_screen(data), folder, split)
    assert len(found) == len(expected) == 17
    for (plate, well), row in expected.iterrows():
        np.testing.assert_allclose(found[f"{plate}_{well}"], row.to_numpy(float), rtol=1e-5, atol=1e-6)


def normalised(path: Path) -> pd.DataFrame:
    """Return the features minus the negative controls' means, divided by their deviations (N), as pycytominer's."""
    table = read_profile_file(path).set_index(["Metadata_Plate", "Metadata_Well"])
    controls, names = table["Metadata_pert_type"] == "negcon", [name for name in table if name.startswith("Cells_")]
    values = table[names].astype(float)
    return (values - values[controls].mean()) / values[controls].std(ddof=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "ours", "theirs"),
    [
        ("pandas 3", ".csv.gz", ".csv.gz"),
        ("pandas 3", ".parquet", ".parquet"),
        ("pandas 2", ".csv.gz", ".h5ad"),
    ],
)
def test_through_pycytominer_and_back(run, data, exported, tmp_path, environment, ours, theirs):
    given = exported.with_name(f"given{ours}")
    run("pandas 3", "formats.py", SOURCE, exported, given)
    run(environment, "normalise.py", given, tmp_path / f"theirs{theirs}")
    back = tmp_path / "back.csv.gz"
    run("pandas 3", "formats.py", SOURCE, tmp_path / f"theirs{theirs}", back)  # here these libraries may be lacking
    check_back(data, back, normalised(exported))


@pytest.mark.slow
def test_through_anndata_and_back(run, data, exported, tmp_path):
    run("pandas 3", "formats.py", SOURCE, exported, tmp_path / "ours.h5ad")
    run("pandas 2", "through_anndata.py", tmp_path / "ours.h5ad", tmp_path / "theirs.h5ad")
    run("pandas 3", "formats.py", SOURCE, tmp_path / "theirs.h5ad", tmp_path / "back.csv.gz")
    table = read_profile_file(tmp_path / "back.csv.gz")
    assert table["Metadata_Replicate"].tolist() == ["1"] * len(table)
    features = read_profile_file(exported).set_index(["Metadata_Plate", "Metadata_Well"])
    check_back(data, tmp_path / "back.csv.gz", features[[name for name in features if name.startswith("Cells_")]])
