"""torch's export to ONNX. Its packages are in requirements-contracts.txt only."""

import pytest
import torch
from torch import nn

onnx = pytest.importorskip("onnx", reason="onnx is not in the pinned environment: make contracts-all")
pytest.importorskip("onnxscript", reason="onnxscript is not in the pinned environment: make contracts-all")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("dynamo", "layers"), [(True, ["Conv"]), (False, ["Conv", "BatchNormalization"])])
def test_export_in_training_mode_folds_the_running_statistics(tmp_path, dynamo, layers):
    """``torch.onnx.export(training=TRAINING)`` with dynamo, the default, writes the network of evaluation mode.

    Seen in 2.14.1 with onnxscript 0.7.2: one convolution, into which BatchNorm's running statistics are folded, so
    BatchNorm by plate is lost. The older exporter (``dynamo=False``) keeps the layer in training mode. The program
    exports nothing.
    """
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    path = tmp_path / "network.onnx"
    mode = torch.onnx.TrainingMode.TRAINING
    torch.onnx.export(network, (torch.randn(4, 3, 8, 8),), str(path), training=mode, dynamo=dynamo)
    assert [node.op_type for node in onnx.load(path).graph.node] == layers
