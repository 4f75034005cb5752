import copy
import io

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from rcic.errors import UserError
from rcic.learn.config.settings import Train
from rcic.learn.train.weight_average import Average, _Tensors, build_average
from tests.learn.models.small import tiny_model
from tests.learn.tiny import same_weights


class One(nn.Module):
    """One weight, one statistic, one counter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("count", torch.tensor(0))

    def set(self, value):
        """The weight becomes ``value``, the statistic ten times that, the counter goes on."""
        self.weight.data.fill_(value)
        self.mean.fill_(10 * value)
        self.count += 1


def seen(average, network):
    with average.applied(network):
        return network.weight.item(), network.mean.item(), network.count.item()


def steps(average, values):
    network = One()
    for value in values:
        network.set(value)
        average.update_step(network)
    return network


@pytest.mark.parametrize("settings", [{"ema": 0.9, "swa_epochs": 2}, {"ema": 1.0}, {"ema": -0.1}, {"swa_epochs": -1}])
def test_what_cannot_be_averaged_is_refused(settings):
    with pytest.raises(UserError, match=r"train.ema is"):
        build_average(Train(**settings))


def test_ema_is_its_closed_form():
    """With decay d < 2/11: w_1 d^(n-1) + (1-d) sum_k w_k d^(n-k), the first as it is."""
    d, values = 0.125, [1.0, 4.0, 2.0, 8.0]
    average = Average(ema=d)
    network = steps(average, values)
    expected = values[0] * d**3 + (1 - d) * (values[1] * d**2 + values[2] * d + values[3])
    assert seen(average, network) == (pytest.approx(expected), pytest.approx(10 * expected), 4)
    assert (network.weight.item(), network.mean.item()) == (8, 80)


def test_early_steps_forget_faster():
    average = Average(ema=0.999)
    network = steps(average, [1.0, 0.0, 0.0])
    assert seen(average, network)[0] == pytest.approx((2 / 11) * (3 / 12))


def test_swa_is_the_mean_of_the_last_epochs():
    average, network = Average(swa_epochs=3), One()
    for epoch, value in enumerate([100.0, 50.0, 1.0, 2.0, 6.0], 1):
        network.set(value)
        average.update_step(network)
        average.update_epoch(network, epoch, 5)
        if epoch <= 2:
            assert seen(average, network)[0] == value  # nothing is averaged yet
    assert seen(average, network) == (pytest.approx(3), pytest.approx(30), 5)


def test_swa_is_torchs_averaged_model():
    average, network = Average(swa_epochs=4), tiny_model(2, 3)
    theirs = AveragedModel(network, use_buffers=True)
    for epoch in range(1, 5):
        network(torch.randn(4, 2, 16, 16))  # moves the running statistics
        for parameter in network.parameters():
            parameter.data += torch.randn_like(parameter)
        average.update_epoch(network, epoch, 4)
        theirs.update_parameters(network)
    with average.applied(network):
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                assert torch.allclose(tensor, theirs.module.state_dict()[key], atol=1e-6)


def test_nothing_is_averaged_unless_asked():
    average = build_average(Train())
    network = steps(average, [1.0, 2.0])
    average.update_epoch(network, 2, 2)
    assert average.n == 0 and seen(average, network) == (2, 20, 2)


def test_its_own_weights_come_back_even_after_an_error():
    average, network = Average(ema=0.9), tiny_model(2, 3)
    average.update_step(network)
    for parameter in network.parameters():
        parameter.data += 1
    before = copy.deepcopy(network.state_dict())
    places = [tensor.data_ptr() for tensor in network.state_dict().values()]
    with pytest.raises(RuntimeError, match="stop"), average.applied(network):
        assert not same_weights(network.state_dict(), before)
        raise RuntimeError("stop")
    assert same_weights(network.state_dict(), before)
    assert [tensor.data_ptr() for tensor in network.state_dict().values()] == places


def train(average):
    """Return the weights after five steps, with validation in between."""
    torch.manual_seed(0)
    network = tiny_model(2, 3)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2, fused=True)
    for epoch in range(1, 6):
        network.train()(torch.randn(4, 2, 16, 16)).logits.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_step(network)
        average.update_epoch(network, epoch, 5)
        with average.applied(network), torch.inference_mode():
            network.eval()(torch.randn(4, 2, 16, 16))
    return network.state_dict()


@pytest.mark.parametrize("average", [Average(ema=0.9), Average(swa_epochs=3)])
def test_the_training_is_the_same_to_the_last_bit(average):
    assert same_weights(train(average), train(Average()))


def test_a_resumed_average_goes_on():
    values = [1.0, 4.0, 2.0, 8.0, 3.0]
    whole = Average(ema=0.5)
    expected = seen(whole, steps(whole, values))
    first, second, file = Average(ema=0.5), Average(ema=0.5), io.BytesIO()
    network = steps(first, values[:3])
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    for value in values[3:]:
        network.set(value)
        second.update_step(network)
    assert seen(second, network) == expected


def test_the_tensors_are_those_of_the_state_also_after_they_were_replaced():
    network = tiny_model(6, 4)
    tensors = _Tensors(network)
    for change in (lambda: None, lambda: network.double(), lambda: network.to(memory_format=torch.channels_last)):
        change()
        state, found = network.state_dict(), tensors.now()
        assert list(found) == list(state)
        assert all(found[key].data_ptr() == state[key].data_ptr() for key in state)
        assert all(found[key].dtype == state[key].dtype for key in state)
