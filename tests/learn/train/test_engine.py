from typing import cast

import pytest
import torch

from rcic.errors import UserError
from rcic.learn.config.settings import Train
from rcic.learn.predict.device import pick_device
from rcic.learn.train.engine import build_engine, check_precision, shares_gpu


def test_a_device_is_cpu_or_cuda():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="device is 'gpu', must be auto, cpu or cuda"):
        pick_device("gpu")


def test_a_gpu_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="device is cuda, but torch sees no GPU"):
        pick_device("cuda")


def test_half_precision_needs_a_gpu():
    with pytest.raises(UserError, match=r"train.precision fp16 needs a GPU; on a CPU use bf16 or fp32"):
        check_precision("fp16", "cpu")
    for precision, device in (("fp16", "cuda"), ("bf16", "cpu"), ("fp32", "cpu")):
        check_precision(precision, device)


@pytest.mark.parametrize(("precision", "name"), [("fp32", "no"), ("bf16", "bf16")])
def test_the_engine_has_the_configs_precision(precision, name):
    engine = build_engine(Train(precision=precision, device="cpu"), some_frozen=False)
    assert engine.mixed_precision == name and engine.device.type == "cpu"


def test_metrics_are_reduced_already():
    engine = build_engine(Train(precision="fp32", device="cpu"), some_frozen=True)
    assert engine.mean_reduce_ddp_metrics({"loss": 1.5}) == {"loss": 1.5}


@pytest.mark.parametrize(
    ("processes", "gpus", "shared"), [(None, 1, False), ("1", 1, False), ("2", 1, True), ("2", 2, False)]
)
def test_processes_may_share_a_gpu(monkeypatch, processes, gpus, shared):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert shares_gpu() == shared


@pytest.mark.parametrize(("gpus", "backends"), [(1, ["gloo"]), (2, [])])
def test_processes_that_share_a_gpu_talk_through_gloo(monkeypatch, gpus, backends):
    """Which nccl refuses."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("rcic.learn.train.engine.GpuEngine", lambda **words: words)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    words = cast(dict, build_engine(Train(device="cuda"), some_frozen=True))
    assert [one.backend for one in words["kwargs_handlers"] if hasattr(one, "backend")] == backends
