from pathlib import Path

import pytest
import torch

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table, sites_of


@pytest.mark.parametrize("workers", [0, 2])
def test_the_reference_loader_reads_the_sites_that_the_program_reads(monkeypatch, write_root, wells, workers):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from speed_reference import reference_loader

    root = write_root()
    sites = sites_of(site_table(wells))
    found = list(reference_loader(root, sites, (1, 3), 2, workers))
    height, width = FileStore(root).read(sites[0], (1,)).shape[1:]
    assert sum(len(images) for images, _ in found) == len(sites)
    images, numbers = found[0]
    assert images.shape == (2, 2, height, width) and images.dtype == torch.float32 and numbers.tolist() == [0, 1]
