"""Encoders with parameters that nothing uses train in two processes, without DDP looking for unused ones."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

STEPS = """
import gc, sys, torch
sys.path.insert(0, "src")
from torch.nn.parallel import DistributedDataParallel
from rcic.learn.config.settings import Model
from rcic.learn.models import build_model
from rcic.learn.models.loss import Targets
torch.distributed.init_process_group("gloo")
for name in ("timm-tf_efficientnet_lite0", "tu-ghostnet_050"):
    model = DistributedDataParallel(build_model(Model(name, pretrained="none"), 5, 3))
    for _ in range(2):
        model.module.loss(model(torch.randn(2, 5, 64, 64)), Targets(torch.tensor([0, 1]))).backward()
    print("trained", name)
del model
gc.collect()  # DDP holds the process group, whose threads may still let go of Python objects: at exit that can abort
torch.distributed.destroy_process_group()
"""


def test_encoders_with_idle_parameters_train_in_two_processes(tmp_path):
    (tmp_path / "steps.py").write_text(STEPS)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        tmp_path / "steps.py",
    ]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0 and result.stdout.count("trained") == 4, result.stderr
