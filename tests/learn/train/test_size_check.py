import pytest
import torch

from rcic.errors import Exhausted, UserError
from rcic.learn.models import build_model
from rcic.learn.train.size_check import check_sizes, sides_of, takes

NETWORKS = ("tiny", "densenet_small", "se_resnext_small", "tf_efficientnet_lite0", "vgg11", "resnet18")


def fails(network, side):
    """Tell whether a network, with numbers, fails at a side."""
    try:
        with torch.no_grad():
            return not torch.isfinite(network(torch.zeros(1, 5, side, side)).logits).all()
    except RuntimeError:
        return True


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_refused_is_what_the_network_cannot_take(config, name):
    network = build_model(config(model__name=name).model, 5, 3).eval()
    for side in (16, 31, 32):
        chosen = config(model__name=name, data__size=side)
        if not fails(network, side):
            check_sizes(chosen)
            continue
        with pytest.raises(UserError) as error:
            check_sizes(chosen)
        told = str(error.value)
        assert told.startswith(f"data.size is {side}, but {name} cannot take images of {side} x {side} pixels; ")
        other = int(told.split("; use ")[1].split(" x ")[0])
        assert told.endswith(f"use {other} x {other}") and not fails(network, other)


def test_some_networks_are_refused_and_some_are_not(config):
    """Or the test above would compare nothing."""
    refused = []
    for name in NETWORKS:
        try:
            check_sizes(config(model__name=name, data__size=16))
        except UserError:
            refused.append(name)
    assert refused == ["densenet_small", "vgg11"]


def test_a_network_of_one_size_is_told_which(config):
    with pytest.raises(
        UserError, match=r"^data\.size is 32, but tu-swin_tiny_patch4_window7_224 cannot .*; use 224 x 224$"
    ):
        check_sizes(config(model__name="tu-swin_tiny_patch4_window7_224", data__size=32))


@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({}, {}),
        ({"data__size": 64}, {64: "data.size"}),
        ({"augment__crop": 48}, {48: "augment.crop"}),
        ({"data__size": 64, "augment__crop": 48}, {64: "data.size", 48: "augment.crop"}),
        ({"augment__crop": 48, "augment__crop_start": 16}, {48: "augment.crop"}),  # one epoch: the last side
        (
            {"augment__crop": 64, "augment__crop_start": 20, "schedule__epochs": 4},
            {20: "augment.crop_start", 32: "augment.crop_start", 48: "augment.crop_start", 64: "augment.crop"},
        ),
    ],
)
def test_the_sides_that_a_network_will_see(config, settings, sides):
    assert sides_of(config(**settings)) == sides


def test_the_first_window_of_a_growing_crop_is_what_is_refused(config):
    grown = {"augment__crop": 64, "augment__crop_start": 16, "schedule__epochs": 4}
    with pytest.raises(UserError, match=r"^augment\.crop_start is 16, but densenet_small cannot take"):
        check_sizes(config(model__name="densenet_small", **grown))
    check_sizes(config(model__name="tiny", **grown))


def test_asking_draws_nothing(config):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_sizes(config(model__name="se_resnext_small", data__size=64))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_lack_of_memory_is_not_the_size_s_fault():
    class Lacking(torch.nn.Module):
        def forward(self, _):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(Exhausted, match=r"^a network for images of 64 x 64 pixels: not enough memory for it; "):
        takes(Lacking(), 3, 64)
