import torch

from rcic.learn.models import build_model


def test_a_frozen_trunk_gets_no_gradient_and_its_statistics_move():
    model = build_model("tiny", 4, 3).train()
    model.trunk_frozen = True
    mean = model.trunk[1].running_mean.clone()
    model(torch.randn(8, 4, 16, 16) + 1).logits.sum().backward()
    assert all(parameter.grad is None for parameter in model.trunk.parameters())
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    assert not torch.equal(model.trunk[1].running_mean, mean)
    model.trunk_frozen = False
    model(torch.randn(8, 4, 16, 16)).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.trunk.parameters())


def test_thawing_does_not_switch_gradients_on_where_they_are_off():
    model = build_model("tiny", 4, 3)
    with torch.no_grad():
        assert not model(torch.randn(2, 4, 16, 16)).logits.requires_grad


def test_the_embedding_is_the_mean_of_the_feature_map():
    model = build_model("tiny", 2, 3).eval()
    image = torch.randn(2, 2, 20, 28)
    assert torch.allclose(model(image).embedding, model.trunk(image).mean((2, 3)))


def test_dropout_is_for_training_only():
    model = build_model("tiny", 2, 3, dropout=0.9)
    image = torch.randn(2, 2, 16, 16)
    torch.manual_seed(0)
    assert not torch.equal(model.train()(image).logits, model(image).logits)
    assert torch.equal(model.eval()(image).logits, model(image).logits)
