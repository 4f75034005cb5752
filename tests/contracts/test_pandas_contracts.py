"""What pandas does to names, rows and keys of tables."""

import io

import numpy as np
import pandas as pd


def read(text: str, **options: object) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), **options)  # type: ignore[call-overload]


def test_pandas_names_such_as_na_are_missing_values():
    """pandas 3.1.1: NA, nan, None and null in a CSV are missing values, so a treatment of that name is lost.

    `screen.rows.read_rows` reads text;
    `tests/screen/test_rows.py::test_a_value_that_looks_missing_to_pandas_is_a_name`.
    """
    assert read("drug,x\nNA,1\nNone,1\nnull,1\nnano,1\n")["drug"].isna().tolist() == [True, True, True, False]


def test_pandas_a_plate_1e05_is_a_hundred_thousand():
    """pandas 3.1.1: plates 1E05 and 2E05 become 100000.0 and 200000.0; 001 becomes 1.

    `screen.rows` and `profiles.profile_file` read names as text;
    `tests/screen/test_rows.py::test_only_plain_whole_numbers_are_numbers`.
    """
    assert read("plate\n1E05\n2E05\n")["plate"].tolist() == [100_000.0, 200_000.0]
    assert read("plate\n001\n")["plate"].tolist() == [1]


def test_pandas_a_field_too_many_shifts_the_columns():
    """pandas 3.1.1: if every row has a field more than the header, the first column becomes the index.

    `screen.rows._check_fields` and `profiles.profile_file._check_lengths` refuse such rows;
    `tests/screen/test_rows.py::test_a_broken_table_is_refused_with_file_line_and_reason`.
    """
    assert read("a,b\n1,2,3\n").to_dict("list") == {"a": [2], "b": [3]}


def test_pandas_a_short_row_is_filled():
    """pandas 3.1.1: a row with too few fields ends in missing values, as in a file that was cut off.

    Guards as for a field too many.
    """
    assert read("a,b\n1,2\n3\n")["b"].isna().tolist() == [False, True]


def test_pandas_a_repeated_column_gets_another_name():
    """pandas 3.1.1: the second column a is named a.1; it is read as another feature.

    `screen.rows._check_header` and `profiles.profile_file._check_header` refuse it;
    `tests/profiles/test_profile_file.py::test_a_damaged_file_is_one_line`.
    """
    assert list(read("a,a\n1,2\n")) == ["a", "a.1"]


def test_pandas_groups_leave_out_rows_without_a_key():
    """pandas 3.1.1: `groupby` drops rows whose key is missing, and `ngroup` numbers them NaN.

    Keys of the program's groups are never missing: `screen.rows` refuses empty ones where they are required.
    """
    table = pd.DataFrame({"plate": ["a", None, "b"], "x": [1, 2, 3]})
    assert table.groupby("plate")["x"].sum().sum() == 4
    assert np.isnan(table.groupby("plate").ngroup()[1])


def test_pandas_a_merge_joins_what_is_missing():
    """pandas 3.1.1: unlike SQL, a missing key is equal to a missing key, so rows without a well join each other."""
    left, right = pd.DataFrame({"well": ["A01", None]}), pd.DataFrame({"well": [None, "A01"], "x": [1, 2]})
    assert left.merge(right, on="well")["x"].tolist() == [2, 1]


def test_pandas_text_has_a_type_of_its_own():
    """pandas 3.1.1: text is `str`, no longer `object`; None in it is NaN, also after `astype(str)`.

    `profiles.profile_file.as_text` writes "" for it, and `object` for anndata;
    `tests/profiles/test_profile_file.py::test_a_table_comes_back_as_it_was`.
    """
    text = pd.Series(["a", None])
    assert text.dtype == "str"
    assert np.isnan(text[1])
    assert text.astype(str).isna().tolist() == [False, True]


def test_pandas_columns_are_joined_by_label_not_by_place():
    """pandas 3.1.1: a sum of two columns goes by index labels, in whatever order they stand.

    The program computes with arrays where rows are meant.
    """
    first, second = pd.Series([1, 2], ["a", "b"]), pd.Series([10, 20], ["b", "a"])
    assert (first + second).to_dict() == {"a": 21, "b": 12}


def test_pandas_a_standard_deviation_divides_by_n_less_one():
    """pandas 3.1.1: `std` of a column divides by n - 1, numpy's by n; of one well it is NaN, not 0.

    `profiles.profile_features` says that it divides by N.
    """
    assert pd.Series([1.0, 2.0]).std() != np.std([1.0, 2.0])
    assert np.isnan(pd.Series([1.0]).std())
