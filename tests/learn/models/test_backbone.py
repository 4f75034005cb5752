import pytest
import torch
from torch import nn

from rcic.errors import UserError
from rcic.learn.models import build_backbone, build_model, known_backbones
from rcic.learn.models.backbone import shapes_only
from tests.learn.models.small import bare, tiny_model
from tests.learn.tiny import shut

WIDTHS = {
    "densenet121": 1024,
    "densenet161": 2208,
    "densenet201": 1920,
    "densenet_small": 136,
    "densenetblur121d": 1024,
    "densenetblur_small": 136,
    "se_resnext101_32x4d": 2048,
    "se_resnext50_32x4d": 2048,
    "se_resnext_small": 1024,
    "tf_efficientnet_lite0": 1280,
    "tiny": 32,
}
ENCODERS = {
    "densenet169": 1664,
    "efficientnet-b3": 1536,
    "efficientnet-b5": 2048,
    "mobileone_s0": 1024,
    "resnet18": 512,
    "timm-efficientnet-b0": 1280,
    "timm-tf_efficientnet_lite0": 1280,
    "tu-fastvit_t8": 768,
    "tu-mobilenetv3_small_050": 288,
    "tu-resnetv2_18": 512,
}
SMALL = ("densenet_small", "densenetblur_small", "se_resnext_small", "tf_efficientnet_lite0", "tiny", "resnet18")


def test_the_registry_is_what_the_readme_promises():
    assert known_backbones() == sorted(WIDTHS)


@pytest.mark.parametrize("name", [*known_backbones(), *ENCODERS])
def test_any_channels_any_size(name):
    """On torch's device of shapes without numbers, where the largest network costs nothing."""
    with torch.device("meta"):
        model = shut(build_model(bare(name), 5, 7))
        for size in ((64, 64), (65, 49)):
            output = model(torch.randn(2, 5, *size))
            assert output.logits.shape == (2, 7) and output.logits.dtype == torch.float32
            assert output.embedding.shape == (2, (WIDTHS | ENCODERS)[name])


@pytest.mark.parametrize("name", SMALL)
def test_the_logits_are_read_from_the_embedding(name):
    model = shut(build_model(bare(name), 5, 7))
    _, logits, embedding = model(torch.randn(2, 5, 64, 64))
    assert torch.isfinite(logits).all() and torch.equal(logits, model.forward_head(embedding))
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("name", ["tiny", "tf_efficientnet_lite0", "resnet18"])
def test_any_number_of_channels(name, channels):
    logits = shut(build_model(bare(name), channels, 4))(torch.randn(1, channels, 33, 40)).logits
    assert logits.shape == (1, 4) and torch.isfinite(logits).all()


@pytest.mark.parametrize("name", [*SMALL, "densenet121", "efficientnet-b0", "timm-efficientnet-b0", "mobileone_s0"])
def test_every_parameter_of_a_network_learns(name):
    model = build_model(bare(name), 6, 3)
    model(torch.randn(4, 6, 64, 64)).logits.square().sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []


def test_what_a_network_keeps_for_its_imagenet_head_is_frozen():
    model = build_model(bare("tu-ghostnet_050"), 5, 3)
    model(torch.randn(2, 5, 64, 64)).logits.square().sum().backward()
    idle = {key for key, value in model.named_parameters() if value.grad is None}
    assert idle == {key for key, value in model.named_parameters() if not value.requires_grad}
    assert idle == {"trunk.network.conv_head.weight", "trunk.network.conv_head.bias"}


def test_the_momentum_of_every_batchnorm_is_the_configs():
    for name in ("densenetblur_small", "efficientnet-b0"):
        model = build_model(bare(name, head="neck", bn_momentum=0.05), 6, 3)
        layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
        assert len(layers) > 20 and {layer.momentum for layer in layers} == {0.05}


def test_blur_has_no_weights_of_its_own():
    from timm.layers import BlurPool2d  # a few seconds, that collecting the tests need not take

    plain, blurred = (build_backbone(name).trunk for name in ("densenet_small", "densenetblur_small"))
    assert plain.state_dict().keys() == blurred.state_dict().keys()
    assert sum(isinstance(layer, BlurPool2d) for layer in blurred.modules()) == 4  # the stem and three transitions


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(
        UserError, match=r"model\.name is 'se_resnext50_32x4', which is unknown; did you mean 'se_resnext50_32x4d'"
    ):
        build_backbone("se_resnext50_32x4")
    with pytest.raises(
        UserError, match=r"model\.name is 'mobilenet_v3', which is unknown; did you mean 'mobilenet_v2'"
    ):
        build_backbone("mobilenet_v3")
    for name in ("tu-nonsense", "tu-vit_tiny_patch16_224", "tu-nest_tiny"):
        with pytest.raises(UserError, match=f"model '{name}' cannot be built: [^\\n]+$"):
            build_backbone(name)


def test_a_model_needs_a_channel_and_two_classes():
    for channels, classes in ((0, 5), (3, 1)):
        with pytest.raises(UserError, match="at least 1 channel and 2 classes"):
            tiny_model(channels, classes)


@pytest.mark.parametrize("name", ["densenet121", "densenet169", "xception", "tu-resnetv2_18", "tu-dpn68"])
def test_the_output_after_the_last_norm_is_not_negative(name):
    embedding = shut(build_model(bare(name), 3, 2))(torch.randn(1, 3, 64, 64)).embedding
    assert (embedding >= 0).all() and (embedding > 0).any()


def test_an_encoder_that_computes_numbers_when_it_is_built_has_its_shapes_measured():
    random = torch.get_rng_state()
    assert shapes_only("mit_b0")(torch.empty(1, 3, 64, 64, device="meta")).shape == (1, 256, 2, 2)
    assert torch.equal(random, torch.get_rng_state())
