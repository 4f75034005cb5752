"""BatchNorm as part of the convolution before it: the same answers, and nothing where it cannot be."""

import pytest
import torch
from torch import nn

from rcic.learn.models import build_backbone
from rcic.learn.models.folding import folded
from rcic.learn.models.plate_batchnorm import batch_norms


def trained(name: str) -> nn.Module:
    """Return a trunk with statistics, scales and shifts as after a training."""
    torch.manual_seed(0)
    return with_statistics(build_backbone(name).trunk)


def with_statistics(trunk: nn.Module) -> nn.Module:
    for layer in batch_norms(trunk):
        layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
        if layer.weight is not None:
            nn.init.uniform_(layer.weight, -1.5, 1.5), nn.init.normal_(layer.bias)
    return trunk.eval()


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("se_resnext_small", 0),
        ("densenet_small", 20),  # a dense layer's first BatchNorm reads what several convolutions made
        ("densenetblur_small", 20),
        ("tf_efficientnet_lite0", 0),
        ("efficientnet-b0", 0),
        ("resnet18", 0),
        ("tiny", 0),
    ],
)
def test_it_answers_as_before_with_fewer_layers(name, left):
    trunk = trained(name)
    images = torch.randn(3, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    before, state = trunk(images), {key: value.clone() for key, value in trunk.state_dict().items()}
    fewer = folded(trunk, 3)
    assert len(batch_norms(fewer)) == left < len(batch_norms(trunk))
    torch.testing.assert_close(fewer(images), before, rtol=1e-4, atol=1e-4 * float(before.detach().abs().max()))
    assert all(torch.equal(value, state[key]) for key, value in trunk.state_dict().items())


class Shared(nn.Module):
    """Layers that only look as if they could be folded."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.conv, self.norm = kind, nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.again = nn.Conv2d(4, 4, 1) if kind == "norm twice" else None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.conv(image)
        if self.kind == "convolution beside it":
            return x + self.norm(x)
        if self.kind == "norm twice":
            return self.norm(self.again(self.norm(x)))
        if self.kind == "convolution twice":
            return self.norm(x) + self.conv(image.flip(3))
        return self.norm(x.relu())


@pytest.mark.parametrize("kind", ["convolution beside it", "norm twice", "convolution twice", "relu between"])
def test_what_is_used_elsewhere_stays(kind):
    trunk = with_statistics(Shared(kind))
    assert folded(trunk, 3) is trunk


@pytest.mark.parametrize("trunk", [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(5, 4, 3)])
def test_a_trunk_without_any_or_for_other_images_stays(trunk):
    assert folded(trunk, 3) is trunk


def test_without_scale_and_with_bias():
    trunk = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4, affine=False)))
    images = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(folded(trunk, 3)(images), trunk(images))
    assert not batch_norms(folded(trunk, 3))
