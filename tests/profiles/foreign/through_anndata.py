"""Read an h5ad with anndata, and write it again: IN OUT; a numeric metadatum goes into X, as pycytominer has it."""

import sys

import anndata
import numpy as np

data = anndata.read_h5ad(sys.argv[1])
assert set(data.obs) >= {"Metadata_Plate", "Metadata_Well", "Metadata_pert_type"}, list(data.obs)
assert data.X.dtype == np.float32 and not any(name.startswith("Metadata") for name in data.var_names)
number = anndata.AnnData(X=np.ones((data.n_obs, 1), np.float32), obs=data.obs)
number.var_names = ["Metadata_Replicate"]
both = anndata.concat([data, number], axis="var", merge="first")
both.write_h5ad(sys.argv[2])
