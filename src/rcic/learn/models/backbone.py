"""One registered builder per architecture: a 3-channel trunk that maps (B, 3, H, W) to (B, D, h, w)."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from rcic.errors import UserError, nearest
from rcic.files.decoding import no_memory
from rcic.learn.models import weights as imagenet
from rcic.learn.models.trunk_facts import FAILURES, measure_trunk


@dataclass(frozen=True)
class Backbone:
    """A trunk, its number of output channels D, and the function that loads ImageNet weights (from a file if given)."""

    trunk: nn.Module
    width: int
    load: Callable[[str | None], None]


_BUILDERS: dict[str, Callable[[], Backbone]] = {}


def register(name: str) -> Callable[[Callable[[], Backbone]], Callable[[], Backbone]]:
    """Register a builder under ``name``."""

    def enter(builder: Callable[[], Backbone]) -> Callable[[], Backbone]:
        _BUILDERS[name] = builder
        return builder

    return enter


def known_backbones() -> list[str]:
    """Return the registered names; further names are encoders of segmentation-models-pytorch."""
    return sorted(_BUILDERS)


def build_backbone(name: str) -> Backbone:
    """Return the backbone ``name`` with random weights. Raises UserError for an unknown name, with the nearest one."""
    return _BUILDERS[name]() if name in _BUILDERS else _encoder(name)


def shapes_only(name: str) -> nn.Module:
    """Return the trunk ``name`` on torch's ``meta`` device, without numbers. Raises like :func:`build_backbone`."""
    try:
        with torch.device("meta"):
            return build_backbone(name).trunk
    except UserError:  # some networks compute numbers while they are built
        with torch.random.fork_rng(devices=[]):
            return build_backbone(name).trunk.to("meta")


class Features(nn.Module):
    """The convolutional part of a pretrainedmodels network."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w)."""
        return self.network.features(image)  # type: ignore[operator]


class DeepestFeatures(nn.Module):
    """The last feature map of a segmentation-models-pytorch encoder."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w)."""
        return self.encoder(image)[-1]


class EfficientNetFeatures(DeepestFeatures):
    """An EfficientNet of segmentation-models-pytorch with the last convolution, which its encoder leaves out."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w)."""
        encoder = self.encoder
        return encoder._swish(encoder._bn1(encoder._conv_head(super().forward(image))))  # type: ignore[operator]


class WholeFeatures(nn.Module):
    """The feature map of a timm network, with whatever its classifier was trained on."""

    def __init__(self, name: str):
        super().__init__()
        import timm

        self.network = timm.create_model(name, pretrained=False, num_classes=0)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w)."""
        features = self.network.forward_features(image)  # type: ignore[operator]
        channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
        return features.permute(0, 3, 1, 2).contiguous() if channels_last else features


def _pretrainedmodels(name: str) -> Backbone:
    import pretrainedmodels

    with warnings.catch_warnings():  # the package uses torchvision's API of 2018
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = pretrainedmodels.__dict__[name](num_classes=1000, pretrained=None)
    width = network.last_linear.in_features
    network.last_linear = nn.Identity()  # replaced by this package's head on the pooled features
    return Backbone(Features(network), width, partial(imagenet.load_pretrainedmodels, name, network))


def _densenet(name: str) -> Backbone:
    """Return a DenseNet of the package pretrainedmodels, with a ReLU added after its last BN."""
    backbone = _pretrainedmodels(name)
    return Backbone(nn.Sequential(backbone.trunk, nn.ReLU(inplace=True)), backbone.width, backbone.load)


@register("se_resnext50_32x4d")
def se_resnext50_32x4d() -> Backbone:
    """Squeeze-and-excitation ResNeXt-50 (Hu et al., 2018), recipe A's first backbone; D = 2,048."""
    return _pretrainedmodels("se_resnext50_32x4d")


@register("se_resnext101_32x4d")
def se_resnext101_32x4d() -> Backbone:
    """Squeeze-and-excitation ResNeXt-101 (Hu et al., 2018), recipe A's largest backbone; D = 2,048."""
    return _pretrainedmodels("se_resnext101_32x4d")


@register("densenet121")
def densenet121() -> Backbone:
    """DenseNet-121 (Huang et al., 2017), recipe A's third backbone; D = 1,024."""
    return _densenet("densenet121")


