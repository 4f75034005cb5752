import pytest
import torch

from rcic.errors import UserError
from rcic.learn.models import build_backbone, build_model, known_backbones
from tests.learn.tiny import shut

WIDTHS = {
    "densenet121": 1024,
    "se_resnext101_32x4d": 2048,
    "se_resnext50_32x4d": 2048,
    "tf_efficientnet_lite0": 1280,
    "tiny": 32,
}


def test_the_registry_is_what_the_readme_promises():
    assert known_backbones() == sorted(WIDTHS)


@pytest.mark.parametrize("name", [*known_backbones(), "resnet18", "tu-mobilenetv3_small_050"])
def test_any_channels_any_size(name):
    model = shut(build_model(name, 5, 7))
    for size in ((64, 64), (65, 49)):
        logits, embedding = model(torch.randn(2, 5, *size))
        assert logits.shape == (2, 7) and logits.dtype == torch.float32
        assert embedding.shape == (2, model.head.in_features) == (2, WIDTHS.get(name, model.head.in_features))
        assert torch.equal(logits, model.forward_head(embedding))
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("name", ["tiny", "tf_efficientnet_lite0", "resnet18"])
def test_any_number_of_channels(name, channels):
    logits, _ = shut(build_model(name, channels, 4))(torch.randn(1, channels, 33, 40))
    assert logits.shape == (1, 4) and torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["tiny", "tf_efficientnet_lite0", "densenet121"])
def test_every_parameter_of_a_network_learns(name):
    model = build_model(name, 6, 3)
    model(torch.randn(4, 6, 64, 64)).logits.square().sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(UserError, match="unknown model 'se_resnext50_32x4'; did you mean 'se_resnext50_32x4d'"):
        build_backbone("se_resnext50_32x4")
    with pytest.raises(UserError, match="unknown model 'mobilenet_v3'; did you mean 'mobilenet_v2'"):
        build_backbone("mobilenet_v3")
    with pytest.raises(UserError, match="model 'tu-nonsense' cannot be built"):
        build_backbone("tu-nonsense")


def test_a_model_needs_a_channel_and_two_classes():
    for channels, classes in ((0, 5), (3, 1)):
        with pytest.raises(UserError, match="at least 1 channel and 2 classes"):
            build_model("tiny", channels, classes)


def test_the_output_of_densenet_is_not_negative():
    _, embedding = shut(build_model("densenet121", 3, 2))(torch.randn(1, 3, 64, 64))
    assert (embedding >= 0).all() and (embedding > 0).any()
