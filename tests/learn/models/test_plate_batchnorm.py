import numpy as np
import pytest
import torch
from torch import nn

from rcic.learn.models import build_model
from rcic.learn.models.plate_batchnorm import MEMORY, batch_norms, own_statistics, portions, sites_at_once
from tests.learn.models.small import bare, tiny_model

MOST = 128  # sites of a portion in these tests


def images(n, seed=0):
    """Return (n, 2, 12, 12) float64, the later the brighter."""
    noise = torch.randn(n, 2, 12, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise * 2 + torch.linspace(-1, 3, n, dtype=torch.float64)[:, None, None, None]


def used(network):
    """Return the network in float64, its statistics away from where they start."""
    network.double()(images(8, seed=1))
    return network


def state(network):
    """Return copies of all that plate statistics touch: buffers and momenta."""
    momenta = [layer.momentum for layer in batch_norms(network)]
    return momenta, {name: buffer.clone() for name, buffer in network.named_buffers()}


def same_state(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 300, 1000])
def test_portions_hold_every_site_once(n):
    parts = portions(n, MOST)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= MOST and max(sizes) - min(sizes) <= 1 and len(parts) == -(-n // MOST)
    assert all(np.array_equal(one, other) for one, other in zip(parts, portions(n, MOST), strict=True))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize(
    ("site_bytes", "n"),
    [(MEMORY // 1000, 1000), (80 * 2**20, 51), (MEMORY // 32, 32), (MEMORY // 31, 32), (2 * MEMORY, 32)],
)
def test_a_portion_fits_into_memory_and_is_never_too_small_for_statistics(site_bytes, n):
    assert sites_at_once(site_bytes) == n


def test_a_portion_is_a_mix_of_the_plate():
    assert all(abs(part.mean() - 500) < 80 for part in portions(1000, MOST))


@pytest.mark.parametrize("head", ["linear", "neck", "linear_bn"])
@pytest.mark.parametrize("n", [2, 9, MOST])
def test_statistics_of_a_plate_are_those_of_one_batch(head, n):
    """In training mode of BatchNorm a whole plate in one pass is normalised by its own mean and variance."""
    network, plate = used(tiny_model(2, 3, head=head, width=8)), images(n)
    assert len(batch_norms(network)) == {"linear": 3, "neck": 6, "linear_bn": 4}[head]
    with torch.no_grad():
        network.eval()
        before, running = state(network), network(plate)
        for layer in batch_norms(network):
            layer.train()
        together = network(plate)
        network.load_state_dict(before[1], strict=False)
        with own_statistics(network, n, lambda numbers: network(plate[numbers]), MOST) as measured:
            assert not any(module.training for module in network.modules())
            fixed = network(plate)
            alone = torch.cat([network(plate[[number]]).logits for number in range(n)])
    torch.testing.assert_close(fixed.logits, together.logits, rtol=1e-9, atol=1e-9)
    for name in ("logits", "embedding"):
        torch.testing.assert_close(getattr(measured, name), getattr(fixed, name), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fixed.embedding, together.embedding, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(alone, fixed.logits, rtol=1e-9, atol=1e-9)
    assert (fixed.logits - running.logits).abs().max() > 1e-3


def test_the_first_layer_sees_all_portions():
    """Of 301 sites in three unequal portions the first BatchNorm gets the mean and variance of every pixel."""
    network, plate = used(tiny_model(2, 3)), images(301)
    seen = []
    with torch.no_grad():
        maps = network.trunk[0](plate)
        with own_statistics(
            network, 301, lambda numbers: (seen.append(len(numbers)), network(plate[numbers])), MOST
        ) as measured:
            layer = batch_norms(network)[0]
            torch.testing.assert_close(layer.running_mean, maps.mean((0, 2, 3)), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(layer.running_var, maps.var((0, 2, 3), correction=0), rtol=1e-12, atol=0)
    assert sorted(seen) == [100, 100, 101] and measured is None


def test_no_portion_is_larger_than_allowed():
    network, plate, seen = used(tiny_model(2, 3)), images(70), []
    with (
        torch.no_grad(),
        own_statistics(network, 70, lambda numbers: (seen.append(len(numbers)), network(plate[numbers])), 32),
    ):
        pass
    assert seen == [24, 23, 23]


@pytest.mark.parametrize("where", ["first pass", "block", "nowhere"])
@pytest.mark.parametrize("momentum", [0.05, None])
def test_the_network_is_as_it_was_afterwards(where, momentum):
    network, plate = used(tiny_model(2, 3, head="neck", width=8)), images(150)
    for layer in batch_norms(network):
        layer.momentum = momentum
    network.train()
    before = state(network)

    def forward(numbers):
        network(plate[numbers])
        if where == "first pass":
            raise KeyboardInterrupt

    def judge():
        with own_statistics(network, 150, forward, MOST):
            assert not same_state(state(network), before)
            if where == "block":
                raise KeyboardInterrupt

    with torch.no_grad():
        if where == "nowhere":
            judge()
        else:
            with pytest.raises(KeyboardInterrupt):
                judge()
    assert same_state(state(network), before)
    assert not any(module.training for module in network.modules())
    assert not any(layer._forward_hooks for layer in batch_norms(network))


def test_only_batch_norm_is_in_training_mode_in_the_first_pass():
    network, plate = used(tiny_model(2, 3, head="neck", width=8, dropout=0.5)), images(6)
    modes = []

    def forward(numbers):
        modes.extend((type(module).__name__, module.training) for module in network.modules())
        network(plate[numbers])

    with torch.no_grad(), own_statistics(network, 6, forward, MOST):
        pass
    assert {name for name, training in modes if training} == {"BatchNorm2d", "BatchNorm1d"}
    assert ("Dropout", False) in modes


@pytest.mark.parametrize("norm", [lambda: nn.GroupNorm(2, 4), nn.Identity])
def test_a_network_without_batch_norm_needs_no_first_pass(norm):
    network = nn.Sequential(nn.Conv2d(2, 4, 3), norm(), nn.Flatten(), nn.Linear(400, 3))
    plate = images(5).float()
    with torch.no_grad():
        alone = network(plate)
        with own_statistics(network, 5, lambda numbers: pytest.fail(f"asked for {numbers}"), MOST) as measured:
            assert measured is None
            assert torch.equal(network(plate), alone)
    assert batch_norms(network) == []


def test_batch_norm_of_a_real_backbone_is_found():
    network = build_model(bare("densenet121", head="neck"), 5, 3)
    assert len(batch_norms(network)) == 121 + 3
