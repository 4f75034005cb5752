import pytest
import torch
from torch import nn

from rcic.errors import UserError
from rcic.learn.config.settings import Loss
from rcic.learn.models.heads import Head, Metadata, pool
from tests.learn.models.small import bare

TWO = ("cell_type", "plate_group")


def kinds(layers):
    return [type(layer).__name__ for layer in layers]


def test_concat_joins_mean_and_maximum():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 4.0]]]])  # (1, 2, 2, 2)
    assert pool(features, "mean").tolist() == [[3, 1]]
    assert pool(features, "concat").tolist() == [[3, 1, 6, 4]]


def test_the_heads_are_those_of_the_recipes():
    neck = Head(8, 3, bare(head="neck", width=6), Loss())
    assert kinds([neck.norm, *neck.embed]) == ["BatchNorm1d", "Linear", "ReLU", "BatchNorm1d", "Linear", "BatchNorm1d"]
    assert kinds(Head(8, 3, bare(head="linear_bn", width=6), Loss()).embed) == ["Linear", "BatchNorm1d", "ReLU"]
    features = torch.randn(5, 8)
    assert torch.equal(Head(8, 3, bare(), Loss()).embedding(features), features)
    for head in ("neck", "linear_bn"):
        assert Head(8, 3, bare(head=head, width=6), Loss()).embedding(features).shape == (5, 6)


@pytest.mark.parametrize(("metadata", "n_values"), [(TWO, (3,)), (TWO, ()), ((), (3,))])
def test_metadata_without_values_is_refused(metadata, n_values):
    with pytest.raises(UserError, match=rf"but {len(n_values)} of them have values"):
        Head(8, 3, bare(metadata=metadata), Loss(), n_values)


def test_one_hot_is_zero_where_unknown():
    encode = Metadata(bare(metadata=TWO), (3, 2)).eval()
    assert encode.width == 5
    values = torch.tensor([[0, 0], [1, 2], [3, 0], [4, 1]])  # the fourth cell type was never seen
    assert encode(values).tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_learned_vectors_have_one_for_unknown():
    encode = Metadata(bare(metadata=TWO, metadata_form="learned", metadata_width=4), (3, 2)).eval()
    values = torch.tensor([[0, 0], [1, 2], [0, 1]])
    vectors = encode(values)
    assert vectors.shape == (3, 8) == (3, encode.width)
    assert torch.equal(vectors[0, :4], vectors[2, :4]) and not torch.equal(vectors[0, :4], vectors[1, :4])
    assert vectors[0, :4].abs().sum() > 0


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_metadata_is_forgotten_while_training_only(chance):
    torch.manual_seed(0)
    encode = Metadata(bare(metadata=TWO, metadata_dropout=chance), (3, 2))
    values = torch.ones(2000, 2, dtype=torch.int64)
    known = encode.train()(values)[:, [0, 3]]
    assert known.mean() == pytest.approx(1 - chance, abs=0.03)
    if chance == 0.3:
        assert known.prod(dim=1).mean() == pytest.approx(0.49, abs=0.03)  # each kind by itself
    assert encode.eval()(values)[:, [0, 3]].mean() == 1


def test_a_whole_batch_of_one_cell_type_still_learns_which():
    """The neck's first BatchNorm would make a constant 0."""
    torch.manual_seed(0)
    head = Head(8, 3, bare(head="neck", width=6, metadata=("cell_type",), metadata_dropout=0.0), Loss(), (2,)).train()
    features = torch.randn(16, 8)
    one, other = (head.embedding(features, torch.full((16, 1), value)) for value in (1, 2))
    assert not torch.allclose(one, other, atol=1e-3)


def test_all_parameters_beyond_the_trunk_belong_to_the_head():
    loss = Loss(margin="adacos")
    head = Head(8, 3, bare(head="neck", width=6, metadata=TWO, metadata_form="learned"), loss, (3, 2))
    model = nn.Module()
    model.head = head
    assert {key.split(".")[1] for key in model.state_dict()} == {
        "weight", "bias", "metadata", "norm", "embed", "margin"
    }  # fmt: skip


RECIPE_D = ("bn", "fc 6", "relu", "bn", "drop 0.25")
RECIPE_F = ("metadata", "bn", "fc 6 no_bias", "relu", "bn", "fc 6 no_bias", "bn")


def test_layers_are_built_as_they_are_named():
    head = Head(8, 3, bare(head="layers", layers=RECIPE_D), Loss())
    assert kinds(head.embed) == ["BatchNorm1d", "Linear", "ReLU", "BatchNorm1d", "Dropout"]
    assert head.embed[4].p == 0.25 and head.embed[1].bias is not None and head.in_features == 6
    head = Head(8, 3, bare(head="layers", layers=RECIPE_F, metadata=("cell_type",)), Loss(), (2,))
    assert [layer.bias is None for layer in head.embed if isinstance(layer, nn.Linear)] == [True, True]
    assert head.embed[1].num_features == 10  # 8 features and 2 cell types before the first BN


def test_metadata_enters_where_the_layers_say():
    head = Head(8, 3, bare(head="layers", layers=("bn", "fc 6", "relu"), metadata=("cell_type",)), Loss(), (2,)).eval()
    assert (head.embed[0].num_features, head.embed[1].in_features) == (8, 10)
    features, values = torch.randn(4, 8), torch.tensor([[1], [2], [0], [1]])
    joined = torch.cat([head.embed[0](features), head.metadata(values)], dim=1)
    assert torch.equal(head.embedding(features, values), head.embed[1](joined).relu())
    for layers in (("relu", "metadata"), ("drop 0.5",)):  # behind all layers, and in front
        head = Head(8, 3, bare(head="layers", layers=layers, metadata=("cell_type",)), Loss(), (2,)).eval()
        assert head.in_features == 10 and head.embedding(features, values).shape == (4, 10)


@pytest.mark.parametrize("head", ["neck", "linear_bn", "layers"])
def test_the_embedding_may_be_the_linear_layers_output(head):
    layers = ("fc 6", "bn", "relu") if head == "layers" else ()
    torch.manual_seed(0)
    tapped = Head(8, 3, bare(head=head, width=6, layers=layers, embedding="fc", dropout=0.5), Loss())
    whole = Head(8, 3, bare(head=head, width=6, layers=layers, dropout=0.5), Loss())
    whole.load_state_dict(tapped.state_dict())  # the same names
    features = torch.randn(16, 8)
    for model in (tapped, whole):
        model.after(model.embedding(features))  # moves the running statistics
        model.eval()
    linear = next(layer for layer in reversed(tapped.embed) if isinstance(layer, nn.Linear))
    seen = []
    linear.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    embedding = tapped.embedding(features)
    assert torch.equal(embedding, seen[-1]) and embedding.min() < 0
    assert not torch.allclose(embedding, whole.embedding(features))
    assert torch.equal(tapped(tapped.after(embedding)), whole(whole.after(whole.embedding(features))))
