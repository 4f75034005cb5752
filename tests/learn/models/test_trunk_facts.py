import pytest
import torch
from torch import nn

from rcic.errors import UserError
from rcic.learn.models.classifier import _freeze_idle
from rcic.learn.models.trunk_facts import measure_trunk


class Branches(nn.Module):
    """Two convolutions on the image, one on three channels made from it, and a layer that nothing uses."""

    def __init__(self):
        super().__init__()
        self.later = nn.Conv2d(3, 4, 1)
        self.wide, self.narrow = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.norm, self.dropout = nn.BatchNorm2d(4).eval(), nn.Dropout()
        self.unused = nn.Linear(3, 3)

    def forward(self, image):
        return self.dropout(self.norm(self.later(self.wide(image) + self.narrow(image.relu()))))


class Decides(Branches):
    """A network that looks at numbers, which the meta device does not have."""

    def forward(self, image):
        return super().forward(image) * (2 if image.sum().item() == 0 else 1)


@pytest.mark.parametrize("kind", [Branches, Decides])
def test_layers_on_the_image_and_idle_parameters_are_found_without_a_trace(kind):
    trunk = kind()
    state = {key: value.clone() for key, value in trunk.state_dict().items()}
    random, modes = torch.get_rng_state(), [module.training for module in trunk.modules()]
    facts = measure_trunk(trunk, 3)
    assert facts.stem == (trunk.wide, trunk.narrow) and facts.shape == (1, 4, 224, 224)
    assert facts.idle == ("unused.weight", "unused.bias")
    assert facts.last is (trunk.dropout if kind is Branches else None)
    assert torch.equal(random, torch.get_rng_state()) and modes == [module.training for module in trunk.modules()]
    assert all(torch.equal(value, state[key]) for key, value in trunk.state_dict().items())
    assert all(parameter.grad is None for parameter in trunk.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in trunk.modules())


def test_idle_parameters_are_frozen_and_no_other():
    trunk = Branches()
    _freeze_idle(trunk, 3)
    frozen = [key for key, parameter in trunk.named_parameters() if not parameter.requires_grad]
    assert frozen == ["unused.weight", "unused.bias"]


def test_what_does_not_take_the_channels_or_makes_no_map_is_refused():
    with pytest.raises(UserError, match="this model cannot be widened to images of 5 channels"):
        _freeze_idle(Branches(), 5)
    with pytest.raises(UserError, match=r"features of shape \(150528,\), not a feature map of height and width"):
        _freeze_idle(nn.Flatten(), 3)
