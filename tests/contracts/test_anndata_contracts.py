"""anndata beside pandas 3: what an h5ad takes and gives back."""

import numpy as np
import pandas as pd
import pytest

anndata = pytest.importorskip("anndata", reason="anndata is not installed: make contracts-all")
IGNORED = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@IGNORED
def test_anndata_cannot_write_the_text_of_pandas_3(tmp_path):
    """anndata 0.12.6 with pandas 3.1.1: a table of wells with text cannot be written; its index suffices.

    `profiles.profile_file._categories` writes categories of Python's strings;
    `tests/profiles/test_profile_file.py::test_a_table_comes_back_as_it_was`.
    """
    wells = pd.DataFrame({"well": ["A01", "A02"]}, index=["0", "1"])
    with pytest.raises(Exception, match="No method registered for writing"):
        anndata.AnnData(X=np.zeros((2, 1), np.float32), obs=wells).write_h5ad(tmp_path / "a.h5ad")


@IGNORED
def test_anndata_joins_tables_by_what_both_have():
    """anndata 0.12.6: `concat` keeps the features that all tables have, and repeats the names of wells.

    `profiles.profile_import` joins tables by pandas, which keeps all, and takes the mean of the rows of a well.
    """
    one = anndata.AnnData(X=np.zeros((2, 2), np.float32), var=pd.DataFrame(index=["f1", "f2"]))
    other = anndata.AnnData(X=np.zeros((2, 2), np.float32), var=pd.DataFrame(index=["f2", "f3"]))
    both = anndata.concat([one, other])
    assert list(both.var_names) == ["f2"]
    assert list(both.obs_names) == ["0", "1", "0", "1"]


@IGNORED
def test_anndata_features_may_have_one_name():
    """anndata 0.12.6: two features may have the same name; there is only a warning.

    `profiles.profile_file._check_header` refuses such a file.
    """
    table = anndata.AnnData(X=np.zeros((1, 2), np.float32), var=pd.DataFrame(index=["f", "f"]))
    assert list(table.var_names) == ["f", "f"]
