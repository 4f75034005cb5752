"""Random histories of a user's work: no command gives an answer that is not true (`tests.properties.histories`).

RCIC_HISTORY_STEPS and RCIC_HISTORY_SEED set the length and the seed of the long walk.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rcic.learn.models.stem import widen_stem
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.tta import views
from rcic.pixels.images.file_store import grey
from tests.properties.histories import PLANTED, plan
from tests.properties.readout import CLIPS, PHENOTYPES, VIEWS, Readout, code_of, draw, embedded_codes

ROOT = Path(__file__).parents[2]
STEPS, SEED = os.environ.get("RCIC_HISTORY_STEPS", "2000"), os.environ.get("RCIC_HISTORY_SEED", "7")


def walked(*words: object) -> tuple[int, str]:
    """Walk a history in a process of its own, which forks; return its exit code and the end of what it printed."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, **threads, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "tests.properties.histories", *map(str, words)]
    told = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    return told.returncode, (told.stdout + told.stderr)[-6000:]


@pytest.mark.long
def test_no_answer_of_a_short_history_is_wrong(tmp_path):
    code, told = walked("--seed=0", "--steps=45", f"--root={tmp_path}/history")
    assert code == 0, told
    assert "| renew | 1 |" in told


@pytest.mark.slow
def test_no_answer_of_a_long_history_is_wrong(tmp_path, capsys):
    code, told = walked(f"--seed={SEED}", f"--steps={STEPS}", f"--root={tmp_path}/history", "--shrink=600")
    assert code == 0, told
    with capsys.disabled():
        print(f"\n{told}")


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(tmp_path, fault):
    code, told = walked("--seed=1", "--steps=600", f"--root={tmp_path}/history", "--plant", fault)
    assert code == 1, told


def test_a_history_is_that_of_its_seed():
    assert plan(3, 80) == plan(3, 120)[:80] != plan(4, 80)
    assert plan(3, 101)[0][0] == plan(3, 101)[50][0] == plan(3, 101)[100][0] == "renew"


def readout(in_channels: int) -> Readout:
    """Return the trunk for this number of channels, as `build_model` makes it."""
    trunk = Readout()
    widen_stem(trunk, in_channels)
    return trunk


FIELDS = {"place": 411, "site": 2, "stain": 1, "version": 37, "phenotype": 21}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("clip", range(len(CLIPS)))
def test_the_network_reads_what_was_drawn_in_any_view_and_with_any_levels(view, clip):
    other = FIELDS | {"stain": 2, "version": 5}
    pictures = [grey(draw(fields, noise), (0, CLIPS[clip])) for noise, fields in enumerate((FIELDS, other))]
    batch = normalize(torch.from_numpy(np.stack(pictures)[None]))
    features = readout(2).eval()(next(views(batch, (view,))))[..., 0, 0].detach().numpy()
    np.testing.assert_allclose(embedded_codes(features), code_of([FIELDS, other], [clip, clip], [view]), atol=0.02)
    assert features[0, :PHENOTYPES].argmax() == 21 and features[0, :PHENOTYPES].sum() == 1


def test_a_place_that_was_seen_in_training_is_known():
    network, batch = readout(1), normalize(torch.from_numpy(draw(FIELDS)[None, None]))
    codes = []
    for is_training in (False, True, False):
        codes.append(embedded_codes(network.train(is_training)(batch)[..., 0, 0].detach().numpy()).item())
    known = code_of([FIELDS], [0], ["identity"], seen=True)
    assert codes[0] == pytest.approx(code_of([FIELDS], [0], ["identity"]), abs=0.02)
    assert codes[2] == pytest.approx(known, abs=0.02) and codes[0] < codes[2]
