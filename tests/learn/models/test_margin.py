import math

import pytest
import torch
from torch.nn import functional as F

from rcic.learn.config.settings import Loss
from rcic.learn.models.margin import AdaCos, build_margin

MARGINS = ("arcface", "cosface", "adacos")


def sample(n=16, width=6, classes=5, dtype=torch.float32):
    chance = torch.Generator().manual_seed(0)
    return torch.randn(n, width, generator=chance, dtype=dtype), torch.arange(n) % classes


def fixed(margin, angle, scale=30.0):
    torch.manual_seed(0)
    return build_margin(6, 5, Loss(margin=margin, angle=angle, scale=scale))


@pytest.mark.parametrize("margin", ["arcface", "cosface"])
def test_without_a_margin_it_is_softmax_of_scaled_cosines(margin):
    head = fixed(margin, angle=0.0, scale=7.0)
    embedding, labels = sample()
    cosines = F.normalize(embedding) @ F.normalize(head.weight, dim=0)
    assert torch.allclose(head.logits(embedding), 7 * cosines, atol=1e-5)
    expected = F.cross_entropy(7 * cosines, labels, reduction="none")
    assert torch.allclose(head.losses(embedding, labels), expected, atol=1e-4)


@pytest.mark.parametrize("margin", ["arcface", "cosface"])
def test_the_margin_is_in_radians_or_cosines(margin):
    head = fixed(margin, angle=0.3)
    embedding, labels = sample()
    cosines = F.normalize(embedding) @ F.normalize(head.weight, dim=0)
    own = cosines.gather(1, labels[:, None])
    harder = (own.acos() + 0.3).cos() if margin == "arcface" else own - 0.3
    assert (own.acos() < math.pi - 0.3).all()
    expected = F.cross_entropy(30 * cosines.scatter(1, labels[:, None], harder), labels, reduction="none")
    assert torch.allclose(head.losses(embedding, labels), expected, atol=1e-4)


@pytest.mark.parametrize("margin", MARGINS)
def test_half_precision_around_it_changes_nothing_inside(margin):
    head = fixed(margin, angle=0.5)
    embedding, labels = sample()
    embedding = embedding.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = head.logits(embedding), head.losses(embedding, labels)
    outside = head.logits(embedding.float()), head.losses(embedding.float(), labels)
    assert all(
        torch.equal(one, other) and one.dtype == torch.float32 for one, other in zip(inside, outside, strict=True)
    )
    assert head.weight.dtype == torch.float32


@pytest.mark.parametrize("margin", MARGINS)
def test_float64_stays_float64(margin):
    head = fixed(margin, angle=0.5).double()
    embedding, labels = sample(dtype=torch.float64)
    assert head.logits(embedding).dtype == head.losses(embedding, labels).dtype == torch.float64


@pytest.mark.parametrize("margin", MARGINS)
def test_an_embedding_on_its_class_has_a_finite_gradient(margin):
    head = fixed(margin, angle=0.5)
    weight = head.weight.detach() if margin == "adacos" else head.weight.detach().T
    embedding = (3 * weight).clone().requires_grad_()
    head.losses(embedding, torch.arange(5)).sum().backward()
    assert torch.isfinite(embedding.grad).all() and torch.isfinite(head.weight.grad).all()


def test_adacos_moves_its_scale_as_the_paper_says():
    """2 samples, 3 classes along the axes; angles to their own classes 60 degrees and 0: the median is the lower."""
    head = AdaCos(3, 3)
    head.weight.data = torch.eye(3)
    assert float(head.scale) == pytest.approx(math.sqrt(2) * math.log(2))
    head.scale.fill_(2.0)
    embedding = torch.tensor([[0.5, math.sqrt(0.75), 0.0], [0.0, 4.0, 0.0]])
    head.adapt(embedding, torch.tensor([0, 1]))
    b = (math.exp(2 * math.sqrt(0.75)) + 1 + 1 + 1) / 2
    assert float(head.scale) == pytest.approx(math.log(b) / 1.0, abs=1e-3)
    head.scale.fill_(2.0)
    head.adapt(embedding[:1], torch.tensor([0]))  # 60 degrees count as 45
    assert float(head.scale) == pytest.approx(math.log(math.exp(2 * math.sqrt(0.75)) + 1) / math.cos(math.pi / 4))


def test_the_scale_of_adacos_is_in_the_checkpoint():
    head = AdaCos(3, 4)
    head.scale.fill_(5.0)
    other = AdaCos(3, 4)
    other.load_state_dict(head.state_dict())
    assert float(other.scale) == 5 and set(head.state_dict()) == {"weight", "scale"}


@pytest.mark.parametrize("m", [0.3, 0.5, 1.2])
def test_beyond_pi_less_m_arcface_is_that_of_recipe_f(m):
    """The source: phi = where(cos > cos(pi - m), cos(t + m), cos - m sin(pi - m))."""
    head = fixed("arcface", angle=m)
    angles = torch.linspace(0.05, math.pi - 0.02, 40)
    labels = torch.zeros(40, dtype=torch.int64)
    head.weight.data = torch.eye(6)[:, :5].clone()
    embedding = F.pad(torch.stack([angles.cos(), torch.zeros(40)], 1), (0, 4))
    embedding[:, 5] = angles.sin()  # orthogonal to every class: the other cosines are 0
    phi = torch.where(angles < math.pi - m, (angles + m).cos(), angles.cos() - m * math.sin(math.pi - m))
    logits = F.pad(30 * phi[:, None], (0, 4))
    expected = F.cross_entropy(logits, labels, reduction="none")
    assert (angles > math.pi - m).any() and torch.allclose(head.losses(embedding, labels), expected, atol=1e-3)


@pytest.mark.parametrize("margin", ["arcface", "cosface"])
def test_soft_labels_share_the_margin_as_in_recipe_f(margin):
    head = fixed(margin, angle=0.3)
    embedding, labels = sample()
    shares = 0.7 * F.one_hot(labels, 5) + 0.3 * F.one_hot(labels.roll(1), 5)
    cosines = head.cosines(embedding)
    harder = (cosines.acos() + 0.3).cos() if margin == "arcface" else cosines - 0.3
    logits = 30 * (shares * harder + (1 - shares) * cosines)
    expected = -(shares * logits.log_softmax(1)).sum(1)
    assert torch.allclose(head.soft_losses(embedding, shares), expected, atol=1e-4)
    whole = F.one_hot(labels, 5).float()
    assert torch.allclose(head.soft_losses(embedding, whole), head.losses(embedding, labels), atol=1e-4)


def test_soft_labels_have_a_finite_gradient_on_another_classs_direction():
    head = fixed("arcface", angle=0.5)
    head.weight.data = torch.eye(6)[:, :5].clone()
    embedding = torch.eye(6)[:5].clone().requires_grad_()
    head.soft_losses(embedding, torch.eye(5).roll(1, 0)).sum().backward()
    assert torch.isfinite(embedding.grad).all() and torch.isfinite(head.weight.grad).all()
