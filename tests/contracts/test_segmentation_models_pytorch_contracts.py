"""segmentation-models-pytorch: encoders that are not the networks that their weights were trained in."""

import pytest
import timm
import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")  # names that begin with "timm-" are deprecated


def encoder(name: str) -> nn.Module:
    torch.manual_seed(0)
    return get_encoder(name, in_channels=3, depth=5, weights=None)


def epsilons(network: nn.Module) -> set[float]:
    return {layer.eps for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)}


@torch.no_grad()
def test_timm_tf_efficientnet_lite0_is_not_the_network_of_its_weights():
    """The encoder has another padding and another epsilon than TensorFlow's network, whose weights it loads.

    Seen in 0.6.0 with timm 1.0.31: with equal weights its features differ by 74 % of their norm from those of timm's
    ``tf_efficientnet_lite0``, and every tensor's name fits. The program builds timm's (``_tensorflow_efficientnet`` in
    ``rcic.learn.models.backbone``); without that
    ``test_an_encoder_gives_the_features_that_timms_classifier_sees`` fails.
    """
    ours = encoder("timm-tf_efficientnet_lite0").eval()
    theirs = timm.create_model("tf_efficientnet_lite0", num_classes=0, global_pool="").eval()
    assert not theirs.load_state_dict(ours.state_dict(), strict=False).missing_keys
    image = torch.randn(1, 3, 64, 64)
    blocks = theirs.blocks(theirs.bn1(theirs.conv_stem(image)))
    assert float((ours(image)[-1] - blocks).norm() / blocks.norm()) > 0.5
    assert (epsilons(ours), epsilons(theirs)) == ({1e-5}, {1e-3})


@torch.no_grad()
def test_densenet169_ends_before_the_last_relu():
    """Its last feature map is BatchNorm's output, with negative numbers; ``densenet121`` of other packages has a ReLU.

    Seen in 0.6.0. The program adds one after every trunk that ends with a BatchNorm (``_library_backbone`` in
    ``rcic.learn.models.backbone``); without that ``test_the_output_after_the_last_norm_is_not_negative`` fails.
    """
    assert float(encoder("densenet169").train()(torch.randn(2, 3, 64, 64))[-1].min()) < -1


@pytest.mark.parametrize(
    ("name", "idle"),
    [
        ("efficientnet-b0", ["_conv_head.weight", "_bn1.weight", "_bn1.bias"]),
        ("timm-tf_efficientnet_lite0", ["conv_head.weight", "bn2.weight", "bn2.bias"]),
        ("resnet18", []),
    ],
)
def test_parameters_that_no_feature_depends_on_stop_ddp(name, idle):
    """Encoders keep the last convolution of the ImageNet network, and do not use it: it never has a gradient.

    Seen in 0.6.0. Two processes (DDP) wait for such gradients and stop with an error. The program uses the convolution
    or freezes what is idle (``_freeze_idle`` in ``rcic.learn.models.classifier``); without that
    ``test_what_a_network_keeps_for_its_imagenet_head_is_frozen`` fails.
    """
    network = encoder(name)
    network(torch.randn(2, 3, 64, 64))[-1].sum().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == idle