@register("densenet161")
def densenet161() -> Backbone:
    """DenseNet-161 (Huang et al., 2017), the winner's backbone (recipe F); D = 2,208."""
    return _densenet("densenet161")


@register("densenet201")
def densenet201() -> Backbone:
    """DenseNet-201 (Huang et al., 2017), recipe B's backbone; D = 1,920."""
    return _densenet("densenet201")


@register("tiny")
def tiny() -> Backbone:
    """Three small convolutions for tests, D = 32. It has no ImageNet weights."""
    layers: list[nn.Module] = []
    for width_in, width_out in ((3, 8), (8, 16), (16, 32)):
        convolution = nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]
    trunk = nn.Sequential(*layers)
    return Backbone(trunk, 32, partial(imagenet.load_file_only, "tiny", trunk))


def _encoder(name: str) -> Backbone:
    """Return an encoder of segmentation-models-pytorch (``tu-NAME``: a timm model)."""
    from segmentation_models_pytorch.encoders import encoders

    if name not in encoders and not name.startswith("tu-"):
        known = [*known_backbones(), *encoders]
        raise UserError(
            f"model.name is {name!r}, which is unknown{nearest(name, known)} (known: {', '.join(known_backbones())} "
            "and every encoder of segmentation-models-pytorch by its name)"
        )
    try:
        return _library_backbone(name)
    except FAILURES as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if name.startswith("tu-"):
            reason += "; timm's networks must make feature maps at halved sizes, which vision transformers do not"
        raise no_memory(f"model {name!r}", error) or UserError(f"model {name!r} cannot be built: {reason}") from error


def _library_backbone(name: str) -> Backbone:
    if name.startswith(("timm-efficientnet-", "timm-tf_efficientnet_")):
        return _tensorflow_efficientnet(name)
    if name.startswith("tu-") and _is_cut(name):
        whole = WholeFeatures(name[3:])
        return Backbone(whole, measure_trunk(whole, 3).shape[1], partial(imagenet.load_timm, name[3:], whole.network))
    encoder = _smp_encoder(name)
    load = partial(imagenet.load_encoder, name, encoder)
    if name.startswith("efficientnet-"):
        trunk: nn.Module = EfficientNetFeatures(encoder)
    else:
        trunk = DeepestFeatures(encoder)
    facts = measure_trunk(trunk, 3)
    if type(facts.last) is nn.BatchNorm2d:  # densenet169, xception: the network had a ReLU after its last BN
        trunk = nn.Sequential(trunk, nn.ReLU(inplace=True))
    return Backbone(trunk, facts.shape[1], load)


def _smp_encoder(name: str) -> nn.Module:
    from segmentation_models_pytorch.encoders import get_encoder

    with warnings.catch_warnings():  # about names that begin with "timm-"
        warnings.simplefilter("ignore")
        return get_encoder(name, in_channels=3, depth=5, weights=None)


def _tensorflow_efficientnet(name: str) -> Backbone:
    """Return timm's network for the weights of ``timm-efficientnet-b0`` and its like.

    They are TensorFlow's (``tf_efficientnet_b0``). segmentation-models-pytorch 0.6.0 puts them into a network with
    other padding and BN epsilon, which also ends before the last convolution.
    """
    whole = WholeFeatures("tf_" + name.removeprefix("timm-").removeprefix("tf_").replace("-", "_"))
    load = partial(imagenet.load_timm_of_smp, name, whole.network)
    return Backbone(whole, measure_trunk(whole, 3).shape[1], load)


def _is_cut(name: str) -> bool:
    """Return whether the encoder ``tu-NAME`` ends before a layer with parameters that makes timm's own feature map.

    Such are the last norm of preactivation networks (``resnetv2``, ``dpn``) and of transformers, or a last convolution.
    Networks whose last layers work on tokens instead of a map are not meant.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            encoder, whole = _smp_encoder(name), WholeFeatures(name[3:])
            facts = measure_trunk(whole, 3)
    except FAILURES:
        return False
    has = {imagenet.timm_name(key) for key, _ in encoder.named_parameters()}
    uses = {key.removeprefix("network.") for key, _ in whole.named_parameters() if key not in facts.idle}
    return len(facts.shape) == 4 and not {imagenet.timm_name(key) for key in uses} <= has
