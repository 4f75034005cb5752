import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.settings import Loss
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.models.loss import Targets
from rcic.learn.runs.checkpoint import load_matching, read_checkpoint, save_checkpoint
from tests.learn.models.small import bare, tiny_model
from tests.learn.tiny import same_weights

SRC = Path(__file__).parents[3] / "src"
WINNER = Loss(ce=0.8, label_smoothing=0.0, margin="arcface", margin_weight=0.2)
ANGLES_ONLY = [Loss(ce=0, margin=margin) for margin in ("arcface", "cosface", "adacos")]
LOSSES = [Loss(), WINNER, Loss(margin="adacos", margin_weight=0.5), *ANGLES_ONLY]


def batch(n=8, channels=2, classes=5):
    """Return images (N, C, 16, 16) and labels (N,), the same in every test."""
    chance = torch.Generator().manual_seed(0)
    return torch.randn(n, channels, 16, 16, generator=chance), torch.arange(n) % classes


def test_a_loss_without_anything_to_learn_from_is_refused():
    with pytest.raises(UserError, match=r"loss.ce is 0 with loss.margin none: there is no loss"):
        tiny_model(2, 3, Loss(ce=0))


def test_the_plain_classifier_is_a_linear_layer_on_the_mean():
    """The names of the tensors and the arithmetic of checkpoints made before there were other heads."""
    torch.manual_seed(0)
    trunk = nn.Conv2d(2, 8, 3)
    linear = nn.Linear(8, 3)
    torch.manual_seed(0)
    model = WellClassifier(nn.Conv2d(2, 8, 3), 8, 3)
    assert list(model.state_dict()) == ["trunk.weight", "trunk.bias", "head.weight", "head.bias"]
    image, labels = batch(classes=3)
    output = model(image)
    assert torch.equal(output.embedding, trunk(image).mean((2, 3)))
    assert torch.equal(output.logits, linear(output.embedding))
    expected = F.cross_entropy(output.logits, labels, label_smoothing=0.1)
    assert torch.equal(model.loss(output, Targets(labels)), expected)


def test_a_frozen_trunk_gets_no_gradient_and_its_statistics_move():
    model = tiny_model(4, 3, n_values=(2,), metadata=("cell_type",), metadata_form="learned", head="neck", width=6)
    model.train().trunk_frozen = True
    mean = model.trunk[1].running_mean.clone()
    model(torch.randn(8, 4, 16, 16) + 1).logits.square().sum().backward()
    assert all(parameter.grad is None for parameter in model.trunk.parameters())
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    assert not torch.equal(model.trunk[1].running_mean, mean)
    model.trunk_frozen = False
    model(torch.randn(8, 4, 16, 16)).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.trunk.parameters())


def test_thawing_does_not_switch_gradients_on_where_they_are_off():
    model = tiny_model(4, 3)
    with torch.no_grad():
        assert not model(torch.randn(2, 4, 16, 16)).logits.requires_grad


def test_dropout_is_for_training_only():
    model = tiny_model(2, 3, dropout=0.9)
    image, _ = batch(2)
    torch.manual_seed(0)
    assert not torch.equal(model.train()(image).logits, model(image).logits)
    assert torch.equal(model.eval()(image).logits, model(image).logits)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_reaches_every_parameter_and_falls(loss):
    torch.manual_seed(0)
    model = tiny_model(2, 5, loss, head="neck", pool="concat", width=16).train()
    image, labels = batch()
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(8):
        value = model.loss(model(image), Targets(labels))
        optimizer.zero_grad()
        value.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("head", ["linear", "neck", "linear_bn"])
def test_half_precision_trains_and_float64_stays(loss, head):
    options = {"head": head, "width": 16, "metadata": ("cell_type",), "metadata_form": "learned"}
    image, labels = batch()
    values = torch.ones(8, 1, dtype=torch.int64)
    model = tiny_model(2, 5, loss, (4,), **options).train()
    with torch.autocast("cpu", torch.bfloat16):
        value = model.loss(model(image, values), Targets(labels))
    value.backward()
    assert value.dtype == torch.float32 and all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    output = model.double()(image.double(), values)
    assert output.logits.dtype == model.loss(output, Targets(labels)).dtype == torch.float64


@pytest.mark.parametrize("loss", LOSSES)
def test_what_forward_returns_depends_on_every_parameter(loss):
    """DDP looks for parameters without a gradient there, before it knows the loss."""
    model = tiny_model(2, 5, loss).train()
    output = model(batch()[0])
    torch.autograd.grad(output.logits.sum() + output.embedding.sum(), list(model.parameters()), allow_unused=False)


def test_the_winners_loss_is_the_weighted_sum():
    model = tiny_model(2, 5, WINNER).train()
    image, labels = batch()
    output = model(image)
    by_angle = model.head.margin.losses(output.embedding, labels).mean()
    expected = 0.8 * F.cross_entropy(output.logits, labels) + 0.2 * by_angle
    assert torch.allclose(model.loss(output, Targets(labels)), expected)


