"""Tables of profiles in files: what is text, what is a number, and what cannot be read."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.profiles import profile_file
from rcic.profiles.profile_columns import feature_columns, guessed, pick
from rcic.profiles.profile_file import ending_of, read_profile_file, write_profile_file
from rcic.profiles.profile_options import ProfileColumns

TABLE = pd.DataFrame(
    {
        "Metadata_Plate": ["01", "1", "NA"],
        "Metadata_Well": ["A01", "B02", "C03"],
        "Metadata_pert_iname": ["", "x,y", "z"],
        "emb_0": np.array([0.1, -1e-8, 3e8], np.float32),
        "emb_1": np.array([1, 2, 3], np.float32),
    }
)
NEEDED = {".parquet": "pyarrow", ".h5ad": "anndata"}


@pytest.mark.parametrize("ending", profile_file.PROFILE_ENDINGS)
def test_a_table_comes_back_as_it_was(tmp_path, ending):
    if (needed := NEEDED.get(ending)) and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed (make install-profiles)")
    path = tmp_path / f"p{ending}"
    write_profile_file(path, ending, TABLE, ["emb_0", "emb_1"])
    again = read_profile_file(path)
    assert list(again) == list(TABLE)
    for name in TABLE:
        expected = TABLE[name].to_numpy()
        assert again[name].to_numpy().astype(expected.dtype).tolist() == expected.tolist()


@pytest.mark.parametrize(("ending", "needed"), NEEDED.items())
def test_a_lacking_library_is_named(tmp_path, ending, needed, monkeypatch):
    monkeypatch.setattr(profile_file.importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(UserError, match=f"{needed}, which is not installed; run make install-profiles"):
        ending_of(tmp_path / f"p{ending}")
    assert list(tmp_path.iterdir()) == []


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_profile_file(tmp_path / name, ".csv.gz", TABLE, ["emb_0", "emb_1"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a table"),
        (b"a,b\n", "no rows"),
        (b"a,a\n1,2\n", "'a' is listed twice"),
        (b"a,b\n1,2\n3,4,5\n", "row 3: 3 fields, but the header has 2"),
        (b'a,b\n"1,1"\n', "row 2: 1 fields, but the header has 2"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "not a table"),
        (b"a\n\xff\n", "not a table"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content, message):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_profile_file(tmp_path / "p.csv")
    assert str(error.value).startswith(str(tmp_path / "p.csv"))


def test_an_absent_file_or_a_folder_is_one_line(tmp_path):
    for name in ("absent.csv", "."):
        with pytest.raises(UserError):
            read_profile_file(tmp_path / name)
    with pytest.raises(UserError, match=r"must end in one of \.csv"):
        ending_of(Path("p.xlsx"))


@pytest.mark.parametrize(
    ("header", "plate", "well"),
    [
        ("Metadata_Plate,Metadata_Well", "Metadata_Plate", "Metadata_Well"),
        ("Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI", "Image_Metadata_Plate_DAPI", "Image_Metadata_Well_DAPI"),
        ("Assay_Plate_Barcode,well_position", "Assay_Plate_Barcode", "well_position"),
        ("Metadata_Barcode,plate,Well", "plate", "Well"),
    ],
)
def test_usual_columns_are_found(header, plate, well):
    table = pd.DataFrame([header.split(",")], columns=header.split(","))
    found = guessed(ProfileColumns(), table, Path("p.csv"))
    assert (found.plate, found.well) == (plate, well)


def test_a_column_that_is_not_there_is_told_with_the_nearest():
    table = pd.DataFrame([["1", "A01"]], columns=["Metadata_Plate", "Metadata_Well"])
    with pytest.raises(UserError, match="no column 'Metadata_Plat'; did you mean 'Metadata_Plate'"):
        pick(table, "Metadata_Plat", "plate", Path("p.csv"))
    with pytest.raises(UserError, match=r"no column like 'plate'.* name it with --plate"):
        guessed(ProfileColumns(), table.rename(columns={"Metadata_Plate": "P"}), Path("p.csv"))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"Cells_a": 0.5, "Nuclei_b": 1, "Image_c": 0.5, "score": 0.5, "Cells_Parent_Nuclei": 3},
            ["Cells_a", "Nuclei_b"],
        ),
        ({"efficientnet_0": 1, "efficientnet_1": 0.5, "Replicate": 3, "Week": 2}, ["efficientnet_0", "efficientnet_1"]),
        ({"Metadata_Count": 1.5, "ImageNumber": 4, "IL6": 0.5}, ["IL6"]),
        ({"0": 1.0, "1": 2.5, "Image_Metadata_Conc": 0.5}, ["0", "1"]),
    ],
)
def test_features_are_numbers_that_are_no_metadata(columns, expected):
    table = pd.DataFrame({name: [value, value] for name, value in columns.items()})
    assert feature_columns(table, (), (), Path("p.csv")) == expected


def test_wanted_features_must_be_there():
    table = pd.DataFrame({"Cells_a": [0.5], "Mito_b": [1], "name": ["x"]})
    assert feature_columns(table, ("Mito_",), (), Path("p")) == ["Mito_b"]
    for word in ("Golgi_", "name"):
        with pytest.raises(UserError, match="no column of numbers begins with"):
            feature_columns(table, (word,), (), Path("p"))
    with pytest.raises(UserError, match="name their beginnings with --features"):
        feature_columns(table[["name"]], (), (), Path("p"))
