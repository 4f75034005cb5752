"""Normalise a table of profiles with pycytominer: IN OUT, the output's type by its ending."""

import sys

import pandas as pd
from pycytominer import normalize

source, out = sys.argv[1:]
table = pd.read_parquet(source) if source.endswith(".parquet") else pd.read_csv(source)
names = [name for name in table if not name.startswith("Metadata_")]
kind = {"gz": "csv", "parquet": "parquet", "h5ad": "anndata_h5ad"}[out.rpartition(".")[2]]
normalize(table, features=names, samples="Metadata_pert_type == 'negcon'", output_file=out, output_type=kind)
