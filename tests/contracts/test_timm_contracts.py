"""timm: gradient checkpointing and its optimiser."""

import copy

import timm
import torch
from timm.optim import NAdamW
from torch import nn

FEW = 5  # steps


def test_checkpointing_moves_the_statistics_of_batchnorm_twice():
    """With ``set_grad_checkpointing`` the backward pass runs the blocks again, in training mode: statistics move twice.

    Seen in 1.0.31 on ``resnet10t``: counters of 2 after one batch, running means 1.9 times as far from zero. The
    program does not use it; with running statistics halve BatchNorm's momentum beside it.
    """
    torch.manual_seed(0)
    plain = timm.create_model("resnet10t", num_classes=0).train()
    checkpointed = copy.deepcopy(plain)
    checkpointed.set_grad_checkpointing(True)
    image = torch.randn(4, 3, 64, 64)
    for network in (plain, checkpointed):
        network(image).sum().backward()
    assert counts(plain) == {1}
    assert counts(checkpointed) == {1, 2}  # the stem's are outside of the blocks
    ratio = checkpointed.layer4[0].bn1.running_mean / plain.layer4[0].bn1.running_mean
    assert torch.allclose(ratio, torch.tensor(1.9), atol=0.01)


def counts(network: nn.Module) -> set[int]:
    return {int(buffer) for name, buffer in network.named_buffers() if name.endswith("num_batches_tracked")}


def moved(kind: type[torch.optim.Optimizer], **options: float) -> float:
    """Return how far one weight of 1 moves in a few steps of rate 0.01 along a growing gradient."""
    weight = nn.Parameter(torch.ones(1))
    optimizer = kind([weight], lr=0.01, weight_decay=0.01, **options)
    for step in range(FEW):
        weight.grad = torch.full((1,), 0.1 * (step + 1))
        optimizer.step()
    return float(1 - weight.detach())


def test_nadamw_moves_half_as_far_again_as_torchs():
    """timm's ``NAdamW`` moves 0.074 where ``torch.optim.NAdam(decoupled_weight_decay=True)`` moves 0.050.

    Seen in 1.0.31 and torch 2.14.1, over five steps of rate 0.01: torch warms Nesterov's momentum up (Dozat's 0.004),
    timm does not. The program has torch's (``rcic.learn.train.optim``); a rate from a timm recipe does not fit it.
    """
    timms, torchs = moved(NAdamW), moved(torch.optim.NAdam, decoupled_weight_decay=True)
    assert 1.4 < timms / torchs < 1.6
