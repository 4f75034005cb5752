import pytest
import torch
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.settings import Loss
from rcic.learn.models.loss import (
    Targets,
    binary_cross_entropy,
    check_loss,
    class_loss,
    cross_entropy,
    larger,
    margin_loss,
    soft_labels,
)
from tests.learn.models.small import tiny_model

LABELS, OTHER = torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 1, 0])
LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 5.0]])
EACH = torch.tensor([0.3, 0.5, 0.9, 1.0])


def of_each(labels):
    """A loss (B,) that can be checked by eye: ten times the label."""
    return 10.0 * labels


@pytest.mark.parametrize("loss", [Loss(ce=0), Loss(ce=-1)])
def test_nothing_to_learn_from_is_refused(loss):
    with pytest.raises(UserError, match="there is no loss"):
        check_loss(loss)


def test_mixed_labels_are_refused_unless_told_how():
    targets = Targets(LABELS, OTHER, 0.3)
    with pytest.raises(UserError, match=r"cosface does not support mixed labels .* set loss.mixed to larger"):
        margin_loss(of_each, targets, Loss(margin="cosface"))
    assert margin_loss(of_each, Targets(LABELS), Loss(margin="cosface")) == 7.5


def test_a_margin_takes_the_larger_share_or_both():
    targets = Targets(LABELS, OTHER, 0.3)
    assert margin_loss(of_each, targets, Loss(margin="arcface", mixed="larger")) == pytest.approx(12.5)
    weighted = margin_loss(of_each, targets, Loss(margin="arcface", mixed="weighted"))
    assert weighted == pytest.approx(0.3 * 7.5 + 0.7 * 12.5)
    assert larger(Targets(LABELS, OTHER, EACH)).tolist() == [2, 1, 2, 0]
    each = margin_loss(of_each, Targets(LABELS, OTHER, EACH), Loss(margin="arcface", mixed="weighted"))
    assert each == pytest.approx((0.7 * 20 + 0.5 * 10 + 0.5 * 20 + 0.9 * 20 + 0.1 * 10) / 4)


def test_a_share_that_is_a_number_needs_no_tensor():
    assert larger(Targets(LABELS, OTHER, 0.5)) is LABELS and larger(Targets(LABELS, OTHER, 0.49)) is OTHER
    assert larger(Targets(LABELS)) is LABELS


def test_plain_labels_give_torchs_cross_entropy_to_the_last_bit():
    for smoothing in (0.0, 0.1):
        expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing)
        assert torch.equal(cross_entropy(LOGITS, Targets(LABELS), smoothing), expected)


@pytest.mark.parametrize("share", [0.3, EACH])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_labels_are_a_mixed_one_hot_target(share, smoothing):
    part = torch.as_tensor(share).expand(4)[:, None]
    mixed = part * F.one_hot(LABELS, 3) + (1 - part) * F.one_hot(OTHER, 3)
    expected = F.cross_entropy(LOGITS, mixed, label_smoothing=smoothing)
    assert torch.allclose(cross_entropy(LOGITS, Targets(LABELS, OTHER, share), smoothing), expected)


def test_a_share_of_one_is_not_mixed():
    assert torch.allclose(cross_entropy(LOGITS, Targets(LABELS, OTHER, 1.0)), cross_entropy(LOGITS, Targets(LABELS)))


def test_half_precision_logits_are_summed_in_float32():
    assert cross_entropy(LOGITS.bfloat16(), Targets(LABELS)).dtype == torch.float32
    assert cross_entropy(LOGITS.double(), Targets(LABELS)).dtype == torch.float64


@pytest.mark.parametrize("margin", ["arcface", "cosface", "adacos"])
def test_the_network_follows_the_rule_for_mixed_labels(margin):
    image = torch.randn(4, 2, 16, 16)
    for mixed in ("refuse", "larger", "weighted"):
        model = tiny_model(2, 3, Loss(ce=0, margin=margin, mixed=mixed)).eval()
        output, targets = model(image), Targets(LABELS, OTHER, 0.3)
        if mixed == "refuse":
            with pytest.raises(UserError, match=f"loss.margin {margin} does not support mixed labels"):
                model.loss(output, targets)
            continue
        one, other = (model.loss(output, Targets(labels)) for labels in (LABELS, OTHER))
        expected = other if mixed == "larger" else 0.3 * one + 0.7 * other
        assert torch.allclose(model.loss(output, targets), expected, atol=1e-5)


