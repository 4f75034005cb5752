"""Catalyst's metrics, margins and tracing, for which the program has its own."""

import math

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")


def test_catalyst_map_of_whole_number_targets_is_the_accuracy():
    """catalyst-pdm 22.4.1: MAP@3 of int64 one-hot targets counts first ranks only: 1/2 is cut to 0 by the type.

    Of float targets it is right. `decide.metrics` has the program's metrics; `tests/decide/test_metrics.py`.
    """
    from catalyst.metrics.functional import mean_average_precision

    logits = torch.tensor([[3.0, 2, 1, 0], [1, 3, 2, 0], [1, 2, 3, 0], [0, 1, 2, 3]])
    targets = nn.functional.one_hot(torch.tensor([0, 2, 2, 0]), 4)
    assert float(mean_average_precision(logits, targets, [3])[0]) == 0.5
    assert float(mean_average_precision(logits, targets.float(), [3])[0]) == 0.625


def test_catalyst_adacos_learns_in_evaluation_mode():
    """catalyst-pdm 22.4.1: AdaCos moves its scale at every call with labels, in evaluation mode, too.

    Nor is the scale in the state dict, so a resumed training begins at another. `learn.models.margin.AdaCos` adapts in
    training only and keeps it; `tests/learn/models/test_margin.py::test_the_scale_of_adacos_is_in_the_checkpoint`.
    """
    from catalyst.contrib.layers import AdaCos

    torch.manual_seed(0)
    layer = AdaCos(8, 20).eval()
    before = float(layer.s)
    layer(torch.randn(16, 8), torch.randint(0, 20, (16,)))
    assert float(layer.s) != before
    assert list(layer.state_dict()) == ["weight"]


def test_catalyst_arcface_jumps_up_beyond_pi_less_m():
    """catalyst-pdm 22.4.1: ArcFace's logit falls with the angle to pi - m, then jumps up, so the worst wells get a
    reward.

    `learn.models.margin.FixedMargin` goes on falling;
    `tests/learn/models/test_margin.py::test_beyond_pi_less_m_arcface_is_that_of_recipe_f`.
    """
    from catalyst.contrib.layers import ArcFace

    layer = ArcFace(2, 1, s=1.0, m=0.5)
    layer.weight.data = torch.tensor([[1.0, 0.0]])
    before, after = (
        float(layer(torch.tensor([[math.cos(angle), math.sin(angle)]]), torch.tensor([0])))
        for angle in (math.pi - 0.5 - 0.01, math.pi - 0.5 + 0.01)
    )
    assert after > before + 0.1


@pytest.mark.parametrize("name", ["ArcFace", "CosFace", "SubCenterArcFace", "CurricularFace", "AdaCos"])
def test_catalyst_margins_drop_their_scale_at_inference(name):
    """catalyst-pdm 22.4.1: without labels the margin layers return cosines, up to 1; with them s times as much.

    A softmax of the first is nearly flat. `learn.models.margin` multiplies both;
    `tests/learn/models/test_margin.py::test_without_a_margin_it_is_softmax_of_scaled_cosines`.
    """
    from catalyst.contrib import layers

    torch.manual_seed(0)
    layer = getattr(layers, name)(8, 20).eval()
    wells, labels = torch.randn(16, 8), torch.randint(0, 20, (16,))
    assert float(layer(wells).detach().abs().max()) <= 1
    assert float(layer(wells, labels).detach().abs().max()) > 2


def test_catalyst_trace_model_moves_batchnorm_and_freezes_its_mode():
    """catalyst-pdm 22.4.1: `trace_model` of a network in training mode runs it five times, which moves BatchNorm.

    The traced network stays in training mode: after `eval()` it still normalises by the batch. The program traces
    nothing; put a network into evaluation mode before.
    """
    from catalyst.utils import trace_model

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    traced = trace_model(network, torch.randn(8, 1, 4, 4))
    assert int(network[1].num_batches_tracked) == 5
    batch = torch.randn(8, 1, 4, 4) * 5
    traced.eval()
    with torch.no_grad():
        assert float((traced(batch) - network.eval()(batch)).abs().max()) > 0.5
