import pytest
import torch
from torch import nn

from rcic.errors import UserError
from rcic.learn.models import build_backbone, known_backbones
from rcic.learn.models.stem import first_convolution, stem_convolutions, widen_stem
from tests.learn.tiny import shut


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 6, 9])
def test_filters_are_rgb_in_order_then_copied_again(channels):
    trunk = build_backbone("tiny").trunk
    rgb = first_convolution(trunk).weight.detach().clone()
    widen_stem(trunk, channels)
    wide = first_convolution(trunk).weight
    assert wide.shape == (8, channels, 3, 3) and wide.requires_grad
    for channel in range(channels):
        assert torch.allclose(wide[:, channel], rgb[:, channel % 3] * 3 / channels)


@pytest.mark.parametrize(
    ("how", "channels", "factor"),
    [("copy", n, 1) for n in (3, 6, 9)]
    + [("mean", n, 1) for n in (1, 3, 5, 6, 12)]
    + [("repeat", n, n / 3) for n in (3, 6, 12)],
)
def test_channels_that_vary_together_are_answered_as_before(how, channels, factor):
    one = torch.randn(4, 1, 32, 32)
    trunk = build_backbone("tiny").trunk
    before = first_convolution(trunk)(one.expand(-1, 3, -1, -1))
    widen_stem(trunk, channels, how)
    after = first_convolution(trunk)(one.expand(-1, channels, -1, -1))
    assert torch.allclose(factor * before, after, atol=1e-5)


def test_mean_gives_every_channel_the_same_filters():
    trunk = build_backbone("tiny").trunk
    rgb = first_convolution(trunk).weight.detach().clone()
    widen_stem(trunk, 5, "mean")
    for channel in range(5):
        assert torch.allclose(first_convolution(trunk).weight[:, channel], rgb.sum(dim=1) / 5)


def test_repeat_is_the_rgb_block_as_it_is():
    trunk = build_backbone("tiny").trunk
    rgb = first_convolution(trunk).weight.detach().clone()
    widen_stem(trunk, 6, "repeat")
    assert torch.equal(first_convolution(trunk).weight, torch.cat([rgb, rgb], dim=1))


def test_what_cannot_be_repeated_whole_is_refused():
    for channels in (1, 5, 7):
        with pytest.raises(UserError, match=rf"model.stem repeat needs 3, 6, 9, ... channels, not {channels}; use"):
            widen_stem(build_backbone("tiny").trunk, channels, "repeat")
    with pytest.raises(UserError, match=r"model.stem is 'twice', must be copy, mean, repeat or random"):
        widen_stem(build_backbone("tiny").trunk, 6, "twice")


@pytest.mark.parametrize("channels", [4, 5])
def test_the_answer_keeps_its_size_when_copies_are_uneven(channels):
    torch.manual_seed(0)
    one, trunk = torch.randn(4, 1, 32, 32), build_backbone("tf_efficientnet_lite0")
    trunk.load(None)
    before = first_convolution(trunk.trunk)(one.expand(-1, 3, -1, -1)).std()
    widen_stem(trunk.trunk, channels)
    assert 0.75 < first_convolution(trunk.trunk)(one.expand(-1, channels, -1, -1)).std() / before < 1.33


@pytest.mark.parametrize("how", ["copy", "repeat"])
def test_three_channels_are_left_alone(how):
    trunk = build_backbone("tiny").trunk
    weight = first_convolution(trunk).weight
    widen_stem(trunk, 3, how)
    assert first_convolution(trunk).weight is weight


@pytest.mark.parametrize("name", known_backbones())
def test_every_backbone_begins_with_a_convolution_of_three_channels(name):
    with torch.device("meta"):
        assert first_convolution(build_backbone(name).trunk).in_channels == 3


def test_another_beginning_is_refused():
    for trunk in (nn.Sequential(nn.Conv2d(48, 8, 1)), nn.Sequential(nn.Linear(3, 3))):
        with pytest.raises(UserError, match="does not begin with a convolution of three channels"):
            widen_stem(trunk, 5)


@pytest.mark.parametrize("channels", [1, 4, 5, 6])
def test_unscaled_filters_are_the_rgb_filters_themselves(channels):
    """Recipe A: channels 1-3 are R, G, B, channels 4 and 5 R and G; D and E: the mean."""
    for how in ("copy", "mean"):
        trunk = build_backbone("tiny").trunk
        rgb = first_convolution(trunk).weight.detach().clone()
        widen_stem(trunk, channels, how, "none")
        for channel in range(channels):
            expected = rgb[:, channel % 3] if how == "copy" else rgb.mean(dim=1)
            assert torch.equal(first_convolution(trunk).weight[:, channel], expected)


@pytest.mark.parametrize("channels", [3, 6])
def test_a_random_stem_is_torchs_new_convolution_and_the_rest_stays(channels):
    trunk = build_backbone("tiny").trunk
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    torch.manual_seed(7)
    widen_stem(trunk, channels, "random")
    torch.manual_seed(7)
    new = nn.Conv2d(channels, 8, 3, bias=False)
    assert torch.equal(first_convolution(trunk).weight, new.weight)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trunk.state_dict().items() if name != "0.weight")


@pytest.mark.parametrize(("name", "branches"), [("mobileone_s0", 2), ("tu-repvgg_a0", 2), ("tu-fastvit_t8", 2)])
def test_every_branch_that_reads_the_image_is_widened(name, branches):
    one = torch.randn(2, 1, 64, 64)
    trunk = shut(build_backbone(name).trunk)
    before = trunk(one.expand(-1, 3, -1, -1))
    widen_stem(trunk, 6)
    assert [layer.in_channels for layer in stem_convolutions(trunk)] == [6] * branches
    assert torch.allclose(trunk(one.expand(-1, 6, -1, -1)), before, atol=1e-4 * float(before.detach().abs().max()))


@pytest.mark.parametrize(("how", "factor"), [("copy", 1), ("mean", 1), ("repeat", 2)])
def test_filters_that_are_standardised_keep_their_response(how, factor):
    """As in networks without normalisation, whose scale is ``gain``; R, G and B are equal: ``mean`` loses nothing."""
    from timm.layers import ScaledStdConv2d

    one, trunk = torch.randn(2, 1, 16, 16), nn.Sequential(ScaledStdConv2d(3, 8, 3))
    trunk[0].weight.data.copy_(trunk[0].weight.data[:, :1].expand(-1, 3, -1, -1))
    before = trunk(one.expand(-1, 3, -1, -1))
    widen_stem(trunk, 6, how)
    after, bias = trunk(one.expand(-1, 6, -1, -1)), trunk[0].bias[:, None, None]
    assert torch.allclose(after - bias, factor * (before - bias), atol=0.01)


def test_a_network_that_rearranges_the_image_first_is_refused():
    with pytest.raises(UserError, match="does not begin with a convolution of three channels"):
        widen_stem(build_backbone("tu-tresnet_m").trunk, 5)