def test_the_scale_of_adacos_moves_in_training_only():
    model = tiny_model(2, 3, Loss(ce=0, margin="adacos"))
    image = torch.randn(4, 2, 16, 16)
    before = float(model.head.margin.scale)
    model.eval().loss(model(image), Targets(LABELS))
    assert float(model.head.margin.scale) == before
    model.train().loss(model(image), Targets(LABELS)).backward()
    assert float(model.head.margin.scale) != before


def test_binary_is_the_mean_over_batch_and_classes():
    one_hot = F.one_hot(LABELS, 3)
    p = LOGITS.sigmoid()
    expected = -(one_hot * p.log() + (1 - one_hot) * (1 - p).log()).mean()
    binary = Loss(form="binary", label_smoothing=0.0)
    assert torch.allclose(class_loss(LOGITS, Targets(LABELS), binary), expected)
    assert class_loss(LOGITS.bfloat16(), Targets(LABELS), binary).dtype == torch.float32
    one, other = (class_loss(LOGITS, Targets(labels), binary) for labels in (LABELS, OTHER))
    assert torch.allclose(class_loss(LOGITS, Targets(LABELS, OTHER, 0.3), binary), 0.3 * one + 0.7 * other)
    model = tiny_model(2, 3, Loss(ce=2.0, form="binary", label_smoothing=0.0))
    output = model(torch.randn(4, 2, 16, 16))
    assert torch.allclose(model.loss(output, Targets(LABELS)), 2 * binary_cross_entropy(output.logits, Targets(LABELS)))


@pytest.mark.parametrize("share", [0.3, EACH])
def test_soft_labels_add_to_one_and_a_class_mixed_with_itself_is_whole(share):
    soft = soft_labels(Targets(LABELS, OTHER, share), 3)
    part = torch.as_tensor(share).expand(4)
    assert torch.allclose(soft.sum(1), torch.ones(4)) and soft[3].tolist() == pytest.approx([1, 0, 0])
    assert torch.allclose(soft[torch.arange(3), LABELS[:3]], part[:3])


def test_half_and_half_is_cosface_and_plain_cosines():
    """Recipe D: the mean of CE(30 (cos - 0.4 at the own class)) and CE(cos)."""
    loss = Loss(ce=0, margin="cosface", angle=0.4, scale=30.0, margin_weight=0.5, cosine_ce=0.5)
    model = tiny_model(2, 3, loss)
    output = model(torch.randn(4, 2, 16, 16))
    cosines = F.normalize(output.embedding) @ F.normalize(model.head.margin.weight, dim=0)
    harder = 30 * (cosines - 0.4 * F.one_hot(LABELS, 3))
    expected = (F.cross_entropy(harder, LABELS) + F.cross_entropy(cosines, LABELS)) / 2
    assert torch.allclose(model.loss(output, Targets(LABELS)), expected, atol=1e-4)


def test_soft_mixing_reaches_the_margin_and_its_plain_cosines():
    loss = Loss(ce=0.8, label_smoothing=0.0, margin="arcface", margin_weight=0.1, cosine_ce=0.2, mixed="soft")
    model, targets = tiny_model(2, 3, loss), Targets(LABELS, OTHER, 0.3)
    output = model(torch.randn(4, 2, 16, 16))
    shares, margin = soft_labels(targets, 3), model.head.margin
    expected = 0.8 * F.cross_entropy(output.logits, shares) + 0.1 * margin.soft_losses(output.embedding, shares).mean()
    expected = expected + 0.2 * F.cross_entropy(margin.cosines(output.embedding), shares)
    assert torch.allclose(model.loss(output, targets), expected, atol=1e-4)
