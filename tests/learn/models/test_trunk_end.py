import pytest
import torch

from rcic.errors import UserError
from rcic.learn.models import build_backbone
from rcic.learn.models.trunk_end import cut_end
from tests.learn.models.small import tiny_model


def trunk_of(name, end):
    """Return a DenseNet whose last BN has weights that are not 1 and 0, cut; always the same weights."""
    torch.manual_seed(0)
    trunk = build_backbone(name).trunk
    last = next(module for path, module in trunk.named_modules() if path.endswith("norm5"))
    torch.nn.init.normal_(last.weight)
    torch.nn.init.normal_(last.bias)
    cut_end(trunk, end)
    return trunk.eval(), last.eval()


@pytest.mark.parametrize("name", ["densenet_small", "densenet121"])  # timm's, and that of pretrainedmodels
def test_what_is_cut_off_is_missing_and_nothing_else(name):
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (whole, _), (no_relu, _), (no_bn, last) = (trunk_of(name, end) for end in ("whole", "no_relu", "no_bn"))
        ends_in_relu, before_relu, before_bn = whole(image), no_relu(image), no_bn(image)
        normalized = (before_bn - last.running_mean[:, None, None]) / (last.running_var + last.eps).sqrt()[
            :, None, None
        ]
    assert before_relu.min() < 0 and torch.equal(before_relu.relu(), ends_in_relu)
    expected = normalized * last.weight[:, None, None] + last.bias[:, None, None]
    assert torch.allclose(expected, before_relu, atol=1e-4)
    assert no_relu.state_dict().keys() == whole.state_dict().keys()
    gone = whole.state_dict().keys() - no_bn.state_dict().keys()
    assert gone and all(".norm5." in key for key in gone)


def test_another_network_has_no_such_end():
    with pytest.raises(
        UserError, match=r"model.trunk_end is 'no_relu', but this network does not end with a BatchNorm"
    ):
        tiny_model(3, 4, trunk_end="no_relu")
