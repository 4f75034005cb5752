"""accelerate: what it does to a network, and to batches that are whole plates."""

from collections.abc import Iterator

import pytest
import torch
from accelerate import Accelerator
from accelerate.data_loader import BatchSamplerShard
from accelerate.state import AcceleratorState, GradientState
from torch import nn

# the wells of six plates; the last of each pair is short, or none is
SHORT = [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9], [10, 11, 12], [13, 14, 15, 16], [17, 18, 19, 20]]


class Plates:
    """A batch sampler whose batches are whole plates."""

    batch_size, drop_last = 4, False

    def __init__(self, batches: list[list[int]]):
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    """An accelerator for bf16 on the CPU; accelerate keeps one state for the whole process."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


@torch.no_grad()
def test_prepare_patches_the_network_that_it_is_given(accelerator):
    """``prepare`` returns the same network with another ``forward``: outside of training, too, it computes in bf16.

    Seen in 0.34.2. The network cannot be used beside the training as it was. The program saves tensors only
    (``save_checkpoint`` in ``rcic.learn.runs.checkpoint``) and predicts with a network built anew
    (``rcic.learn.predict.trained_member``); ``test_validation_says_what_predict_all_says`` compares both.
    """
    torch.manual_seed(0)
    network, x = nn.Linear(64, 8), torch.randn(2, 64)
    before = network(x)
    assert accelerator.prepare(network) is network
    assert "forward" in vars(network)
    assert (network(x) - before).abs().max() > 1e-4


def test_plates_shorter_than_the_batch_size_reach_no_process():
    """Sharded over two processes, a short plate and the plate beside it reach neither: they are silently left out.

    Seen in 0.34.2 and 1.15.0: a pair is handed out when its last batch is as long as the batch size. Here 13 of 21
    wells are lost. The program splits by rank itself and never lets accelerate shard (``_setup_loaders`` in
    ``rcic.learn.train.runner``); without that ``test_two_processes_are_as_one`` fails.
    """
    shards = [BatchSamplerShard(Plates(SHORT), 2, rank, even_batches=False) for rank in range(2)]
    seen = {well for shard in shards for batch in shard for well in batch}
    assert seen == {13, 14, 15, 16, 17, 18, 19, 20}


def test_sharded_plates_are_filled_up_with_wells_of_others():
    """With ``even_batches``, the default, a last short plate gets wells of the first one to be as long as the others.

    Seen in 0.34.2 and 1.15.0: BatchNorm of the plate would see another plate's wells. The program does not shard so.
    """
    shards = [list(BatchSamplerShard(Plates([*SHORT[4:], [21]]), 2, rank)) for rank in range(2)]
    assert shards == [[[13, 14, 15, 16], [21, 13, 14, 15]], [[17, 18, 19, 20], [16, 17, 18, 19]]]