@pytest.mark.parametrize("loss", ANGLES_ONLY)
def test_without_cross_entropy_the_logits_are_scaled_cosines(loss):
    model = tiny_model(2, 5, loss)
    margin = model.head.margin
    weight = margin.weight if loss.margin == "adacos" else margin.weight.T
    scale = margin.scale if loss.margin == "adacos" else 30.0
    for mode in (True, False):
        output = model.train(mode)(batch()[0])
        cosines = F.normalize(output.embedding) @ F.normalize(weight).T
        assert torch.allclose(output.logits, scale * cosines, atol=1e-5)


def test_metadata_that_is_not_given_is_unknown():
    model = tiny_model(2, 3, n_values=(4, 2), metadata=("cell_type", "plate_group")).eval()
    image, _ = batch()
    zeros, ones = torch.zeros(8, 2, dtype=torch.int64), torch.ones(8, 2, dtype=torch.int64)
    assert torch.equal(model(image).logits, model(image, zeros).logits)
    assert not torch.equal(model(image).logits, model(image, ones).logits)
    assert model(image).embedding.shape == (8, 32 + 4 + 2)


def test_metadata_of_mixed_images_is_mixed_in_the_same_ratio():
    model = tiny_model(2, 3, n_values=(4,), metadata=("cell_type",)).eval()
    image, values = batch()[0], torch.arange(8)[:, None] % 4 + 1
    order = torch.arange(8).flip(0)
    one, other = (model(image, v).embedding[:, 32:] for v in (values, values[order]))
    mixed = model(image, values, order, 0.3).embedding
    assert torch.allclose(mixed[:, 32:], 0.3 * one + 0.7 * other)
    assert torch.equal(mixed[:, :32], model(image, values).embedding[:, :32])  # pixels are mixed before


@pytest.mark.parametrize("loss", LOSSES)
def test_a_head_of_31_classes_starts_one_of_1108(loss, tmp_path):
    options = {"head": "neck", "width": 16, "metadata": ("cell_type",)}
    control, full = tiny_model(2, 31, loss, (4,), **options), tiny_model(2, 1108, loss, (4,), **options)
    save_checkpoint(tmp_path / "control.pth", control, {"model": "tiny", "channels": [1, 2]})
    fresh = load_matching(full, read_checkpoint(tmp_path / "control.pth"))
    assert fresh and all(key.startswith("head.") and key.split(".")[1] in ("weight", "bias", "margin") for key in fresh)
    assert same_weights(full.trunk.state_dict(), control.trunk.state_dict())
    assert same_weights(full.head.embed.state_dict(), control.head.embed.state_dict())


def test_another_neck_starts_fresh_but_the_trunk_stays(tmp_path):
    plain, neck = tiny_model(2, 31), tiny_model(2, 1108, WINNER, head="neck")
    save_checkpoint(tmp_path / "plain.pth", plain, {"model": "tiny", "channels": [1, 2]})
    assert all(key.startswith("head.") for key in load_matching(neck, read_checkpoint(tmp_path / "plain.pth")))
    assert same_weights(neck.trunk.state_dict(), plain.trunk.state_dict())


def test_shapes_only_loads_nothing(tmp_path):
    wanted = bare(weights_file=str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match="no such weight file"):
        build_model(wanted, 3, 4)
    assert build_model(wanted, 3, 4, load=False).head.in_features == 32


def test_the_library_of_margins_is_imported_for_a_margin_only():
    code = """
import sys
import rcic.learn.train.build
from rcic.learn.models import build_model
from rcic.learn.config.settings import Loss, Model
LARGE = ("pytorch_metric_learning", "sklearn", "matplotlib")  # Catalyst would import the latter two
def names(): return [name for name in sys.modules if name.startswith(LARGE)]
build_model(Model("tiny", "none"), 2, 3, Loss(margin="adacos"))
assert not names(), names()
build_model(Model("tiny", "none"), 2, 3, Loss(margin="cosface"))
assert names()
"""
    subprocess.run([sys.executable, "-B", "-c", code], env={"PYTHONPATH": str(SRC)}, check=True)


@pytest.mark.parametrize("loss", [Loss(), Loss(ce=0.5, margin="cosface")])
def test_another_embedding_changes_neither_logits_nor_loss_nor_gradient(loss):
    told = []
    image, labels = torch.randn(6, 2, 16, 16), torch.arange(6) % 3
    for embedding in ("output", "fc"):
        torch.manual_seed(0)
        model = tiny_model(2, 3, loss, head="layers", layers=("fc 5", "bn", "relu"), embedding=embedding)
        output = model(image)
        value = model.loss(output, Targets(labels))
        value.backward()
        trained = model.eval()(image)
        assert torch.equal(model.forward_head(trained.embedding), trained.logits)
        in_evaluation = model.loss(trained, Targets(labels))
        told.append((output.logits, output.embedding, value, model.trunk[0].weight.grad, trained.logits, in_evaluation))
        told[-1] += tuple(model.state_dict().values())
        assert (trained.embedding.min() < 0) == (embedding == "fc")
    assert all(torch.equal(one, other) for one, other in zip(*told, strict=True))
