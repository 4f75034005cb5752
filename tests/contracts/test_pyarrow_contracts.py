"""What Parquet by pyarrow and pandas does to plates, wells and counts."""

import pandas as pd
import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: make contracts-all")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: make contracts-all")


def test_pyarrow_a_missing_count_makes_all_floats(tmp_path):
    """pyarrow 26.0.1 with pandas 3.1.1: whole numbers with one missing are read as float64, large ones rounded.

    So is plate 101 read as 101.0; `profiles.profile_file.as_text` writes 101;
    `tests/profiles/test_profile_file.py::test_a_table_comes_back_as_it_was`.
    """
    parquet.write_table(pa.table({"plate": pa.array([101, None, 2**60 + 1])}), tmp_path / "a.parquet")
    read = pd.read_parquet(tmp_path / "a.parquet")["plate"]
    assert read.dtype == "float64"
    assert read[0] == 101
    assert int(read[2]) != 2**60 + 1


def test_pyarrow_an_index_is_a_column_of_the_file(tmp_path):
    """pyarrow 26.0.1: rows that were selected keep their numbers as a column `__index_level_0__`; pandas hides it.

    `profiles.profile_file` writes no index and numbers the rows it reads anew.
    """
    pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]}).iloc[[0, 1, 3]].to_parquet(tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").column_names == ["x", "__index_level_0__"]
    assert pd.read_parquet(tmp_path / "a.parquet").index.tolist() == [0, 1, 3]


def test_pyarrow_a_folder_of_a_plate_loses_its_zeros(tmp_path):
    """pyarrow 26.0.1: of files in folders plate=01 and plate=02 the plates are the numbers 1 and 2.

    `profiles.profile_file` reads single files, in which the folder's name is no column.
    """
    for plate in ("01", "02"):
        (tmp_path / f"plate={plate}").mkdir()
        pd.DataFrame({"x": [1.0]}).to_parquet(tmp_path / f"plate={plate}" / "a.parquet")
    assert pd.read_parquet(tmp_path)["plate"].tolist() == [1, 2]
    assert "plate" not in parquet.read_table(tmp_path / "plate=01" / "a.parquet", partitioning=None).column_names


def test_pyarrow_booleans_with_a_gap_are_objects(tmp_path):
    """pyarrow 26.0.1 with pandas 3.1.1: a column of Booleans in which one is missing holds Python objects.

    `profiles.profile_file` takes them as text: a mask is no feature.
    """
    parquet.write_table(pa.table({"kept": pa.array([True, None])}), tmp_path / "a.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet")["kept"].dtype == object
