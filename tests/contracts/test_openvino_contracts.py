"""OpenVINO, which is not in the pinned environment: the network after its conversion."""

import pytest
import torch
from torch import nn

openvino = pytest.importorskip("openvino", reason="openvino is not in the pinned environment: make contracts-all")


@pytest.mark.filterwarnings("ignore")
def test_convert_model_leaves_the_network_in_evaluation_mode():
    """After ``convert_model`` a network that was in training mode is in evaluation mode.

    Seen in 2026.4.1: a training that converts after each epoch goes on with fixed BatchNorm and no dropout. The
    statistics themselves do not move. The program converts nothing.
    """
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    openvino.convert_model(network, example_input=torch.randn(2, 3, 8, 8))
    assert {layer.training for layer in network.modules()} == {False}
    assert int(network[1].num_batches_tracked) == 0
