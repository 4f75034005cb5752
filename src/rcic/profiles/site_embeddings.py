"""Embeddings of single sites, as embed-all keeps them with ``--by_site``."""

import numpy as np

from rcic.ensemble.well_arrays import read_array
from rcic.errors import UserError
from rcic.files.names import SITE_EMBEDDINGS
from rcic.files.record import check_files
from rcic.files.regular import is_there
from rcic.profiles.embeddings import Embedded


def read_sites(embedded: Embedded) -> np.ndarray:
    """Return the embeddings (N, S, D) of the sites of N embedded wells, NaN for a missing site.

    Raises UserError, naming the file, where sites were not kept, for damaged files, or another number of wells or
    dimensions than the wells' embeddings have; a site must be NaN as a whole or not at all.
    """
    path = embedded.path.with_name(embedded.path.stem + SITE_EMBEDDINGS)
    if not is_there(path):
        raise UserError(f"{path}: no such file; run embed-all --by_site, which keeps the embeddings of single sites")
    if embedded.record is not None and embedded.record.files:
        check_files(embedded.path.with_suffix(".json"), embedded.record, [path.name], "run embed-all --by_site again")
    sites = read_array(path, 3)
    wells, dimensions = embedded.vectors.shape
    if (len(sites), sites.shape[2]) != (wells, dimensions):
        raise UserError(f"{path}: shape {sites.shape}, but {embedded.path.name} has {wells} wells x {dimensions}")
    finite = np.isfinite(sites)
    partly = finite.any(axis=2) & ~finite.all(axis=2) | np.isinf(sites).any(axis=2)
    if partly.any():
        code = embedded.wells["id_code"].iloc[int(partly.any(axis=1).argmax())]
        raise UserError(f"{path}: NaN or infinity among the numbers of a site of {code}")
    return np.asarray(sites)
