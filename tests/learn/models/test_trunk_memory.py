import pytest
import torch
from torch import nn

from rcic.learn.models import build_model
from rcic.learn.models.trunk_memory import activation_bytes
from tests.learn.models.small import bare

PLANE = 4 * 16 * 16  # bytes of a channel


@pytest.mark.parametrize(
    ("layers", "planes"),
    [
        ([], 2),
        ([nn.Conv2d(2, 4, 3, padding=1)], 2 + 4),
        ([nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True)], 2 + 4),
        ([nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()], 2 + 4 + 4),
        ([nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 3, padding=1)], 2 + 4 + 8),
    ],
)
def test_the_tensors_that_are_in_use_at_one_time(layers, planes):
    assert activation_bytes(nn.Sequential(*layers), (2, 16, 16)) == planes * PLANE


def test_four_times_the_area_takes_four_times_the_memory_in_any_type():
    network = build_model(bare("densenet_small"), 5, 3).double()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    small, large = (activation_bytes(network.trunk, (5, side, side)) for side in (64, 128))
    assert 3.9 < large / small < 4.1 and small > 5 * 4 * 64 * 64
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(tensor.dtype == torch.float64 for tensor in network.parameters())


class Picky(nn.Module):
    """A layer that the meta device cannot run: it looks at a value."""

    def forward(self, x):
        return x * 2 if float(x.sum()) == 0 else x


def test_what_the_meta_device_cannot_run_is_measured_where_it_is():
    trunk = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), Picky())
    assert activation_bytes(trunk, (2, 16, 16)) == pytest.approx((2 + 4 + 4) * PLANE, abs=64)
