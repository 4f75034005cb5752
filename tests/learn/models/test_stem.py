import pytest
import torch
from torch import nn

from rcic.errors import UserError
from rcic.learn.models import build_backbone, known_backbones
from rcic.learn.models.stem import widen_stem


def first_convolution(trunk):
    return next(module for module in trunk.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 6, 9])
def test_filters_are_rgb_in_order_then_copied_again(channels):
    trunk = build_backbone("tiny").trunk
    rgb = first_convolution(trunk).weight.detach().clone()
    widen_stem(trunk, channels)
    wide = first_convolution(trunk).weight
    assert wide.shape == (8, channels, 3, 3) and wide.requires_grad
    for channel in range(channels):
        assert torch.allclose(wide[:, channel], rgb[:, channel % 3] * 3 / channels)


@pytest.mark.parametrize("channels", [3, 6, 9])
def test_channels_that_vary_together_are_answered_as_before(channels):
    one = torch.randn(4, 1, 32, 32)
    trunk = build_backbone("tiny").trunk
    before = first_convolution(trunk)(one.expand(-1, 3, -1, -1))
    widen_stem(trunk, channels)
    after = first_convolution(trunk)(one.expand(-1, channels, -1, -1))
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("channels", [4, 5])
def test_the_answer_keeps_its_size_when_copies_are_uneven(channels):
    torch.manual_seed(0)
    one, trunk = torch.randn(4, 1, 32, 32), build_backbone("tf_efficientnet_lite0")
    trunk.load(None)
    before = first_convolution(trunk.trunk)(one.expand(-1, 3, -1, -1)).std()
    widen_stem(trunk.trunk, channels)
    assert 0.75 < first_convolution(trunk.trunk)(one.expand(-1, channels, -1, -1)).std() / before < 1.33


def test_three_channels_are_left_alone():
    trunk = build_backbone("tiny").trunk
    weight = first_convolution(trunk).weight
    widen_stem(trunk, 3)
    assert first_convolution(trunk).weight is weight


@pytest.mark.parametrize("name", known_backbones())
def test_every_backbone_begins_with_a_convolution_of_three_channels(name):
    assert first_convolution(build_backbone(name).trunk).in_channels == 3


def test_another_beginning_is_refused():
    for trunk in (nn.Sequential(nn.Conv2d(48, 8, 1)), nn.Sequential(nn.Linear(3, 3))):
        with pytest.raises(UserError, match="does not begin with a convolution of three channels"):
            widen_stem(trunk, 5)
