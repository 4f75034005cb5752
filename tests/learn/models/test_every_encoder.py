"""Every encoder that the program accepts trains a step on 5 and on 6 channels, or is refused in one line.

``pytest -m slow tests/learn/models/test_every_encoder.py -k registered`` runs a part; others are ``smp`` and ``timm``.
"""

import gc

import pytest
import timm
import torch
from segmentation_models_pytorch.encoders import encoders

from rcic.errors import UserError
from rcic.learn.models import build_model, known_backbones
from rcic.learn.models.backbone import shapes_only
from rcic.learn.models.loss import Targets
from rcic.learn.models.stem import stem_convolutions
from rcic.learn.train.size_check import takes
from tests.learn.models.small import bare

# one network for every module of timm: the one of the shortest name
FAMILIES = [min(timm.list_models(module=module), key=lambda name: (len(name), name)) for module in timm.list_modules()]
NAMES = {"registered": known_backbones(), "smp": list(encoders), "timm": [f"tu-{name}" for name in FAMILIES]}
REFUSED = ("cannot be built", "does not begin with a convolution of three channels")


def a_step(name: str, channels: int, side: int) -> None:
    torch.manual_seed(0)
    model = build_model(bare(name), channels, 3)
    assert {layer.in_channels for layer in stem_convolutions(model.trunk)} == {channels}
    output = model(torch.randn(2, channels, side, side))
    loss = model.loss(output, Targets(torch.tensor([0, 2])))
    loss.backward()
    assert torch.isfinite(loss)
    learning = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert [key for key, value in learning.items() if value.grad is None or not value.grad.isfinite().all()] == []
    with torch.no_grad():
        for parameter in learning.values():
            parameter -= 1e-4 * parameter.grad
    model.eval()
    with torch.no_grad():
        assert torch.isfinite(model(torch.randn(2, channels, side, side)).embedding).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"{part}-{name}") for part, names in NAMES.items() for name in names]
)
def test_an_encoder_trains_or_is_refused(name):
    try:
        trunk = shapes_only(name).eval()
        side = next(side for side in (64, 96, 128, 192, 224, 256, 299, 384, 512) if takes(trunk, 3, side))
        for channels in (5, 6):
            a_step(name, channels, side)
            gc.collect()
    except UserError as error:
        assert name.startswith("tu-") and any(words in str(error) for words in REFUSED) and "\n" not in str(error)
        pytest.skip(str(error))
